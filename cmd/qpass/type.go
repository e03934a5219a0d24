package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"strconv"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/splitvault/splitvault/pkg/clipboard"
	"github.com/splitvault/splitvault/pkg/entryname"
	"github.com/splitvault/splitvault/pkg/secret"
)

// typeFlags say what is typed around a secret, and how.
type typeFlags struct {
	login, enter bool
	delay        int
}

func (f *typeFlags) add(cmd *cobra.Command) {
	cmd.Flags().BoolVar(&f.login, "login", false, "type the login and a tab before the password")
	cmd.Flags().BoolVar(&f.enter, "enter", false, "press Return at the end")
	cmd.Flags().IntVar(&f.delay, "delay", 12, "milliseconds between keys")
}

func newType(a *app) *cobra.Command {
	var flags typeFlags
	cmd := &cobra.Command{
		Use:   "type NAME [FIELD]",
		Short: "Type a field into the window in front",
		Long: "Types a field, by default the password, with xdotool (X11) or wtype (Wayland), one\n" +
			"of which must be installed. The clipboard is not used.",
		Args: fieldArgs(1),
		RunE: a.do(func(ctx context.Context, args []string) error {
			field := string(entryname.Password)
			if len(args) == 2 {
				field = args[1]
			}
			return a.typeField(ctx, args[0], field, flags)
		}),
		ValidArgsFunction: a.completeField,
	}
	flags.add(cmd)
	return cmd
}

func (a *app) typeField(ctx context.Context, name, fieldName string, flags typeFlags) error {
	typist, err := a.typist(flags.delay)
	if err != nil {
		return err
	}
	field, err := entryname.FieldOf(fieldName)
	if err != nil {
		return err
	}
	var text secret.Buffer
	defer text.Wipe()
	if flags.login {
		if err := a.appendField(ctx, &text, name, entryname.Login, "\t"); err != nil {
			return err
		}
	}
	after := ""
	if flags.enter {
		after = "\n"
	}
	if err := a.appendField(ctx, &text, name, field, after); err != nil {
		return err
	}
	return a.typeText(ctx, typist, &text)
}

// appendField adds a field and what is typed after it.
func (a *app) appendField(ctx context.Context, text *secret.Buffer, name string, field entryname.Field, after string) error {
	value, err := a.vault.Field(ctx, entryname.Name(name), field)
	if err != nil {
		return err
	}
	defer value.Wipe()
	if bytes.ContainsRune(value.Bytes(), 0) {
		return fmt.Errorf("%s of %s has a zero byte, for which there is no key", field, name)
	}
	_, err = text.Write(value.Bytes())
	_, afterErr := io.WriteString(text, after)
	return errors.Join(err, afterErr)
}

// typist is the program that types its standard input.
func (a *app) typist(delay int) ([]string, error) {
	command := []string{"xdotool", "type", "--clearmodifiers", "--delay", strconv.Itoa(delay), "--file", "-"}
	switch {
	case delay < 0 || delay > 1000:
		return nil, errors.New("--delay: want 0 to 1000 milliseconds")
	case a.getenv("WAYLAND_DISPLAY") != "":
		command = []string{"wtype", "-d", strconv.Itoa(delay), "-"}
	case a.getenv("DISPLAY") == "":
		return nil, clipboard.ErrNoDisplay
	}
	if _, err := exec.LookPath(command[0]); err != nil {
		return nil, fmt.Errorf("%s is not installed: install it in this qube's template", command[0])
	}
	return command, nil
}

func (a *app) typeText(ctx context.Context, typist []string, text *secret.Buffer) error {
	cmd := exec.CommandContext(ctx, typist[0], typist[1:]...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGTERM}
	cmd.Stderr = a.stderr
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("typing: %w", err)
	}
	// Not by way of cmd.Stdin, which would copy it into Go's heap.
	_, err = stdin.Write(text.Bytes())
	err = errors.Join(err, stdin.Close())
	if waitErr := cmd.Wait(); waitErr != nil {
		return fmt.Errorf("typing with %s: %w", typist[0], waitErr)
	}
	return err
}
