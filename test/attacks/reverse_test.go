package attacks

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/splitvault/splitvault/test/baseline"
)

// hostileVault is the reverse direction: what a vault that was taken over sends
// must not reach the client as if it were an agent's answer.
func (w *world) hostileVault(t *testing.T) {
	w.agent(t)
	services := []string{"/run/qubes-rpc/qubes.Ssh", "/run/qubes-rpc/seed.SshQuiet"}
	socket := ours()[0]
	for _, vault := range []struct{ name, script, reaches string }{
		{"answers-another-question", `head -c5 >/dev/null; printf '\0\0\0\5\016\0\0\0\0'; cat >/dev/null`, "\x00\x00\x00\x05\x0e"},
		{"prints-text", `echo Welcome; cat >/dev/null`, "Welcome"},
		{"sends-a-megabyte", `head -c5 >/dev/null; printf '\0\017\377\377\014'; head -c1048574 /dev/zero; cat >/dev/null`, "\x00\x0f\xff\xff\x0c"},
		{"commands-the-terminal", `printf '\033]0;owned\007' >&2; exit 1`, "\x1b]0;owned"},
	} {
		files := map[string][]byte{}
		for _, s := range services {
			files[s] = []byte("#!/bin/sh\n" + vault.script + "\n")
		}
		must(t, baseline.Put(t.Context(), w.vault, files))
		t.Run(vault.name, func(t *testing.T) {
			reaches, refusal := []byte(vault.reaches), []byte{0, 0, 0, 1, failure}
			seen := raw().dial(t, w.work).send(message(list)).read(reaches, 5*time.Second)
			effect(t, bytes.Contains(seen, reaches), "the client gets %.40q", seen)
			l := socket.dial(t, w.work).send(message(list))
			if seen := l.read(refusal, 5*time.Second); !bytes.Equal(seen, refusal) {
				t.Errorf("the client gets %.40q, want a failure", seen)
			}
			if more := l.read(nil, 700*time.Millisecond); len(more) > 0 {
				t.Errorf("the client gets %.40q after the failure", more)
			}
		})
	}
	journal, err := w.work.Journal(t.Context(), "-a", "-o", "cat", "-t", "splitvault-ssh-relay")
	must(t, err)
	if strings.Contains(journal, "\x1b") {
		t.Errorf("the journal has the vault's escape sequence: %q", journal)
	}
	if _, err := w.vault.Root(t.Context(), append([]string{"rm"}, services...)...); err != nil {
		t.Fatal(err)
	}
	w.check(t)
}

// read reads until some bytes have come, the other end closes or a time has
// passed. Without such bytes it reads what comes.
func (l *line) read(until []byte, within time.Duration) []byte {
	var all []byte
	if l.out.SetReadDeadline(time.Now().Add(within)) != nil {
		return nil
	}
	buffer := make([]byte, 4096)
	for until == nil || !bytes.Contains(all, until) {
		n, err := l.out.Read(buffer)
		all = append(all, buffer[:n]...)
		if err != nil {
			break
		}
	}
	return all
}
