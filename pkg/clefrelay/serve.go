package clefrelay

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/splitvault/splitvault/pkg/hangup"
	"github.com/splitvault/splitvault/pkg/httpedge"
	"github.com/splitvault/splitvault/pkg/origin"
	"github.com/splitvault/splitvault/pkg/peer"
)

// ServeHTTP serves a connection to a port, to the end of its client. allows tells
// whether pages of an origin may talk to the signer.
func (r *Relay) ServeHTTP(ctx context.Context, conn *net.TCPConn, allows func(untrusted string) bool) (httpedge.Stats, error) {
	client, end, err := watchTCP(ctx, conn, func() bool { _, err := peer.OfTCP(conn); return err == nil })
	if err != nil {
		return httpedge.Stats{}, err
	}
	defer end()
	return r.http(ctx, client, conn, &httpedge.Policy{Host: hostOf(conn), Origin: allows})
}

// ServeNetwork is ServeHTTP for a client on another machine, which may call this one
// by any number it has. One that stops sending has gone: nobody here knows better.
func (r *Relay) ServeNetwork(ctx context.Context, conn *net.TCPConn, allows func(untrusted string) bool) (httpedge.Stats, error) {
	client, end, err := watchTCP(ctx, conn, func() bool { return false })
	if err != nil {
		return httpedge.Stats{}, err
	}
	defer end()
	return r.http(ctx, client, conn, &httpedge.Policy{Host: isNumber, Origin: allows})
}

func (r *Relay) http(ctx, client context.Context, conn *net.TCPConn, policy *httpedge.Policy) (httpedge.Stats, error) {
	server := &httpedge.Server{
		Conn:   conn,
		Policy: policy,
		Handle: func(client context.Context, p *httpedge.Post) httpedge.Answer {
			reply, ok := r.Answer(ctx, client, Sender{origin.Origin(p.Origin), p.UserAgent}, p.Body)
			if !ok {
				return httpedge.Answer{Status: 400, Body: append(reply, '\n')}
			}
			return httpedge.Answer{Status: 200, Body: append(reply, '\n')}
		},
		Refused: r.Report.Refused,
	}
	err := server.Serve(client)
	return server.Stats, err
}

// isNumber tells whether a Host header is localhost or an address, with any port or
// none. A page cannot make its own name mean this machine by that: it has none.
func isNumber(untrusted string) bool {
	host := untrusted
	if i := strings.LastIndexByte(untrusted, ':'); i > strings.LastIndexByte(untrusted, ']') {
		if _, err := strconv.ParseUint(untrusted[i+1:], 10, 16); err != nil {
			return false
		}
		host = untrusted[:i]
	}
	if six, ok := strings.CutPrefix(host, "["); ok {
		six, ok = strings.CutSuffix(six, "]")
		address, err := netip.ParseAddr(six)
		return ok && err == nil && address.Is6() && address.Zone() == ""
	}
	address, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && address.Is4()
}

// hostOf tells whether a Host header (in lower case) means the port that conn came
// to: by a name or number that is always this machine.
func hostOf(conn net.Conn) func(untrusted string) bool {
	port := ""
	if a, ok := conn.LocalAddr().(*net.TCPAddr); ok {
		port = ":" + strconv.Itoa(a.Port)
	}
	return func(untrusted string) bool {
		switch strings.TrimSuffix(untrusted, port) {
		case "localhost", "127.0.0.1", "[::1]":
			return true
		}
		return false
	}
}

// stillThere is how often a client that has stopped sending is looked after.
const stillThere = time.Second

// watchTCP returns a context that ends when the client has closed its end. One that
// only stopped sending may wait for its answer still: the two look alike on a TCP
// socket, but, if the client is on this machine, not in the kernel's list of
// sockets, which there looks into.
func watchTCP(ctx context.Context, conn *net.TCPConn, there func() bool) (client context.Context, end func(), err error) {
	ended, err := hangup.WatchInput(conn)
	if err != nil {
		return nil, nil, err
	}
	client, cancel := context.WithCancel(ctx)
	var watch sync.WaitGroup
	watch.Go(func() {
		select {
		case <-ended.Gone():
		case <-client.Done():
			return
		}
		for there() {
			select {
			case <-client.Done():
				return
			case <-time.After(stillThere):
			}
		}
		cancel()
	})
	return client, func() {
		cancel()
		watch.Wait()
		ended.Close()
	}, nil
}

// watchUnix is watchTCP for a Unix socket.
func watchUnix(ctx context.Context, conn *net.UnixConn) (client context.Context, end func(), err error) {
	gone, err := hangup.Watch(conn)
	if err != nil {
		return nil, nil, err
	}
	client, cancel := context.WithCancel(ctx)
	stop := context.AfterFunc(client, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })
	var watch sync.WaitGroup
	watch.Go(func() {
		select {
		case <-gone.Gone():
			cancel()
		case <-client.Done():
		}
	})
	return client, func() {
		cancel()
		stop()
		watch.Wait()
		gone.Close()
	}, nil
}

// ErrOtherUser says that a connection is another user's.
var ErrOtherUser = errors.New("the client is another user, or its end of the connection is closed")

// Identify finds out who is at the other end of a connection. Only processes of
// this user are served: the port of a qube is open to all users and containers of
// it.
func Identify(conn net.Conn, uid int) (*Client, error) {
	switch conn.(type) {
	case *net.UnixConn:
		p, err := peer.Of(conn)
		if err != nil {
			return nil, err
		}
		if p.UID != uid {
			return nil, fmt.Errorf("%w (user %d)", ErrOtherUser, p.UID)
		}
		return userOf(p.UID, func() int { return p.PID }), nil
	case *net.TCPConn:
		owner, err := peer.OfTCP(conn)
		if err != nil {
			return nil, fmt.Errorf("%w: %w", ErrOtherUser, err)
		}
		if owner.UID != uid {
			return nil, fmt.Errorf("%w (user %d)", ErrOtherUser, owner.UID)
		}
		return userOf(owner.UID, owner.Process), nil
	default:
		return nil, fmt.Errorf("%T is no connection of a client", conn)
	}
}

func userOf(uid int, process func() int) *Client {
	return &Client{Who: strconv.Itoa(uid), UID: int64(uid), Process: process}
}
