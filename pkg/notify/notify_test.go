package notify

import (
	"net"
	"os"
	"path/filepath"
	"reflect"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/splitvault/splitvault/pkg/userbus/bustest"
)

func at(address string) func(string) string {
	return func(key string) string {
		if key == "DBUS_SESSION_BUS_ADDRESS" {
			return address
		}
		return ""
	}
}

func TestSendShowsTextAndNoMarkup(t *testing.T) {
	t.Parallel()
	_, address := bustest.Start(t)
	server := bustest.Serve(t, address, 0)
	if err := Send(t.Context(), at(address), "ssh: the vault did not answer", `use <a href="x">this</a> & that`); err != nil {
		t.Fatal(err)
	}
	want := []bustest.Notification{{
		App: "splitvault", Icon: "dialog-password", Summary: "ssh: the vault did not answer",
		Body: `use &lt;a href="x"&gt;this&lt;/a&gt; &amp; that`, Actions: []string{},
	}}
	if got := server.Shown(); !reflect.DeepEqual(got, want) {
		t.Errorf("shown %+v, want %+v", got, want)
	}
}

// A notification is a courtesy: without anybody to show it, and with one who
// takes his time, the daemon is back at work in a moment.
func TestSendNeverHoldsTheDaemon(t *testing.T) {
	t.Parallel()
	_, noServer := bustest.Start(t)
	_, slow := bustest.Start(t)
	bustest.Serve(t, slow, 5*time.Second)
	for _, tt := range []struct{ name, address string }{
		{"no bus", "unix:path=/nonexistent/bus"},
		{"a bus that does not answer", "unix:path=" + silent(t)},
		{"no notification server", noServer},
		{"a slow notification server", slow},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			begin := time.Now()
			if err := Send(t.Context(), at(tt.address), "a", "b"); err == nil {
				t.Error("no error")
			}
			if took := time.Since(begin); took > 3*time.Second {
				t.Errorf("took %v", took)
			}
		})
	}
}

// silent is a socket that accepts, and does no more.
func silent(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "bus")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	path := filepath.Join(dir, "bus")
	listener, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	return path
}

func once(t *testing.T, dir, subject string) bool {
	t.Helper()
	due, err := Once(dir, subject, 10*time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	return due
}

func TestOncePerSubjectAndInterval(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if !once(t, dir, "refused") {
		t.Error("the first was not due")
	}
	if once(t, dir, "refused") {
		t.Error("the second was due")
	}
	if !once(t, dir, "no-service") {
		t.Error("another subject was not due")
	}
	age := func(d time.Duration) {
		t.Helper()
		when := time.Now().Add(-d)
		if err := os.Chtimes(filepath.Join(dir, "refused"), when, when); err != nil {
			t.Fatal(err)
		}
	}
	age(9 * time.Minute)
	if once(t, dir, "refused") {
		t.Error("due after nine minutes")
	}
	age(11 * time.Minute)
	if !once(t, dir, "refused") || once(t, dir, "refused") {
		t.Error("not due exactly once after eleven minutes")
	}
	age(-time.Hour)
	if !once(t, dir, "refused") {
		t.Error("a clock that was set back silences for as long")
	}
}

func TestOnceAmongManyAtTheSameMoment(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	var told atomic.Int32
	var wg sync.WaitGroup
	for range 50 {
		wg.Go(func() {
			if due, err := Once(dir, "refused", time.Minute); err != nil {
				t.Error(err)
			} else if due {
				told.Add(1)
			}
		})
	}
	wg.Wait()
	if told.Load() != 1 {
		t.Errorf("told %d times", told.Load())
	}
}

func TestOnceStaysInItsDirectory(t *testing.T) {
	t.Parallel()
	parent := t.TempDir()
	dir := filepath.Join(parent, "notified")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(filepath.Join(parent, "victim"), filepath.Join(dir, "link")); err != nil {
		t.Fatal(err)
	}
	for _, subject := range []string{"", ".", "..", "../x", "/x", "a/b", "link"} {
		if due, err := Once(dir, subject, time.Minute); due || err == nil {
			t.Errorf("subject %q: %v, %v", subject, due, err)
		}
	}
	if entries, err := os.ReadDir(parent); err != nil || len(entries) != 1 {
		t.Errorf("left behind: %v, %v", entries, err)
	}
}
