package upstream_test

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/splitvault/splitvault/pkg/sshagent"
	"github.com/splitvault/splitvault/pkg/sshagent/agenttest"
	"github.com/splitvault/splitvault/pkg/sshagent/bind"
	"github.com/splitvault/splitvault/pkg/upstream"
)

// gpgAgent starts a gpg-agent with a home of its own and one Ed25519 key that it
// offers to ssh, and returns its socket.
func gpgAgent(t *testing.T) string {
	t.Helper()
	agenttest.Need(t, "gpg", "gpg-agent", "gpgconf")
	home := shortDir(t)
	if err := os.WriteFile(filepath.Join(home, "gpg-agent.conf"), []byte("enable-ssh-support\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	run := func(program string, args ...string) string {
		cmd := exec.Command(program, append([]string{"--homedir", home}, args...)...)
		var stderr bytes.Buffer
		cmd.Stderr = &stderr
		out, err := cmd.Output()
		if err != nil {
			t.Fatalf("%s %q: %v\n%s", program, args, err, stderr.Bytes())
		}
		return string(out)
	}
	socket := strings.TrimSpace(run("gpgconf", "--list-dirs", "agent-ssh-socket"))
	// In the foreground it is ended with the test.
	daemon := exec.Command("gpg-agent", "--homedir", home, "--daemon", "--no-detach")
	daemon.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + home}
	if err := daemon.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = daemon.Process.Kill()
		_ = daemon.Wait()
	})
	for i := 0; ; i++ {
		if _, err := os.Stat(socket); err == nil {
			break
		}
		if i == 500 {
			t.Fatal("gpg-agent did not start")
		}
		time.Sleep(10 * time.Millisecond)
	}
	run("gpg", "--batch", "--passphrase", "", "--quick-generate-key", "test <test@example.org>", "ed25519", "auth", "never")
	for line := range strings.Lines(run("gpg", "--with-colons", "--with-keygrip", "-K")) {
		if fields := strings.Split(line, ":"); fields[0] == "grp" {
			if err := os.WriteFile(filepath.Join(home, "sshcontrol"), []byte(fields[9]+"\n"), 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	return socket
}

func TestGPGAgent(t *testing.T) {
	t.Parallel()
	socket := gpgAgent(t)
	link := filepath.Join(shortDir(t), "agent.sock")
	if err := os.Symlink(socket, link); err != nil {
		t.Fatal(err)
	}
	for name, path := range map[string]string{"by its own name": socket, "by a link": link} {
		t.Run(name, func(t *testing.T) {
			a := dial(t, path)
			var binds bind.List
			newHost(t).bind(t, &binds, "session", false) // to which it would say 05
			ids, err := a.List(t.Context(), &binds)
			if err != nil || len(ids) != 1 {
				t.Fatalf("listed %d keys, %v", len(ids), err)
			}
			k, err := sshagent.ParseKey(ids[0].Blob)
			if err != nil || k.Format != sshagent.FormatEd25519 {
				t.Fatalf("listed a key of format %q, %v", k.Format, err)
			}
			reply, err := a.Sign(t.Context(), &binds, true, request(t, k.Blob, login(k.Blob, "session", nil)))
			if err != nil {
				t.Fatal(err)
			}
			if err := sshagent.CheckSignReply(reply, k, 0); err != nil {
				t.Error(err)
			}
			large := request(t, k.Blob, make([]byte, sshagent.MaxGPGRequest))
			if _, err := a.Sign(t.Context(), &binds, true, large); !errors.Is(err, upstream.ErrTooLarge) {
				t.Errorf("the large request: %v", err)
			}
			if a.Broken() || !a.Reusable() {
				t.Errorf("broken %v, reusable %v", a.Broken(), a.Reusable())
			}
		})
	}
}
