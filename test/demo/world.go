package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/splitvault/splitvault/test/rails/orphans"
)

// tools are the programs that the demo runs, by absolute path.
type tools struct {
	relay, guard, qrexec                        string
	passRelay, passGuard, qpass                 string
	ssh, sshAdd, sshAgent, sshKeygen, sshd, git string
	gpg, gpgAgent, gpgconf, pass                string
	activate, setpriv                           string
}

func findTools(build string) (tools, error) {
	var t tools
	build, err := filepath.Abs(build)
	if err != nil {
		return t, err
	}
	for path, into := range map[string]*string{
		"lib/ssh-relay": &t.relay, "lib/ssh-guard": &t.guard, "test/qrexec": &t.qrexec,
		"lib/pass-relay": &t.passRelay, "lib/pass-guard": &t.passGuard, "bin/qpass": &t.qpass,
	} {
		*into = filepath.Join(build, path)
		if _, err := os.Stat(*into); err != nil {
			return t, fmt.Errorf("%w (the demo is built and run by: ./justw demo)", err)
		}
	}
	for name, into := range map[string]*string{
		"ssh": &t.ssh, "ssh-add": &t.sshAdd, "ssh-agent": &t.sshAgent, "ssh-keygen": &t.sshKeygen, "sshd": &t.sshd,
		"gpg": &t.gpg, "gpg-agent": &t.gpgAgent, "gpgconf": &t.gpgconf, "pass": &t.pass,
		"git": &t.git, "systemd-socket-activate": &t.activate, "setpriv": &t.setpriv,
	} {
		if *into, err = lookPath(name); err != nil {
			return t, fmt.Errorf("%s is missing (./justw demo installs it, or says how)", name)
		}
	}
	return t, nil
}

// lookPath also looks where Debian keeps sshd, which is not in a user's PATH.
func lookPath(name string) (string, error) {
	if path, err := exec.LookPath(name); err == nil {
		return filepath.Abs(path)
	}
	return exec.LookPath("/usr/sbin/" + name)
}

// world is the two qubes: one directory, and the processes that live in it.
type world struct {
	tools
	dir       string
	port      int    // of the throw-away sshd on 127.0.0.1
	madeEmpty string // sshd's privilege separation directory, if it is ours
	gpgDir    string // of gpg's sockets, if it is outside of ours
	processes []*process
}

// process is a running part of the world.
type process struct {
	cmd   *exec.Cmd
	ended chan struct{} // closed when it is reaped
	err   error         // how it ended; valid then
}

func newWorld(t tools) (*world, error) {
	dir, err := os.MkdirTemp("", "sv-demo-")
	if err != nil {
		return nil, fmt.Errorf("making the demo's directory: %w", err)
	}
	w := &world{tools: t, dir: dir}
	// unix(7): 108 bytes with the NUL.
	if socket := w.agentSocket(); len(socket) > 107 {
		return nil, errors.Join(fmt.Errorf("%q is too long for a socket: set TMPDIR to a shorter path", socket), os.Remove(dir))
	}
	return w, nil
}

// path returns a path below the demo's directory.
func (w *world) path(names ...string) string {
	return filepath.Join(append([]string{w.dir}, names...)...)
}

// mkdir makes private directories below the demo's.
func (w *world) mkdir(names ...string) error {
	for _, name := range names {
		if err := os.MkdirAll(w.path(name), 0o700); err != nil {
			return fmt.Errorf("making the demo's files: %w", err)
		}
	}
	return nil
}

func (w *world) write(name, text string) error {
	if err := os.WriteFile(w.path(name), []byte(text), 0o600); err != nil {
		return fmt.Errorf("making the demo's files: %w", err)
	}
	return nil
}

// env is the whole environment of a process in the given qube.
func (w *world) env(qube string, more ...string) []string {
	return append([]string{
		"PATH=" + os.Getenv("PATH") + ":/usr/sbin:/sbin",
		"TERM=" + os.Getenv("TERM"),
		"LANG=C.UTF-8",
		"HOME=" + w.path(qube, "home"),
		"TMPDIR=" + w.dir,
		"XDG_RUNTIME_DIR=" + w.path(qube, "run"),
		"XDG_CONFIG_HOME=" + w.path(qube, "config"),
		"GIT_CONFIG_NOSYSTEM=1",
	}, more...)
}

// start starts a part of the world that lives until the end. Its output goes to
// a file of the demo, its group is its own, so that Ctrl-C reaches only us, and
// it ends if we are killed.
func (w *world) start(name string, env []string, argv ...string) error {
	out, err := os.OpenFile(w.path("log", name), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return fmt.Errorf("starting %s: %w", name, err)
	}
	defer out.Close()
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Env, cmd.Dir, cmd.Stdout, cmd.Stderr = env, w.dir, out, out
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGTERM}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("starting %s: %w", name, err)
	}
	p := &process{cmd: cmd, ended: make(chan struct{})}
	go func() {
		p.err = cmd.Wait()
		close(p.ended)
	}()
	w.processes = append(w.processes, p)
	return nil
}

// end ends every process of the demo, its grandchildren too, and removes its
// files.
func (w *world) end() error {
	for _, p := range w.processes {
		signalGroup(p, syscall.SIGTERM)
	}
	deadline := time.After(3 * time.Second)
	for _, p := range w.processes {
		select {
		case <-p.ended:
		case <-deadline:
			signalGroup(p, syscall.SIGKILL)
			<-p.ended
		}
	}
	// Sessions of sshd and services of qrexec left their groups; their peers
	// are gone now, so that they end by themselves.
	var err error
	for until := time.Now().Add(2 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		left := orphans.Descendants()
		if len(left) == 0 {
			break
		}
		if time.Now().Before(until) {
			continue
		}
		for _, pid := range left {
			err = errors.Join(err, fmt.Errorf("process %d did not end by itself, killed", pid), syscall.Kill(pid, syscall.SIGKILL))
		}
		break
	}
	if w.gpgDir != "" {
		err = errors.Join(err, w.gpgconfDo("--remove-socketdir"))
		_ = os.Remove(filepath.Dir(w.gpgDir)) // not empty, if the person uses gpg
	}
	if w.madeEmpty != "" {
		err = errors.Join(err, os.Remove(w.madeEmpty))
	}
	return errors.Join(err, os.RemoveAll(w.dir))
}

func signalGroup(p *process, sig syscall.Signal) {
	select {
	case <-p.ended: // its number may be another's by now
	default:
		_ = syscall.Kill(-p.cmd.Process.Pid, sig)
	}
}

// logs returns what the parts of the world have said, for a failed run.
func (w *world) logs() string {
	var all strings.Builder
	files, _ := filepath.Glob(w.path("log", "*"))
	for _, f := range files {
		if text, err := os.ReadFile(f); err == nil && len(text) > 0 {
			fmt.Fprintf(&all, "--- %s\n%s", filepath.Base(f), text)
		}
	}
	return all.String()
}
