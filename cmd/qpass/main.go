// Command qpass asks the vault qube for passwords: it lists, shows, copies and types
// them. By the name it is called by it is also a menu (qpassmenu) and the
// credential helper of git and docker.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/splitvault/splitvault/pkg/passclient"
	"github.com/splitvault/splitvault/pkg/passcode"
	"github.com/splitvault/splitvault/pkg/passproto"
	"github.com/splitvault/splitvault/pkg/picker"
	"github.com/splitvault/splitvault/pkg/secret"
)

const (
	exitUsage       = int(passcode.BadRequest)
	exitInterrupted = 130
)

func main() { os.Exit(run(os.Args)) }

// app is what all commands work with.
type app struct {
	getenv         func(string) string
	stdin          *os.File
	stdout, stderr io.Writer
	// Whether a person sees the output, and types the input.
	stdoutTerminal, stdinTerminal bool
	vault                         *passclient.Client
}

// stderrTerminal tells whether a person reads what is said, and a menu can be drawn.
func (a *app) stderrTerminal() bool {
	f, ok := a.stderr.(*os.File)
	return ok && terminal(f)
}

// run is the program that args[0] names.
func run(args []string) int {
	a := &app{
		getenv: os.Getenv, stdin: os.Stdin, stdout: os.Stdout, stderr: os.Stderr,
		stdoutTerminal: terminal(os.Stdout), stdinTerminal: terminal(os.Stdin),
		vault: passclient.New(os.Getenv),
	}
	defer a.vault.Close()
	name := filepath.Base(args[0])
	if err := secret.Harden(); err != nil {
		fmt.Fprintf(a.stderr, "%s: %v\n", name, err)
		return int(passcode.Internal)
	}
	ctx, cancel := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP)
	defer cancel()
	switch name {
	case ownerName:
		return a.own(ctx, args[1:])
	case gitName:
		return a.gitCredential(ctx, args[1:])
	case dockerName:
		return a.dockerCredential(ctx, args[1:])
	}
	root := newRoot(a)
	if name == menuName {
		root = newMenu(a)
	}
	root.SetArgs(args[1:])
	root.SetOut(a.stdout)
	root.SetErr(a.stderr)
	return a.exit(name, root.ExecuteContext(ctx))
}

// failed marks the errors of commands; the others are of usage.
type failed struct{ err error }

func (f failed) Error() string { return f.err.Error() }
func (f failed) Unwrap() error { return f.err }

// exit tells an error, and returns the exit code for it.
func (a *app) exit(name string, err error) int {
	switch {
	case err == nil:
		return 0
	case errors.Is(err, context.Canceled):
		return exitInterrupted
	case errors.Is(err, picker.ErrCancelled):
		return 1
	}
	fmt.Fprintf(a.stderr, "%s: %v\n", name, err)
	if no, ok := errors.AsType[*passproto.Error](err); ok {
		return int(no.Code)
	}
	if _, ok := errors.AsType[failed](err); ok {
		return int(passcode.Internal)
	}
	return exitUsage
}

func terminal(f *os.File) bool {
	_, err := unix.IoctlGetTermios(int(f.Fd()), unix.TCGETS)
	return err == nil
}
