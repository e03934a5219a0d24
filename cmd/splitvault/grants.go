package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/splitvault/splitvault/pkg/consent"
	"github.com/splitvault/splitvault/pkg/rundir"
)

func newGrants() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "grants",
		Short: "Show what prompts allowed for a time, and what is paused",
		Long: "Shows the vault's grants (what \"Allow for …\" in a prompt allowed), pauses and\n" +
			"silences. A grant ends by itself, with the vault's session, or by revoke.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			state, err := consentState(cmd)
			if err != nil {
				return err
			}
			if asJSON {
				out := json.NewEncoder(cmd.OutOrStdout())
				out.SetIndent("", "  ")
				return out.Encode(state)
			}
			return writeState(cmd.OutOrStdout(), state)
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print the grants as JSON")
	return cmd
}

// consentState asks consentd. One that does not run has no grants, and its
// pauses are in the file.
func consentState(cmd *cobra.Command) (consent.State, error) {
	client, err := consent.Connect(cmd.Context(), os.Getenv)
	if err == nil {
		defer client.Close()
		return client.Show(cmd.Context())
	}
	if !errors.Is(err, consent.ErrNotRunning) {
		return consent.State{}, err
	}
	holds, err := holdsFile()
	if err != nil {
		return consent.State{}, err
	}
	live, err := holds.Live(time.Now())
	if live == nil {
		live = []consent.Hold{}
	}
	return consent.State{Grants: []consent.Grant{}, Holds: live}, err
}

func holdsFile() (*consent.Holds, error) {
	dir, err := rundir.Make(rundir.Base(os.Getenv))
	if err != nil {
		return nil, err
	}
	return consent.HoldsIn(dir), nil
}

func writeState(out io.Writer, state consent.State) error {
	if len(state.Grants) == 0 {
		fmt.Fprintln(out, "No grants: every prompt is asked.")
	} else {
		table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
		fmt.Fprintln(table, "ID\tQUBE\tSERVICE\tUNTIL\tUSES\tFOR")
		for _, g := range state.Grants {
			fmt.Fprintf(table, "%d\t%s\t%s\t%s\t%d\t%s\n", g.ID, g.Qube, g.Service, g.Until.Local().Format(time.TimeOnly), g.Uses, subject(g.Subject))
		}
		if err := table.Flush(); err != nil {
			return err
		}
	}
	for _, h := range state.Holds {
		fmt.Fprintln(out, holdLine(h))
	}
	return nil
}

func subject(facts []consent.Fact) string {
	var parts []string
	for _, f := range facts {
		if f.Value != "" {
			parts = append(parts, f.Name+"="+f.Value)
		}
	}
	return strings.Join(parts, " ")
}

func holdLine(h consent.Hold) string {
	who, what, until := "every qube", "paused", "until it is ended"
	if h.Qube != "" {
		who = h.Qube
	}
	if h.Kind == consent.KindSilence {
		what = "silenced after three denials"
	}
	if !h.Until.IsZero() {
		until = "until " + h.Until.Local().Format(time.TimeOnly)
	}
	return who + ": " + what + " " + until
}
