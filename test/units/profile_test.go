package units

import (
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/splitvault/splitvault/test/stub"
)

// TestProfile runs /etc/profile.d/splitvault.sh in the shells that read it at
// login, with the strictest settings a user may have there.
func TestProfile(t *testing.T) {
	script, err := filepath.Abs(template + "/etc/profile.d/splitvault.sh")
	if err != nil {
		t.Fatal(err)
	}
	on, off := t.TempDir(), t.TempDir()
	listen(t, filepath.Join(on, "ssh"))
	if err := os.Mkdir(filepath.Join(off, "ssh"), 0o700); err != nil {
		t.Fatal(err)
	}
	// A file in the socket's place is not our socket.
	if err := os.WriteFile(filepath.Join(off, "ssh", "S.ssh-agent"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	ours := filepath.Join(on, "ssh", "S.ssh-agent")
	for _, row := range []struct {
		name      string
		uid       string
		env       []string
		sock, pid string
	}{
		{"switched on", "1000", []string{"XDG_RUNTIME_DIR=" + on}, ours, "unset"},
		{"switched on, a local agent came first", "1000", []string{"XDG_RUNTIME_DIR=" + on, "SSH_AUTH_SOCK=/tmp/ssh-x/agent.1", "SSH_AGENT_PID=1"}, ours, "unset"},
		{"logged in by ssh", "1000", []string{"XDG_RUNTIME_DIR=" + on, "SSH_CONNECTION=a 1 b 22"}, ours, "unset"},
		{"logged in by ssh -A", "1000", []string{"XDG_RUNTIME_DIR=" + on, "SSH_CONNECTION=a 1 b 22", "SSH_AUTH_SOCK=/tmp/ssh-x/agent.1"}, "/tmp/ssh-x/agent.1", "unset"},
		{"root", "0", []string{"XDG_RUNTIME_DIR=" + on, "SSH_AUTH_SOCK=/root/agent"}, "/root/agent", "unset"},
		{"switched off", "1000", []string{"XDG_RUNTIME_DIR=" + off}, "unset", "unset"},
		{"switched off, a local agent runs", "1000", []string{"XDG_RUNTIME_DIR=" + off, "SSH_AUTH_SOCK=/run/user/1000/openssh_agent", "SSH_AGENT_PID=1"}, "/run/user/1000/openssh_agent", "1"},
		{"no runtime directory", "4242424", nil, "unset", "unset"},
	} {
		for _, shell := range []string{"sh", "dash", "bash"} {
			t.Run(row.name+" in "+shell, func(t *testing.T) {
				cmd := exec.CommandContext(t.Context(), shell, "-euc",
					`. "$1"; printf '%s %s %s' "${SSH_AUTH_SOCK-unset}" "${SSH_AGENT_PID-unset}" "${_splitvault_sock-clean}"`, shell, script)
				cmd.Env = append(row.env, "PATH="+fakeProgram(t, "id", "echo "+row.uid)+":"+os.Getenv("PATH"))
				out, err := cmd.CombinedOutput()
				if want := row.sock + " " + row.pid + " clean"; err != nil || string(out) != want {
					t.Errorf("got %q, %v, want %q", out, err, want)
				}
			})
		}
	}
}

// TestProfileIsExported: programs that the shell starts see it.
func TestProfileIsExported(t *testing.T) {
	dir := t.TempDir()
	listen(t, filepath.Join(dir, "ssh"))
	cmd := exec.CommandContext(t.Context(), "sh", "-euc", `. "$1"; env`, "sh", template+"/etc/profile.d/splitvault.sh")
	cmd.Env = []string{"XDG_RUNTIME_DIR=" + dir, "PATH=" + fakeProgram(t, "id", "echo 1000") + ":" + os.Getenv("PATH")}
	out, err := cmd.CombinedOutput()
	if want := "SSH_AUTH_SOCK=" + dir + "/ssh/S.ssh-agent\n"; err != nil || !strings.Contains(string(out), want) {
		t.Errorf("got %q, %v, want %q in it", out, err, want)
	}
}

// listen makes a directory with the agent's socket in it.
func listen(t *testing.T, dir string) {
	t.Helper()
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("unix", filepath.Join(dir, "S.ssh-agent"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
}

// fakeProgram makes a program and returns its directory, for PATH.
func fakeProgram(t *testing.T, name, body string) string {
	t.Helper()
	dir := t.TempDir()
	stub.Script(t, filepath.Join(dir, name), body)
	return dir
}
