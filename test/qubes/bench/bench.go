package bench

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/splitvault/splitvault/test/qubes/bench/autostart"
	"github.com/splitvault/splitvault/test/qubes/bench/machine"
	"github.com/splitvault/splitvault/test/qubes/policy"
)

const statePrefix = "bench-"

// Bench is a machine of its own: a dom0 with the project's policy, and the
// qubes that were booted on it. Methods may be called from several goroutines.
type Bench struct {
	kit    *Kit
	root   string
	state  machine.State
	dom0   *broker
	starts io.Closer // autostart's

	starting sync.Mutex // one autostart at a time
	mu       sync.Mutex
	system   policy.System    // what dom0 knows of the qubes
	qubes    map[string]*Qube // booted once at least, running or not
}

// Open makes a bench on a suite's root, with a dom0 but no qube yet. What
// building a missing root says goes to log.
func (k *Kit) Open(ctx context.Context, suite string, log io.Writer) (*Bench, error) {
	root, err := k.Root(ctx, suite, log)
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp(k.run.path, statePrefix)
	if err != nil {
		return nil, err
	}
	b := &Bench{
		kit:   k,
		root:  root,
		state: machine.State(dir),
		system: policy.System{Qubes: map[string]policy.Qube{
			"dom0": {Name: "dom0", Type: "AdminVM", Running: true},
		}},
		qubes: map[string]*Qube{},
	}
	if err := b.prepareDom0(); err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	if b.starts, err = autostart.Serve(dir, b.autostart); err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	if b.dom0, err = startDom0(ctx, k, dir); err != nil {
		return nil, errors.Join(err, b.starts.Close(), os.RemoveAll(dir))
	}
	return b, nil
}

// Close kills all qubes and dom0 and removes every trace of them.
func (b *Bench) Close() error {
	qubes := b.Qubes()
	errs := make([]error, len(qubes))
	var killing sync.WaitGroup
	for i, q := range qubes {
		killing.Go(func() { errs[i] = q.Kill() })
	}
	killing.Wait()
	return errors.Join(append(errs, b.dom0.stop(), b.starts.Close(), os.RemoveAll(string(b.state)))...)
}

// Kit is what the bench was opened with.
func (b *Bench) Kit() *Kit { return b.kit }

// State is where the bench keeps its files on the host.
func (b *Bench) State() machine.State { return b.state }

// Qubes are the qubes that run, by name.
func (b *Bench) Qubes() []*Qube {
	b.mu.Lock()
	defer b.mu.Unlock()
	var live []*Qube
	for _, q := range b.qubes {
		if q.running != nil {
			live = append(live, q)
		}
	}
	slices.SortFunc(live, func(x, y *Qube) int { return strings.Compare(x.spec.Name, y.spec.Name) })
	return live
}

// Qube returns a qube that was booted here at least once.
func (b *Bench) Qube(name string) (*Qube, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	q, ok := b.qubes[name]
	if !ok {
		return nil, fmt.Errorf("qube %q was not booted", name)
	}
	return q, nil
}

// SetPolicy replaces the lines that a person would have typed into dom0's
// 30-splitvault.policy. The project's own 80-splitvault.policy stays below.
func (b *Bench) SetPolicy(lines ...string) error {
	text := strings.Join(lines, "\n") + "\n"
	if err := replaceFile(filepath.Join(b.PolicyDir(), "30-splitvault.policy"), text); err != nil {
		return fmt.Errorf("writing the policy: %w", err)
	}
	return nil
}

// PolicyDir is dom0's directory of policy files on the host.
func (b *Bench) PolicyDir() string { return filepath.Join(string(b.state), "policy") }

// Ctl runs a command of the emulator's remote control ("qrexec ctl") and
// returns its output.
func (b *Bench) Ctl(ctx context.Context, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, b.kit.Qrexec(), append([]string{"ctl", "--dir", qrexecDir(string(b.state))}, args...)...)
	cmd.WaitDelay = time.Second
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		return stdout.String(), fmt.Errorf("qrexec ctl %s: %w: %s", strings.Join(args, " "), err, bytes.TrimSpace(stderr.Bytes()))
	}
	return stdout.String(), nil
}

// Dom0Log is what dom0's qrexec has logged.
func (b *Bench) Dom0Log() string {
	var all strings.Builder
	for _, file := range []string{filepath.Join(qrexecDir(string(b.state)), "dom0.log"), dom0Stderr(string(b.state))} {
		content, err := os.ReadFile(file)
		if err != nil {
			fmt.Fprintf(&all, "(%v)\n", err)
		}
		all.Write(content)
	}
	return all.String()
}
