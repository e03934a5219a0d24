package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"
)

// commandTime bounds every command of the story; they take milliseconds.
const commandTime = 20 * time.Second

// do runs a command that must succeed; its error carries what it printed.
func (w *world) do(ctx context.Context, env []string, argv ...string) error {
	out, code, err := w.try(ctx, env, argv...)
	if err == nil && code != 0 {
		err = fmt.Errorf("running %s: exit %d: %s", strings.Join(argv, " "), code, strings.TrimSpace(out))
	}
	return err
}

// try runs a command and returns what it printed, standard error included, and
// its exit code.
func (w *world) try(ctx context.Context, env []string, argv ...string) (out string, code int, err error) {
	ctx, cancel := context.WithTimeout(ctx, commandTime)
	defer cancel()
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	cmd.Env, cmd.Dir = env, w.path("work")
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGTERM}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGTERM) }
	cmd.WaitDelay = 2 * time.Second
	text, err := cmd.CombinedOutput()
	if ctx.Err() != nil {
		return string(text), -1, fmt.Errorf("running %s: %w", strings.Join(argv, " "), context.Cause(ctx))
	}
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		return string(text), exit.ExitCode(), nil
	}
	if err != nil {
		return string(text), -1, fmt.Errorf("running %s: %w", strings.Join(argv, " "), err)
	}
	return string(text), 0, nil
}

// shell gives the person a shell in the client qube. It has the terminal, and
// its Ctrl-C; a hang-up of the terminal or a SIGTERM ends it.
func (w *world) shell(ctx context.Context, stdout io.Writer) error {
	program := os.Getenv("SHELL")
	if program == "" {
		program = "/bin/sh"
	}
	fmt.Fprintf(stdout, "\nThis is a shell in \"work\"; the key stays in \"vault\". Try: ssh-add -l; ssh -F ssh_config server; ssh-add -D; qpass\nexit, or Ctrl-D, ends the demo.\n\n")
	// Debian's bash sets a prompt of its own before it reads this.
	if err := w.write("work/home/.bashrc", "PS1='[work] $ '\n"); err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, program)
	cmd.Env = w.env("work", "SSH_AUTH_SOCK="+w.agentSocket(), "PS1=[work] $ ", "SHELL="+program)
	cmd.Dir = w.path("work")
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGHUP}
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGHUP) }
	cmd.WaitDelay = 2 * time.Second
	err := cmd.Run()
	if _, ok := errors.AsType[*exec.ExitError](err); ok {
		return nil // the exit code of the last command in it
	}
	return err
}
