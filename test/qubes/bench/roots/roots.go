// Package roots builds and caches the Debian trees that the bench's qubes run
// on. A root is a plain directory, used as the read-only lowest layer of each
// qube's overlay, and never written to once it is there.
package roots

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"time"
)

// Suites are the Debian releases the bench boots, oldest first: bookworm has
// systemd 252, trixie 257.
func Suites() []string { return []string{"bookworm", "trixie"} }

// packages is what a root has beside Debian's essential packages: a systemd
// with user sessions, and the programs that scenarios drive. The names are the
// same in both suites. yafc is the one command-line client that is built on
// libssh; putty-tools, dropbear-bin, paramiko and asyncssh bring the other
// implementations of an ssh agent's client. openssh-tests has the library that
// plays a security key. With zenity, xvfb and xdotool a vault has a screen, a
// prompt on it and a person before it; sway is the same for Wayland, and tmux for
// a terminal. pass is the store of split pass, and what follows it the programs
// that its clients use; curl and node are clients of split Clef, xterm the
// terminal that Clef's own prompts need.
//
// Trixie alone has what is large and the same in both: Firefox with the published
// Browserpass, and docker's client, which bookworm has in no package of its own.
func packages(suite string) []string {
	list := []string{
		"systemd", "systemd-sysv", "dbus", "dbus-user-session", "libpam-systemd",
		"procps", "iproute2", "socat", "ca-certificates", "strace", "xz-utils",
		"openssh-client", "openssh-server", "openssh-tests", "git", "rsync", "dropbear-bin", "putty-tools", "yafc",
		"python3-paramiko", "python3-asyncssh",
		"gnupg", "gpg-agent", "scdaemon", "libnotify-bin",
		"zenity", "xvfb", "xdotool", "pinentry-gtk2", "pinentry-curses", "sway", "tmux",
		"pass", "oathtool", "xclip", "wl-clipboard", "wtype", "suckless-tools", "rofi", "fuzzel", "fzf",
		"curl", "nodejs", "xterm",
	}
	if suite == "trixie" {
		list = append(list, "firefox-esr", "webext-browserpass", "docker-cli")
	}
	return list
}

// Cache is the directory that holds what the bench keeps between runs:
// $XDG_CACHE_HOME/splitvault, by default ~/.cache/splitvault.
func Cache() (string, error) {
	base, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("finding the cache directory: %w", err)
	}
	return filepath.Join(base, "splitvault"), nil
}

// Dir is where the root of a suite is or will be. The name changes with the
// list of packages, so that a cached root always has what this version needs.
func Dir(suite string) (string, error) {
	r, err := find(suite)
	if err != nil {
		return "", err
	}
	return r.dir()
}

// Packaging is a root that no qube boots: a Debian 13 with what builds a package
// from source, and no Go.
const Packaging = "packaging"

// root is one tree: what is in it, and a file that only a whole one has.
type root struct {
	name, suite string
	packages    []string
	proof       string
}

func find(name string) (root, error) {
	switch {
	case slices.Contains(Suites(), name):
		return root{name, name, packages(name), "usr/lib/systemd/systemd"}, nil
	case name == Packaging:
		return root{name, "trixie", []string{"debhelper", "dpkg-dev"}, "usr/bin/dh"}, nil
	default:
		return root{}, fmt.Errorf("no root %q: there are %s and %s", name, strings.Join(Suites(), ", "), Packaging)
	}
}

func (r root) dir() (string, error) {
	cache, err := Cache()
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256([]byte(r.suite + " minbase " + strings.Join(r.packages, ",")))
	return filepath.Join(cache, "roots", fmt.Sprintf("%s-%x", r.name, sum[:6])), nil
}

// Build returns the directory of a suite's root, after making it with
// mmdebstrap if it is not there yet (about a minute, 300 MB). What mmdebstrap
// says goes to log. Runs at the same time wait for each other; a root appears
// whole or not at all.
func Build(ctx context.Context, suite string, log io.Writer) (string, error) {
	r, err := find(suite)
	if err != nil {
		return "", err
	}
	dir, err := r.dir()
	if err != nil {
		return "", err
	}
	if r.built(dir) {
		return dir, nil
	}
	if os.Geteuid() != 0 {
		return "", fmt.Errorf("building the root %q: needs root, its files belong to many users", suite)
	}
	if _, err := exec.LookPath("mmdebstrap"); err != nil {
		return "", fmt.Errorf("building the root %q: mmdebstrap is missing: apt-get install mmdebstrap debian-archive-keyring", suite)
	}
	if err := os.MkdirAll(filepath.Dir(dir), 0o755); err != nil {
		return "", fmt.Errorf("building the root %q: %w", suite, err)
	}
	unlock, err := lock(ctx, filepath.Join(filepath.Dir(dir), "."+suite+".lock"))
	if err != nil {
		return "", fmt.Errorf("building the root %q: %w", suite, err)
	}
	defer unlock()
	if r.built(dir) { // while we waited
		return dir, nil
	}
	if err := r.build(ctx, dir, log); err != nil {
		return "", fmt.Errorf("building the root %q: %w", suite, err)
	}
	return dir, nil
}

// build makes dir. The caller holds the suite's lock, so whatever half-built
// directory is found belongs to a run that was killed.
func (r root) build(ctx context.Context, dir string, log io.Writer) error {
	stale, err := filepath.Glob(filepath.Join(filepath.Dir(dir), ".building-"+r.name+"-*"))
	if err != nil {
		return err
	}
	for _, s := range stale {
		if err := os.RemoveAll(s); err != nil {
			return fmt.Errorf("removing a half-built root: %w", err)
		}
	}
	building, err := os.MkdirTemp(filepath.Dir(dir), ".building-"+r.name+"-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(building)
	if err := os.Chmod(building, 0o755); err != nil { // it becomes a qube's "/"
		return err
	}
	// The parent-death signal follows the thread that starts the child.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	mmdebstrap := exec.CommandContext(ctx, "mmdebstrap",
		"--mode=root", "--variant=minbase", "--format=directory",
		// Pinned and snapshot mirrors serve Release files past their date.
		`--aptopt=Acquire::Check-Valid-Until "false"`,
		"--include="+strings.Join(r.packages, ","),
		r.suite, building)
	mmdebstrap.Env = append(os.Environ(), "LC_ALL=C")
	mmdebstrap.Stdout, mmdebstrap.Stderr = log, log
	mmdebstrap.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGTERM}
	mmdebstrap.Cancel = func() error { return mmdebstrap.Process.Signal(syscall.SIGTERM) }
	mmdebstrap.WaitDelay = 20 * time.Second
	if err := mmdebstrap.Run(); err != nil {
		return fmt.Errorf("running mmdebstrap (it needs a Debian mirror and Debian's archive keys: apt-get install debian-archive-keyring): %w", err)
	}
	if !r.built(building) {
		return fmt.Errorf("mmdebstrap left no %s in it", r.proof)
	}
	return os.Rename(building, dir)
}

// built tells whether dir holds the root. Build renames only whole ones.
func (r root) built(dir string) bool {
	_, err := os.Stat(filepath.Join(dir, r.proof))
	return err == nil
}

// lock takes an exclusive lock on a file, waiting until ctx ends.
func lock(ctx context.Context, path string) (unlock func(), err error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	for {
		err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if err == nil {
			return func() { f.Close() }, nil
		}
		if !errors.Is(err, syscall.EWOULDBLOCK) && !errors.Is(err, syscall.EINTR) {
			f.Close()
			return nil, fmt.Errorf("locking %q: %w", path, err)
		}
		select {
		case <-ctx.Done():
			f.Close()
			return nil, fmt.Errorf("waiting for another run that builds it: %w", context.Cause(ctx))
		case <-time.After(100 * time.Millisecond):
		}
	}
}
