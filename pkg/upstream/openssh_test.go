package upstream_test

import (
	"bytes"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/splitvault/splitvault/pkg/sshagent"
	"github.com/splitvault/splitvault/pkg/sshagent/agenttest"
	"github.com/splitvault/splitvault/pkg/sshagent/bind"
	"github.com/splitvault/splitvault/pkg/upstream"
)

func TestListAndSign(t *testing.T) {
	t.Parallel()
	real := agenttest.Start(t)
	var none bind.List
	if got := comments(t, dial(t, real.Socket), &none); len(got) != 0 {
		t.Errorf("an empty agent lists %q", got)
	}
	real.AddKey(t, "ed", "ed25519", "", "")
	a := dial(t, real.Socket)
	if a.Unmarked() {
		t.Error("a connection without our mark is open, though no key needs it")
	}
	if got := comments(t, a, &none); !slices.Equal(got, []string{"ed"}) {
		t.Fatalf("listed: %q", got)
	}
	key := blob(t, a, &none, "ed")
	reply, err := a.Sign(t.Context(), &none, true, request(t, key, []byte("data")))
	if err != nil {
		t.Fatal(err)
	}
	k, err := sshagent.ParseKey(key)
	if err != nil {
		t.Fatal(err)
	}
	if err := sshagent.CheckSignReply(reply, k, 0); err != nil {
		t.Error(err)
	}
}

func TestALockedAgentListsAndSignsNothing(t *testing.T) {
	t.Parallel()
	real := agenttest.Start(t)
	real.AddKey(t, "ed", "ed25519", "", "")
	var none bind.List
	key := blob(t, dial(t, real.Socket), &none, "ed")
	lock := agenttest.Frame(t, append([]byte{byte(sshagent.TypeLock)}, agenttest.Strings("secret")...))
	if got := real.Dial(t).Ask(t, lock); got.Type() != sshagent.TypeSuccess {
		t.Fatalf("locking: %v", got.Type())
	}
	a := dial(t, real.Socket)
	if got := comments(t, a, &none); len(got) != 0 {
		t.Errorf("listed: %q", got)
	}
	reply, err := a.Sign(t.Context(), &none, true, request(t, key, []byte("data")))
	if err != nil || reply.Type() != sshagent.TypeFailure {
		t.Errorf("signing: %v, %v", reply.Type(), err)
	}
}

// CVE-2023-38408: an agent that loads the library that a remote client names.
// Nothing of the kind gets through the guard; if it did, the agent would refuse.
func TestTheMarkKeepsTheAgentFromLoadingLibraries(t *testing.T) {
	t.Parallel()
	agenttest.Need(t, "softhsm2-util")
	library := softHSM(t)
	real := agenttest.Start(t)
	token(t, real)
	load := agenttest.Frame(t, append([]byte{byte(sshagent.TypeAddSmartcardKey)}, agenttest.Strings(library, "1234")...))
	a := dial(t, real.Socket)
	reply, err := a.SendMarked(t.Context(), load)
	if err != nil || reply.Type() != sshagent.TypeFailure {
		t.Errorf("through our connection: %v, %v", reply.Type(), err)
	}
	if got := real.Dial(t).Ask(t, load); got.Type() != sshagent.TypeSuccess {
		t.Fatalf("the agent refuses the library in any case (%v), which proves nothing", got.Type())
	}
}

// softHSM returns the library as Debian or Fedora install it. ssh-agent follows
// links before it looks whether the place is one for libraries.
func softHSM(t *testing.T) string {
	t.Helper()
	for _, path := range []string{"/usr/lib/softhsm/libsofthsm2.so", "/usr/lib64/softhsm/libsofthsm2.so", "/usr/lib64/pkcs11/libsofthsm2.so"} {
		if library, err := filepath.EvalSymlinks(path); err == nil {
			return library
		}
	}
	t.Fatal("softhsm2-util is installed, libsofthsm2.so is not")
	return ""
}

// token makes a PKCS#11 token with one key in the agent's home.
func token(t *testing.T, real *agenttest.Agent) {
	t.Helper()
	config, tokens := filepath.Join(real.Dir, ".config/softhsm2"), filepath.Join(real.Dir, "tokens")
	for _, dir := range []string{config, tokens} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(config, "softhsm2.conf"), []byte("directories.tokendir = "+tokens+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	real.Run(t, "ssh-keygen", "-q", "-t", "rsa", "-b", "2048", "-m", "PKCS8", "-N", "", "-f", "pkcs8")
	real.Run(t, "softhsm2-util", "--init-token", "--free", "--label", "test", "--pin", "1234", "--so-pin", "1234")
	real.Run(t, "softhsm2-util", "--import", "pkcs8", "--label", "key", "--id", "01", "--token", "test", "--pin", "1234")
}

// constrained is an agent with a key for everything and one for a single host.
func constrained(t *testing.T) (real *agenttest.Agent, h host) {
	t.Helper()
	real, h = agenttest.Start(t), newHost(t)
	line := "host.example " + string(ssh.MarshalAuthorizedKey(h.PublicKey()))
	if err := os.WriteFile(filepath.Join(real.Dir, "known"), []byte(line), 0o600); err != nil {
		t.Fatal(err)
	}
	real.AddKey(t, "free", "ed25519", "", "")
	real.AddKey(t, "tied", "ed25519", "", "", "-H", "known", "-h", "host.example")
	return real, h
}

func TestKeysForCertainHostsShowOnlyToSessionsWithThatHost(t *testing.T) {
	t.Parallel()
	real, h := constrained(t)
	stranger := newHost(t)
	for _, row := range []struct {
		name string
		bind func(binds *bind.List)
		want []string
	}{
		{"no binding", func(*bind.List) {}, []string{"free"}},
		{"that host", func(l *bind.List) { h.bind(t, l, "session", false) }, []string{"free", "tied"}},
		{"another host", func(l *bind.List) { stranger.bind(t, l, "session", false) }, []string{"free"}},
		{"that host, through another", func(l *bind.List) {
			stranger.bind(t, l, "first", true)
			h.bind(t, l, "second", false)
		}, []string{"free"}},
		{"a host whose signature the agent cannot verify", func(l *bind.List) {
			const format = "ssh-mldsa44-ed25519@openssh.com"
			add(t, l, sshagent.BindRequest{
				HostKey: agenttest.Strings(format, "key"), SessionID: []byte("session"), Signature: agenttest.Strings(format, "sig"),
			})
		}, []string{"free"}},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			a := dial(t, real.Socket)
			if !a.Unmarked() {
				t.Fatal("the key for one host was not noticed")
			}
			var binds bind.List
			row.bind(&binds)
			for range 2 { // bindings are passed on once
				if got := comments(t, a, &binds); !slices.Equal(got, row.want) {
					t.Errorf("listed: %q, want %q", got, row.want)
				}
			}
			if a.Reusable() != (len(binds.Frames()) == 0) {
				t.Errorf("reusable for another client: %v", a.Reusable())
			}
			if a.Broken() {
				t.Error("the agent counts as broken")
			}
			key := blob(t, a, &binds, "free")
			reply, err := a.Sign(t.Context(), &binds, true, request(t, key, []byte("data")))
			if err != nil || reply.Type() != sshagent.TypeSignResponse {
				t.Errorf("signing with the free key: %v, %v", reply.Type(), err)
			}
		})
	}
}

func TestAKeyForOneHostSignsOnlyForIt(t *testing.T) {
	t.Parallel()
	real, h := constrained(t)
	stranger := newHost(t)
	a := dial(t, real.Socket)
	var binds bind.List
	h.bind(t, &binds, "session", false)
	key := blob(t, a, &binds, "tied")
	for _, row := range []struct {
		name string
		data []byte
		want sshagent.MessageType
	}{
		{"login there", login(key, "session", h.blob()), sshagent.TypeSignResponse},
		{"login in another session", login(key, "other", h.blob()), sshagent.TypeFailure},
		{"login elsewhere", login(key, "session", stranger.blob()), sshagent.TypeFailure},
		{"any bytes", []byte("data"), sshagent.TypeFailure},
	} {
		reply, err := a.Sign(t.Context(), &binds, true, request(t, key, row.data))
		if err != nil || reply.Type() != row.want {
			t.Errorf("%s: %v, %v", row.name, reply.Type(), err)
		}
	}
}

// The agent itself would sign: the binding is good, only its host key is the
// client's own.
func TestAForgedBindingDoesNotReachAKeyForOneHost(t *testing.T) {
	t.Parallel()
	real, h := constrained(t)
	a := dial(t, real.Socket)
	var binds bind.List
	h.bind(t, &binds, "session", false)
	key := blob(t, a, &binds, "tied")
	plain := login(key, "session", nil)
	if reply, err := a.Sign(t.Context(), &binds, false, request(t, key, plain)); err != nil || reply.Type() != sshagent.TypeFailure {
		t.Errorf("unproven: %v, %v", reply.Type(), err)
	}
	if reply, err := a.Sign(t.Context(), &binds, true, request(t, key, plain)); err != nil || reply.Type() != sshagent.TypeSignResponse {
		t.Errorf("proven, for control: %v, %v", reply.Type(), err)
	}
}

func TestAnAgentThatDiesIsBrokenAndItsSuccessorIsFound(t *testing.T) {
	t.Parallel()
	agenttest.Need(t, "ssh-agent")
	path := filepath.Join(shortDir(t), "agent")
	stop := startAgent(t, path)
	a := dial(t, path)
	ended, unwatch, err := upstream.Agents{a}.Watch()
	if err != nil {
		t.Fatal(err)
	}
	defer unwatch()
	select {
	case <-ended:
		t.Error("it is said to have ended while it runs")
	case <-time.After(50 * time.Millisecond):
	}
	stop()
	select {
	case <-ended:
	case <-time.After(10 * time.Second):
		t.Error("nobody is told that it has ended")
	}
	var none bind.List
	if _, err := a.List(t.Context(), &none); err == nil || !a.Broken() {
		t.Errorf("after its end: %v, broken %v", err, a.Broken())
	}
	if _, err := upstream.Dial(t.Context(), path); err == nil {
		t.Error("a dead agent's socket connects")
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	startAgent(t, path)
	if got := comments(t, dial(t, path), &none); len(got) != 0 {
		t.Errorf("listed: %q", got)
	}
}

// startAgent starts an agent that the test can end.
func startAgent(t *testing.T, path string) (stop func()) {
	t.Helper()
	cmd := exec.Command("ssh-agent", "-D", "-a", path)
	cmd.Env = []string{"PATH=" + os.Getenv("PATH")}
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := false
	stop = func() {
		if !ended {
			ended = true
			_ = cmd.Process.Kill()
			_ = cmd.Wait()
		}
	}
	t.Cleanup(stop)
	for range 500 {
		// The socket is there a moment before the agent listens.
		if conn, err := net.Dial("unix", path); err == nil {
			_ = conn.Close()
			return stop
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatalf("no socket: %s", strings.TrimSpace(out.String()))
	return nil
}
