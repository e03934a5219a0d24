package main

import (
	"errors"
	"fmt"
	"os"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/splitvault/splitvault/pkg/consent"
)

func newRevoke() *cobra.Command {
	var all bool
	cmd := &cobra.Command{
		Use:   "revoke ID|QUBE",
		Short: "End grants",
		Long: "Ends the grant with this number (see grants), all grants of a qube, or with\n" +
			"--all every one. The next use is asked about again.",
		Args: func(_ *cobra.Command, args []string) error {
			if all != (len(args) == 0) || len(args) > 1 {
				return errors.New("name one grant or one qube, or --all")
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			which := consent.Which{All: all}
			if !all {
				// No name of a qube begins with a digit.
				if id, err := strconv.Atoi(args[0]); err == nil {
					which.ID = id
				} else {
					which.Qube = args[0]
				}
			}
			return revoke(cmd, which)
		},
	}
	cmd.Flags().BoolVar(&all, "all", false, "end every grant")
	return cmd
}

func revoke(cmd *cobra.Command, which consent.Which) error {
	count := 0
	client, err := consent.Connect(cmd.Context(), os.Getenv)
	switch {
	case err == nil:
		defer client.Close()
		if count, err = client.Revoke(cmd.Context(), which); err != nil {
			return err
		}
	case !errors.Is(err, consent.ErrNotRunning):
		return err
	}
	if count == 0 && !which.All {
		fmt.Fprintln(cmd.ErrOrStderr(), "splitvault: no such grant (splitvault grants)")
		return exit(1)
	}
	fmt.Fprintf(cmd.OutOrStdout(), "%d grants ended\n", count)
	return nil
}
