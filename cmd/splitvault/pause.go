package main

import (
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/splitvault/splitvault/pkg/consent"
)

func newPause() *cobra.Command {
	var end bool
	cmd := &cobra.Command{
		Use:   "pause [QUBE] [DURATION]",
		Short: "Deny without a prompt for a while",
		Long: "Denies what the rules would ask about, without a prompt, and leaves grants\n" +
			"unused: for one qube or for all, for a time such as 30m or 2h, or until --end.\n" +
			"What rules allow or deny by themselves is not touched.\n" +
			"With --end it lifts the pause and the silence of one qube, or of all.",
		Args: cobra.MaximumNArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			p, err := parsePause(args, end)
			if err != nil {
				return err
			}
			count, err := pause(cmd, p)
			if err != nil {
				return err
			}
			if end {
				fmt.Fprintf(cmd.OutOrStdout(), "%d pauses and silences ended\n", count)
			} else {
				fmt.Fprintln(cmd.OutOrStdout(), holdLine(p.Hold(time.Now())))
			}
			return nil
		},
	}
	cmd.Flags().BoolVar(&end, "end", false, "lift pauses and silences")
	return cmd
}

// parsePause reads QUBE and DURATION, both of which may be absent: a duration
// begins with a digit, a qube's name never does.
func parsePause(args []string, end bool) (consent.Pause, error) {
	p := consent.Pause{End: end}
	if len(args) > 0 && (args[0] == "" || args[0][0] < '0' || args[0][0] > '9') {
		if p.Qube, args = args[0], args[1:]; p.Qube == "" {
			return p, errors.New("the name of the qube is empty")
		}
	}
	if len(args) == 0 {
		return p, nil
	}
	d, err := time.ParseDuration(args[0])
	if err != nil || d < time.Minute || d > consent.MaxPause || len(args) > 1 || end {
		return p, errors.New("want [QUBE] [DURATION], or --end [QUBE]; a duration is one like 30m or 2h, at least a minute")
	}
	p.Minutes = int64((d + time.Minute - 1) / time.Minute)
	return p, nil
}

// pause has consentd do it, which also takes away the prompts that are shown; one
// that does not run reads the file when it starts.
func pause(cmd *cobra.Command, p consent.Pause) (int, error) {
	client, err := consent.Connect(cmd.Context(), os.Getenv)
	if err == nil {
		defer client.Close()
		return client.Pause(cmd.Context(), p)
	}
	if !errors.Is(err, consent.ErrNotRunning) {
		return 0, err
	}
	holds, err := holdsFile()
	if err != nil {
		return 0, err
	}
	if p.End {
		return holds.End(time.Now(), p.Qube)
	}
	return 1, holds.Add(time.Now(), p.Hold(time.Now()))
}
