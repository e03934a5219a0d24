// Package rundir makes the directory in which splitvault's short-lived
// processes of one user share their state: $XDG_RUNTIME_DIR/splitvault.
package rundir

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// ErrUnsafe says that the directory is not ours alone.
var ErrUnsafe = errors.New("not a directory of this user with mode 0700")

// Base returns $XDG_RUNTIME_DIR, or /run/user/UID where the environment has
// none: qrexec starts services without it in a qube that has no session.
func Base(getenv func(string) string) string {
	if dir := getenv("XDG_RUNTIME_DIR"); filepath.IsAbs(dir) {
		return dir
	}
	return fmt.Sprintf("/run/user/%d", os.Getuid())
}

// Make returns BASE/splitvault/SUB..., made with mode 0700 where it is
// missing. Every level below base must be a real directory, owned by this
// user, closed to others: systemd's RuntimeDirectory= is not used, as each
// ending instance of a unit would delete it for all.
func Make(base string, sub ...string) (string, error) {
	dir := base
	for _, name := range append([]string{"splitvault"}, sub...) {
		dir = filepath.Join(dir, name)
		if err := os.Mkdir(dir, 0o700); err != nil && !errors.Is(err, os.ErrExist) {
			return "", fmt.Errorf("making the state directory: %w", err)
		}
		if err := check(dir); err != nil {
			return "", err
		}
	}
	return dir, nil
}

func check(dir string) error {
	var st unix.Stat_t
	if err := unix.Lstat(dir, &st); err != nil {
		return fmt.Errorf("checking the state directory %q: %w", dir, err)
	}
	if st.Mode&unix.S_IFMT != unix.S_IFDIR || int(st.Uid) != os.Getuid() || st.Mode&0o077 != 0 {
		return fmt.Errorf("checking the state directory %q: %w (remove it, it is made anew)", dir, ErrUnsafe)
	}
	return nil
}
