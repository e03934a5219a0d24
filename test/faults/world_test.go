package faults

import (
	"context"
	_ "embed"
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/splitvault/splitvault/test/qubes/bench"
	"github.com/splitvault/splitvault/test/signer"
)

// world is a client qube and a vault with all three services, whose agents come up by
// themselves whenever the vault boots.
type world struct {
	*bench.Test
	suite       string
	vault, work *bench.Qube
	bare        map[string]string // what a quiet qube looks like, by name
}

const rules = `
[ssh.agents]
default = "%t/agent.sock"

[[ssh.rule]]
qube = "work"
purpose = ["login", "sshsig:file"]
decision = "allow"

[[clef.rule]]
qube = "work"
methods = ["account_list", "account_signData"]
decision = "allow"

[[pass.rule]]
qube = "work"
entries = ["work/**"]
decision = "allow"
`

const rulesPath = ".config/splitvault/rules.toml"

const policyLines = `qubes.Ssh * work @anyvm allow target=vault
qubes.Clefsign * work @anyvm allow target=vault
pass.ListPasswords * work @anyvm allow target=vault
pass.GetPassword * work @anyvm allow target=vault
pass.GetField * work @anyvm allow target=vault
pass.InsertPassword * work @anyvm allow target=vault`

// The vault's agents, as services of its user that survive a restart of the vault.
const (
	// The ssh agent's socket gets its name when the agent has its key: before that it
	// would truly say that it has none.
	agentUnit = `[Service]
ExecStartPre=-rm -f %t/agent.sock %t/agent.new
ExecStart=ssh-agent -D -a %t/agent.new
ExecStartPost=sh -c 'until SSH_AUTH_SOCK=$XDG_RUNTIME_DIR/agent.new ssh-add -q key; do sleep 0.02; done; mv $XDG_RUNTIME_DIR/agent.new $XDG_RUNTIME_DIR/agent.sock'
WorkingDirectory=%h
Restart=always
RestartSec=100ms
[Unit]
StartLimitIntervalSec=0
[Install]
WantedBy=default.target
`
	// The backend's own unit, with a pipe for the terminal. That it is killed every
	// few seconds is nobody who closes its window. As in a window, what Clef says is not
	// the journal's: a Clef that writes there ends with journald on systemd 252.
	clefDropIn = `[Unit]
StartLimitIntervalSec=0
PartOf=
[Service]
ExecStart=
Environment=PATH=%h:/usr/bin:/bin
ExecStart=sh -c "exec clef-unattended >%h/clef.out 2>&1"
`
	store = `set -e
mkdir -m 700 -p .gnupg
printf '%s\n' batch no-tty 'trust-model always' >.gnupg/gpg.conf
gpg -q --batch --passphrase '' --quick-generate-key 'Vault <vault@example.invalid>' future-default default never
pass init vault@example.invalid >/dev/null
seq 5000 | pass insert -m work/long >/dev/null
echo hunter2 | pass insert -m work/short >/dev/null
echo honey | pass insert -m private/pot >/dev/null
ssh-keygen -q -t ed25519 -N '' -C laptop -f key
systemctl --user daemon-reload
systemctl --user -q enable --now agent.service
until SSH_AUTH_SOCK=$XDG_RUNTIME_DIR/agent.sock ssh-add -l >/dev/null; do sleep 0.02; done
`
)

//go:embed census.sh
var census string

// newWorld boots the qubes, and sees each service work once.
func newWorld(t *testing.T, kit *bench.Kit, suite string, client []byte) *world {
	t.Helper()
	signer.Require(t)
	b := kit.New(t, suite)
	b.Policy(strings.Split(policyLines, "\n")...)
	w := &world{Test: b, suite: suite, bare: map[string]string{}}
	w.vault = b.Boot("vault")
	w.work = b.Boot("work", "splitvault-ssh", "splitvault-clef", "splitvault-pass")
	ctx := t.Context()
	must(t, w.putClef(ctx))
	put := map[string]string{
		rulesPath: rules, ".config/systemd/user/agent.service": agentUnit,
	}
	for path, text := range put {
		must(t, w.vault.Put(ctx, path, []byte(text)))
	}
	must(t, second(w.vault.User(ctx, store)))
	key, err := w.vault.User(ctx, "cat key.pub")
	must(t, err)
	must(t, w.work.Put(ctx, "key.pub", []byte(key)))
	for _, s := range services() {
		must(t, w.work.Put(ctx, "ask-"+s.name, []byte("#!/bin/sh\n"+s.request)))
	}
	for _, q := range []*bench.Qube{w.vault, w.work} {
		must(t, q.Put(ctx, "client", client))
		must(t, second(q.User(ctx, "chmod 700 client")))
		must(t, q.Put(ctx, "/usr/local/bin/census", []byte(census)))
	}
	for _, s := range services() {
		if a := w.ask(ctx, s, 30*time.Second); !a.good(s) {
			t.Fatalf("%s does not work at all: %v %s", s.name, a.err, a.said)
		}
	}
	return w
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func second(_ string, err error) error { return err }

// putClef makes the vault's backend the real Clef, with the key of package signer.
func (w *world) putClef(ctx context.Context) error {
	binary, err := signer.Binary()
	if err != nil {
		return err
	}
	program, err := os.ReadFile(binary)
	if err != nil {
		return err
	}
	home, err := signer.Files()
	if err != nil {
		return err
	}
	errs := []error{
		w.vault.Put(ctx, "clef", program),
		w.vault.Put(ctx, "clef-unattended", []byte(signer.Unattended)),
		w.vault.Put(ctx, ".config/systemd/user/splitvault-clef-backend.service.d/test.conf", []byte(clefDropIn)),
	}
	for name, content := range home {
		errs = append(errs, w.vault.Put(ctx, name, content))
	}
	_, err = w.vault.User(ctx, "chmod 700 clef clef-unattended && chmod -R go= .clef .ethereum && find .clef -type f -exec chmod 400 {} + && systemctl --user daemon-reload")
	return errors.Join(append(errs, err)...)
}
