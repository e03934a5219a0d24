package auditlog_test

import (
	"context"
	"fmt"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/splitvault/splitvault/pkg/audit"
	"github.com/splitvault/splitvault/pkg/auditlog"
)

// numbers are those of the lines that a follower sees.
func numbers(t *testing.T, f *auditlog.Follower) string {
	t.Helper()
	events, err := f.Next()
	if err != nil {
		t.Fatal(err)
	}
	var seqs []uint64
	for _, e := range events {
		seqs = append(seqs, e.Seq)
	}
	return fmt.Sprint(seqs)
}

func TestFollowingSeesEachLineOnceAcrossRotations(t *testing.T) {
	t.Parallel()
	v := newVault(t)
	v.call(t, 0, 2) // 1 to 3
	f, err := auditlog.NewFollower(v.state())
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	step := func(want string) {
		t.Helper()
		if got := numbers(t, f); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
	step("[]")
	v.call(t, 0, 2)
	step("[4 5]")
	v.call(t, 0, 1) // 6, not yet seen when it moves
	v.call(t, 1, 1) // rotates: 7 continues, 8
	step("[6 7 8]")
	v.call(t, 1, 1)
	v.call(t, 1, 1)
	v.call(t, 1, 1)
	step("[9 10 11 12 13 14]")
	step("[]")
	// Half a line comes when it is whole.
	content, err := os.ReadFile(audit.Path(v.state(), 0))
	if err != nil {
		t.Fatal(err)
	}
	v.call(t, 0, 1)
	whole, err := os.ReadFile(audit.Path(v.state(), 0))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(audit.Path(v.state(), 0), int64(len(content)+20)); err != nil {
		t.Fatal(err)
	}
	step("[]")
	if err := os.WriteFile(audit.Path(v.state(), 0), whole, 0o600); err != nil {
		t.Fatal(err)
	}
	step("[15]")
	// Taken away and begun anew.
	if err := os.RemoveAll(v.state()); err != nil {
		t.Fatal(err)
	}
	step("[]")
	v.call(t, 0, 1)
	step("[1 2]")
}

func TestFollowingAFileThatIsNotYetThere(t *testing.T) {
	t.Parallel()
	v := newVault(t)
	f, err := auditlog.NewFollower(v.state())
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if got := numbers(t, f); got != "[]" {
		t.Error(got)
	}
	v.call(t, 0, 1)
	if got := numbers(t, f); got != "[1 2]" {
		t.Error(got)
	}
}

// What both sources have is shown once, what one of them has too; and nothing
// is left running.
func TestFollowingBoth(t *testing.T) {
	t.Parallel()
	v := newVault(t)
	v.now = time.Now().Add(-time.Second)
	f, err := auditlog.NewFollower(v.state())
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	line := func(message string) string {
		return fmt.Sprintf(`{"__CURSOR":"x","__REALTIME_TIMESTAMP":"%d","PRIORITY":"6","SYSLOG_IDENTIFIER":"splitvault-ssh-guard",`+
			`"MESSAGE":"%s","SPLITVAULT_QUBE":"work","SPLITVAULT_COUNT":"0"}`, time.Now().UnixMicro(), message)
	}
	journald := journalctl(t, "echo '"+line("signed")+"'; echo '"+line("only here")+"'; exec sleep 60")
	v.call(t, 0, 1) // its first line, and "signed" with count 0
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	var mu sync.Mutex
	seen := map[string]int{}
	start := time.Now()
	err = auditlog.Follow(ctx, f, journald, auditlog.Start{}, func(e auditlog.Event) error {
		mu.Lock()
		defer mu.Unlock()
		if seen[e.Message]++; len(seen) == 3 {
			time.AfterFunc(500*time.Millisecond, cancel)
		}
		return nil
	}, func(err error) { t.Error(err) })
	if err != nil || time.Since(start) > 15*time.Second {
		t.Errorf("%v after %v", err, time.Since(start))
	}
	if got := fmt.Sprint(seen); got != "map[audit file begins:1 only here:1 signed:1]" {
		t.Error(got)
	}
}
