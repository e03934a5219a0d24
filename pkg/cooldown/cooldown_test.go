package cooldown_test

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/splitvault/splitvault/pkg/cooldown"
)

func TestARefusalLastsForOthersToo(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	open := func(name string) *cooldown.Mark {
		m, err := cooldown.Open(dir, name)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(m.Close)
		return m
	}
	one, other, third := open("clef+work"), open("clef+work"), open("clef+../x")
	now := time.Now()
	left := func(m *cooldown.Mark, at time.Time) time.Duration {
		d, err := m.Left(at, 5*time.Second)
		if err != nil {
			t.Error(err)
		}
		return d
	}
	if left(one, now) != 0 {
		t.Error("refused before anything was")
	}
	if err := one.Set(now); err != nil {
		t.Fatal(err)
	}
	if d := left(other, now.Add(2*time.Second)); d != 3*time.Second {
		t.Errorf("%v are left", d)
	}
	if left(other, now.Add(6*time.Second)) != 0 || left(third, now) != 0 {
		t.Error("it lasts too long, or for others")
	}
	if d := left(other, now.Add(-time.Hour)); d != 5*time.Second {
		t.Errorf("with the clock set back %v are left", d)
	}
	// And from then on it passes, however far back that was.
	if d := left(other, now.Add(-time.Hour+4*time.Second)); d != time.Second {
		t.Errorf("after 4 seconds of the clock that was set back %v are left", d)
	}
	if d := left(one, now.Add(-time.Hour+6*time.Second)); d != 0 {
		t.Errorf("after 6 seconds of the clock that was set back %v are left", d)
	}
	if m := (*cooldown.Mark)(nil); m.Set(now) != nil || left(m, now) != 0 {
		t.Error("no mark remembers something")
	}
}

// Something else in its place must not be written to.
func TestWhatIsNoFileIsNotOpened(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	target := filepath.Join(dir, "target")
	if err := os.WriteFile(target, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(target, filepath.Join(dir, "link")); err != nil {
		t.Fatal(err)
	}
	if _, err := cooldown.Open(dir, "link"); err == nil {
		t.Error("a link is followed")
	}
	m, err := cooldown.Open(dir, "target")
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	if d, err := m.Left(time.Now(), time.Minute); err == nil || d != time.Minute {
		t.Errorf("half a mark: %v, %v", d, err)
	}
}
