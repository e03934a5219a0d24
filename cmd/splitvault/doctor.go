package main

import (
	"encoding/json"
	"errors"
	"time"

	"github.com/spf13/cobra"

	"github.com/splitvault/splitvault/pkg/doctor"
)

func newDoctor() *cobra.Command {
	var (
		opts   doctor.Options
		asJSON bool
	)
	cmd := &cobra.Command{
		Use:   "doctor",
		Short: "Find out why it does not work, and what to type where",
		Long: "Examines this qube, as client or as vault, whichever it is set up to be.\n" +
			"In a client it makes one harmless call to the vault: it lists the keys.\n" +
			"In a vault it looks at the rules, at whether a person can be asked, at the agent\n" +
			"and at the audit file; it shows no prompt.\n\n" +
			"Where nobody answers a call it gives up after a minute, or after --wait TIME.\n\n" +
			"Exit code: 0 all is well, 1 there is a problem, 2 cannot tell.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if opts.Wait <= 0 {
				return errors.New("--wait: want a time above zero, such as 10s")
			}
			report := doctor.Run(cmd.Context(), doctor.System{}, opts)
			var err error
			if asJSON {
				out := json.NewEncoder(cmd.OutOrStdout())
				out.SetIndent("", "  ")
				err = out.Encode(report)
			} else {
				err = report.WriteText(cmd.OutOrStdout())
			}
			if err != nil {
				return err
			}
			if code := report.Exit(); code != 0 {
				return exit(code)
			}
			return nil
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print the report as JSON")
	cmd.Flags().BoolVar(&opts.Client, "client", false, "examine as client, whatever is set up")
	cmd.Flags().BoolVar(&opts.Vault, "vault", false, "examine as vault, whatever is set up")
	cmd.Flags().DurationVar(&opts.Wait, "wait", time.Minute, "how long to wait for the vault, and for the person asked there or by dom0")
	cmd.Flags().BoolVarP(&opts.Verbose, "verbose", "v", false, "name the keys, not only their number")
	return cmd
}
