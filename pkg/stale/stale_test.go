package stale

import (
	"os"
	"path/filepath"
	"testing"
)

// Whatever a person or an editor does to the rules shows; whatever else happens
// does not.
func TestChangedSeesWhatChangesTheRules(t *testing.T) {
	t.Parallel()
	must := func(t *testing.T, err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	write := func(t *testing.T, path, text string) { t.Helper(); must(t, os.WriteFile(path, []byte(text), 0o600)) }
	for name, row := range map[string]struct {
		absent bool // the file is not there before
		change func(t *testing.T, path string)
		want   bool
	}{
		"nothing":                       {false, func(*testing.T, string) {}, false},
		"read":                          {false, func(t *testing.T, p string) { _, err := os.ReadFile(p); must(t, err) }, false},
		"written":                       {false, func(t *testing.T, p string) { write(t, p, "other") }, true},
		"replaced":                      {false, func(t *testing.T, p string) { write(t, p+"~", "same"); must(t, os.Rename(p+"~", p)) }, true},
		"removed":                       {false, func(t *testing.T, p string) { must(t, os.Remove(p)) }, true},
		"closed to others":              {false, func(t *testing.T, p string) { must(t, os.Chmod(p, 0)) }, true},
		"made":                          {true, func(t *testing.T, p string) { write(t, p, "new") }, true},
		"made with its directory":       {true, func(t *testing.T, p string) { must(t, os.MkdirAll(filepath.Dir(p), 0o700)) }, true},
		"still not there":               {true, func(*testing.T, string) {}, false},
		"something far away is written": {false, func(t *testing.T, p string) { write(t, filepath.Join(t.TempDir(), "x"), "x") }, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), "rules.toml")
			if name == "made with its directory" {
				path = filepath.Join(t.TempDir(), "splitvault", "deeper", "rules.toml")
			}
			if !row.absent {
				write(t, path, "same")
			}
			files, err := Remember(path)
			must(t, err)
			defer files.Close()
			row.change(t, path)
			if got := files.Changed(); got != row.want {
				t.Errorf("changed: %v", got)
			}
		})
	}
	if (&Files{}).Changed() {
		t.Error("nothing has changed")
	}
}
