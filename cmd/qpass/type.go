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
	"time"

	"github.com/spf13/cobra"

	"github.com/splitvault/splitvault/pkg/clipboard"
	"github.com/splitvault/splitvault/pkg/entryname"
	"github.com/splitvault/splitvault/pkg/secret"
	"github.com/splitvault/splitvault/pkg/typist"
)

// wtype types its standard input under Wayland.
const wtype = "wtype"

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
		Long: "Types a field, by default the password, exactly, whatever keyboard there is. The\n" +
			"clipboard is not used. Under Wayland the program wtype does it.",
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
	if err := a.mayType(flags); err != nil {
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
	return a.typeText(ctx, &text, time.Duration(flags.delay)*time.Millisecond)
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

// mayType tells what is missing before anybody is asked for anything.
func (a *app) mayType(flags typeFlags) error {
	switch {
	case flags.delay < 0 || flags.delay > 1000:
		return errors.New("--delay: want 0 to 1000 milliseconds")
	case a.getenv("WAYLAND_DISPLAY") != "":
		if _, err := exec.LookPath(wtype); err != nil {
			return fmt.Errorf("%s is not installed: install it in this qube's template", wtype)
		}
	case a.getenv("DISPLAY") == "":
		return clipboard.ErrNoDisplay
	}
	return nil
}

func (a *app) typeText(ctx context.Context, text *secret.Buffer, delay time.Duration) error {
	if a.getenv("WAYLAND_DISPLAY") == "" {
		return typist.Type(ctx, a.getenv, text.Bytes(), delay)
	}
	cmd := exec.CommandContext(ctx, wtype, "-d", strconv.Itoa(int(delay.Milliseconds())), "-")
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
		return fmt.Errorf("typing with %s: %w", wtype, waitErr)
	}
	return err
}
