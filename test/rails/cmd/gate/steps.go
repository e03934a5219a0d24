package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"syscall"
	"time"
)

// step is one recipe of the justfile.
type step struct {
	recipe    []string
	needsRoot string // why it needs root; "" = it does not
}

var steps = []step{
	{recipe: []string{"lint"}},
	{recipe: []string{"unit"}},
	{recipe: []string{"clef-decoder"}},
	{recipe: []string{"race"}},
	{recipe: []string{"fuzz", "500ms"}},
	{recipe: []string{"scripts"}},
	{recipe: []string{"packages"}, needsRoot: "a package is built in a Debian of its own, which takes root (sudo ./justw test)"},
	{recipe: []string{"qubes"}, needsRoot: bootReason},
	// On one root: whether figures can be taken, not the figures.
	{recipe: []string{"bench", "50ms", "-short", "-roots", "trixie"}, needsRoot: bootReason},
}

const bootReason = "it boots qubes with a real systemd in namespaces of their own, which takes root (sudo ./justw test)"

// stepTime bounds one step; go test's own time-outs are shorter, so this is
// only reached where a step hangs outside of a test.
const stepTime = 25 * time.Minute

type result struct {
	name   string
	err    error
	notRun string // why it could not be run
	took   time.Duration
}

// gate runs steps with one scratch directory for all of them.
type gate struct {
	just    string
	tmp     string // TMPDIR of every step: whatever stays in it was left behind
	skipped string // file in which gotest notes skipped tests
}

func (g gate) step(ctx context.Context, s step) result {
	r := result{name: s.recipe[0]}
	if s.needsRoot != "" && os.Geteuid() != 0 {
		r.notRun = s.needsRoot
		return r
	}
	fmt.Printf("\n=== %s\n", r.name)
	ctx, cancel := context.WithTimeoutCause(ctx, stepTime, fmt.Errorf("it took more than %v", stepTime))
	defer cancel()
	began := time.Now()
	r.err = g.run(ctx, s.recipe)
	r.took = time.Since(began)
	return r
}

// run runs a recipe without stdin, as nothing in it may ask a person, and in a
// process group of its own, so that its end ends the whole step and not only
// just.
func (g gate) run(ctx context.Context, recipe []string) error {
	null, err := os.Open(os.DevNull)
	if err != nil {
		return err
	}
	defer null.Close()
	just, err := exec.LookPath(g.just)
	if err != nil {
		return err
	}
	process, err := os.StartProcess(just, append([]string{just}, recipe...), &os.ProcAttr{
		Env:   append(os.Environ(), "TMPDIR="+g.tmp, "RAILS_SKIPPED="+g.skipped),
		Files: []*os.File{null, os.Stdout, os.Stderr},
		Sys:   &syscall.SysProcAttr{Setpgid: true},
	})
	if err != nil {
		return fmt.Errorf("starting %s: %w", just, err)
	}
	ended := make(chan struct{})
	defer close(ended)
	go func() {
		for _, sig := range []syscall.Signal{syscall.SIGTERM, syscall.SIGKILL} {
			select {
			case <-ended:
				return
			case <-ctx.Done():
				_ = syscall.Kill(-process.Pid, sig)
			}
			select {
			case <-ended:
				return
			case <-time.After(15 * time.Second):
			}
		}
	}()
	status, err := waitFor(process.Pid)
	switch {
	case err != nil:
		return fmt.Errorf("waiting for %s: %w", just, err)
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case status.Signaled():
		return fmt.Errorf("ended by %v", status.Signal())
	case status.ExitStatus() != 0:
		return fmt.Errorf("exit status %d", status.ExitStatus())
	}
	return nil
}

// waitFor waits for pid and, until it ends, also for every orphan that this
// process adopted, as init would: a test may look whether a process is gone.
func waitFor(pid int) (syscall.WaitStatus, error) {
	for {
		var status syscall.WaitStatus
		switch ended, err := syscall.Wait4(-1, &status, 0, nil); {
		case errors.Is(err, syscall.EINTR):
		case err != nil:
			return 0, err
		case ended == pid:
			return status, nil
		}
	}
}
