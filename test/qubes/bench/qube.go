package bench

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/splitvault/splitvault/test/qubes/bench/machine"
	"github.com/splitvault/splitvault/test/qubes/policy"
	"github.com/splitvault/splitvault/test/qubes/qrexec/dom0"
)

// agentUnit starts the emulator's agent in each qube.
const agentUnit = "qubes-qrexec-agent.service"

// Spec says what qube to boot.
type Spec struct {
	Name string
	// Services are the Qubes services that are on (qvm-service).
	Services []string
	// DB is its QubesDB beside /name, /type and /qubes-service/…: "/vm-config/x" to value.
	DB map[string]string
	// NoSession leaves it without a graphical session: qrexec services start
	// through a login shell then, as in Qubes.
	NoSession bool
	// Tags are the qube's tags in dom0.
	Tags []string
	// Files are further files to write at boot: absolute path to content.
	Files map[string]string
	// Template is a directory to lay over Debian in place of the tree that "just
	// install" makes: what a package left there, for instance. "" = that tree.
	Template string
}

// Qube is a qube of a Bench.
type Qube struct {
	bench *Bench
	spec  Spec

	running *machine.Running // guarded by bench.mu; nil while it does not run
	boot    time.Duration
}

// Start boots a qube that does not run, and returns when its systemd, the
// user's systemd and the qrexec agent are up. Its home is as the last boot of
// that name left it; all else is fresh.
func (b *Bench) Start(spec Spec) (*Qube, error) {
	session := "gui"
	if spec.NoSession {
		session = "none"
	}
	files := map[string]string{"/run/qubebench/agent.env": "QREXEC_SESSION=" + session + "\n"}
	maps.Copy(files, spec.Files)
	config := machine.Config{
		Name: spec.Name, Root: b.root, Layers: []string{cmp.Or(spec.Template, b.kit.Template()), b.kit.own()},
		Services: spec.Services, DB: spec.DB, Files: files, Units: []string{agentUnit},
	}
	if err := b.register(spec, true); err != nil {
		return nil, err
	}
	start := time.Now()
	running, err := machine.Start(b.state, config, b.kit.Program())
	if err != nil {
		return nil, errors.Join(err, b.register(spec, false))
	}
	q := &Qube{bench: b, spec: spec, running: running, boot: time.Since(start)}
	var ok string
	if err := b.tellDom0(dom0.Command{Verb: "wait-agent", Qube: spec.Name}, &ok); err != nil {
		return nil, errors.Join(err, running.Release(), b.register(spec, false))
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.qubes[spec.Name] = q
	return q, nil
}

// autostart boots, for dom0, a qube that was booted before and does not run.
func (b *Bench) autostart(name string) error {
	b.starting.Lock()
	defer b.starting.Unlock()
	q, err := b.Qube(name)
	if err != nil {
		return err
	}
	b.mu.Lock()
	running := q.running != nil
	b.mu.Unlock()
	if running { // another call was first
		return nil
	}
	_, err = b.Start(q.spec)
	return err
}

// register tells dom0 about a qube.
func (b *Bench) register(spec Spec, running bool) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	gui := "dom0"
	if spec.NoSession {
		gui = ""
	}
	b.system.Qubes[spec.Name] = policy.Qube{Name: spec.Name, Type: "AppVM", Tags: spec.Tags, Running: running, GuiVM: gui}
	if err := b.writeSystem(); err != nil {
		return err
	}
	var ok string
	return b.tellDom0(dom0.Command{Verb: "reload"}, &ok) // it would notice, some time
}

func (b *Bench) writeSystem() error {
	text, err := json.MarshalIndent(b.system, "", "  ")
	if err != nil {
		return err
	}
	if err := replaceFile(qubesFile(string(b.state)), string(text)); err != nil {
		return fmt.Errorf("writing the list of qubes: %w", err)
	}
	return nil
}

// Name is the qube's name.
func (q *Qube) Name() string { return q.spec.Name }

// Spec is what the qube was booted with.
func (q *Qube) Spec() Spec { return q.spec }

// SetService switches a Qubes service on or off, as qvm-service does: the
// Spec changes now, the qube at its next Start.
func (q *Qube) SetService(service string, on bool) {
	q.spec.Services = slices.DeleteFunc(slices.Clone(q.spec.Services), func(s string) bool { return s == service })
	if on {
		q.spec.Services = append(q.spec.Services, service)
	}
}

// AddTag gives the qube a tag in dom0, as qvm-tags does.
func (q *Qube) AddTag(tag string) error {
	q.bench.mu.Lock()
	q.spec.Tags = append(q.spec.Tags, tag)
	running := q.running != nil
	q.bench.mu.Unlock()
	return q.bench.register(q.spec, running)
}

// BootTime is how long the qube took from nothing to ready.
func (q *Qube) BootTime() time.Duration { return q.boot }

// Home is the qube's /home/user as a directory of the host's. The qube's user
// can put symbolic links there.
func (q *Qube) Home() string { return q.bench.state.Home(q.spec.Name) }

// PID is the host's PID of the qube's PID 1, 0 if it does not run.
func (q *Qube) PID() int { return q.bench.state.PID(q.spec.Name) }

// Kill ends the qube as pulling the plug does. It is no error if it does not run.
func (q *Qube) Kill() error { return q.end(func() error { return nil }) }

// Pause stops all that runs in the qube, as qvm-pause does. Its clocks go on.
func (q *Qube) Pause() error { return q.bench.state.Freeze(q.spec.Name, true) }

// Unpause lets a paused qube go on.
func (q *Qube) Unpause() error { return q.bench.state.Freeze(q.spec.Name, false) }

// Shutdown ends the qube as its systemd does it.
func (q *Qube) Shutdown(ctx context.Context) error {
	return q.end(func() error { return q.bench.state.Stop(ctx, q.spec.Name) })
}

func (q *Qube) end(first func() error) error {
	q.bench.mu.Lock()
	running := q.running
	q.running = nil
	q.bench.mu.Unlock()
	if running == nil {
		return nil
	}
	err := errors.Join(first(), running.Release(), q.bench.register(q.spec, false))
	// The other end of a call sees at once that a qube is gone: the channel
	// breaks. The emulator would give the agent time to come back.
	var ok string
	return errors.Join(err, q.bench.tellDom0(dom0.Command{Verb: "cut", Qube: q.spec.Name}, &ok))
}

// Command is a command in the qube, ready to run. One word is a line for a shell.
func (q *Qube) Command(ctx context.Context, way machine.Way, command ...string) *exec.Cmd {
	return q.bench.state.Command(ctx, q.bench.kit.Program(), way, q.spec.Name, command...)
}

// User runs a command as the qube's user and returns its output. The error has
// what it said on stderr and wraps *exec.ExitError.
func (q *Qube) User(ctx context.Context, command ...string) (string, error) {
	return q.run(ctx, machine.AsUser, command)
}

// Root runs a command as root.
func (q *Qube) Root(ctx context.Context, command ...string) (string, error) {
	return q.run(ctx, machine.AsRoot, command)
}

func (q *Qube) run(ctx context.Context, way machine.Way, command []string) (string, error) {
	cmd := q.Command(ctx, way, command...)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		return stdout.String(), fmt.Errorf("%s: %s: %w: %s", q.spec.Name, strings.Join(command, " "), err, bytes.TrimSpace(stderr.Bytes()))
	}
	return stdout.String(), nil
}

// Put writes a file in the qube: an absolute path as root, another one below
// the user's home and as the user. Scripts become executable.
func (q *Qube) Put(ctx context.Context, path string, content []byte) error {
	way, mode := machine.AsUser, "0600"
	if filepath.IsAbs(path) {
		way, mode = machine.AsRoot, "0644"
	}
	if bytes.HasPrefix(content, []byte("#!")) {
		mode = "0755"
	}
	// From inside: on the host, a link in the home could lead us anywhere.
	cmd := q.Command(ctx, way, "sh", "-c", `mkdir -p "$(dirname "$1")" && cat >"$1.new" && chmod "$2" "$1.new" && mv "$1.new" "$1"`, "sh", path, mode)
	cmd.Stdin = bytes.NewReader(content)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s: writing %q: %w: %s", q.spec.Name, path, err, bytes.TrimSpace(out))
	}
	return nil
}

// Journal is what the qube's journal has, with further options for journalctl.
func (q *Qube) Journal(ctx context.Context, options ...string) (string, error) {
	if _, err := q.Root(ctx, "journalctl", "--sync"); err != nil {
		return "", err
	}
	return q.Root(ctx, append([]string{"journalctl", "--no-pager", "--quiet"}, options...)...)
}
