package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/splitvault/splitvault/pkg/dom0policy"
)

func newPolicy(a *app) *cobra.Command {
	want := dom0policy.Want{}
	cmd := &cobra.Command{
		Use:   "policy QUBE ENTRY...",
		Short: "Print the lines for dom0 that let a qube have entries",
		Long: "Prints lines for dom0's policy, one for each entry, verb and field; nothing is\n" +
			"changed by it. QUBE is the qube that asks, or @tag:NAME. An ENTRY with a slash at\n" +
			"its end is a directory: list, and show and field of what is below it, where the\n" +
			"qube has SPLITVAULT_PASS_SCOPE. For find, ENTRY is a host.",
		Example: "  qpass policy work work/github.com\n" +
			"  qpass policy --verb list,field --allow work work/\n" +
			"  qpass policy --verb otp,find web example.com",
		Args: cobra.MinimumNArgs(2),
		RunE: a.do(func(_ context.Context, args []string) error {
			want.Source, want.Entries = args[0], args[1:]
			if want.Target == "" {
				want.Target = a.getenv("QUBES_PASS_DOMAIN")
			}
			if want.Target == "" {
				want.Target = "vault"
			}
			lines, err := want.Lines()
			if err != nil {
				return err
			}
			_, err = fmt.Fprint(a.stdout, dom0policy.Advice(lines))
			return err
		}),
		ValidArgsFunction: cobra.NoFileCompletions,
	}
	cmd.Flags().StringSliceVar(&want.Verbs, "verb", []string{"field"}, "what for: "+strings.Join(dom0policy.Verbs, ", "))
	cmd.Flags().StringSliceVar(&want.Fields, "field", []string{"password", "login"}, "for the verb field: which fields")
	cmd.Flags().BoolVar(&want.Allow, "allow", false, "dom0 allows without asking")
	cmd.Flags().StringVar(&want.Target, "target", "", "the vault qube (default QUBES_PASS_DOMAIN, or vault)")
	return cmd
}
