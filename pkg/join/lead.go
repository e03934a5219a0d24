package join

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/splitvault/splitvault/pkg/peer"
)

// leader is the state of one that works. What is not of its own goroutine comes
// over its channels.
type leader struct {
	arrived chan net.Conn // a follower that waits
	left    chan net.Conn // and one that does so no more
	waiting map[net.Conn]bool
	clock   *time.Timer // runs while nobody waits
}

// lead works, while others may join, and removes the files of the key at its end.
func (g *Group) lead(ctx, client context.Context, key string, work func(ctx context.Context) []byte) ([]byte, error) {
	path := g.path(key, ".sock")
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("joining a request: %w", err)
	}
	listener, err := net.ListenUnix("unix", &net.UnixAddr{Net: "unix", Name: path})
	if err != nil {
		return nil, fmt.Errorf("joining a request: %w", err)
	}
	ctx, cancel := context.WithCancel(ctx)
	var all sync.WaitGroup
	l := &leader{arrived: make(chan net.Conn), left: make(chan net.Conn), waiting: map[net.Conn]bool{}}
	all.Go(func() { l.accept(ctx, listener, &all) })
	done := make(chan []byte, 1)
	all.Go(func() { done <- work(ctx) })
	all.Go(g.sweep)
	result, err := l.serve(ctx, client, done, g.patience())
	// In this order: who finds no socket looks at the lock.
	listener.Close()
	_ = os.Remove(g.path(key, ".lock"))
	cancel()
	for conn := range l.waiting {
		conn.Close()
	}
	all.Wait()
	return result, err
}

// sweep removes the files of leaders that were killed.
func (g *Group) sweep() {
	locks, err := filepath.Glob(g.path("*", ".lock"))
	if err != nil {
		return // a pattern in the name of the directory
	}
	for _, path := range locks {
		key := strings.TrimSuffix(filepath.Base(path), ".lock")
		lock, err := g.lock(key)
		if err != nil || lock == nil {
			continue // it lives
		}
		_ = os.Remove(g.path(key, ".sock"))
		_ = os.Remove(path)
		lock.Close()
	}
}

// serve waits for the result and for somebody who takes it.
func (l *leader) serve(ctx, client context.Context, done <-chan []byte, patience time.Duration) ([]byte, error) {
	own := client.Done() // nil once it is gone
	l.clock = time.NewTimer(patience)
	l.clock.Stop()
	var result []byte
	for {
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-l.clock.C:
			return nil, ErrGone
		case <-own:
			own = nil
			l.mind(own, patience)
		case conn := <-l.left:
			delete(l.waiting, conn)
			conn.Close()
			l.mind(own, patience)
		case conn := <-l.arrived:
			l.waiting[conn] = true
			l.clock.Stop()
			if result != nil && l.give(result) {
				return nil, ErrGone
			}
		case result = <-done:
			done = nil
			given := l.give(result)
			switch {
			case own != nil && client.Err() == nil:
				return result, nil
			case given:
				return nil, ErrGone
			}
		}
	}
}

// mind starts the clock when the last who waited has left.
func (l *leader) mind(own <-chan struct{}, patience time.Duration) {
	if own == nil && len(l.waiting) == 0 {
		l.clock.Reset(patience)
	}
}

// give hands the result to all who wait, and tells whether anybody got it.
func (l *leader) give(result []byte) bool {
	given := false
	for conn := range l.waiting {
		if conn.SetWriteDeadline(time.Now().Add(greetTime)) == nil {
			if _, err := conn.Write(frame(result)); err == nil {
				given = true
			}
		}
		conn.Close()
		delete(l.waiting, conn)
	}
	return given
}

// frame puts the length before a result, so that one cut short is none.
func frame(result []byte) []byte {
	return append(binary.BigEndian.AppendUint32(nil, uint32(len(result))), result...)
}

// accept takes followers of this user until the listener is closed.
func (l *leader) accept(ctx context.Context, listener *net.UnixListener, all *sync.WaitGroup) {
	for {
		conn, err := listener.AcceptUnix()
		if err != nil {
			return
		}
		if p, err := peer.Of(conn); err != nil || p.UID != os.Getuid() {
			conn.Close()
			continue
		}
		select {
		case l.arrived <- conn:
			all.Go(func() { l.watch(ctx, conn) })
		case <-ctx.Done():
			conn.Close()
			return
		}
	}
}

// watch waits for the end of a follower, which says nothing.
func (l *leader) watch(ctx context.Context, conn net.Conn) {
	_, _ = conn.Read(make([]byte, 1)) // until either side closes it
	select {
	case l.left <- conn:
	case <-ctx.Done():
	}
}

// follow waits for a leader's result. It fails when there is no leader any more,
// or client ends.
func follow(client context.Context, path string) (result []byte, ok bool) {
	conn, err := net.DialTimeout("unix", path, greetTime)
	if err != nil {
		return nil, false
	}
	defer conn.Close()
	// No deadline: a person may be reading a prompt. The client's patience ends it.
	stop := context.AfterFunc(client, func() { conn.Close() })
	defer stop()
	head := make([]byte, 4)
	if _, err := io.ReadFull(conn, head); err != nil {
		return nil, false
	}
	n := binary.BigEndian.Uint32(head)
	if n > maxResult {
		return nil, false
	}
	result = make([]byte, n)
	if _, err := io.ReadFull(conn, result); err != nil {
		return nil, false
	}
	return result, true
}
