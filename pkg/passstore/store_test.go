package passstore_test

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/splitvault/splitvault/pkg/entryname"
	"github.com/splitvault/splitvault/pkg/passstore"
)

const limit = 1000

// world is a store with things beside it that it must not reach.
func world(t *testing.T) (dir string, store *passstore.Store) {
	t.Helper()
	top := t.TempDir()
	dir = filepath.Join(top, "store")
	put(t, dir, "github.com.gpg", "entry github.com")
	put(t, dir, "work/mail.gpg", "entry work/mail")
	put(t, dir, "work/deep/er.gpg", "entry work/deep/er")
	put(t, dir, "workshop.gpg", "x")
	put(t, dir, ".gpg-id", "alice # me\n\n# nobody\nbob\n")
	put(t, dir, "work/.gpg-id", "carol\n")
	put(t, dir, ".git/config.gpg", "no entry")
	put(t, dir, "odd/new\nline.gpg", "x")
	put(t, dir, "odd/esc\x1b[31m.gpg", "x")
	put(t, dir, "odd/b\xff.gpg", "x")
	put(t, dir, "odd/text.txt", "x")
	put(t, dir, "dir.gpg/in.gpg", "x")
	put(t, dir, "large.gpg", strings.Repeat("x", limit+1))
	put(t, top, "outside/secret.gpg", "outside")
	for link, to := range map[string]string{
		"link.gpg": "github.com.gpg", "out.gpg": "../outside/secret.gpg", "linked": "work", "outer": "../outside", "abs.gpg": filepath.Join(top, "outside/secret.gpg"),
		"loop.gpg": "loop.gpg", "gone.gpg": "nowhere",
	} {
		if err := os.Symlink(to, filepath.Join(dir, link)); err != nil {
			t.Fatal(err)
		}
	}
	if err := syscall.Mkfifo(filepath.Join(dir, "pipe.gpg"), 0o600); err != nil {
		t.Fatal(err)
	}
	store, err := passstore.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { store.Close() })
	return dir, store
}

func put(t testing.TB, dir, name, text string) {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func content(store *passstore.Store, name entryname.Name) (string, error) {
	file, err := store.Entry(name, limit)
	if err != nil {
		return "", err
	}
	defer file.Close()
	b, err := io.ReadAll(file)
	return string(b), err
}

func TestOnlyRegularFilesAreEntries(t *testing.T) {
	t.Parallel()
	_, store := world(t)
	for name, want := range map[entryname.Name]string{
		"github.com": "entry github.com", "work/mail": "entry work/mail", "work/deep/er": "entry work/deep/er", "dir.gpg/in": "x",
	} {
		if got, err := content(store, name); got != want || err != nil {
			t.Errorf("%q: %q, %v", name, got, err)
		}
		if has, err := store.Has(name); !has || err != nil {
			t.Errorf("%q: %v, %v", name, has, err)
		}
	}
	for _, name := range []entryname.Name{
		"nothing", "work", "work/nothing", "nowhere/x", "github.com/x", "dir", "link", "out", "abs", "loop", "gone", "linked/mail", "outer/secret", "pipe",
		"github.com.gpg", entryname.Name(strings.Repeat("a", 251)),
	} {
		done := make(chan error, 1)
		go func() { _, err := content(store, name); done <- err }()
		select {
		case err := <-done:
			if !errors.Is(err, passstore.ErrNoEntry) {
				t.Errorf("%q: %v", name, err)
			}
		case <-time.After(10 * time.Second):
			t.Fatalf("%q hangs", name)
		}
	}
	if _, err := content(store, "large"); !errors.Is(err, passstore.ErrTooLarge) {
		t.Errorf("large: %v", err)
	}
}

func TestNames(t *testing.T) {
	t.Parallel()
	_, store := world(t)
	for scope, want := range map[entryname.Scope][]entryname.Name{
		"":          {"dir.gpg/in", "github.com", "large", "work/deep/er", "work/mail", "workshop"},
		"work/":     {"work/deep/er", "work/mail"},
		"nowhere/":  nil,
		"linked/":   nil,
		"outer/":    nil,
		"work/mail": nil,
	} {
		got, odd, err := store.Names(t.Context(), scope)
		wantOdd := 0
		if scope == "" {
			wantOdd = 3
		}
		if !slices.Equal(got, want) || odd != wantOdd || err != nil {
			t.Errorf("%q: %q, %d, %v", scope, got, odd, err)
		}
	}
}

// While one swaps directories for links as fast as it can, nothing but the store's
// own entries is ever read or listed.
func TestAttackSwappedForALink(t *testing.T) {
	t.Parallel()
	dir, store := world(t)
	stop := make(chan struct{})
	var attacker sync.WaitGroup
	attacker.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
			}
			// Errors are for the next round.
			_ = os.Rename(filepath.Join(dir, "work"), filepath.Join(dir, "aside"))
			_ = os.Symlink("../outside", filepath.Join(dir, "work"))
			_ = os.Remove(filepath.Join(dir, "work"))
			_ = os.Rename(filepath.Join(dir, "aside"), filepath.Join(dir, "work"))
			_ = os.Rename(filepath.Join(dir, "github.com.gpg"), filepath.Join(dir, "x"))
			_ = os.Symlink("../outside/secret.gpg", filepath.Join(dir, "github.com.gpg"))
			_ = os.Rename(filepath.Join(dir, "x"), filepath.Join(dir, "github.com.gpg"))
		}
	})
	read := 0
	for range 3000 {
		for _, name := range []entryname.Name{"work/secret", "github.com", "work/mail"} {
			if got, err := content(store, name); err == nil {
				read++
				if !strings.HasPrefix(got, "entry") {
					t.Fatalf("%q: %q", name, got)
				}
			}
		}
		names, _, err := store.Names(t.Context(), "")
		if err == nil && slices.Contains(names, "work/secret") {
			t.Fatal("what is outside is listed")
		}
	}
	close(stop)
	attacker.Wait()
	if read == 0 {
		t.Error("nothing was ever read")
	}
}

func TestRecipients(t *testing.T) {
	t.Parallel()
	dir, store := world(t)
	for name, want := range map[entryname.Name]string{
		"new": "alice bob", "nowhere/new": "alice bob", "work/new": "carol", "work/deep/new": "carol", "work/not/yet": "carol",
	} {
		r, err := store.Recipients(name)
		if got := strings.Join(r.IDs(), " "); got != want || err != nil {
			t.Errorf("%q: %q, %v", name, got, err)
		}
	}
	// What is there and cannot be read is not passed over for another.
	for what, change := range map[string]func(path string) error{
		"a link":      func(path string) error { return os.Symlink("../.gpg-id", path) },
		"a directory": func(path string) error { return os.Mkdir(path, 0o700) },
		"a pipe":      func(path string) error { return syscall.Mkfifo(path, 0o600) },
		"too large":   func(path string) error { return os.WriteFile(path, make([]byte, 100_000), 0o600) },
	} {
		path := filepath.Join(dir, "work/.gpg-id")
		os.RemoveAll(path)
		if err := change(path); err != nil {
			t.Fatal(err)
		}
		if r, err := store.Recipients("work/new"); err == nil {
			t.Errorf("%s: %q", what, r.IDs())
		}
	}
	os.RemoveAll(filepath.Join(dir, "work/.gpg-id"))
	os.Remove(filepath.Join(dir, ".gpg-id"))
	if _, err := store.Recipients("work/new"); !errors.Is(err, passstore.ErrNoRecipients) {
		t.Errorf("none: %v", err)
	}
}

func TestWrite(t *testing.T) {
	t.Parallel()
	dir, store := world(t)
	if err := store.Write("inbox/a/b", []byte("new"), false); err != nil {
		t.Fatal(err)
	}
	if got, err := content(store, "inbox/a/b"); got != "new" || err != nil {
		t.Errorf("%q, %v", got, err)
	}
	for _, name := range []entryname.Name{"inbox/a/b", "github.com", "link", "out", "gone", "pipe", "dir"} {
		if err := store.Write(name, []byte("over"), false); !errors.Is(err, passstore.ErrExists) {
			t.Errorf("%q: %v", name, err)
		}
	}
	if err := store.Write("out", []byte("over"), true); err != nil {
		t.Errorf("replacing a link: %v", err)
	}
	if b, err := os.ReadFile(filepath.Join(dir, "../outside/secret.gpg")); string(b) != "outside" || err != nil {
		t.Errorf("outside is %q, %v", b, err)
	}
	for _, name := range []entryname.Name{"outer/new", "linked/new", "github.com.gpg/x", "link.gpg/x"} {
		if err := store.Write(name, []byte("over"), true); err == nil {
			t.Errorf("%q is written", name)
		}
	}
	if err := store.Write("github.com", []byte("second"), true); err != nil {
		t.Fatal(err)
	}
	if got, _ := content(store, "github.com"); got != "second" {
		t.Errorf("%q", got)
	}
	for _, pattern := range []string{".splitvault-*", "*/.splitvault-*", "inbox/a/.splitvault-*"} {
		if left, _ := filepath.Glob(filepath.Join(dir, pattern)); left != nil {
			t.Errorf("left behind: %v", left)
		}
	}
	info, err := os.Stat(filepath.Join(dir, "inbox/a/b.gpg"))
	if err != nil || info.Mode() != 0o600 {
		t.Errorf("%v, %v", info, err)
	}
}

// What a writer that was killed has left goes when it is old, and nothing else does.
func TestWhatADeadWriterLeftIsCleared(t *testing.T) {
	t.Parallel()
	dir, store := world(t)
	put(t, dir, "work/.splitvault-old", "half")
	put(t, dir, "work/.splitvault-new", "half")
	put(t, dir, "work/.other", "x")
	if err := os.Symlink("../.gpg-id", filepath.Join(dir, "work/.splitvault-link")); err != nil {
		t.Fatal(err)
	}
	hour := time.Now().Add(-time.Hour)
	for _, name := range []string{".splitvault-old", ".other", "mail.gpg"} {
		if err := os.Chtimes(filepath.Join(dir, "work", name), hour, hour); err != nil {
			t.Fatal(err)
		}
	}
	if err := store.Write("work/new", []byte("new"), false); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]bool{".splitvault-old": false, ".splitvault-new": true, ".splitvault-link": true, ".other": true, "mail.gpg": true, "new.gpg": true} {
		if _, err := os.Lstat(filepath.Join(dir, "work", name)); (err == nil) != want {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Of twenty that write the same new entry one wins, and what it wrote is whole.
func TestOneWriterWins(t *testing.T) {
	t.Parallel()
	_, store := world(t)
	var mu sync.Mutex
	var winners []string
	var all sync.WaitGroup
	for i := range 20 {
		all.Go(func() {
			text := strings.Repeat(fmt.Sprintf("%02d", i), 300)
			if err := store.Write("race", []byte(text), false); err == nil {
				mu.Lock()
				defer mu.Unlock()
				winners = append(winners, text)
			} else if !errors.Is(err, passstore.ErrExists) {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if got, err := content(store, "race"); len(winners) != 1 || got != winners[0] || err != nil {
		t.Errorf("%d winners, %v", len(winners), err)
	}
}

func TestAStoreThatIsNone(t *testing.T) {
	t.Parallel()
	dir, _ := world(t)
	for _, path := range []string{filepath.Join(dir, "nothing"), filepath.Join(dir, "github.com.gpg"), filepath.Join(dir, "pipe.gpg")} {
		if store, err := passstore.Open(path); err == nil {
			store.Close()
			t.Errorf("%s opens", path)
		}
	}
}

func BenchmarkNames(b *testing.B) {
	for _, n := range []int{20, 1000, 10_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			dir := b.TempDir()
			for i := range n {
				put(b, dir, fmt.Sprintf("d%02d/e%05d.gpg", i%50, i), "x")
			}
			store, err := passstore.Open(dir)
			if err != nil {
				b.Fatal(err)
			}
			defer store.Close()
			for b.Loop() {
				if names, _, err := store.Names(b.Context(), ""); len(names) != n || err != nil {
					b.Fatal(len(names), err)
				}
			}
		})
	}
}
