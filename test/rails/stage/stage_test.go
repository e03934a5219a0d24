package stage

import (
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

// tree makes a source tree with one file of every kind.
func tree(t *testing.T) string {
	t.Helper()
	src := t.TempDir()
	for name, mode := range map[string]fs.FileMode{
		"build/lib/ssh-relay":                      0o700,
		"build/bin/splitvault":                     0o700,
		"units/client/splitvault-ssh.socket":       0o600,
		"templatevm/etc/profile.d/splitvault.sh":   0o600,
		"templatevm/usr/lib/splitvault/client-env": 0o700,
		"templatevm/etc/.gitkeep":                  0o600,
		"debian/rules":                             0o700,
		"debian/copyright":                         0o600,
		"docs/ssh.md":                              0o600,
		"README.md":                                0o700,
	} {
		path := filepath.Join(src, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(name), mode); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Mkdir(filepath.Join(src, "templatevm/etc/qubes-rpc"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("/usr/lib/splitvault/ssh-guard", filepath.Join(src, "templatevm/etc/qubes-rpc/qubes.Ssh")); err != nil {
		t.Fatal(err)
	}
	return src
}

func TestInstallMirrorsTheTreeWithFixedModesUnderAnyUmask(t *testing.T) {
	src, dest := tree(t), filepath.Join(t.TempDir(), "new", "root")
	defer syscall.Umask(syscall.Umask(0o077))
	for range 2 { // the second time over the first
		if _, err := Install(src, dest); err != nil {
			t.Fatal(err)
		}
	}
	want := map[string]fs.FileMode{
		"usr/lib/splitvault/ssh-relay":               0o755,
		"usr/bin/splitvault":                         0o755,
		"usr/lib/systemd/user/splitvault-ssh.socket": 0o644,
		"etc/profile.d/splitvault.sh":                0o644,
		"usr/lib/splitvault/client-env":              0o755,
		"etc/qubes-rpc/qubes.Ssh":                    0o777 | fs.ModeSymlink,
		"usr/share/doc/splitvault/docs/ssh.md":       0o644,
		"usr/share/doc/splitvault/README.md":         0o644,
		"usr/share/doc/splitvault/copyright":         0o644,
	}
	got := map[string]fs.FileMode{}
	err := filepath.WalkDir(dest, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		rel, _ := filepath.Rel(dest, path)
		if !d.IsDir() {
			got[rel] = info.Mode()
		} else if info.Mode().Perm() != 0o755 {
			t.Errorf("directory %s has mode %v", rel, info.Mode())
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for name, mode := range want {
		if got[name] != mode {
			t.Errorf("%s: mode %v, want %v", name, got[name], mode)
		}
	}
	if len(got) != len(want) {
		t.Errorf("installed %v, want only %v", got, want)
	}
}

func TestInstallReplacesALinkInsteadOfWritingThroughIt(t *testing.T) {
	src, dest := tree(t), t.TempDir()
	victim := filepath.Join(t.TempDir(), "victim")
	if err := os.WriteFile(victim, []byte("mine"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Join(dest, "usr/bin"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(victim, filepath.Join(dest, "usr/bin/splitvault")); err != nil {
		t.Fatal(err)
	}
	if _, err := Install(src, dest); err != nil {
		t.Fatal(err)
	}
	if got, _ := os.ReadFile(victim); string(got) != "mine" {
		t.Errorf("the link's target was overwritten with %q", got)
	}
}

func TestInstallWithoutBuiltProgramsSaysWhatToRun(t *testing.T) {
	src := tree(t)
	for _, dir := range []string{"build", "build/lib"} {
		if err := os.RemoveAll(filepath.Join(src, "build/lib")); err != nil {
			t.Fatal(err)
		}
		if dir == "build/lib" {
			if err := os.Mkdir(filepath.Join(src, dir), 0o755); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := Install(src, t.TempDir()); err == nil {
			t.Errorf("installed without programs (%s missing or empty)", dir)
		}
	}
}
