package doctor

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"github.com/splitvault/splitvault/pkg/audit"
)

// auditPath is where the guards write what they gave, "" if that is nowhere.
func (d *diagnosis) auditPath() string {
	dir, err := audit.Dir(d.env.Getenv)
	if err != nil {
		return ""
	}
	return audit.Path(dir, 0)
}

// audit finds out whether the guards can use their audit file. Without it they go
// on, with the journal alone, which is gone after a restart.
func (d *diagnosis) audit(context.Context) (Result, bool) {
	const alone = ": the journal alone has what was given, until this qube restarts"
	path := d.auditPath()
	if path == "" {
		return warning("audit", "no place for the audit file, as HOME is not set"+alone, d.here("log in as the user, and try again")), true
	}
	if dir, err := d.env.Lstat(filepath.Dir(path)); err == nil {
		switch {
		case !dir.IsDir():
			return warning("audit", filepath.Dir(path)+" is not a directory, so there is no audit file"+alone,
				d.here("mv %s %[1]s.old   (the next call makes it)", filepath.Dir(path))), true
		case dir.Mode().Perm()&0o022 != 0:
			return warning("audit", "others can write to "+filepath.Dir(path)+", so it is not used"+alone, d.here("chmod 700 %s", filepath.Dir(path))), true
		}
	}
	info, err := d.env.Lstat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return ok("audit", "no call was recorded yet (%s)", path), true
	case err != nil:
		return unknown("audit", fmt.Sprintf("the audit file cannot be looked at: %v", err), d.here("ls -l %s", path)), true
	case !info.Mode().IsRegular() || !ownFile(info):
		return warning("audit", path+" is not a file of this user with one name, so it is not used"+alone,
			d.here("mv %s %[1]s.old   (the next call begins a new one)", path)), true
	case info.Mode().Perm()&0o077 != 0:
		return warning("audit", "others may read "+path+", so it is not used"+alone, d.here("chmod 600 %s", path)), true
	}
	return ok("audit", "%s: %d KiB (splitvault log, splitvault log --verify)", path, (info.Size()+1023)>>10), true
}

// ownFile tells whether the file is this user's, and has no second name.
func ownFile(info fs.FileInfo) bool {
	st, known := info.Sys().(*syscall.Stat_t)
	return !known || int(st.Uid) == os.Getuid() && st.Nlink <= 1
}
