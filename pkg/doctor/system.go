package doctor

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/splitvault/splitvault/pkg/consent"
	"github.com/splitvault/splitvault/pkg/knownhosts"
	"github.com/splitvault/splitvault/pkg/prompt"
	"github.com/splitvault/splitvault/pkg/qrexec"
	"github.com/splitvault/splitvault/pkg/rules"
	"github.com/splitvault/splitvault/pkg/rundir"
)

const (
	programTime = 10 * time.Second // for a local program
	maxText     = 64 << 10         // bytes of a file or of an output that are looked at
)

// System is the real qube.
type System struct{}

var _ Environment = System{}

// Getenv implements [Environment].
func (System) Getenv(key string) string { return os.Getenv(key) }

// UID implements [Environment].
func (System) UID() int { return os.Getuid() }

// Lstat implements [Environment].
func (System) Lstat(path string) (fs.FileInfo, error) { return os.Lstat(path) }

// Readlink implements [Environment].
func (System) Readlink(path string) (string, error) { return os.Readlink(path) }

// ReadFile implements [Environment].
func (System) ReadFile(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxText))
	if err != nil {
		return nil, fmt.Errorf("reading %q: %w", path, err)
	}
	return text, nil
}

// Run implements [Environment].
func (System) Run(ctx context.Context, argv ...string) (Output, error) {
	ctx, cancel := context.WithTimeout(ctx, programTime)
	defer cancel()
	var stdout capped
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	cmd.Env = append(os.Environ(), "LC_ALL=C", "SYSTEMD_PAGER=", "SYSTEMD_COLORS=0")
	cmd.Stdout = &stdout
	// A background child that keeps the output open must not keep us.
	cmd.WaitDelay = time.Second
	err := cmd.Run()
	if exit, ok := errors.AsType[*exec.ExitError](err); ok && exit.Exited() {
		err = nil
	}
	if err != nil {
		return Output{}, fmt.Errorf("running %s: %w", argv[0], err)
	}
	return Output{Stdout: stdout.kept.String(), Exit: cmd.ProcessState.ExitCode()}, nil
}

// Dial implements [Environment].
func (System) Dial(ctx context.Context, path string) (net.Conn, error) {
	return (&net.Dialer{}).DialContext(ctx, "unix", path)
}

// Call implements [Environment].
func (System) Call(ctx context.Context, client string, target qrexec.Target, service qrexec.Service) (lines int, outcome qrexec.Outcome) {
	call, err := qrexec.Start(client, target, service)
	if err != nil {
		return 0, qrexec.Outcome{Code: -1, Err: err}
	}
	defer call.Out.Close()
	counted := make(chan int, 1)
	go func() {
		var untrusted lineCount
		_, _ = io.Copy(&untrusted, call.Out)
		counted <- int(untrusted)
	}()
	// The end of input is the whole request.
	_ = call.In.Close()
	select {
	case <-call.Done():
	case <-ctx.Done():
		call.End(0)
		return 0, qrexec.Outcome{Code: -1, Err: ctx.Err()}
	}
	select { // a child of the client program may hold the output open
	case lines = <-counted:
	case <-ctx.Done():
	}
	return lines, call.Outcome()
}

// Rules implements [Environment].
func (System) Rules() (*rules.File, error) { return rules.Load(rules.Paths(os.Getenv)...) }

// ClefRules implements [Environment].
func (System) ClefRules() (*rules.ClefFile, error) { return rules.LoadClef(rules.Paths(os.Getenv)...) }

// PassRules implements [Environment].
func (System) PassRules() (*rules.PassFile, error) { return rules.LoadPass(rules.Paths(os.Getenv)...) }

// KnownHosts implements [Environment].
func (System) KnownHosts(shipped bool) (*knownhosts.DB, error) {
	return knownhosts.Load(knownhosts.Paths(os.Getenv, shipped)...)
}

// Screen implements [Environment].
func (System) Screen(s consent.Screen) (consent.Screen, error) {
	return prompt.Usable(s, rundir.Base(os.Getenv))
}

// Holds implements [Environment].
func (System) Holds() ([]consent.Hold, error) {
	return consent.HoldsIn(filepath.Join(rundir.Base(os.Getenv), "splitvault")).Live(time.Now())
}

// lineCount counts the lines of what is written to it, and keeps nothing.
type lineCount int

func (n *lineCount) Write(b []byte) (int, error) {
	*n += lineCount(bytes.Count(b, []byte("\n")))
	return len(b), nil
}

// capped keeps the first bytes of an output, and takes all.
type capped struct{ kept bytes.Buffer }

func (c *capped) Write(b []byte) (int, error) {
	c.kept.Write(b[:min(len(b), maxText-c.kept.Len())])
	return len(b), nil
}
