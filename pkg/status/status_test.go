package status

import (
	"cmp"
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/splitvault/splitvault/pkg/slots"
)

// hold takes n slots of a pool until the test ends.
func hold(t *testing.T, dir, name string, n int) {
	t.Helper()
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	for range n {
		slot, err := slots.New(dir, name, 8).Acquire(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = slot.Release() })
	}
}

func TestOpenCallsAreThoseThatGuardsHold(t *testing.T) {
	dir := t.TempDir()
	s := Source{Dir: dir, Locks: "/proc/locks"}
	if got, err := s.Callers(); err != nil || len(got) != 0 {
		t.Errorf("before any call: %v, %v", got, err)
	}
	guards := filepath.Join(dir, "guards")
	hold(t, guards, "ssh+work", 2)
	hold(t, guards, "pass+mail.client", 1)
	// One that ended has left its file.
	slot, err := slots.New(guards, "ssh+gone", 8).Acquire(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := slot.Release(); err != nil {
		t.Fatal(err)
	}
	got, err := s.Callers()
	slices.SortFunc(got, func(a, b Caller) int { return cmp.Compare(a.Qube, b.Qube) })
	if want := []Caller{{"mail.client", "pass", 1}, {"work", "ssh", 2}}; err != nil || !slices.Equal(got, want) {
		t.Errorf("got %v, %v, want %v", got, err, want)
	}
}

func TestAClientsServices(t *testing.T) {
	dir := t.TempDir()
	hold(t, filepath.Join(dir, "slots"), "ssh", 3)
	s := Source{Dir: dir, Locks: "/proc/locks", Systemctl: func(_ context.Context, args ...string) (string, error) {
		switch args[len(args)-1] {
		case "splitvault-ssh.socket":
			return "LoadState=loaded\nActiveState=active\nNConnections=2\nNAccepted=17\nNRefused=1\n", nil
		case "splitvault-pass.socket":
			return "LoadState=not-found\nActiveState=inactive\n", nil
		default:
			return "LoadState=loaded\nActiveState=inactive\nNConnections=0\nNAccepted=0\n", nil
		}
	}}
	got, err := s.Client(t.Context())
	if err != nil || len(got) != 3 {
		t.Fatalf("got %v, %v", got, err)
	}
	if ssh := got[0]; !ssh.On || ssh.Calls != 3 || !slices.Equal(ssh.Sockets, []Socket{{"splitvault-ssh.socket", "active", 2, 17, 1}}) {
		t.Errorf("ssh: %+v", ssh)
	}
	if clef := got[1]; clef.On || clef.Calls != 0 || len(clef.Sockets) != 3 {
		t.Errorf("clef: %+v", clef)
	}
	if pass := got[2]; pass.On || len(pass.Sockets) != 0 {
		t.Errorf("pass: %+v", pass)
	}
}

func TestWhatCannotBeFoundOutIsAnError(t *testing.T) {
	s := Source{Dir: t.TempDir(), Systemctl: func(context.Context, ...string) (string, error) { return "", errors.New("no bus") }}
	if _, err := s.Client(t.Context()); err == nil || !strings.Contains(err.Error(), "no bus") {
		t.Errorf("got %v", err)
	}
	hold(t, filepath.Join(s.Dir, "guards"), "ssh+work", 1)
	if got, err := s.Callers(); err == nil {
		t.Errorf("without a list of locks: %v", got)
	}
}
