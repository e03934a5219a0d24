package rundir

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"testing"
)

func TestBase(t *testing.T) {
	t.Parallel()
	fallback := fmt.Sprintf("/run/user/%d", os.Getuid())
	for in, want := range map[string]string{
		"/run/user/7": "/run/user/7",
		"":            fallback,
		"relative":    fallback,
		"./x":         fallback,
	} {
		if got := Base(func(string) string { return in }); got != want {
			t.Errorf("Base with XDG_RUNTIME_DIR=%q is %q, want %q", in, got, want)
		}
	}
}

func TestMakeMakesEveryLevelPrivate(t *testing.T) {
	t.Parallel()
	base := t.TempDir()
	for range 2 { // what is there is taken
		dir, err := Make(base, "slots", "deep")
		if want := filepath.Join(base, "splitvault", "slots", "deep"); dir != want || err != nil {
			t.Fatalf("got %q, %v, want %q", dir, err, want)
		}
		for _, sub := range []string{"splitvault", "splitvault/slots", "splitvault/slots/deep"} {
			info, err := os.Lstat(filepath.Join(base, sub))
			if err != nil || info.Mode() != fs.ModeDir|0o700 {
				t.Errorf("%s: %v, %v", sub, info, err)
			}
		}
	}
}

func TestMakeRefusesWhatIsNotOursAlone(t *testing.T) {
	t.Parallel()
	mkdir := func(path string) error { return os.Mkdir(path, 0o700) }
	chmod := func(mode fs.FileMode) func(string) error {
		return func(path string) error { return errors.Join(mkdir(path), os.Chmod(path, mode)) }
	}
	for _, tt := range []struct {
		name string
		make func(path string) error
		root bool
	}{
		{"symbolic link to a directory of ours", func(path string) error {
			return errors.Join(mkdir(path+".real"), os.Symlink(path+".real", path))
		}, false},
		{"symbolic link to nowhere", func(path string) error { return os.Symlink("/nonexistent", path) }, false},
		{"a file", func(path string) error { return os.WriteFile(path, nil, 0o600) }, false},
		{"readable by the group", chmod(0o740), false},
		{"open to all", chmod(0o777), false},
		{"open to others for passing through", chmod(0o701), false},
		{"somebody else's", func(path string) error { return errors.Join(mkdir(path), os.Chown(path, 4711, 4711)) }, true},
	} {
		for _, level := range []string{"splitvault", "splitvault/slots"} {
			t.Run(tt.name+" as "+level, func(t *testing.T) {
				t.Parallel()
				if tt.root && os.Getuid() != 0 {
					needRoot(t)
				}
				base := t.TempDir()
				if level != "splitvault" {
					if _, err := Make(base); err != nil {
						t.Fatal(err)
					}
				}
				if err := tt.make(filepath.Join(base, level)); err != nil {
					t.Fatal(err)
				}
				if dir, err := Make(base, "slots"); !errors.Is(err, ErrUnsafe) {
					t.Errorf("got %q, %v, want ErrUnsafe", dir, err)
				}
			})
		}
	}
}

func needRoot(t *testing.T) {
	t.Helper()
	if os.Getenv("CI") != "" {
		t.Fatal("giving a directory away needs root")
	}
	t.Skip("giving a directory away needs root")
}

func TestMakeWithoutBase(t *testing.T) {
	t.Parallel()
	if _, err := Make(filepath.Join(t.TempDir(), "missing")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("error %v, want that the base does not exist", err)
	}
}

// Many relays start at the same moment after a login.
func TestManyMakeAtOnce(t *testing.T) {
	t.Parallel()
	base := t.TempDir()
	var wg sync.WaitGroup
	for range 50 {
		wg.Go(func() {
			if _, err := Make(base, "slots"); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
}
