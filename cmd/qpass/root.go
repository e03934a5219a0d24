package main

import (
	"context"
	"time"

	"github.com/spf13/cobra"

	"github.com/splitvault/splitvault/pkg/entryname"
	"github.com/splitvault/splitvault/pkg/version"
)

// completionTime bounds how long a shell waits for names.
const completionTime = 3 * time.Second

func newRoot(a *app) *cobra.Command {
	root := &cobra.Command{
		Use:   "qpass",
		Short: "Passwords of a vault qube, used from this one",
		Long: "qpass asks the vault qube for passwords: of which entries this qube may have what,\n" +
			"dom0's policy and the vault's rules say. Without a command it lists the entries.\n\n" +
			"Exit code: 0 done, 1 internal error, 2 wrong usage, 10 no such entry (or not this\n" +
			"qube's), 11 refused in the vault, 12 its key is locked, 13 cannot be decrypted,\n" +
			"14 busy, 15 too large, 16 no such field, 125 qrexec does not work, 126 refused by\n" +
			"dom0, 127 the vault has no such service, 130 interrupted.",
		Version:       version.String(),
		SilenceUsage:  true,
		SilenceErrors: true,
		Args:          cobra.NoArgs,
		RunE:          a.do(func(ctx context.Context, _ []string) error { return a.list(ctx, "", listFlags{}) }),
	}
	root.SetVersionTemplate("qpass {{.Version}}\n")
	root.CompletionOptions.HiddenDefaultCmd = true
	root.AddCommand(newList(a), newShow(a), newField(a), newOTP(a), newFind(a), newClip(a), newType(a))
	root.AddCommand(newInsert(a), newGenerate(a), newPolicy(a))
	return root
}

// do makes a command's function, whose errors are told from those of usage.
func (a *app) do(f func(ctx context.Context, args []string) error) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, args []string) error {
		if err := f(cmd.Context(), args); err != nil {
			return failed{err}
		}
		return nil
	}
}

// nameArgs checks that the first argument is the name of an entry, and that there
// are at most that many.
func nameArgs(most int) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if err := cobra.RangeArgs(1, most)(cmd, args); err != nil {
			return err
		}
		_, err := entryname.Parse(args[0])
		return err
	}
}

// complete lists the names for a shell's completion of the first argument. Whatever
// goes wrong, it lists none. SPLITVAULT_PASS_COMPLETE=0 keeps it from asking.
func (a *app) complete(cmd *cobra.Command, args []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
	if len(args) > 0 || a.getenv("SPLITVAULT_PASS_COMPLETE") == "0" {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	ctx, cancel := context.WithTimeout(cmd.Context(), completionTime)
	defer cancel()
	names, _, err := a.vault.Names(ctx, "")
	if err != nil {
		return nil, cobra.ShellCompDirectiveError | cobra.ShellCompDirectiveNoFileComp
	}
	return names, cobra.ShellCompDirectiveNoFileComp
}
