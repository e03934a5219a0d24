package main

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/splitvault/splitvault/pkg/entryname"
	"github.com/splitvault/splitvault/pkg/passtree"
)

// storeTitle is what pass writes above its tree.
const storeTitle = "Password Store"

type listFlags struct{ flat, asJSON bool }

func newList(a *app) *cobra.Command {
	var flags listFlags
	cmd := &cobra.Command{
		Use:     "ls [DIRECTORY]",
		Aliases: []string{"list"},
		Short:   "List the entries that this qube may have",
		Long: "Draws the entries as a tree, all or those below a directory.\n" +
			"--flat prints a name a line, --json an array of names.",
		Args: cobra.MaximumNArgs(1),
		RunE: a.do(func(ctx context.Context, args []string) error {
			dir := ""
			if len(args) == 1 {
				dir = strings.TrimSuffix(args[0], "/")
			}
			return a.list(ctx, dir, flags)
		}),
		ValidArgsFunction: cobra.NoFileCompletions,
	}
	cmd.Flags().BoolVar(&flags.flat, "flat", false, "print one name a line")
	cmd.Flags().BoolVar(&flags.asJSON, "json", false, "print the names as JSON")
	cmd.MarkFlagsMutuallyExclusive("flat", "json")
	return cmd
}

func (a *app) list(ctx context.Context, dir string, flags listFlags) error {
	scope := entryname.Scope("")
	title := storeTitle
	if dir != "" {
		var err error
		if scope, err = entryname.ParseScope(dir + "/"); err != nil {
			return err
		}
		title = dir
	}
	names, odd, err := a.vault.Names(ctx, scope)
	if err != nil {
		return err
	}
	if len(odd) > 0 {
		fmt.Fprintf(a.stderr, "qpass: left out %d names that are no line of plain text, such as %s\n", len(odd), passtree.Escape(odd[0]))
	}
	switch {
	case flags.asJSON:
		if names == nil {
			names = []string{}
		}
		return a.writeJSON(names)
	case flags.flat:
		for _, name := range names {
			if _, err := fmt.Fprintln(a.stdout, name); err != nil {
				return err
			}
		}
		return nil
	}
	below := make([]string, len(names))
	for i, name := range names {
		below[i] = strings.TrimPrefix(name, string(scope))
	}
	return passtree.Draw(a.stdout, title, below, a.stdoutTerminal && a.getenv("NO_COLOR") == "")
}

func (a *app) writeJSON(v any) error {
	enc := json.NewEncoder(a.stdout)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	return enc.Encode(v)
}
