package attacks

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"encoding/pem"
	"errors"
	"fmt"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/splitvault/splitvault/test/baseline"
	"github.com/splitvault/splitvault/test/qubes/bench"
	"github.com/splitvault/splitvault/test/qubes/bench/machine"
	"github.com/splitvault/splitvault/test/qubes/bench/roots"
)

const (
	agentSocket = "/run/user/1000/agent.sock"
	rulesFile   = ".config/splitvault/rules.toml"
)

// openRules let every qube use, for the usual purposes, the keys that are named
// "free".
const openRules = `
[ssh.agents]
default = "%t/agent.sock"

[[ssh.rule]]
qube = "*"
keys = ["comment:free"]
decision = "allow"
`

// world is a vault, the attacker's qube "work" and another client's, on one root.
type world struct {
	bench              *bench.Test
	vault, work, other *bench.Qube

	key    ed25519.PrivateKey // "free" in the vault's agent
	rsa    *rsa.PrivateKey    // for what only RSA keys can
	socket string             // of the vault's agent
	want   []string           // what the vault's own ssh-add -L should print
}

// TestAttacks runs every attack on every root.
func TestAttacks(t *testing.T) {
	kit := bench.Prepare(t)
	sender, err := baseline.Program(t.Context(), "test/attacks/sender")
	if err != nil {
		t.Fatal(err)
	}
	for _, suite := range roots.Suites() {
		t.Run(suite, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, kit, suite, sender)
			for _, attack := range attacks() {
				t.Run(attack.name, func(t *testing.T) { attack.run(w, t) })
			}
		})
	}
}

type attack struct {
	name string
	run  func(w *world, t *testing.T)
}

func newWorld(t *testing.T, kit *bench.Kit, suite string, sender []byte) *world {
	t.Helper()
	w := &world{bench: kit.New(t, suite)}
	w.bench.Policy(slices.Concat(baseline.Policy("work"), baseline.Policy("other"),
		[]string{"qubes.Ssh * work @anyvm allow target=vault", "qubes.Ssh * other @anyvm allow target=vault"})...)
	w.vault = w.bench.Boot("vault")
	w.work = w.bench.Boot("work", "splitvault-ssh")
	w.other = w.bench.Boot("other", "splitvault-ssh")
	ctx := t.Context()
	must(t, baseline.Vault(ctx, w.vault, agentSocket))
	must(t, baseline.Client(ctx, w.work))
	must(t, baseline.Client(ctx, w.other))
	t.Cleanup(func() { w.endBaseline(t) })
	must(t, baseline.Put(ctx, w.work, map[string][]byte{"/usr/local/bin/sender": sender}))
	var err error
	_, w.key, err = ed25519.GenerateKey(rand.Reader)
	must(t, err)
	w.rsa, err = rsa.GenerateKey(rand.Reader, 2048)
	must(t, err)
	return w
}

// endBaseline removes what the raw relay leaves: each of its connections that
// ends badly stays as a failed unit.
func (w *world) endBaseline(t *testing.T) {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second) // the test's own is over
	defer cancel()
	for _, q := range []*bench.Qube{w.work, w.other} {
		if _, err := q.User(ctx, "systemctl --user stop 'seed-ssh*' && systemctl --user reset-failed 'seed-ssh*'"); err != nil {
			t.Error(err)
		}
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// rules gives the vault a rules file.
func (w *world) rules(t *testing.T, text string) {
	t.Helper()
	must(t, w.vault.Put(t.Context(), rulesFile, []byte(text)))
}

// agent starts an OpenSSH agent in the vault, instead of the one before, with
// the key "free" and properties of its service ("-p", "LimitNOFILE=64").
func (w *world) agent(t *testing.T, properties ...string) {
	t.Helper()
	w.stopAgent(t)
	w.rules(t, openRules)
	args := append([]string{"systemd-run", "--user", "--quiet", "--collect", "--unit=agent", "-p", "ExecStopPost=rm -f " + agentSocket}, properties...)
	if _, err := w.vault.User(t.Context(), append(args, "ssh-agent", "-D", "-a", agentSocket)...); err != nil {
		t.Fatal(err)
	}
	w.listens(t, agentSocket)
	w.socket, w.want = agentSocket, nil
	w.add(t, w.key, "free")
}

// listens waits until an agent serves its socket: there is a moment in which that is
// there, and refuses.
func (w *world) listens(t *testing.T, socket string) {
	t.Helper()
	if _, err := w.vault.User(t.Context(), "export SSH_AUTH_SOCK="+socket+"; until ssh-add -l >/dev/null 2>&1 || test $? = 1; do sleep 0.01; done"); err != nil {
		t.Fatal(err)
	}
}

func (w *world) stopAgent(t *testing.T) {
	t.Helper()
	_, _ = w.vault.User(t.Context(), "systemctl", "--user", "stop", "agent.service") // it may have died in the attack before
	if _, err := w.vault.User(t.Context(), "rm -f "+agentSocket); err != nil {
		t.Fatal(err)
	}
}

// add adds a key in the vault.
func (w *world) add(t *testing.T, key crypto.PrivateKey, comment string, options ...string) {
	t.Helper()
	block, err := ssh.MarshalPrivateKey(key, comment)
	must(t, err)
	cmd := w.vault.Command(t.Context(), machine.AsUser, append([]string{"env", "SSH_AUTH_SOCK=" + agentSocket, "ssh-add", "-q"}, append(options, "-")...)...)
	cmd.Stdin = bytes.NewReader(pem.EncodeToMemory(block))
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("ssh-add in the vault: %v: %s", err, out)
	}
	w.want = append(w.want, strings.TrimSpace(string(ssh.MarshalAuthorizedKey(public(t, key))))+" "+comment)
}

// keys is what the vault's own user sees in the agent: ssh-add -L, or what it
// says instead.
func (w *world) keys(t *testing.T) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	out, err := w.vault.Command(ctx, machine.AsUser, "env", "SSH_AUTH_SOCK="+w.socket, "ssh-add", "-L").CombinedOutput()
	if _, ok := errors.AsType[*exec.ExitError](err); err != nil && !ok {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(out))
}

// check fails the test if an attack had an effect on the agent, or if honest
// work is no longer possible: a real list and a real signature, from the qube
// that attacked and from another one.
func (w *world) check(t *testing.T) {
	t.Helper()
	if got, want := w.keys(t), strings.Join(w.want, "\n"); got != want {
		t.Errorf("the vault's agent now says:\n%s\nwant:\n%s", got, want)
	}
	w.honest(t)
}

const honestWork = `set -e
export SSH_AUTH_SOCK=$XDG_RUNTIME_DIR/ssh/S.ssh-agent
dir=$(mktemp -d)
cd "$dir"
ssh-add -L | head -n1 >key.pub
echo text >file
ssh-keygen -q -Y sign -n file -f key.pub file
ssh-keygen -Y check-novalidate -n file -s file.sig <file
rm -r "$dir"`

func (w *world) honest(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	for _, q := range []*bench.Qube{w.work, w.other} {
		out, err := q.User(ctx, honestWork)
		if err != nil {
			t.Errorf("honest work fails: %v", err)
		}
		if want := "Good \"file\" signature"; !strings.Contains(out, want) {
			t.Errorf("%s: ssh-keygen says %q", q.Name(), out)
		}
	}
}

// control runs an attack through the raw relay against a fresh agent, to see
// that it is one.
func (w *world) control(t *testing.T, fresh func(), attack func(t *testing.T)) {
	t.Helper()
	fresh()
	t.Run("raw-relay", attack)
}

// through runs an attack by all of our ways, each against a fresh agent.
func (w *world) through(t *testing.T, fresh func(), attack func(t *testing.T, w way)) {
	t.Helper()
	for _, way := range ours() {
		fresh()
		t.Run("splitvault-by-"+way.name, func(t *testing.T) {
			attack(t, way)
			w.check(t)
		})
	}
}

// effect asserts what the control run must show.
func effect(t *testing.T, shown bool, format string, v ...any) {
	t.Helper()
	if !shown {
		t.Errorf("the attack has no effect through the raw relay, so that this test proves nothing: %s", fmt.Sprintf(format, v...))
	}
}
