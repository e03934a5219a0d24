package doctor

import (
	"context"
	"path/filepath"
	"strings"

	"github.com/splitvault/splitvault/pkg/crash"
)

// crashes looks for what guards said that crashed, and that is in no journal yet, as
// no other call came.
func (d *diagnosis) crashes(context.Context) (Result, bool) {
	dir := filepath.Join(d.runtime(), "splitvault", "crash")
	var found []string
	for _, name := range []string{"ssh-guard", "clef-guard", "pass-guard"} {
		for n := range crash.Max {
			info, err := d.env.Lstat(crash.Path(dir, name, n))
			if err != nil {
				break // numbers have no gaps
			}
			if info.Mode().IsRegular() && info.Size() > 0 {
				found = append(found, crash.Path(dir, name, n))
			}
		}
	}
	if len(found) == 0 {
		return Result{}, true
	}
	return warning("crash", "a guard crashed, and what it said is not in the journal yet: "+strings.Join(found, " "),
		d.here("less %s   (the next call of its service puts it into the journal; please report it)", found[0])), true
}
