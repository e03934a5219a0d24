package upstream

import (
	"fmt"
	"sync"
	"syscall"

	"github.com/splitvault/splitvault/pkg/hangup"
)

// Watch returns a channel that is closed when an agent has closed one of the
// connections, as it does when it ends. stop ends the watch.
func (agents Agents) Watch() (ended <-chan struct{}, stop func(), err error) {
	var watchers []*hangup.Watcher
	gone, done := make(chan struct{}), make(chan struct{})
	unwatch := func() {
		close(done)
		for _, w := range watchers {
			w.Close()
		}
	}
	tell := sync.OnceFunc(func() { close(gone) })
	for _, a := range agents {
		for _, c := range []*conn{a.marked, a.local} {
			if c == nil {
				continue
			}
			w, err := c.watch()
			if err != nil {
				unwatch()
				return nil, nil, fmt.Errorf("agent at %s: %w", a.Path, err)
			}
			watchers = append(watchers, w)
			go func() {
				select {
				case <-w.Gone():
					tell()
				case <-done:
				}
			}()
		}
	}
	return gone, unwatch, nil
}

func (c *conn) watch() (*hangup.Watcher, error) {
	socket, ok := c.Conn.(syscall.Conn)
	if !ok {
		return nil, fmt.Errorf("watching for its end: a %T is no socket", c.Conn)
	}
	return hangup.Watch(socket)
}
