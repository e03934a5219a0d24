package audit

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// Day and night at full speed, a qube gets a bounded number of lines.
func TestAFloodOfADay(t *testing.T) {
	t.Parallel()
	c, written, announced, counted := fresh(0), 0, 0, uint64(0)
	const n = 10 * 24 * 3600
	for i := range n {
		a := c.admit(int64(i)*int64(100*time.Millisecond), limited, 0)
		if a.begins {
			announced++
		}
		if a.write {
			written++
			counted += a.suppressed
		}
	}
	if most := floodBurst + 24*3600/10; written < most-floodResume || written > most || announced > written/floodResume+1 {
		t.Errorf("%d lines, %d announcements", written, announced)
	}
	if uint64(written)+counted+c.Suppressed != n {
		t.Errorf("%d written, %d counted, %d waiting", written, counted, c.Suppressed)
	}
}

func TestAFloodEndsAndIsCountedExactly(t *testing.T) {
	t.Parallel()
	c := fresh(0)
	for range 1000 {
		c.admit(0, limited, 0)
	}
	if a := c.admit(0, always, 0); !a.write || a.suppressed != 0 {
		t.Errorf("an allow: %+v", a)
	}
	if a := c.admit(int64(time.Hour), limited, 0); !a.write || a.suppressed != 700 {
		t.Errorf("an hour later: %+v", a)
	}
	if a := c.admit(int64(time.Hour), limited, 0); !a.write || a.suppressed != 0 {
		t.Errorf("the next: %+v", a)
	}
}

func TestListingsAreRepeatedAfterAnHour(t *testing.T) {
	t.Parallel()
	c := fresh(1)
	c.Left = 0
	for _, row := range []struct {
		at   time.Duration
		hash uint64
		want bool
	}{{1, 1, true}, {2, 1, false}, {3, 2, true}, {4, 1, false}, {time.Hour, 1, false}, {time.Hour + 1, 1, true}, {time.Hour + 2, 1, false}} {
		c.Left = 0
		c.Last = int64(row.at)
		if got := c.admit(int64(row.at), listing, row.hash).write; got != row.want {
			t.Errorf("at %v: %v", row.at, got)
		}
	}
}

// Whatever is in the shared file, it is no reason to leave out lines for good,
// or to panic.
func TestDamagedCounters(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for name, content := range map[string][]byte{
		"nothing": nil, "short": []byte("x"), "zeros": make([]byte, 288), "ones": bytes.Repeat([]byte{255}, 288), "long": bytes.Repeat([]byte{255}, 5000),
	} {
		f, err := openFlood(dir, "work", func() int64 { return 1000 })
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, "splitvault/log/work"), content, 0o600); err != nil {
			t.Fatal(err)
		}
		if a := f.admit(limited, ""); !a.write || a.suppressed != 0 || a.missing != 0 {
			t.Errorf("%s: %+v", name, a)
		}
		f.close()
	}
}

func TestCountersOfLongGoneQubesAreRemoved(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for _, qube := range []string{"disp1", "work", "disp2"} {
		f, err := openFlood(dir, qube, sinceStart)
		if err != nil {
			t.Fatal(err)
		}
		f.missed()
		f.close()
		if qube == "disp1" {
			old := time.Now().Add(-3 * time.Hour)
			if err := os.Chtimes(filepath.Join(dir, "splitvault/log/disp1"), old, old); err != nil {
				t.Fatal(err)
			}
		}
	}
	entries, err := os.ReadDir(filepath.Join(dir, "splitvault/log"))
	if err != nil || len(entries) != 2 {
		t.Errorf("%v, %v", entries, err)
	}
	for _, name := range []string{"", ".", "..", "a/b", "../x"} {
		if f, err := openFlood(dir, name, sinceStart); err == nil || f == nil {
			t.Errorf("%q is a name of a qube", name)
		}
	}
}
