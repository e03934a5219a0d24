package faults

import (
	"bytes"
	"context"
	"errors"
	"regexp"
	"strings"
	"time"

	"github.com/splitvault/splitvault/test/qubes/bench/machine"
	"github.com/splitvault/splitvault/test/signer"
)

// service is one of the three, asked by a real client.
type service struct {
	name    string
	request string // lines for sh in work; $1 may name another entry or purpose
	good    *regexp.Regexp
	// Programs, as the kernel names them.
	relay, guard, upstream string
	calls                  string // dom0's names for its calls, a pattern
	unit                   string // the socket's, without its suffix
	stop, goOn             string // in the vault: the upstream hangs, and goes on
	kill                   string // in the vault: the upstream is killed
}

func services() []service {
	return []service{{
		name: "ssh",
		request: `export SSH_AUTH_SOCK=/run/user/1000/ssh/S.ssh-agent
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
echo text >"$dir/file"
ssh-keygen -q -Y sign -n "${1:-file}" -f key.pub "$dir/file" || exit
ssh-keygen -Y check-novalidate -n "${1:-file}" -s "$dir/file.sig" <"$dir/file"
`,
		good:  regexp.MustCompile(`^Good "\w+" signature`),
		relay: "ssh-relay", guard: "qubes.Ssh", upstream: "ssh-agent", calls: "qubes.Ssh*", unit: "splitvault-ssh",
		stop: "systemctl --user kill -s STOP agent.service", goOn: "systemctl --user kill -s CONT agent.service",
		kill: "systemctl --user kill -s KILL agent.service",
	}, {
		name: "clef",
		request: `exec curl -sS -H 'Content-Type: application/json' http://127.0.0.1:8550 -d '{"jsonrpc":"2.0","id":7,"method":"account_signData","params":["text/plain","` + signer.Account + `","0x68656c6c6f"]}'
`,
		good:  regexp.MustCompile(`^{"jsonrpc":"2.0","id":7,"result":"0x[0-9a-f]{130}"}`),
		relay: "clef-relay", guard: "qubes.Clefsign", upstream: "clef", calls: "qubes.Clefsign*", unit: "splitvault-clef",
		stop: "systemctl --user kill -s STOP splitvault-clef-backend.service", goOn: "systemctl --user kill -s CONT splitvault-clef-backend.service",
		kill: "systemctl --user kill -s KILL splitvault-clef-backend.service",
	}, {
		name: "pass",
		request: `out=$(mktemp)
trap 'rm -f "$out"' EXIT
qpass show "${1:-work/long}" >"$out" || { code=$?; test ! -s "$out" || echo 'half an entry'; exit "$code"; }
seq 5000 | cmp - "$out" && echo whole
`,
		good:  regexp.MustCompile(`^whole$`),
		relay: "pass-relay", guard: "pass.GetPasswor", upstream: "gpg-agent", calls: "pass.*", unit: "splitvault-pass",
		stop: "pkill -STOP -x gpg-agent", goOn: "pkill -CONT -x gpg-agent",
		kill: "pkill -KILL -x gpg-agent",
	}}
}

// answer is what a client got.
type answer struct {
	said string // on stdout and stderr
	took time.Duration
	err  error // *exec.ExitError, or that it was killed after its deadline
	late bool  // it had not ended by its deadline
}

func (a answer) good(s service) bool { return a.err == nil && s.good.MatchString(a.said) }

// asked is a request on its way.
type asked struct {
	ended chan struct{}
	got   answer // once it has ended
}

// send starts a request that has a time to end by itself. Before, if not empty, stands
// before the command ("timeout 2").
func (w *world) send(ctx context.Context, s service, within time.Duration, before string) *asked {
	r := &asked{ended: make(chan struct{})}
	began := time.Now()
	ctx, stop := context.WithTimeout(ctx, within)
	cmd := w.work.Command(ctx, machine.AsUser, strings.TrimSpace(before+" ./ask-"+s.name))
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	go func() {
		defer close(r.ended)
		defer stop()
		err := cmd.Run()
		late := ctx.Err() != nil
		if late {
			err = errors.Join(errors.New("it did not end in time"), err)
		}
		r.got = answer{strings.TrimSpace(out.String()), time.Since(began), err, late}
	}()
	return r
}

func (r *asked) answer() answer {
	<-r.ended
	return r.got
}

// ask sends a request and waits for its end.
func (w *world) ask(ctx context.Context, s service, within time.Duration) answer {
	return w.send(ctx, s, within, "").answer()
}
