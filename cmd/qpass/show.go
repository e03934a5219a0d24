package main

import (
	"context"
	"io"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"github.com/splitvault/splitvault/pkg/entryname"
	"github.com/splitvault/splitvault/pkg/passclient"
	"github.com/splitvault/splitvault/pkg/passproto"
	"github.com/splitvault/splitvault/pkg/passtree"
	"github.com/splitvault/splitvault/pkg/secret"
)

// shown is an entry, or a part of it, in JSON. What is no UTF-8 is in Base64.
type shown struct {
	Name     string  `json:"name"`
	Field    string  `json:"field,omitempty"`
	Contents *string `json:"contents,omitempty"`
	Base64   []byte  `json:"contents_base64,omitempty"`
}

func newShow(a *app) *cobra.Command {
	asJSON := false
	cmd := &cobra.Command{
		Use:   "show NAME",
		Short: "Print a whole entry",
		Long: "Prints an entry byte by byte; on a terminal, control characters are escaped.\n" +
			"A vault may allow single fields only: see field, otp and clip.",
		Args: nameArgs(1),
		RunE: a.do(func(ctx context.Context, args []string) error {
			entry, err := a.vault.Ask(ctx, passproto.Request{Verb: passproto.Get, Name: entryname.Name(args[0])}, nil)
			if err != nil {
				return err
			}
			defer entry.Wipe()
			return a.print(shown{Name: args[0]}, entry, "", asJSON)
		}),
		ValidArgsFunction: a.complete,
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print the entry as JSON")
	return cmd
}

func newField(a *app) *cobra.Command {
	asJSON := false
	cmd := &cobra.Command{
		Use:   "field NAME FIELD",
		Short: "Print a field of an entry",
		Long: "Prints one field, which is all that the vault gives out: password (the first\n" +
			"line), login, url, line.N, or the key of a line \"key: value\".",
		Args: fieldArgs(2),
		RunE: a.do(func(ctx context.Context, args []string) error {
			return a.printField(ctx, args[0], args[1], asJSON)
		}),
		ValidArgsFunction: a.completeField,
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print the field as JSON")
	return cmd
}

func newOTP(a *app) *cobra.Command {
	asJSON := false
	cmd := &cobra.Command{
		Use:   "otp NAME",
		Short: "Print the one-time code of now",
		Long:  "Prints the code that the vault computes from the entry's otpauth line, whose secret\nstays there.",
		Args:  nameArgs(1),
		RunE: a.do(func(ctx context.Context, args []string) error {
			return a.printField(ctx, args[0], string(entryname.OTP), asJSON)
		}),
		ValidArgsFunction: a.complete,
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print the code as JSON")
	return cmd
}

func newFind(a *app) *cobra.Command {
	asJSON := false
	cmd := &cobra.Command{
		Use:   "find HOST",
		Short: "Print the entries for a host",
		Long: "Prints the entries whose name or url belongs to the host (\"example.com\" or\n" +
			"\"example.com:8443\"), each with a tab and its login. No list is needed for that.",
		Args: cobra.ExactArgs(1),
		RunE: a.do(func(ctx context.Context, args []string) error {
			found, err := a.vault.Find(ctx, args[0])
			if err != nil {
				return err
			}
			return a.printFound(found, asJSON)
		}),
		ValidArgsFunction: cobra.NoFileCompletions,
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print the entries as JSON")
	return cmd
}

func (a *app) printFound(found []passclient.Found, asJSON bool) error {
	if asJSON {
		type entry struct {
			Name  entryname.Name `json:"name"`
			Login string         `json:"login"`
		}
		all := []entry{}
		for _, f := range found {
			all = append(all, entry(f))
		}
		return a.writeJSON(all)
	}
	for _, f := range found {
		if _, err := io.WriteString(a.stdout, passtree.Escape(string(f.Name))+"\t"+passtree.Escape(f.Login)+"\n"); err != nil {
			return err
		}
	}
	return nil
}

// fieldArgs checks a name and, where it is given, a field.
func fieldArgs(least int) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if err := cobra.RangeArgs(least, 2)(cmd, args); err != nil {
			return err
		}
		if err := nameArgs(2)(cmd, args); err != nil || len(args) < 2 {
			return err
		}
		_, err := entryname.FieldOf(args[1])
		return err
	}
}

func (a *app) completeField(cmd *cobra.Command, args []string, typed string) ([]cobra.Completion, cobra.ShellCompDirective) {
	if len(args) == 1 {
		fields := []string{string(entryname.Password), string(entryname.Login), string(entryname.URL), string(entryname.OTP)}
		return fields, cobra.ShellCompDirectiveNoFileComp
	}
	return a.complete(cmd, args, typed)
}

func (a *app) printField(ctx context.Context, name, fieldName string, asJSON bool) error {
	field, err := entryname.FieldOf(fieldName)
	if err != nil {
		return err
	}
	value, err := a.vault.Field(ctx, entryname.Name(name), field)
	if err != nil {
		return err
	}
	defer value.Wipe()
	return a.print(shown{Name: name, Field: string(field)}, value, "\n", asJSON)
}

// print writes a secret, and what follows it, or JSON.
func (a *app) print(s shown, value *secret.Buffer, after string, asJSON bool) error {
	switch {
	case asJSON && utf8.Valid(value.Bytes()):
		text := string(value.Bytes())
		s.Contents = &text
		return a.writeJSON(s)
	case asJSON:
		s.Base64 = value.Bytes()
		return a.writeJSON(s)
	case a.stdoutTerminal:
		_, err := io.WriteString(a.stdout, passtree.EscapeLines(string(value.Bytes()))+after)
		return err
	}
	if _, err := a.stdout.Write(value.Bytes()); err != nil {
		return err
	}
	_, err := io.WriteString(a.stdout, after)
	return err
}
