package load

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/splitvault/splitvault/test/baseline"
	"github.com/splitvault/splitvault/test/qubes/bench"
	"github.com/splitvault/splitvault/test/qubes/bench/machine"
)

// xen is how many calls of one qube Xen can bear at a time; the next fails as in
// Qubes (QubesOS/qubes-issues#11059). Into one qube dom0's daemon lets 128.
const xen = "16"

// lab is a vault and the qubes that put load on it.
type lab struct {
	bench    *bench.Bench
	vault    *bench.Qube
	suite    string
	programs map[string][]byte // for clients, by their path there
	clients  clients
}

// Run puts the plan's load on a bench of its own. An error is a request that was
// lost, or took too long, or a fault of the bench; the rows are there all the same.
func Run(ctx context.Context, kit *bench.Kit, suite string, p Plan) (rows []Row, err error) {
	b, err := kit.Open(ctx, suite, &bytes.Buffer{})
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = fmt.Errorf("%w\n%s", err, b.Journals(context.WithoutCancel(ctx)))
		}
		err = errors.Join(err, b.Close())
	}()
	l := &lab{bench: b, suite: suite, programs: map[string][]byte{}}
	if err := l.prepare(ctx, p.Dapps > 0); err != nil {
		return nil, err
	}
	for _, part := range []struct {
		on  bool
		run func(context.Context, Plan) ([]Row, error)
	}{
		{p.Logins > 0, l.logins}, {p.Queued > 0, l.queued}, {p.Dapps > 0, l.dapps}, {p.Qubes > 0, l.manyQubes}, {p.Flood > 0, l.flood},
	} {
		if !part.on {
			continue
		}
		more, partErr := part.run(ctx, p)
		rows, err = append(rows, more...), errors.Join(err, partErr)
		if ctx.Err() != nil {
			return rows, err
		}
	}
	return rows, errors.Join(err, b.Settled(ctx))
}

const rules = `
[ssh.agents]
default = "%t/agent.sock"

[[ssh.rule]]
qube = "*"
decision = "allow"

[[clef.rule]]
qube = "*"
decision = "allow"
`

const startAgent = `set -e
systemd-run --user --quiet --collect --unit=agent ssh-agent -D -a $XDG_RUNTIME_DIR/agent.sock
until test -S $XDG_RUNTIME_DIR/agent.sock; do sleep 0.01; done
ssh-keygen -q -t ed25519 -N '' -f key
SSH_AUTH_SOCK=$XDG_RUNTIME_DIR/agent.sock ssh-add -q key`

func (l *lab) prepare(ctx context.Context, clef bool) error {
	for name, dir := range map[string]string{"agentload": "test/figures/agentload", "clefload": "test/figures/clefload", "crowd": "test/load/crowd"} {
		program, err := baseline.Program(ctx, dir)
		if err != nil {
			return err
		}
		l.programs["/usr/local/bin/"+name] = program
	}
	if err := l.bench.SetPolicy("qubes.Ssh * @anyvm @anyvm allow target=vault", "qubes.Clefsign * @anyvm @anyvm allow target=vault"); err != nil {
		return err
	}
	if _, err := l.bench.Ctl(ctx, "limits", "--xen", xen, "--daemon", "128"); err != nil {
		return err
	}
	var err error
	if l.vault, err = l.bench.Start(bench.Spec{Name: "vault"}); err != nil {
		return err
	}
	if err := l.vault.Put(ctx, ".config/splitvault/rules.toml", []byte(rules)); err != nil {
		return err
	}
	if _, err := l.vault.User(ctx, startAgent); err != nil {
		return err
	}
	if !clef {
		return nil
	}
	return startClef(ctx, l.vault)
}

// clients are the client qubes that run, in order.
type clients []*bench.Qube

// need gives n client qubes with both services and the load programs, and boots
// those that do not run yet, four at a time.
func (l *lab) need(ctx context.Context, n int) (clients, error) {
	first := len(l.clients)
	if first >= n {
		return l.clients[:n], nil
	}
	fresh, errs := make(clients, n-first), make([]error, n-first)
	var all sync.WaitGroup
	turns := make(chan struct{}, 4)
	for i := range fresh {
		all.Go(func() {
			turns <- struct{}{}
			defer func() { <-turns }()
			fresh[i], errs[i] = l.bench.Start(bench.Spec{Name: fmt.Sprintf("client-%d", first+i), Services: []string{"splitvault-ssh", "splitvault-clef"}})
			if errs[i] == nil {
				errs[i] = baseline.Put(ctx, fresh[i], l.programs)
			}
		})
	}
	all.Wait()
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	l.clients = append(l.clients, fresh...)
	return l.clients, nil
}

// count runs something and gives its figures with the calls that it placed.
func (l *lab) count(ctx context.Context, what string, run func() ([]string, error)) (Row, error) {
	if err := l.idle(ctx); err != nil {
		return Row{}, err
	}
	if _, err := l.bench.Ctl(ctx, "reset"); err != nil {
		return Row{}, err
	}
	outputs, err := run()
	if err != nil {
		return Row{}, fmt.Errorf("%s: %w", what, err)
	}
	row, err := read(outputs...)
	if err != nil {
		return Row{}, fmt.Errorf("%s: %w", what, err)
	}
	row.Root, row.What = l.suite, what
	calls, err := l.bench.Calls()
	row.Calls = calls.Total
	return row, errors.Join(err, l.idle(ctx))
}

// idle waits until no call is open any more.
func (l *lab) idle(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	_, err := l.bench.Ctl(ctx, "wait-idle")
	return err
}

// login runs a command in a login shell, which has SSH_AUTH_SOCK.
func login(ctx context.Context, q *bench.Qube, command ...string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, crowdTime+10*time.Second)
	defer cancel()
	var stderr bytes.Buffer
	cmd := q.Command(ctx, machine.AsLogin, command...)
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("%s: %q: %w: %s", q.Name(), command, err, bytes.TrimSpace(stderr.Bytes()))
	}
	return string(out), nil
}
