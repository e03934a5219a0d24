package gpg

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

	"github.com/splitvault/splitvault/pkg/child"
	"github.com/splitvault/splitvault/pkg/secret"
)

const (
	// MaxPlain bounds what a message may hold, in bytes.
	MaxPlain = 1 << 20
	// MaxCipher bounds a message, in bytes: armour and padding take less.
	MaxCipher = 2 << 20

	quietTime  = 30 * time.Second
	personTime = 150 * time.Second // for somebody who types a passphrase
	killGrace  = time.Second
)

// Runner is how gpg is run.
type Runner struct {
	Program string   // "/usr/bin/gpg"
	Env     []string // its whole environment
}

// RunnerFrom takes the environment of this process, as far as gpg and a pinentry
// need it.
func RunnerFrom(getenv func(string) string) Runner {
	r := Runner{Program: "/usr/bin/gpg", Env: []string{"PATH=/usr/bin:/bin", "LC_ALL=C.UTF-8"}}
	for _, key := range []string{
		"HOME", "GNUPGHOME", "XDG_RUNTIME_DIR", "DBUS_SESSION_BUS_ADDRESS", "DISPLAY", "XAUTHORITY", "WAYLAND_DISPLAY", "XDG_SESSION_TYPE",
	} {
		if value := getenv(key); value != "" {
			r.Env = append(r.Env, key+"="+value)
		}
	}
	return r
}

// Decrypt appends to out what the message in file holds, at most [MaxPlain] bytes.
// Unless unlock is set no passphrase is asked for. The error is one of this package's, or
// [secret.ErrTooLarge]; out is as it was then.
func (r Runner) Decrypt(ctx context.Context, file *os.File, unlock bool, out *secret.Buffer) error {
	limit := quietTime
	// A guard that only reads may not write a lock to the keyring.
	args := []string{"--lock-never", "--no-autostart", "--trust-model", "always", "--decrypt"}
	if unlock {
		limit = personTime
	} else {
		args = append([]string{"--pinentry-mode", "cancel"}, args...)
	}
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	had := out.Len()
	said, err := r.run(ctx, args, file, nil, func(stdout io.Reader) error { return out.ReadAll(stdout, had+MaxPlain) })
	if err == nil {
		err = said.decrypted(said.exit)
	}
	if err != nil {
		out.Cut(had)
		return fmt.Errorf("decrypting: %w", err)
	}
	return nil
}

// result is what came of a run that took place.
type result struct {
	status
	exit int
}

// run runs gpg with its status lines on descriptor 3 and extra on 4, and hands its
// output to take. A failure of take ends gpg.
func (r Runner) run(ctx context.Context, args []string, stdin, extra *os.File, take func(stdout io.Reader) error) (result, error) {
	outR, outW, err := os.Pipe()
	if err != nil {
		return result{}, fmt.Errorf("running gpg: %w", err)
	}
	defer outR.Close()
	statusR, statusW, err := os.Pipe()
	if err != nil {
		outW.Close()
		return result{}, fmt.Errorf("running gpg: %w", err)
	}
	defer statusR.Close()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	cmd := exec.CommandContext(ctx, r.Program, append([]string{
		"--batch", "--no-tty", "--quiet", "--status-fd", "3",
		// For an address in .gpg-id, or a signature, whose key is not there gpg would start
		// dirmngr, which asks the network for it and stays behind.
		"--disable-dirmngr", "--no-auto-key-locate", "--no-auto-key-retrieve",
	}, args...)...)
	cmd.Env, cmd.Stdin, cmd.Stdout = r.Env, stdin, outW
	cmd.ExtraFiles = []*os.File{statusW}
	if extra != nil {
		cmd.ExtraFiles = append(cmd.ExtraFiles, extra)
	}
	cmd.WaitDelay = killGrace
	// Should this process be killed, gpg is not to go on.
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	running, err := child.Start(cmd, syscall.SIGKILL)
	outW.Close()
	statusW.Close()
	if err != nil {
		return result{}, fmt.Errorf("running gpg: %w", err)
	}
	// A child that keeps the pipes open must not keep us.
	defer context.AfterFunc(ctx, func() {
		soon := time.Now().Add(killGrace)
		_, _ = outR.SetReadDeadline(soon), statusR.SetReadDeadline(soon)
	})()
	said := make(chan status, 1)
	var statusErr error
	go func() {
		var s status
		if s, statusErr = readStatus(statusR); statusErr != nil {
			cancel()
		}
		said <- s
	}()
	takeErr := take(outR)
	if takeErr != nil {
		cancel()
	}
	s := <-said
	waitErr := running.Wait()
	switch {
	case takeErr != nil && !errors.Is(takeErr, os.ErrDeadlineExceeded):
		return result{}, takeErr
	case statusErr != nil && !errors.Is(statusErr, os.ErrDeadlineExceeded):
		return result{}, statusErr
	case ctx.Err() != nil:
		return result{}, fmt.Errorf("running gpg: %w: %w", ErrUnfinished, context.Cause(ctx))
	case cmd.ProcessState == nil:
		return result{}, fmt.Errorf("running gpg: %w", waitErr)
	case cmd.ProcessState.ExitCode() < 0:
		return result{}, fmt.Errorf("running gpg: %w: %w", ErrUnfinished, waitErr)
	}
	return result{s, cmd.ProcessState.ExitCode()}, nil
}

// feed makes a descriptor from which a child can read b. end closes it and returns
// when b is no longer read.
func feed(b []byte) (file *os.File, end func(), err error) {
	r, w, err := os.Pipe()
	if err != nil {
		return nil, nil, fmt.Errorf("running gpg: %w", err)
	}
	written := make(chan struct{})
	go func() {
		defer close(written)
		// gpg may end without having read it: its status says why.
		_, _ = w.Write(b)
		w.Close()
	}()
	return r, func() { r.Close(); <-written }, nil
}

// bounded reads all of r, at most limit bytes.
func bounded(r io.Reader, limit int) ([]byte, error) {
	b, err := io.ReadAll(io.LimitReader(r, int64(limit)+1))
	if err != nil {
		return nil, err
	}
	if len(b) > limit {
		return nil, secret.ErrTooLarge
	}
	return b, nil
}

// recipientOK: gpg takes what follows --recipient as it is, but nobody has such an
// identity.
func recipientOK(id string) bool {
	return id != "" && len(id) <= 254 && id[0] != '-' && !strings.ContainsFunc(id, func(r rune) bool { return r < ' ' || r == 0x7f })
}
