package userbus

import (
	"context"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/splitvault/splitvault/pkg/userbus/bustest"
)

func environment(env map[string]string) func(string) string {
	return func(key string) string { return env[key] }
}

func TestConnectFindsTheBus(t *testing.T) {
	t.Parallel()
	dir, address := bustest.Start(t)
	odd := filepath.Join(dir, "a b,c;d=%e")
	if err := os.Mkdir(odd, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(filepath.Join(dir, "bus"), filepath.Join(odd, "bus")); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name string
		env  map[string]string
		ok   bool
	}{
		{"by its address", map[string]string{"DBUS_SESSION_BUS_ADDRESS": address}, true},
		{"where systemd has it", map[string]string{"XDG_RUNTIME_DIR": dir}, true},
		{"in a directory whose name means something in an address", map[string]string{"XDG_RUNTIME_DIR": odd}, true},
		{"the address counts first", map[string]string{"DBUS_SESSION_BUS_ADDRESS": "unix:path=/nonexistent", "XDG_RUNTIME_DIR": dir}, false},
		{"no bus is started", map[string]string{"DBUS_SESSION_BUS_ADDRESS": "autolaunch:", "XDG_RUNTIME_DIR": dir}, false},
		{"nonsense", map[string]string{"DBUS_SESSION_BUS_ADDRESS": "nonsense"}, false},
		{"none", map[string]string{"XDG_RUNTIME_DIR": odd + "x"}, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			conn, err := Connect(t.Context(), environment(tt.env))
			if (err == nil) != tt.ok {
				t.Fatalf("connected: %v, want %v", err, tt.ok)
			}
			if err != nil {
				return
			}
			defer conn.Close()
			if len(conn.Names()) == 0 {
				t.Error("no name on the bus")
			}
		})
	}
}

// A bus that accepts and says nothing must not hold a daemon.
func TestHangingBus(t *testing.T) {
	t.Parallel()
	dir, err := os.MkdirTemp("", "bus")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	listener, err := net.Listen("unix", filepath.Join(dir, "bus"))
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	result := make(chan error, 1)
	go func() {
		_, err := Connect(ctx, environment(map[string]string{"XDG_RUNTIME_DIR": dir}))
		result <- err
	}()
	select {
	case err := <-result:
		if err == nil {
			t.Error("connected to nobody")
		}
	case <-time.After(10 * time.Second):
		t.Fatal("hangs")
	}
}
