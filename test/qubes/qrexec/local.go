package qrexec

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/splitvault/splitvault/test/qubes/policy"
	"github.com/splitvault/splitvault/test/qubes/qrexec/client"
	"github.com/splitvault/splitvault/test/qubes/qrexec/dom0"
)

// Local is a dom0 and some qubes that are mere directories, all run by the current
// user on the current machine: for tests of programs and for the demo. The qubes
// share the machine's files; only services and calls are kept apart.
type Local struct {
	dir       string
	program   string
	processes []*process // dom0 first
	agents    map[string]*process
}

// LocalQube is one qube of a Local.
type LocalQube struct {
	policy.Qube
	AgentArgs []string // further options of "qrexec agent"
}

// LocalOptions are the settings of StartLocal.
type LocalOptions struct {
	Dir      string // an empty directory; everything is kept below it
	Program  string // the built test/qubes/cmd/qrexec
	Qubes    []LocalQube
	Policy   string   // the policy's text
	Dom0Args []string // further options of "qrexec dom0"
	Stderr   *os.File // of dom0, the agents and data processes; nil = os.Stderr
}

// stopTimeout is how long dom0 or an agent may take to start or to stop.
const stopTimeout = 10 * time.Second

// StartLocal starts dom0 and an agent for each qube and returns when calls can be
// made. The caller stops it.
func StartLocal(o LocalOptions) (*Local, error) {
	l := &Local{dir: o.Dir, agents: map[string]*process{}}
	if err := l.prepare(o); err != nil {
		return nil, fmt.Errorf("preparing qubes in %q: %w", o.Dir, err)
	}
	args := append([]string{"dom0", "--until-eof", "--dir", l.dom0Dir(), "--policy", l.policyDir(), "--qubes", l.qubesFile()}, o.Dom0Args...)
	if _, err := l.run("dom0", o.Stderr, args); err != nil {
		return nil, errors.Join(err, l.Stop())
	}
	for _, q := range o.Qubes {
		args := append([]string{
			"agent", "--until-eof", "--name", q.Name, "--control", filepath.Join(l.dom0Dir(), q.Name, "control"), "--socket", l.Socket(q.Name),
			"--service-path", l.Services(q.Name), "--rpc-config", l.Config(q.Name),
		}, q.AgentArgs...)
		p, err := l.run(q.Name, o.Stderr, args)
		if err != nil {
			return nil, errors.Join(err, l.Stop())
		}
		l.agents[q.Name] = p
		if err := l.Do(dom0.Command{Verb: "wait-agent", Qube: q.Name}, nil); err != nil {
			return nil, errors.Join(err, l.Stop())
		}
	}
	return l, nil
}

func (l *Local) prepare(o LocalOptions) error {
	program, err := filepath.Abs(o.Program)
	if err != nil {
		return err
	}
	l.program = filepath.Join(l.dir, "bin", "qrexec")
	dirs := []string{filepath.Dir(l.program), l.policyDir(), l.dom0Dir()}
	sys := policy.System{Qubes: map[string]policy.Qube{"dom0": {Name: "dom0", Type: "AdminVM", Running: true}}}
	for _, q := range o.Qubes {
		dirs = append(dirs, l.Services(q.Name), l.Config(q.Name))
		sys.Qubes[q.Name] = q.Qube
	}
	for _, dir := range dirs {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return err
		}
	}
	for _, name := range []string{l.program, l.ClientProgram()} {
		if err := os.Symlink(program, name); err != nil {
			return err
		}
	}
	text, err := json.Marshal(sys)
	if err != nil {
		return err
	}
	return errors.Join(os.WriteFile(l.qubesFile(), text, 0o644), l.SetPolicy(o.Policy))
}

func (l *Local) dom0Dir() string   { return filepath.Join(l.dir, "dom0") }
func (l *Local) policyDir() string { return filepath.Join(l.dir, "policy.d") }
func (l *Local) qubesFile() string { return filepath.Join(l.dir, "qubes.json") }

// ClientProgram is the path of qrexec-client-vm.
func (l *Local) ClientProgram() string { return filepath.Join(l.dir, "bin", ClientName) }

// Socket is where clients of qube connect; client.SocketEnv names it to them.
func (l *Local) Socket(qube string) string { return filepath.Join(l.dir, qube, "agent") }

// Services is the directory of qube's services.
func (l *Local) Services(qube string) string { return filepath.Join(l.dir, qube, "qubes-rpc") }

// Config is the directory of qube's rpc-config.
func (l *Local) Config(qube string) string { return filepath.Join(l.dir, qube, "rpc-config") }

// Log is the path of dom0's log of decisions.
func (l *Local) Log() string { return filepath.Join(l.dom0Dir(), "dom0.log") }

// SetPolicy replaces the policy; the next call is judged by it.
func (l *Local) SetPolicy(text string) error {
	return os.WriteFile(filepath.Join(l.policyDir(), "30-local.policy"), []byte(text), 0o644)
}

// Environ is the current environment as a program in qube needs it.
func (l *Local) Environ(qube string) []string {
	return append(os.Environ(), client.SocketEnv+"="+l.Socket(qube))
}

// Command is a qrexec-client-vm of qube, not yet started.
func (l *Local) Command(ctx context.Context, qube string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, l.ClientProgram(), args...)
	cmd.Env = l.Environ(qube)
	return cmd
}

// Do sends a command to dom0, see dom0.Do.
func (l *Local) Do(c dom0.Command, result any) error { return dom0.Do(l.dom0Dir(), c, result) }

// Calls are dom0's statistics.
func (l *Local) Calls() (dom0.Statistics, error) {
	var s dom0.Statistics
	err := l.Do(dom0.Command{Verb: "calls"}, &s)
	return s, err
}

// Stop ends the agents and dom0. Services that are still called see the end of
// file, clients exit with 255.
func (l *Local) Stop() error {
	var errs []error
	for _, p := range slices.Backward(l.processes) {
		errs = append(errs, p.stop())
	}
	l.processes = nil
	return errors.Join(errs...)
}

// process is dom0 or an agent.
type process struct {
	name  string
	cmd   *exec.Cmd
	stdin io.Closer // open while this process lives
	done  chan struct{}
}

// run starts a role and waits until it says that it is ready.
func (l *Local) run(name string, stderr *os.File, args []string) (*process, error) {
	if stderr == nil {
		stderr = os.Stderr
	}
	cmd := exec.Command(l.program, args...)
	cmd.Stderr = stderr
	// The group is its own, so that a Ctrl-C ends the caller first; the pipe ends
	// with this process, however that dies.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("starting %s: %w", name, err)
	}
	p := &process{name: name, cmd: cmd, stdin: stdin, done: make(chan struct{})}
	l.processes = append(l.processes, p)
	first := make(chan string, 1)
	go func() {
		line, _ := bufio.NewReader(io.LimitReader(stdout, 256)).ReadString('\n')
		first <- strings.TrimSpace(line)
		_ = cmd.Wait()
		close(p.done)
	}()
	select {
	case line := <-first:
		if line != "ready" {
			return nil, fmt.Errorf("starting %s: it ended before it was ready", name)
		}
		return p, nil
	case <-time.After(stopTimeout):
		return nil, fmt.Errorf("starting %s: not ready after %v", name, stopTimeout)
	}
}

func (p *process) stop() error {
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-p.done:
		return nil
	case <-time.After(stopTimeout):
		return errors.Join(fmt.Errorf("stopping %s: it did not end within %v", p.name, stopTimeout), p.cmd.Process.Kill())
	}
}
