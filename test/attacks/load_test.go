package attacks

import (
	"crypto/rand"
	"strings"
	"testing"

	"github.com/splitvault/splitvault/test/baseline"
)

// evidence is a directory in the vault in which an attack's effect leaves traces.
const evidence = "/tmp/evidence"

// helper stands before one of ssh-agent's helper processes and has the dynamic
// linker write down what that loads.
const helper = `#!/bin/sh
LD_DEBUG=files LD_DEBUG_OUTPUT=` + evidence + `/linker exec /usr/lib/openssh/PROGRAM "$@"
`

// loadAgent is an agent whose helpers are watched.
func (w *world) loadAgent(t *testing.T) {
	t.Helper()
	must(t, baseline.Put(t.Context(), w.vault, map[string][]byte{
		"/usr/local/bin/pkcs11": []byte(strings.ReplaceAll(helper, "PROGRAM", "ssh-pkcs11-helper")),
		"/usr/local/bin/sk":     []byte(strings.ReplaceAll(helper, "PROGRAM", "ssh-sk-helper")),
	}))
	if _, err := w.vault.User(t.Context(), "rm -rf "+evidence+" && mkdir "+evidence); err != nil {
		t.Fatal(err)
	}
	w.agent(t, "--setenv=SSH_PKCS11_HELPER=/usr/local/bin/pkcs11", "--setenv=SSH_SK_HELPER=/usr/local/bin/sk")
}

// library is one that Debian installs as a dependency of git, and a PKCS#11
// provider.
func (w *world) library(t *testing.T) string {
	t.Helper()
	path, err := w.vault.User(t.Context(), "realpath /usr/lib/*/libp11-kit.so.0")
	must(t, err)
	return strings.TrimSpace(path)
}

// loaded are the libraries whose code the helpers have run.
func (w *world) loaded(t *testing.T) string {
	t.Helper()
	out, err := w.vault.User(t.Context(), "cat "+evidence+"/linker.* 2>/dev/null | grep 'calling init' || true")
	must(t, err)
	return out
}

// loadLibrary: ssh-agent loads and initialises any installed library as a
// PKCS#11 provider, unless the connection is bound to a session; ssh -A does
// bind, a raw relay does not.
func (w *world) loadLibrary(t *testing.T) {
	library := w.library(t)
	loads := [][]byte{
		message(addSmartcard, str(library), str("")),
		message(addSmartcardCon, str(library), str(""), []byte{1}, u32(3600)),
	}
	fresh := func() { w.loadAgent(t) }
	for _, load := range loads {
		w.control(t, fresh, func(t *testing.T) {
			raw().dial(t, w.work).ask(t, load)
			effect(t, strings.Contains(w.loaded(t), library), "the vault has loaded %q", w.loaded(t))
		})
	}
	w.through(t, fresh, func(t *testing.T, way way) {
		for _, load := range loads {
			way.dial(t, w.work).refused(t, load)
		}
		if got := w.loaded(t); got != "" {
			t.Errorf("the vault has run a helper: %s", got)
		}
	})
}

// startHelper: a security key that is added with a provider of its own makes the
// vault start a helper for it at the first signature, which loads any installed
// library that looks like a provider. Debian has none outside of tests.
func (w *world) startHelper(t *testing.T) {
	const kind = "sk-ssh-ed25519@openssh.com"
	library, point := w.library(t), make([]byte, 32)
	rand.Read(point) // never fails
	add := message(addConstrained, str(kind), str(point), str("ssh:"), []byte{1}, str("handle"), str(""), str("free"),
		[]byte{255}, str("sk-provider@openssh.com"), str(library))
	use := message(sign, str(concat(str(kind), str(point), str("ssh:"))), str(fileSignature()), u32(0))
	fresh := func() { w.loadAgent(t) }
	w.control(t, fresh, func(t *testing.T) {
		raw().dial(t, w.work).ask(t, add)
		raw().dial(t, w.work).ask(t, use)
		effect(t, w.loaded(t) != "", "no helper has run")
	})
	w.through(t, fresh, func(t *testing.T, way way) {
		way.dial(t, w.work).refused(t, add)
		way.dial(t, w.work).refused(t, use)
		if got := w.loaded(t); got != "" {
			t.Errorf("the vault has run a helper: %s", got)
		}
	})
}

// recorder is an agent that writes down all it is sent and refuses it.
const recorder = `#!/usr/bin/python3
import socket, sys, threading

listener = socket.socket(socket.AF_UNIX)
listener.bind(sys.argv[1])
listener.listen()

def serve(c):
    while data := c.recv(65536):
        with open(sys.argv[2], "ab") as f:
            f.write(data)
        c.sendall(b"\0\0\0\1\5")

while True:
    threading.Thread(target=serve, args=(listener.accept()[0],), daemon=True).start()
`

// extensions: some agents do what an extension says, such as change the
// environment of their prompt. Only names that are known may pass.
func (w *world) extensions(t *testing.T) {
	must(t, baseline.Put(t.Context(), w.vault, map[string][]byte{"/usr/local/bin/recorder": []byte(recorder)}))
	names := []string{"ssh-env@gnupg.org", "session-bind@openssh.org", "session-bind@openssh.com\x00", "SESSION-BIND@OPENSSH.COM", "add-ppk@putty.projects.tartarus.org", "query@x"}
	record := func() {
		w.agent(t)
		w.stopAgent(t)
		w.want = []string{"the recorder has no keys"}
		if _, err := w.vault.User(t.Context(), "rm -rf "+evidence+" && mkdir "+evidence+" && systemd-run --user --quiet --collect --unit=agent recorder "+
			agentSocket+" "+evidence+"/record && until test -S "+agentSocket+"; do sleep 0.01; done"); err != nil {
			t.Fatal(err)
		}
	}
	recorded := func() string {
		out, err := w.vault.User(t.Context(), "cat "+evidence+"/record 2>/dev/null || true")
		must(t, err)
		return out
	}
	w.control(t, record, func(t *testing.T) {
		for _, name := range names {
			raw().dial(t, w.work).ask(t, message(extension, str(name), str("LD_PRELOAD"), str("/tmp/x")))
		}
		effect(t, strings.Count(recorded(), "LD_PRELOAD") == len(names), "the agent was sent %q", recorded())
	})
	for _, way := range ours() {
		record()
		t.Run("splitvault-by-"+way.name, func(t *testing.T) {
			for _, name := range names {
				way.dial(t, w.work).refused(t, message(extension, str(name), str("LD_PRELOAD"), str("/tmp/x")))
			}
			// What the guard itself asks of an agent is none of this.
			if got := recorded(); strings.Contains(got, "LD_PRELOAD") {
				t.Errorf("the agent was sent %q", got)
			}
		})
	}
}
