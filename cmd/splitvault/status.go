package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/splitvault/splitvault/pkg/auditlog"
	"github.com/splitvault/splitvault/pkg/consent"
	"github.com/splitvault/splitvault/pkg/journal"
	"github.com/splitvault/splitvault/pkg/rundir"
	"github.com/splitvault/splitvault/pkg/status"
)

const (
	lastRefusals = 5
	// refusalTime is how far back refusals are looked for, in the journal at least.
	refusalTime = 24 * time.Hour
)

// overview is what `splitvault status` shows.
type overview struct {
	Client   []status.Service `json:"client"`
	Callers  []status.Caller  `json:"callers"`
	Grants   []consent.Grant  `json:"grants"`
	Holds    []consent.Hold   `json:"holds"`
	Refusals []auditlog.Event `json:"refusals"`
	// NoLog is why refusals are not known: an app qube may have neither an audit
	// file nor a journal that its user may read.
	NoLog   string   `json:"no_log,omitempty"`
	Unknown []string `json:"unknown,omitempty"` // what else could not be found out
}

func newStatus() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "status",
		Short: "What is on, who is connected, what is granted, what was refused",
		Long: "Shows on one screen the services that are on in this qube and their connections; in a\n" +
			"vault the qubes that have calls open, grants, pauses and silences; and the last five\n" +
			"refusals of a day. It only looks, and calls nobody.\n\n" +
			"Exit code: 0 shown, 2 what is at work could not be found out.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			o := look(cmd)
			var err error
			if asJSON {
				out := json.NewEncoder(cmd.OutOrStdout())
				out.SetIndent("", "  ")
				err = out.Encode(o)
			} else {
				err = o.writeText(cmd.OutOrStdout())
			}
			if err == nil && len(o.Unknown) > 0 {
				return exit(exitUsage)
			}
			return err
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print the status as JSON")
	return cmd
}

// look finds out all that it can.
func look(cmd *cobra.Command) overview {
	o := overview{
		Client: []status.Service{}, Callers: []status.Caller{}, Grants: []consent.Grant{}, Holds: []consent.Hold{}, Refusals: []auditlog.Event{},
	}
	note := func(err error) bool {
		if err != nil {
			o.Unknown = append(o.Unknown, err.Error())
		}
		return err == nil
	}
	source := status.Source{Dir: filepath.Join(rundir.Base(os.Getenv), "splitvault"), Systemctl: systemctl, Locks: "/proc/locks"}
	if services, err := source.Client(cmd.Context()); note(err) {
		o.Client = services
	}
	if callers, err := source.Callers(); note(err) {
		o.Callers = callers
		slices.SortFunc(callers, func(a, b status.Caller) int {
			return cmp.Or(cmp.Compare(a.Qube, b.Qube), cmp.Compare(a.Service, b.Service))
		})
	}
	if state, err := consentState(cmd); note(err) {
		o.Grants, o.Holds = append(o.Grants, state.Grants...), append(o.Holds, state.Holds...)
	}
	r, err := readRecords(cmd.Context(), time.Now().Add(-refusalTime), io.Discard)
	// In a vault the file has it all, and a client has none; one that cannot be read
	// may have what the journal has lost.
	if r.noFile != nil && err == nil && !errors.Is(r.noFile, auditlog.ErrNoFile) {
		o.Unknown = append(o.Unknown, r.noFile.Error())
	}
	if err != nil {
		o.NoLog = err.Error()
	} else {
		o.Refusals = append(o.Refusals, refusals(auditlog.Merge(r.file, r.journal), time.Now())...)
	}
	return o
}

// systemctl asks the user's systemd.
func systemctl(ctx context.Context, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, "systemctl", append([]string{"--user"}, args...)...)
	cmd.Env = append(os.Environ(), "LC_ALL=C", "SYSTEMD_PAGER=", "SYSTEMD_COLORS=0")
	cmd.WaitDelay = time.Second
	out, err := cmd.Output()
	return string(out), err
}

// refusals are the last ones of a guard or of a relay, which logs them as warnings.
func refusals(events []auditlog.Event, now time.Time) []auditlog.Event {
	var all []auditlog.Event
	for _, e := range (auditlog.Filter{Since: now.Add(-refusalTime)}).Select(events) {
		if e.Fields[journal.Verdict] == "deny" || e.Level == "warning" && e.Fields[journal.Cause] != "" {
			all = append(all, e)
		}
	}
	return all[max(0, len(all)-lastRefusals):]
}

func (o overview) writeText(out io.Writer) error {
	var b strings.Builder
	for _, s := range o.Client {
		fmt.Fprintf(&b, "%-5s %s\n", s.Name, serviceLine(s))
	}
	for _, c := range o.Callers {
		fmt.Fprintf(&b, "%s has calls of %s open: %d\n", c.Qube, c.Service, c.Calls)
	}
	if len(o.Callers) == 0 {
		b.WriteString("No calls of other qubes are open.\n")
	}
	if len(o.Grants) > 0 || len(o.Holds) > 0 {
		if err := writeState(&b, consent.State{Grants: o.Grants, Holds: o.Holds}); err != nil {
			return err
		}
	}
	switch {
	case o.NoLog != "":
		fmt.Fprintf(&b, "What was refused is not known: %s\n", o.NoLog)
	case len(o.Refusals) == 0:
		b.WriteString("Nothing was refused in a day, as far as the logs can be read.\n")
	default:
		b.WriteString("Refused last:\n")
	}
	for _, e := range o.Refusals {
		if err := e.WriteText(&b); err != nil {
			return err
		}
	}
	for _, reason := range o.Unknown {
		fmt.Fprintf(&b, "Not found out: %s\n", reason)
	}
	_, err := io.WriteString(out, b.String())
	return err
}

func serviceLine(s status.Service) string {
	if !s.On {
		return "off as a client"
	}
	var connections, accepted, refused int
	for _, socket := range s.Sockets {
		connections, accepted, refused = connections+socket.Connections, accepted+socket.Accepted, refused+socket.Refused
	}
	line := fmt.Sprintf("on; connections now: %d, so far: %d; waiting for the vault: %d", connections, accepted, s.Calls)
	if refused > 0 {
		line += fmt.Sprintf("; turned away: %d", refused)
	}
	return line
}
