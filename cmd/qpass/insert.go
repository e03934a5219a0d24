package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"github.com/splitvault/splitvault/pkg/entryname"
	"github.com/splitvault/splitvault/pkg/passproto"
	"github.com/splitvault/splitvault/pkg/passtree"
	"github.com/splitvault/splitvault/pkg/secret"
)

func newInsert(a *app) *cobra.Command {
	multiline := false
	cmd := &cobra.Command{
		Use:   "insert NAME",
		Short: "Put a new entry into the vault",
		Long: "On a terminal it asks for a password, twice and without showing it; with\n" +
			"--multiline it takes lines to the end (Ctrl-D). Else standard input is the entry,\n" +
			"byte by byte. The vault makes new entries only, where its rules allow that.",
		Args: nameArgs(1),
		RunE: a.do(func(ctx context.Context, args []string) error {
			in, err := a.input(ctx)
			if err != nil {
				return err
			}
			defer in.Close()
			entry, err := a.readEntry(in, args[0], multiline)
			defer entry.Wipe()
			if err != nil {
				return err
			}
			answer, err := a.vault.Ask(ctx, passproto.Request{Verb: passproto.Insert, Name: entryname.Name(args[0])}, entry.Bytes())
			if err != nil {
				return err
			}
			answer.Wipe()
			return nil
		}),
		ValidArgsFunction: cobra.NoFileCompletions,
	}
	cmd.Flags().BoolVarP(&multiline, "multiline", "m", false, "take lines to the end of the input")
	return cmd
}

// readEntry takes the new entry off standard input.
func (a *app) readEntry(in *input, name string, multiline bool) (*secret.Buffer, error) {
	entry := &secret.Buffer{}
	if !a.stdinTerminal || multiline {
		if a.stdinTerminal {
			fmt.Fprintf(a.stderr, "Enter contents of %s and press Ctrl+D when finished:\n", passtree.Escape(name))
		}
		err := entry.ReadAll(in, passproto.MaxBody)
		if errors.Is(err, secret.ErrTooLarge) {
			err = fmt.Errorf("more than 1 MiB: %w", err)
		}
		return entry, err
	}
	if err := a.readHidden(in, entry, "Enter password for "+passtree.Escape(name)+": "); err != nil {
		return entry, err
	}
	var again secret.Buffer
	defer again.Wipe()
	if err := a.readHidden(in, &again, "Retype password for "+passtree.Escape(name)+": "); err != nil {
		return entry, err
	}
	if !bytes.Equal(entry.Bytes(), again.Bytes()) {
		return entry, errors.New("the two passwords are not the same")
	}
	if entry.Len() <= 1 {
		return entry, errors.New("the password is empty")
	}
	return entry, nil
}

// readHidden reads a line, with its line feed, that the terminal does not show.
func (a *app) readHidden(in *input, line *secret.Buffer, prompt string) (err error) {
	fd := int(a.stdin.Fd())
	old, err := unix.IoctlGetTermios(fd, unix.TCGETS)
	if err != nil {
		return err
	}
	hidden := *old
	hidden.Lflag &^= unix.ECHO
	if err := unix.IoctlSetTermios(fd, unix.TCSETSF, &hidden); err != nil {
		return err
	}
	defer func() {
		err = errors.Join(err, unix.IoctlSetTermios(fd, unix.TCSETSF, old))
		fmt.Fprintln(a.stderr)
	}()
	fmt.Fprint(a.stderr, prompt)
	return readLine(in, line)
}

// readLine reads up to and with the next line feed, and not a byte further.
func readLine(in *input, line *secret.Buffer) error {
	for !bytes.HasSuffix(line.Bytes(), []byte("\n")) {
		if line.Len() > passproto.MaxBody {
			return secret.ErrTooLarge
		}
		err := line.ReadN(in, 1)
		if in.ctx.Err() != nil {
			return in.ctx.Err()
		}
		if err != nil {
			return errors.New("the input has ended")
		}
	}
	return nil
}
