package load

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/splitvault/splitvault/test/qubes/bench"
)

const socket = "/run/user/1000/ssh/S.ssh-agent"

// startServer is a real sshd of the user's own, which takes everybody at once.
const startServer = `set -e
mkdir -p -m 0700 server .ssh
ssh-add -L >server/authorized_keys
ssh-keygen -q -t ed25519 -N '' -f server/host
systemd-run --user --quiet --collect --unit=sshd /usr/sbin/sshd -D -e -f /dev/null -p 2201 -h ~/server/host \
	-o ListenAddress=127.0.0.1 -o AuthorizedKeysFile=$HOME/server/authorized_keys -o PasswordAuthentication=no \
	-o KbdInteractiveAuthentication=no -o PidFile=none -o MaxStartups=1000 -o PerSourceMaxStartups=none -o LoginGraceTime=0
until ssh-keyscan -t ed25519 -p 2201 127.0.0.1 2>/dev/null >.ssh/known_hosts && test -s .ssh/known_hosts; do sleep 0.05; done`

// logins are real ones: ssh, sshd, and a key that is in the vault.
func (l *lab) logins(ctx context.Context, p Plan) (rows []Row, err error) {
	qubes, err := l.need(ctx, 1)
	if err != nil {
		return nil, err
	}
	q := qubes[0]
	if _, err := login(ctx, q, startServer); err != nil {
		return nil, err
	}
	row, err := l.count(ctx, fmt.Sprintf("%d ssh logins at once", p.Logins), func() ([]string, error) {
		return one(login(ctx, q, "crowd", "-n", strconv.Itoa(p.Logins), "-within", crowdTime.String(),
			"ssh", "-o", "BatchMode=yes", "-o", "StrictHostKeyChecking=yes", "-p", "2201", "127.0.0.1", "true"))
	})
	if err != nil {
		return nil, err
	}
	// A relay gives its call up while others wait: a login may take one for the list
	// and one for the signature.
	if row.Calls < p.Logins || row.Calls > 2*p.Logins {
		err = fmt.Errorf("%s: %d qrexec calls", row.What, row.Calls)
	}
	return []Row{row}, errors.Join(err, row.check(p.Logins, crowdTime))
}

// queued are connections that systemd holds for the relay, and lets in at once.
func (l *lab) queued(ctx context.Context, p Plan) (rows []Row, err error) {
	qubes, err := l.need(ctx, 1)
	if err != nil {
		return nil, err
	}
	q := qubes[0]
	row, err := l.count(ctx, fmt.Sprintf("%d connections to the agent's socket at once", p.Queued), func() ([]string, error) {
		return one(lists(ctx, q, p.Queued, p.Queued))
	})
	if err != nil {
		return nil, err
	}
	return []Row{row}, errors.Join(row.check(p.Queued, crowdTime), row.calls(p.Queued))
}

// lists has a qube list the keys, each time on a connection of its own.
func lists(ctx context.Context, q *bench.Qube, n, parallel int) (string, error) {
	return login(ctx, q, "agentload", "-socket", socket, "-n", strconv.Itoa(n), "-parallel", strconv.Itoa(parallel), "-within", crowdTime.String())
}

// manyQubes all call one vault in the same moment.
func (l *lab) manyQubes(ctx context.Context, p Plan) (rows []Row, err error) {
	clients, err := l.need(ctx, p.Qubes)
	if err != nil {
		return nil, err
	}
	row, err := l.count(ctx, fmt.Sprintf("%d qubes with %d lists each at once", p.Qubes, p.PerQube), func() ([]string, error) {
		outputs, errs := make([]string, len(clients)), make([]error, len(clients))
		var all sync.WaitGroup
		for i, q := range clients {
			all.Go(func() { outputs[i], errs[i] = lists(ctx, q, p.PerQube, p.PerQube) })
		}
		all.Wait()
		return outputs, errors.Join(errs...)
	})
	if err != nil {
		return nil, err
	}
	return []Row{row}, errors.Join(row.check(p.Qubes*p.PerQube, crowdTime), row.calls(p.Qubes*p.PerQube))
}

// flood: a qube keeps as many requests waiting as its socket takes, and another one
// asks for one thing at a time. It must have had all its answers while the flood
// still goes on.
func (l *lab) flood(ctx context.Context, p Plan) (rows []Row, err error) {
	qubes, err := l.need(ctx, 2)
	if err != nil {
		return nil, err
	}
	work, hostile := qubes[0], qubes[1]
	alone, err := l.count(ctx, "one list at a time, nobody else", func() ([]string, error) { return one(lists(ctx, work, p.Singles, 1)) })
	if err != nil {
		return nil, err
	}
	var flooded Row
	beside, err := l.count(ctx, "one list at a time, beside a qube that floods", func() ([]string, error) {
		done := make(chan error, 1)
		go func() {
			output, err := lists(ctx, hostile, p.Flood, p.Flood)
			if err == nil {
				flooded, err = read(output)
			}
			done <- err
		}()
		if err := l.begun(ctx, p.Flood); err != nil {
			return nil, errors.Join(err, <-done)
		}
		output, err := lists(ctx, work, p.Singles, 1)
		select {
		case early := <-done:
			return nil, errors.Join(err, early, errors.New("the flood was over before the other qube was served"))
		default:
		}
		return []string{output}, errors.Join(err, <-done)
	})
	if err != nil {
		return nil, err
	}
	flooded.Root, flooded.What, flooded.Calls = l.suite, fmt.Sprintf("the flood, %d lists at once", p.Flood), beside.Calls-p.Singles
	beside.Calls = p.Singles
	return []Row{alone, beside, flooded}, errors.Join(alone.check(p.Singles, singleTime), beside.check(p.Singles, singleTime), flooded.check(p.Flood, crowdTime))
}

// begun waits until the flood's first calls have come.
func (l *lab) begun(ctx context.Context, flood int) error {
	for deadline := time.Now().Add(crowdTime); time.Now().Before(deadline) && ctx.Err() == nil; time.Sleep(10 * time.Millisecond) {
		calls, err := l.bench.Calls()
		if err != nil {
			return err
		}
		if calls.Total > min(8, flood/4) {
			return nil
		}
	}
	return errors.New("the flood does not begin")
}

// calls fails where another number of calls was placed than one for each request.
func (r Row) calls(want int) error {
	if r.Calls != want {
		return fmt.Errorf("%s: %d qrexec calls for %d requests", r.What, r.Calls, want)
	}
	return nil
}

func one(output string, err error) ([]string, error) { return []string{strings.TrimSpace(output)}, err }
