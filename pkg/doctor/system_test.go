package doctor

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/sirupsen/logrus"

	"github.com/splitvault/splitvault/pkg/audit"
	"github.com/splitvault/splitvault/pkg/consent"
	"github.com/splitvault/splitvault/pkg/prompt"
	"github.com/splitvault/splitvault/pkg/qrexec"
	"github.com/splitvault/splitvault/test/stub"
)

func TestRunTellsExitAndCutsOutput(t *testing.T) {
	out, err := System{}.Run(t.Context(), "/bin/sh", "-c", "head -c 100000 /dev/zero; exit 3")
	if err != nil || out.Exit != 3 || len(out.Stdout) != maxText {
		t.Errorf("got exit %d, %d bytes, %v", out.Exit, len(out.Stdout), err)
	}
	if _, err := (System{}).Run(t.Context(), "/nonexistent"); err == nil {
		t.Error("a program that does not exist ran")
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := (System{}).Run(ctx, "sleep", "60"); err == nil {
		t.Error("a program that hangs ended by itself")
	}
}

func TestReadFileIsBounded(t *testing.T) {
	path := filepath.Join(t.TempDir(), "long")
	if err := os.WriteFile(path, make([]byte, maxText+1), 0o600); err != nil {
		t.Fatal(err)
	}
	if text, err := (System{}).ReadFile(path); err != nil || len(text) != maxText {
		t.Errorf("got %d bytes, %v", len(text), err)
	}
}

// TestCallEndsWithTheClientProgram: its exit code arrives, and one that hangs is
// ended.
func TestCallEndsWithTheClientProgram(t *testing.T) {
	client := script(t, `cat >/dev/null; echo "$*"; head -c 300000 /dev/zero; exit 126`)
	lines, outcome := System{}.Call(t.Context(), client, qrexec.Default, "qubes.Ssh")
	if outcome.Cause() != "refused" || lines != 1 {
		t.Errorf("got %d lines, %+v", lines, outcome)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, outcome := (System{}).Call(ctx, script(t, "exec sleep 60"), qrexec.Default, "qubes.Ssh"); outcome.Err == nil {
		t.Errorf("a call that hangs got %+v", outcome)
	}
	if _, outcome := (System{}).Call(t.Context(), "/nonexistent", qrexec.Default, "qubes.Ssh"); outcome.Err == nil {
		t.Errorf("a call without client program got %+v", outcome)
	}
}

func script(t *testing.T, body string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "client")
	stub.Script(t, path, body)
	return path
}

// TestRealAgent asks OpenSSH's own agent.
func TestRealAgent(t *testing.T) {
	for _, tool := range []string{"ssh-agent", "ssh-add", "ssh-keygen"} {
		if _, err := exec.LookPath(tool); err != nil {
			missing(t, tool)
		}
	}
	dir := t.TempDir()
	sock, key := filepath.Join(dir, "agent"), filepath.Join(dir, "key")
	cmd := exec.CommandContext(t.Context(), "ssh-agent", "-D", "-a", sock)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Wait() })
	for deadline := time.Now().Add(5 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		if _, err := os.Stat(sock); err == nil {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("ssh-agent did not start")
		}
	}
	t.Setenv("SSH_AUTH_SOCK", sock)
	d := &diagnosis{env: System{}}
	if result, _ := d.agents(t.Context()); result.Status != Problem {
		t.Errorf("an empty agent is %+v", result)
	}
	for _, argv := range [][]string{{"ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key}, {"ssh-add", "-q", key}} {
		if out, err := exec.CommandContext(t.Context(), argv[0], argv[1:]...).CombinedOutput(); err != nil {
			t.Fatalf("%q: %v\n%s", argv, err, out)
		}
	}
	result, _ := d.agents(t.Context())
	if result.Status != OK {
		t.Errorf("got %+v", result)
	}
	saysAll(t, result, sock+": 1")
}

// TestRealState: what is not there yet is no fault, in a real home.
func TestRealState(t *testing.T) {
	t.Setenv("HOME", t.TempDir())
	t.Setenv("XDG_STATE_HOME", "")
	t.Setenv("XDG_RUNTIME_DIR", t.TempDir())
	if holds, err := (System{}).Holds(); err != nil || len(holds) != 0 {
		t.Errorf("got holds %v, %v", holds, err)
	}
	if _, err := (System{}).Screen(consent.Screen{Display: ":987"}); !errors.Is(err, prompt.ErrNoDisplay) {
		t.Errorf("a display that is not there: got %v", err)
	}
	if known, err := (System{}).KnownHosts(false); err != nil || known == nil {
		t.Errorf("got known hosts %v, %v", known, err)
	}
}

// TestRealAuditFile: as the guards make it, it is well; with a second name they
// do not use it.
func TestRealAuditFile(t *testing.T) {
	t.Setenv("XDG_STATE_HOME", t.TempDir())
	log, err := audit.Open(audit.Options{Daemon: "test", Getenv: os.Getenv})
	if err != nil {
		t.Fatal(err)
	}
	if err := log.Record(nil, "call opened", logrus.InfoLevel); err != nil {
		t.Fatal(err)
	}
	log.Close()
	d := &diagnosis{env: System{}}
	if result, _ := d.audit(t.Context()); result.Status != OK {
		t.Errorf("got %+v", result)
	}
	if err := os.Link(d.auditPath(), d.auditPath()+".link"); err != nil {
		t.Fatal(err)
	}
	if result, _ := d.audit(t.Context()); result.Status != Warning {
		t.Errorf("with a second name: got %+v", result)
	}
}

// missing skips a test for want of a program, but not where everything must run.
func missing(t *testing.T, tool string) {
	t.Helper()
	if os.Getenv("CI") != "" {
		t.Fatalf("%s is missing", tool)
	}
	t.Skipf("%s is missing", tool)
}
