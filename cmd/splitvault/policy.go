package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/splitvault/splitvault/pkg/dom0policy"
)

func newPolicy() *cobra.Command {
	want := dom0policy.Want{}
	cmd := &cobra.Command{
		Use:   "policy QUBE ssh|clef|pass [WHAT...]",
		Short: "Print the lines for dom0 that let a qube use a vault",
		Long: "Prints lines for dom0's policy, and changes nothing. QUBE is the qube that asks, or\n" +
			"@tag:NAME. WHAT is for ssh an agent of the vault, for clef a method, for pass an\n" +
			"entry, a directory with a slash at its end, or for the verb find a host; without it\n" +
			"the lines are for all, and the vault's rules decide.",
		Example: "  splitvault policy work ssh\n" +
			"  splitvault policy --verb list,field --target vault work pass work/",
		Args: cobra.MinimumNArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			want.Source = args[0]
			lines, err := policyLines(want, args[1], args[2:])
			if err != nil {
				return err
			}
			_, err = fmt.Fprint(cmd.OutOrStdout(), dom0policy.Advice(lines))
			return err
		},
		ValidArgsFunction: func(_ *cobra.Command, args []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
			if len(args) == 1 {
				return []string{"ssh", "clef", "pass"}, cobra.ShellCompDirectiveNoFileComp
			}
			return nil, cobra.ShellCompDirectiveNoFileComp
		},
	}
	cmd.Flags().StringVar(&want.Target, "target", "vault", "the vault qube")
	cmd.Flags().BoolVar(&want.Allow, "allow", false, "dom0 allows without asking")
	cmd.Flags().StringSliceVar(&want.Verbs, "verb", []string{"field"}, "for pass, what for: "+strings.Join(dom0policy.Verbs, ", "))
	cmd.Flags().StringSliceVar(&want.Fields, "field", []string{"password", "login"}, "for pass and the verb field: which fields")
	return cmd
}

func policyLines(want dom0policy.Want, service string, what []string) ([]dom0policy.Line, error) {
	rpc := map[string]string{"ssh": "qubes.Ssh", "clef": "qubes.Clefsign"}[service]
	switch {
	case service == "pass":
		want.Entries = what
		return want.Lines()
	case rpc == "":
		return nil, fmt.Errorf("no service %q: ssh, clef or pass", service)
	case len(what) == 0:
		what = []string{""}
	}
	var lines []dom0policy.Line
	for _, argument := range what {
		line, err := dom0policy.Simple(rpc, argument, want.Source, want.Target, want.Allow)
		if err != nil {
			return nil, err
		}
		lines = append(lines, line)
	}
	return lines, nil
}
