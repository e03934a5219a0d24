package attacks

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"strings"
	"testing"
	"time"

	"github.com/splitvault/splitvault/test/baseline"
)

// agreeable is a pinentry whose person says yes to everything.
const agreeable = `#!/bin/sh
echo OK
while read -r command rest; do
	case $command in
	GETPIN) printf 'D secret\nOK\n' ;;
	BYE) echo OK && exit ;;
	*) echo OK ;;
	esac
done
`

const gpgRules = `
[ssh.agents]
default = "%t/gnupg/S.gpg-agent.ssh"

[[ssh.rule]]
qube = "*"
decision = "allow"
`

// gpgAgent starts a gpg-agent with one key in the vault, instead of the agent
// before, at the socket that Debian gives it.
func (w *world) gpgAgent(t *testing.T) {
	t.Helper()
	w.stopAgent(t)
	w.rules(t, gpgRules)
	must(t, baseline.Put(t.Context(), w.vault, map[string][]byte{"/usr/local/bin/agreeable": []byte(agreeable)}))
	if _, err := w.vault.User(t.Context(), endGPGAgent+`
set -e
rm -rf .gnupg `+baseline.SeedAgent+`
mkdir -m 0700 .gnupg
echo pinentry-program /usr/local/bin/agreeable >.gnupg/gpg-agent.conf
systemctl --user start gpg-agent.socket gpg-agent-ssh.socket
gpg --batch --quiet --passphrase '' --quick-gen-key vault ed25519 auth never
gpg --with-keygrip --with-colons --list-secret-keys | sed -n 's/^grp:*\(.*\):$/\1/p' >.gnupg/sshcontrol`); err != nil {
		t.Fatal(err)
	}
	w.socket = baseline.SeedAgent
	w.want = strings.Split(w.keys(t), "\n")
	if len(w.want) != 1 || !strings.HasPrefix(w.want[0], "ssh-ed25519 ") {
		t.Fatalf("gpg-agent's keys: %q", w.want)
	}
	t.Cleanup(func() { w.restoreSocket(t) })
}

// endGPGAgent kills the agent, whoever started it: when asked to end, it waits
// for its clients.
const endGPGAgent = `pid=$(gpg-connect-agent --no-autostart 'GETINFO pid' /bye 2>/dev/null | sed -n 's/^D //p')
systemctl --user stop gpg-agent.socket gpg-agent-ssh.socket gpg-agent-browser.socket gpg-agent-extra.socket 2>/dev/null
if [ -n "$pid" ]; then
	kill -KILL $pid
	while kill -0 $pid 2>/dev/null; do sleep 0.01; done
fi
systemctl --user reset-failed`

// restoreSocket gives the socket's name back to the OpenSSH agent.
func (w *world) restoreSocket(t *testing.T) {
	t.Helper()
	// The test's own context has ended when this runs.
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	_, err := w.vault.User(ctx, endGPGAgent+`
ln -sfn `+agentSocket+" "+baseline.SeedAgent)
	must(t, err)
}

// injectKeyGPG: gpg-agent asks its person for a passphrase, and keeps the key on
// disk and in use for good.
func (w *world) injectKeyGPG(t *testing.T) {
	_, mine, err := ed25519.GenerateKey(rand.Reader)
	must(t, err)
	add := message(addIdentity, str("ssh-ed25519"), str([]byte(mine.Public().(ed25519.PublicKey))), str([]byte(mine)), str("free"))
	onDisk := func() string {
		out, err := w.vault.User(t.Context(), "ls .gnupg/private-keys-v1.d; grep -v ^# .gnupg/sshcontrol")
		must(t, err)
		return out
	}
	fresh := func() { w.gpgAgent(t) }
	w.control(t, fresh, func(t *testing.T) {
		before := onDisk()
		raw().dial(t, w.work).ask(t, add)
		effect(t, len(onDisk()) > len(before), "on disk is %q", onDisk())
	})
	w.through(t, fresh, func(t *testing.T, way way) {
		before := onDisk()
		way.dial(t, w.work).refused(t, add)
		if got := onDisk(); got != before {
			t.Errorf("on disk is %q, before %q", got, before)
		}
	})
}

// hugeMessagesGPG: gpg-agent puts each message into its small pool of memory
// that is never swapped, as soon as its length is there. Who announces long ones
// and waits takes it all, and no other client's key can be used.
func (w *world) hugeMessagesGPG(t *testing.T) {
	begin := func(t *testing.T, way way) {
		t.Helper()
		// Large ones first, then what fits between: 64 KiB in all.
		for _, size := range []int{15000, 4000, 1500, 600, 250, 100} {
			for range 4 {
				way.dial(t, w.work).send(message(sign, make([]byte, size))[:64])
			}
			time.Sleep(200 * time.Millisecond) // until they are there: nothing tells
		}
	}
	use := func(t *testing.T, way way) ([]byte, error) {
		t.Helper()
		key := blobOf(t, w.want[0])
		return way.dial(t, w.other).send(message(sign, str(key), str(fileSignature()), u32(0))).answer(5 * time.Second)
	}
	fresh := func() { w.gpgAgent(t) }
	w.control(t, fresh, func(t *testing.T) {
		begin(t, raw())
		answer, err := use(t, raw())
		effect(t, err != nil || answer[0] != signAnswer, "another qube's signature: %.20x, %v", answer, err)
	})
	w.through(t, fresh, func(t *testing.T, way way) {
		begin(t, way)
		answer, err := use(t, way)
		if err != nil || answer[0] != signAnswer {
			t.Errorf("another qube's signature: %.20x, %v", answer, err)
		}
	})
}
