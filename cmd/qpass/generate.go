package main

import (
	"context"
	"fmt"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/splitvault/splitvault/pkg/clipboard"
	"github.com/splitvault/splitvault/pkg/entryname"
	"github.com/splitvault/splitvault/pkg/passproto"
)

func newGenerate(a *app) *cobra.Command {
	var (
		noSymbols, clip, asJSON bool
		flags                   clipFlags
	)
	cmd := &cobra.Command{
		Use:   "generate NAME [LENGTH]",
		Short: "Have the vault make a new password",
		Long: "The vault makes a password, puts it into a new entry, and gives it to this qube,\n" +
			"which prints it, or with --clip offers it on the clipboard.",
		Args: nameArgs(2),
		RunE: a.do(func(ctx context.Context, args []string) error {
			r := passproto.Request{Verb: passproto.Generate, Name: entryname.Name(args[0]), NoSymbols: noSymbols}
			if len(args) == 2 {
				n, err := strconv.Atoi(args[1])
				if err != nil || n < passproto.MinLength || n > passproto.MaxLength {
					return fmt.Errorf("length %.20q: want %d to %d characters", args[1], passproto.MinLength, passproto.MaxLength)
				}
				r.Length = n
			}
			offer := clipboard.Offer{}
			if clip {
				var err error
				if offer, err = a.offer(flags); err != nil {
					return err
				}
			}
			password, err := a.vault.Ask(ctx, r, nil)
			if err != nil {
				return err
			}
			defer password.Wipe()
			if n := password.Len(); n > 0 && password.Bytes()[n-1] == '\n' {
				password.Cut(n - 1)
			}
			if clip {
				return a.clip(ctx, args[0], password, offer)
			}
			return a.print(shown{Name: args[0], Field: string(entryname.Password)}, password, "\n", asJSON)
		}),
		ValidArgsFunction: cobra.NoFileCompletions,
	}
	cmd.Flags().BoolVarP(&noSymbols, "no-symbols", "n", false, "letters and digits only")
	cmd.Flags().BoolVarP(&clip, "clip", "c", false, "offer it on the clipboard instead of printing it")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print the password as JSON")
	cmd.MarkFlagsMutuallyExclusive("clip", "json")
	flags.add(cmd)
	return cmd
}
