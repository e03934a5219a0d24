package upstream_test

import (
	"context"
	"errors"
	"net"
	"path/filepath"
	"sync/atomic"
	"testing"

	"github.com/splitvault/splitvault/pkg/rules"
	"github.com/splitvault/splitvault/pkg/upstream"
)

// TestASocketIsTriedOnce: Debian 13 names its agent in the environment, in the
// session and by its usual place. One that hangs costs its five seconds once.
func TestASocketIsTriedOnce(t *testing.T) {
	t.Parallel()
	dir := shortDir(t)
	path := filepath.Join(dir, "openssh_agent")
	var connections atomic.Int32
	listen(t, path, func(net.Conn) { connections.Add(1) })
	place := &upstream.Place{Runtime: dir, Environment: path, Session: func(context.Context) string { return path }}
	if _, err := find(t, place, &rules.SSH{}, ""); !errors.Is(err, upstream.ErrNoAgent) {
		t.Errorf("got %v, want that there is no agent", err)
	}
	if n := connections.Load(); n != 1 {
		t.Errorf("the agent was connected to %d times, want once", n)
	}
}
