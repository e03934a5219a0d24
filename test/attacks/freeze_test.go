package attacks

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/splitvault/splitvault/test/baseline"
)

// askpass is the prompt of a person who is away.
const askpass = `#!/bin/sh
echo $$ >` + evidence + `/asked
exec sleep 60
`

// freeze: ssh-agent asks before it uses a key that was added with -c, and serves
// nobody meanwhile; the prompt stays when the client has gone.
func (w *world) freeze(t *testing.T) {
	must(t, baseline.Put(t.Context(), w.vault, map[string][]byte{"/usr/local/bin/away": []byte(askpass)}))
	_, touchy, err := ed25519.GenerateKey(rand.Reader)
	must(t, err)
	fresh := func() {
		if _, err := w.vault.User(t.Context(), "rm -rf "+evidence+" && mkdir "+evidence); err != nil {
			t.Fatal(err)
		}
		w.agent(t, "--setenv=SSH_ASKPASS=/usr/local/bin/away", "--setenv=SSH_ASKPASS_REQUIRE=force", "--setenv=DISPLAY=:0")
		w.add(t, touchy, "touchy", "-c")
	}
	request := signRequest(public(t, touchy), fileSignature(), 0)
	w.control(t, fresh, func(t *testing.T) {
		l := raw().dial(t, w.work).send(request)
		effect(t, w.prompt(t, 5*time.Second) != "", "nobody is asked")
		_, err := raw().dial(t, w.other).send(message(list)).answer(time.Second)
		effect(t, errors.Is(err, errSilent), "another qube is served: %v", err)
		l.close()
		_, err = raw().dial(t, w.other).send(message(list)).answer(time.Second)
		effect(t, errors.Is(err, errSilent), "another qube is served after the attacker has gone: %v", err)
	})
	w.through(t, fresh, func(t *testing.T, way way) {
		attacker := way.dial(t, w.work)
		attacker.refused(t, request)
		if _, err := way.dial(t, w.other).send(message(list)).answer(5 * time.Second); err != nil {
			t.Errorf("another qube is not served: %v", err)
		}
		if w.prompt(t, 0) != "" {
			t.Error("somebody is asked")
		}
	})
}

// prompt waits for a prompt and returns its process, "" if there is none.
func (w *world) prompt(t *testing.T, within time.Duration) string {
	t.Helper()
	for deadline := time.Now().Add(within); ; time.Sleep(20 * time.Millisecond) {
		out, err := w.vault.User(t.Context(), "cat "+evidence+"/asked 2>/dev/null || true")
		must(t, err)
		if out != "" || time.Now().After(deadline) {
			return strings.TrimSpace(out)
		}
	}
}

// servedIn lists keys in the other qube and returns what goes wrong.
func (w *world) servedIn(t *testing.T, way way) error {
	t.Helper()
	l := way.dial(t, w.other)
	defer l.close()
	_, err := l.send(message(list)).answer(2 * time.Second)
	return err
}

// hold opens connections in the attacker's qube, lists keys on each, and keeps
// them until the test ends.
//
// It returns what lets them go.
func (w *world) hold(t *testing.T, way way, connections int) (stop func()) {
	t.Helper()
	script := `rm -f /tmp/held; for i in $(seq ` + strconv.Itoa(connections) + `); do { printf '\0\0\0\1\013'; sleep 300; } | "$@" >>/tmp/held & done; wait`
	args := append([]string{"systemd-run", "--user", "--quiet", "--collect", "--unit=hold", "sh", "-c", script, "sh"}, way.command...)
	if _, err := w.work.User(t.Context(), args...); err != nil {
		t.Fatal(err)
	}
	stop = sync.OnceFunc(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second) // the test's own may be over
		defer cancel()
		if _, err := w.work.User(ctx, "systemctl", "--user", "stop", "hold.service"); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(stop)
	return stop
}

// holdConnections: an agent that has used up its file descriptors accepts
// nobody any more.
func (w *world) holdConnections(t *testing.T) {
	const connections = 60
	fresh := func() { w.agent(t, "-p", "LimitNOFILE=64") }
	w.control(t, fresh, func(t *testing.T) {
		w.hold(t, raw(), connections)
		var err error
		for deadline := time.Now().Add(10 * time.Second); err == nil && time.Now().Before(deadline); {
			err = w.servedIn(t, raw())
		}
		effect(t, errors.Is(err, errSilent), "another qube is served: %v", err)
	})
	w.through(t, fresh, func(t *testing.T, way way) {
		stop := w.hold(t, way, connections)
		w.settle(t)
		if err := w.servedIn(t, way); err != nil {
			t.Fatalf("another qube is not served: %v", err)
		}
		// The attacker's own qube has used up its places, and gets them back.
		stop()
	})
}

// settle waits until what holds connections has been served as far as it is.
func (w *world) settle(t *testing.T) {
	t.Helper()
	last, since := "", time.Now()
	for time.Since(since) < 500*time.Millisecond {
		out, err := w.work.User(t.Context(), "stat -c %s /tmp/held 2>/dev/null || true")
		must(t, err)
		if out != last {
			last, since = out, time.Now()
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// hugeMessages: an OpenSSH agent works through a quarter of a megabyte.
func (w *world) hugeMessages(t *testing.T) {
	huge := concat([]byte("SSHSIG"), random(200<<10))
	request := signRequest(public(t, w.key), huge, 0)
	fresh := func() { w.agent(t) }
	w.control(t, fresh, func(t *testing.T) {
		_, ok := signed(public(t, w.key), huge, raw().dial(t, w.work).ask(t, request))
		effect(t, ok, "the agent does not sign it")
	})
	w.through(t, fresh, func(t *testing.T, way way) {
		way.dial(t, w.work).refused(t, request)
		way.dial(t, w.work).refused(t, []byte{0, 0, 0, 0, list})
		way.dial(t, w.work).refused(t, []byte{0xff, 0xff, 0xff, 0xff, list})
	})
}

// halfHeader: all agents wait for the rest for ever.
func (w *world) halfHeader(t *testing.T) {
	w.agent(t)
	lines := map[string]*line{}
	for _, way := range append(ours(), raw()) {
		lines[way.name] = way.dial(t, w.work).send([]byte{0, 0})
	}
	_, err := lines[raw().name].answer(12 * time.Second)
	effect(t, errors.Is(err, errSilent), "the agent hangs up: %v", err)
	for _, way := range ours() {
		t.Run("splitvault-by-"+way.name, func(t *testing.T) {
			if _, err := lines[way.name].answer(time.Second); !errors.Is(err, errClosed) {
				t.Errorf("after 12 seconds: %v; want it closed", err)
			}
		})
	}
	w.check(t)
}
