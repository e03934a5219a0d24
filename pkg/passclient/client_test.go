package passclient

import (
	"errors"
	"io"
	"net"
	"path/filepath"
	"testing"

	"github.com/splitvault/splitvault/pkg/passproto"
	"github.com/splitvault/splitvault/pkg/secret"
)

// relay answers with these bytes after it has read as much of a request, and ends.
func relay(t *testing.T, reads int64, answer string) *Client {
	t.Helper()
	path := filepath.Join(t.TempDir(), "s")
	listener, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		conn, err := listener.Accept()
		if err != nil {
			return
		}
		defer conn.Close()
		_, _ = io.CopyN(io.Discard, conn, reads) // what the client then sees is tested
		_, _ = io.WriteString(conn, answer)
	}()
	c := New(func(key string) string {
		if key == "SPLITVAULT_PASS_SOCKET" {
			return path
		}
		return ""
	})
	t.Cleanup(func() { c.Close(); listener.Close(); <-done })
	return c
}

// A relay that refuses does not read the entry to its end, and its reason is what a
// person is to see.
func TestARefusalWhileTheEntryIsStillSentIsShown(t *testing.T) {
	t.Parallel()
	no := &passproto.Error{}
	for name, row := range map[string]struct {
		answer string
		isNo   bool
	}{
		"refused":    {"ERR 126 denied refused by dom0\n", true},
		"no reason":  {"", false},
		"cut short":  {"ERR 126 den", false},
		"an OK even": {"OK 0\n", false},
	} {
		var out secret.Buffer
		defer out.Wipe()
		err := relay(t, 20, row.answer).Do(t.Context(), passproto.Request{Verb: passproto.Insert, Name: "work/new"}, make([]byte, passproto.MaxBody), &out)
		if err == nil || errors.As(err, &no) != row.isNo {
			t.Errorf("%s: %v", name, err)
		}
	}
}
