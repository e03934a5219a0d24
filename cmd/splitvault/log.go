package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"github.com/splitvault/splitvault/pkg/audit"
	"github.com/splitvault/splitvault/pkg/auditlog"
)

// journalTime bounds the reading of a large journal.
const journalTime = time.Minute

// followLines is how many lines stand before those that are waited for.
const followLines = 10

type logOptions struct {
	filter                       auditlog.Filter
	since                        string
	lines                        int
	follow, json, verify, linesN bool
}

func newLog() *cobra.Command {
	var o logOptions
	cmd := &cobra.Command{
		Use:   "log",
		Short: "What was asked for and what became of it",
		Long: "Shows what the daemons of this qube logged, from the journal and from the audit file, which\n" +
			"survives a restart.\n\n" +
			"Exit code: 0 shown, 2 there is nothing to read; with --verify 0 the journal vouches for the audit\n" +
			"file, 1 the file was changed or cut, 2 cannot tell.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			var err error
			if o.filter.Since, err = auditlog.ParseSince(o.since, time.Now()); err != nil {
				return err
			}
			o.linesN = cmd.Flags().Changed("lines")
			ctx, stop := signal.NotifyContext(cmd.Context(), unix.SIGINT, unix.SIGTERM)
			defer stop()
			switch {
			case o.verify:
				return verifyLog(ctx, cmd.OutOrStdout(), cmd.ErrOrStderr(), o.json)
			case o.follow:
				return followLog(ctx, cmd.OutOrStdout(), cmd.ErrOrStderr(), o)
			default:
				return showLog(ctx, cmd.OutOrStdout(), cmd.ErrOrStderr(), o)
			}
		},
	}
	cmd.Flags().BoolVarP(&o.follow, "follow", "f", false, "go on with new lines as they come")
	cmd.Flags().StringVar(&o.filter.Qube, "qube", "", "only lines about this `qube`")
	cmd.Flags().StringVar(&o.filter.Service, "service", "", "only ssh, clef or pass, or a `service` of qrexec (qubes.Ssh)")
	cmd.Flags().StringVar(&o.since, "since", "", "only lines since a `time`: 90m, 36h, 7d, today, yesterday, 2026-11-22")
	cmd.Flags().IntVarP(&o.lines, "lines", "n", 0, "only the last `N` lines")
	cmd.Flags().BoolVar(&o.json, "json", false, "print a JSON object for each line")
	cmd.Flags().BoolVar(&o.verify, "verify", false, "find out whether the audit file is as it was written")
	cmd.MarkFlagsMutuallyExclusive("verify", "follow")
	return cmd
}

// records is what can be read of the log, and what cannot.
type records struct {
	dir       string
	files     []auditlog.File
	file      []auditlog.Event // of the files
	journal   []auditlog.Event
	cursor    string
	noFile    error
	noJournal error
}

func journald() auditlog.Journal { return auditlog.Journal{Command: "journalctl"} }

// readRecords reads the audit files, and the journal since a time.
func readRecords(ctx context.Context, since time.Time, notes io.Writer) (records, error) {
	var r records
	var busy bool
	if r.dir, r.noFile = audit.Dir(os.Getenv); r.noFile == nil {
		r.files, busy, r.noFile = auditlog.Load(r.dir)
	}
	r.file = auditlog.Events(r.files)
	ctx, cancel := context.WithTimeout(ctx, journalTime)
	defer cancel()
	r.journal, r.cursor, r.noJournal = journald().Read(ctx, since)
	if r.noFile != nil && r.noJournal != nil {
		return r, fmt.Errorf("nothing can be read: %w; %w", r.noFile, r.noJournal)
	}
	if busy {
		fmt.Fprintln(notes, "splitvault: a daemon holds the audit file, the last lines may not be whole")
	}
	if r.noJournal != nil {
		fmt.Fprintf(notes, "splitvault: %v: the audit file stands alone\n", r.noJournal)
	}
	// A client qube has none, and that is as it should be.
	if r.noFile != nil && !errors.Is(r.noFile, auditlog.ErrNoFile) {
		fmt.Fprintf(notes, "splitvault: %v: the journal stands alone\n", r.noFile)
	}
	return r, nil
}

func showLog(ctx context.Context, out, notes io.Writer, o logOptions) error {
	r, err := readRecords(ctx, o.filter.Since, notes)
	if err != nil {
		return err
	}
	events := o.filter.Select(auditlog.Merge(r.file, r.journal))
	if len(events) == 0 {
		fmt.Fprintln(notes, "splitvault: no such lines")
	}
	return printAll(out, o.last(events), o.json)
}

// last are the lines that --lines leaves.
func (o logOptions) last(events []auditlog.Event) []auditlog.Event {
	if !o.linesN && (!o.follow || o.since != "") {
		return events
	}
	n := followLines
	if o.linesN {
		n = max(0, o.lines)
	}
	return events[max(0, len(events)-n):]
}

func printAll(out io.Writer, events []auditlog.Event, asJSON bool) error {
	for _, e := range events {
		if err := printEvent(out, e, asJSON); err != nil {
			return err
		}
	}
	return nil
}

func printEvent(out io.Writer, e auditlog.Event, asJSON bool) error {
	if !asJSON {
		return e.WriteText(out)
	}
	return json.NewEncoder(out).Encode(e)
}

func followLog(ctx context.Context, out, notes io.Writer, o logOptions) error {
	dir, err := audit.Dir(os.Getenv)
	if err != nil {
		return err
	}
	// Before the reading, so that nothing is left out in between.
	start := auditlog.Start{Time: time.Now()}
	follower, err := auditlog.NewFollower(dir)
	if err != nil {
		return err
	}
	defer follower.Close()
	r, err := readRecords(ctx, o.filter.Since, notes)
	if err != nil && !errors.Is(r.noFile, auditlog.ErrNoFile) {
		return err
	}
	if n := len(r.file); n > 0 {
		start.Seq = r.file[n-1].Seq
	}
	start.Cursor = r.cursor
	merged := auditlog.Merge(r.file, r.journal)
	if err := printAll(out, o.last(o.filter.Select(merged)), o.json); err != nil {
		return err
	}
	recent := auditlog.Filter{Since: start.Time.Add(-10 * time.Second)}
	start.Seen = append(recent.Select(r.file), recent.Select(r.journal)...)
	show := func(e auditlog.Event) error {
		if !o.filter.Match(e) {
			return nil
		}
		return printEvent(out, e, o.json)
	}
	return auditlog.Follow(ctx, follower, journald(), start, show, func(err error) {
		fmt.Fprintf(notes, "splitvault: %v: the audit file stands alone\n", err)
	})
}
