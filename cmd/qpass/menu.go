package main

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"strings"

	"github.com/spf13/cobra"

	"github.com/splitvault/splitvault/pkg/entryname"
	"github.com/splitvault/splitvault/pkg/notify"
	"github.com/splitvault/splitvault/pkg/passtree"
	"github.com/splitvault/splitvault/pkg/picker"
	"github.com/splitvault/splitvault/pkg/version"
)

const menuName = "qpassmenu"

// menuFlags say what becomes of the chosen entry.
type menuFlags struct {
	typing, otp, choose bool
	field, program      string
	clip                clipFlags
	keys                typeFlags
}

func newMenu(a *app) *cobra.Command {
	var flags menuFlags
	cmd := &cobra.Command{
		Use:   "qpassmenu [DIRECTORY]",
		Short: "Choose an entry of the vault in a menu",
		Long: "Shows the names of the entries in dmenu, rofi, fuzzel or fzf, whichever is there,\n" +
			"and puts the password of the chosen one on the clipboard, or types it. When the menu\n" +
			"is cancelled, nothing happens.",
		Version:       version.String(),
		SilenceUsage:  true,
		SilenceErrors: true,
		Args:          cobra.MaximumNArgs(1),
		RunE: a.do(func(ctx context.Context, args []string) error {
			err := a.menu(ctx, args, flags)
			a.notifyFailure(ctx, err)
			return err
		}),
		ValidArgsFunction: cobra.NoFileCompletions,
	}
	cmd.SetVersionTemplate("qpassmenu {{.Version}}\n")
	cmd.CompletionOptions.HiddenDefaultCmd = true
	f := cmd.Flags()
	f.BoolVar(&flags.typing, "type", false, "type it into the window in front instead")
	f.BoolVar(&flags.otp, "otp", false, "the one-time code instead of the password")
	f.StringVar(&flags.field, "field", "", "another field instead of the password")
	f.BoolVar(&flags.choose, "choose", false, "choose the field, too")
	f.StringVar(&flags.program, "menu", "", "the menu program: "+strings.Join(picker.Names(), ", "))
	flags.clip.add(cmd)
	flags.keys.add(cmd)
	cmd.MarkFlagsMutuallyExclusive("otp", "field", "choose", "login")
	return cmd
}

func (a *app) menu(ctx context.Context, args []string, flags menuFlags) error {
	scope := entryname.Scope("")
	if len(args) == 1 {
		var err error
		if scope, err = entryname.ParseScope(strings.TrimSuffix(args[0], "/") + "/"); err != nil {
			return err
		}
	}
	menu, err := picker.Find(a.getenv, exec.LookPath, flags.program, a.stderrTerminal())
	if err != nil {
		return err
	}
	// What cannot be done is said before anybody chooses.
	if flags.typing || flags.keys.login {
		err = a.mayType(flags.keys)
	} else {
		_, err = a.offer(flags.clip)
	}
	if err != nil {
		return err
	}
	names, _, err := a.vault.Names(ctx, scope)
	if err != nil {
		return err
	}
	if len(names) == 0 {
		return errors.New("there is no entry that this qube may have")
	}
	chosen, err := menu.Choose(ctx, "pass", names)
	if err != nil {
		return err
	}
	field, err := chosenField(ctx, menu, flags)
	if err != nil {
		return err
	}
	if flags.typing || flags.keys.login {
		return a.typeField(ctx, names[chosen], field, flags.keys)
	}
	return a.clipField(ctx, names[chosen], field, flags.clip)
}

// chosenField is the field to take, chosen in a second menu where that is wished.
func chosenField(ctx context.Context, menu *picker.Picker, flags menuFlags) (string, error) {
	switch {
	case flags.otp:
		return string(entryname.OTP), nil
	case flags.field != "":
		return flags.field, nil
	case flags.choose:
		fields := []string{string(entryname.Password), string(entryname.Login), string(entryname.OTP), string(entryname.URL)}
		i, err := menu.Choose(ctx, "field", fields)
		if err != nil {
			return "", err
		}
		return fields[i], nil
	default:
		return string(entryname.Password), nil
	}
}

// notifyFailure tells a person who has pressed a key, and sees no terminal.
func (a *app) notifyFailure(ctx context.Context, err error) {
	if err == nil || ctx.Err() != nil || errors.Is(err, picker.ErrCancelled) || a.stderrTerminal() {
		return
	}
	// Nothing more can be done than to say it on standard error, too.
	_ = notify.Send(ctx, a.getenv, "pass: nothing was copied or typed", passtree.Escape(fmt.Sprint(err)))
}
