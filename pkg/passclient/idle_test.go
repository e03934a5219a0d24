package passclient

import (
	"net"
	"path/filepath"
	"testing"

	"github.com/splitvault/splitvault/pkg/passproto"
)

// A relay drops a client that says nothing for 30 seconds, which is no time for a
// person before a menu: the next request goes over a new connection.
func TestAPersonMayThinkLongerThanTheRelayWaits(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "s")
	listener, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	dropped := make(chan struct{})
	done := make(chan struct{})
	go func() {
		defer close(done)
		for first := true; ; first = false {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			if _, err := passproto.NewReader(conn).Line(passproto.MaxLine); err == nil {
				_, _ = conn.Write([]byte("OK 2\nx\n"))
			}
			conn.Close()
			if first {
				close(dropped)
			}
		}
	}()
	c := New(func(key string) string { return map[string]string{"SPLITVAULT_PASS_SOCKET": path}[key] })
	defer func() { c.Close(); listener.Close(); <-done }()
	if names, _, err := c.Names(t.Context(), ""); err != nil || len(names) != 1 {
		t.Fatal(names, err)
	}
	<-dropped
	value, err := c.Field(t.Context(), "x", "password")
	if err != nil {
		t.Fatal(err)
	}
	value.Wipe()
}
