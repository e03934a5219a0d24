package rate

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/splitvault/splitvault/pkg/confine"
	"github.com/splitvault/splitvault/pkg/confine/confinetest"
)

// TestMain lets the test binary be one of several processes that count.
func TestMain(m *testing.M) {
	if dir := os.Getenv("RATE_TEST_DIR"); dir != "" {
		os.Exit(use(dir))
	}
	os.Exit(m.Run())
}

// use counts 40 uses and prints how many were allowed.
func use(dir string) int {
	c, err := Open(dir, "shared")
	if err != nil {
		return 1
	}
	if os.Getenv("RATE_TEST_CONFINED") != "" {
		if _, err := confine.Guard(); err != nil {
			return 1
		}
		if f, err := os.Open(dir); err == nil {
			f.Close()
			return 1 // not confined
		}
	}
	allowed := 0
	for range 40 {
		ok, err := c.Allow(time.Now(), Limit{100, time.Hour})
		if err != nil {
			return 1
		}
		if ok {
			allowed++
		}
	}
	_, _ = os.Stdout.WriteString(strconv.Itoa(allowed))
	return 0
}

func open(t *testing.T, dir, id string) *Counter {
	t.Helper()
	c, err := Open(dir, id)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

func allow(t *testing.T, c *Counter, now time.Time, limit Limit) bool {
	t.Helper()
	ok, err := c.Allow(now, limit)
	if err != nil {
		t.Fatal(err)
	}
	return ok
}

func start() time.Time { return time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC) }

func TestNeverMoreThanTheLimitInAnyPeriod(t *testing.T) {
	t.Parallel()
	c := open(t, t.TempDir(), "x")
	limit := Limit{3, time.Minute}
	var at []time.Time
	for i := range 1000 {
		now := start().Add(time.Duration(i*i%7+i*4) * time.Second)
		if allow(t, c, now, limit) {
			at = append(at, now)
		}
	}
	for i := 3; i < len(at); i++ {
		if d := at[i].Sub(at[i-3]); d < time.Minute {
			t.Fatalf("four uses within %v", d)
		}
	}
	if len(at) < 180 { // three in each of 66 minutes
		t.Errorf("only %d uses were allowed", len(at))
	}
}

func TestRulesAndQubesAreCountedApart(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	limit := Limit{1, time.Hour}
	for _, id := range []string{"rule/work", "rule/home", "other/work", "../x", "", strings.Repeat("long", 1000)} {
		if !allow(t, open(t, dir, id), start(), limit) || allow(t, open(t, dir, id), start(), limit) {
			t.Errorf("%.20q is not counted by itself", id)
		}
	}
}

func TestAClockThatIsSetBackOrForth(t *testing.T) {
	t.Parallel()
	limit := Limit{2, time.Minute}
	for _, row := range []struct {
		name string
		by   time.Duration
		want bool
	}{
		{"a little back gives nothing", -time.Second, false},
		{"nearly the period back gives nothing", -59 * time.Second, false},
		{"far back begins anew and does not lock for ever", -365 * 24 * time.Hour, true},
		{"a little forth", 59 * time.Second, false},
		{"the period forth", time.Minute, true},
	} {
		c := open(t, t.TempDir(), "x")
		for range 2 {
			if !allow(t, c, start(), limit) {
				t.Fatal("not allowed at first")
			}
		}
		if got := allow(t, c, start().Add(row.by), limit); got != row.want {
			t.Errorf("%s: %v", row.name, got)
		}
	}
}

func TestProcessesShareTheCount(t *testing.T) {
	t.Parallel()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	outputs := make([]bytes.Buffer, 6)
	commands := make([]*exec.Cmd, len(outputs))
	for i := range commands {
		commands[i] = exec.CommandContext(t.Context(), self)
		commands[i].Env = append(os.Environ(), "RATE_TEST_DIR="+dir)
		commands[i].Stdout = &outputs[i]
		if err := commands[i].Start(); err != nil {
			t.Fatal(err)
		}
	}
	sum := 0
	for i, cmd := range commands {
		if err := cmd.Wait(); err != nil {
			t.Fatal(err)
		}
		n, err := strconv.Atoi(outputs[i].String())
		if err != nil {
			t.Fatal(err)
		}
		sum += n
	}
	if sum != 100 { // of 240
		t.Errorf("%d uses were allowed, the limit is 100", sum)
	}
}

// A guard counts after it has confined itself.
func TestCountingNeedsNoMoreThanWhatIsOpen(t *testing.T) {
	t.Parallel()
	shipped := confinetest.Self()
	t.Cleanup(shipped.Remove)
	dir := t.TempDir()
	for _, want := range []string{"40", "40", "20", "0"} {
		cmd := exec.CommandContext(t.Context(), shipped.Path(t))
		cmd.Env = append(os.Environ(), "RATE_TEST_DIR="+dir, "RATE_TEST_CONFINED=1")
		out, err := cmd.Output()
		if err != nil || string(out) != want {
			t.Errorf("got %q, want %s: %v", out, want, err)
		}
	}
}

// Whatever is wrong with the file: no use is within the limit.
func TestNothingIsAllowedWithoutAGoodCounter(t *testing.T) {
	t.Parallel()
	limit := Limit{5, time.Hour}
	fresh := func(t *testing.T) (dir, path string) {
		dir = t.TempDir()
		c := open(t, dir, "x")
		return dir, c.file.Name()
	}
	for _, row := range []struct {
		name    string
		prepare func(t *testing.T) (dir string)
	}{
		{"no directory", func(t *testing.T) string { return filepath.Join(t.TempDir(), "gone") }},
		{"a file open to others", func(t *testing.T) string {
			dir, path := fresh(t)
			if err := os.Chmod(path, 0o666); err != nil {
				t.Fatal(err)
			}
			return dir
		}},
		{"a link", func(t *testing.T) string {
			dir, path := fresh(t)
			if err := errors.Join(os.Rename(path, path+".other"), os.Symlink(path+".other", path)); err != nil {
				t.Fatal(err)
			}
			return dir
		}},
		{"a named pipe", func(t *testing.T) string {
			dir, path := fresh(t)
			if err := errors.Join(os.Remove(path), unix.Mkfifo(path, 0o600)); err != nil {
				t.Fatal(err)
			}
			return dir
		}},
		{"a directory", func(t *testing.T) string {
			dir, path := fresh(t)
			if err := errors.Join(os.Remove(path), os.Mkdir(path, 0o700)); err != nil {
				t.Fatal(err)
			}
			return dir
		}},
		{"a record cut short", func(t *testing.T) string {
			dir, path := fresh(t)
			if err := os.WriteFile(path, []byte("12345678123"), 0o600); err != nil {
				t.Fatal(err)
			}
			return dir
		}},
		{"a file that is full", func(t *testing.T) string {
			dir, path := fresh(t)
			if err := os.Truncate(path, maxSize); err != nil {
				t.Fatal(err)
			}
			return dir
		}},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			c, err := Open(row.prepare(t), "x")
			if row.name == "a file that is full" {
				// It is shortened, to records of 1970 that do not count.
				if err != nil || !allow(t, c, start(), limit) {
					t.Fatalf("stays full: %v", err)
				}
				return
			}
			if err == nil {
				if ok, err := c.Allow(start(), limit); ok || err == nil {
					t.Fatalf("allowed: %v, %v", ok, err)
				}
				return
			}
			if ok, err := (*Counter)(nil).Allow(start(), limit); ok || err == nil {
				t.Fatalf("no counter allows: %v", err)
			}
		})
	}
}

func TestADamagedFileWhileItIsOpen(t *testing.T) {
	t.Parallel()
	c := open(t, t.TempDir(), "x")
	limit := Limit{5, time.Hour}
	for _, size := range []int64{3, maxSize} {
		if err := os.Truncate(c.file.Name(), size); err != nil {
			t.Fatal(err)
		}
		if ok, err := c.Allow(start(), limit); ok || err == nil {
			t.Errorf("%d bytes: %v, %v", size, ok, err)
		}
	}
	for _, bad := range []Limit{{}, {0, time.Hour}, {-1, time.Hour}, {MaxCount + 1, time.Hour}, {1, 0}, {1, -time.Hour}} {
		if ok, err := c.Allow(start(), bad); ok || err == nil {
			t.Errorf("limit %+v: %v, %v", bad, ok, err)
		}
	}
	c.Close()
	if ok, err := c.Allow(start(), limit); ok || err == nil {
		t.Errorf("closed: %v, %v", ok, err)
	}
}

// A process that is stopped with the lock in its hands must not hold up others.
func TestALockThatIsNotGivenBack(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	c, other := open(t, dir, "x"), open(t, dir, "x")
	unlock, err := other.lock()
	if err != nil {
		t.Fatal(err)
	}
	defer unlock()
	began := time.Now()
	if ok, err := c.Allow(start(), Limit{1, time.Hour}); ok || err == nil {
		t.Errorf("got %v, %v", ok, err)
	}
	if d := time.Since(began); d > lockTime+3*time.Second {
		t.Errorf("it took %v", d)
	}
}

func TestAFileThatHasGrownIsShortenedAndStillCounts(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	c := open(t, dir, "x")
	limit := Limit{2, time.Hour}
	if err := os.Truncate(c.file.Name(), trimSize+recordSize); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if !allow(t, c, start(), limit) {
			t.Fatal("not allowed")
		}
	}
	again := open(t, dir, "x")
	if info, err := os.Stat(c.file.Name()); err != nil || info.Size() != MaxCount*recordSize {
		t.Errorf("it has %d bytes, %v", info.Size(), err)
	}
	if allow(t, again, start(), limit) || allow(t, c, start(), limit) {
		t.Error("the count is lost")
	}
}

func TestLimits(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]Limit{
		"30/min": {30, time.Minute}, "1/s": {1, time.Second}, "10000/h": {10000, time.Hour},
	} {
		var got Limit
		if err := got.UnmarshalText([]byte(text)); err != nil || got != want || got.String() != text {
			t.Errorf("%q: %v, %v", text, got, err)
		}
	}
	for _, text := range []string{
		"", "/", "/min", "30", "30/", "30/m", "30/minute", "30/day", "0/min", "-1/s", "+1/s", "1.5/s", " 1/s", "1/s ", "1 /s",
		"10001/s", "99999999999999999999/s", "٣/s", "0x1/s", "1/s/s",
	} {
		var got Limit
		if err := got.UnmarshalText([]byte(text)); err == nil {
			t.Errorf("%q is taken for %v", text, got)
		}
	}
	if (Limit{}).String() != "" {
		t.Error("no limit has a text")
	}
}
