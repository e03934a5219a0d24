package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"time"

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
	verdict := auditlog.Verify(r.files, auditlog.Anchors(r.journal))
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
