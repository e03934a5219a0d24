package machine

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Way is how a command is run in a qube. Its values are the program's verbs.
type Way string

const (
	// AsUser runs it as the user, with the session's bus and runtime directory
	// and nothing else in the environment.
	AsUser Way = "exec"
	// AsLogin runs it as the user in a login shell, so after /etc/profile.d.
	AsLogin Way = "login"
	// AsService runs it as a service of the user's systemd, with the
	// environment that user services have.
	AsService Way = "service"
	// AsRoot runs it as root.
	AsRoot Way = "root"
)

// Enter replaces this process by a command that runs in a qube. A command of
// one word is a line for sh (for a login shell, bash).
func Enter(s State, way Way, name string, command []string) error {
	if len(command) == 0 {
		return errors.New("no command named")
	}
	qube, ok := s.find(name)
	if !ok {
		return fmt.Errorf("qube %q is not running", name)
	}
	argv, err := way.argv(command)
	if err != nil {
		return err
	}
	for _, tool := range []string{"nsenter", "setpriv"} {
		if _, err := exec.LookPath(tool); err != nil {
			return fmt.Errorf("entering %q: %s is missing: apt-get install util-linux", name, tool)
		}
	}
	// What enters is in the qube's cgroup too, but beside its systemd's units.
	cgroup := filepath.Join(qube.cgroup, "exec")
	if err := os.Mkdir(cgroup, 0o755); err != nil && !errors.Is(err, os.ErrExist) {
		return fmt.Errorf("entering %q: %w", name, err)
	}
	if err := os.WriteFile(filepath.Join(cgroup, "cgroup.procs"), []byte("0"), 0); err != nil {
		return fmt.Errorf("entering %q: %w", name, err)
	}
	nsenter, err := exec.LookPath("nsenter")
	if err != nil {
		return err
	}
	argv = append([]string{"nsenter", "-t", strconv.Itoa(qube.init.pid), "-m", "-u", "-i", "-n", "-p", "-C", "-r", "-w"}, argv...)
	if err := keepHostFiles(); err != nil {
		return err
	}
	return fmt.Errorf("executing nsenter: %w", unix.Exec(nsenter, argv, os.Environ()))
}

// keepHostFiles has what this process executes get its standard streams only, and none
// of the descriptors that whoever started it left open.
func keepHostFiles() error {
	if err := unix.CloseRange(3, math.MaxUint32, unix.CLOSE_RANGE_CLOEXEC); err != nil {
		return fmt.Errorf("close_range: %w", err)
	}
	return nil
}

// entered are the host's PIDs of what was run in the qube from outside.
func (i instance) entered() []int {
	b, err := os.ReadFile(filepath.Join(i.cgroup, "exec", "cgroup.procs"))
	if err != nil {
		return nil // nobody has
	}
	var pids []int
	for field := range strings.FieldsSeq(string(b)) {
		if pid, err := strconv.Atoi(field); err == nil && pid > 0 {
			pids = append(pids, pid)
		}
	}
	return pids
}

// argv is the command with what goes before it inside the namespaces. nsenter
// forks to join a PID namespace, so that killing it would leave the command:
// hence the parent-death signal.
func (w Way) argv(command []string) ([]string, error) {
	if len(command) == 1 && w != AsLogin {
		command = []string{"sh", "-c", command[0]}
	}
	user := []string{
		"setpriv", "--pdeathsig", "KILL", "--reuid", strconv.Itoa(UID), "--regid", strconv.Itoa(UID), "--init-groups", "--inh-caps=-all", "--reset-env",
		"env", fmt.Sprintf("XDG_RUNTIME_DIR=/run/user/%d", UID), fmt.Sprintf("DBUS_SESSION_BUS_ADDRESS=unix:path=/run/user/%d/bus", UID),
		"LANG=C.UTF-8", "PATH=" + searchPath,
	}
	if term := os.Getenv("TERM"); term != "" {
		user = append(user, "TERM="+term)
	}
	switch w {
	case AsUser:
		return append(append(user, "sh", "-c", `cd && exec "$@"`, "sh"), command...), nil
	case AsLogin:
		if len(command) == 1 {
			return append(user, "bash", "-l", "-c", "cd; "+command[0]), nil
		}
		return append(append(user, "bash", "-l", "-c", `cd && exec "$@"`, "bash"), command...), nil
	case AsService:
		return append(append(user, "systemd-run", "--user", "--pipe", "--wait", "--quiet", "--collect", "--"), command...), nil
	case AsRoot:
		return append([]string{"setpriv", "--pdeathsig", "KILL", "env", "-i", "PATH=" + searchPath, "LANG=C.UTF-8", "HOME=/root"}, command...), nil
	}
	return nil, fmt.Errorf("no way %q to run a command", w)
}

// Command is a command in a running qube, to be run from any process. program
// is the one whose verbs call Enter; "/proc/self/exe" if it is this one.
func (s State) Command(ctx context.Context, program string, way Way, name string, command ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, program, append([]string{"-state", string(s), string(way), name}, command...)...)
	// Descendants in the qube may hold the output open after the command.
	cmd.WaitDelay = time.Second
	return cmd
}
