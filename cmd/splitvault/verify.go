package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"time"

	"golang.org/x/sys/unix"

	"github.com/splitvault/splitvault/pkg/auditlog"
)

// verifyLog compares the audit files with the anchors in the journal.
func verifyLog(ctx context.Context, out, notes io.Writer, asJSON bool) error {
	r, err := readRecords(ctx, time.Time{}, notes)
	if err != nil {
		return err
	}
	if r.noFile != nil {
		return fmt.Errorf("nothing to verify: %w", r.noFile)
	}
	owner, err := ownerOf(r.dir)
	if err != nil {
		return err
	}
	verdict := auditlog.Verify(r.files, auditlog.Anchors(r.journal, owner))
	if asJSON {
		enc := json.NewEncoder(out)
		enc.SetIndent("", "  ")
		err = enc.Encode(verdict)
	} else {
		err = verdict.WriteText(out)
	}
	if err != nil {
		return err
	}
	if code := verdict.Exit(); code != 0 {
		return exit(code)
	}
	return nil
}

// ownerOf is the user whose daemons write in a directory.
func ownerOf(path string) (uid int, err error) {
	var st unix.Stat_t
	if err := unix.Stat(path, &st); err != nil {
		return 0, fmt.Errorf("looking whose %q is: %w", path, err)
	}
	return int(st.Uid), nil
}
