package main

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/splitvault/splitvault/test/baseline"
)

// rung is one step from a connection that only starts a process to the whole of
// ours. What a rung takes more than the one below is the cost of its stage.
type rung struct {
	name, stage string
	unit        func(ours string) string // of the ssh-relay's own unit; nil: the relay's own socket
}

const sandboxFrom = "# All of it holds for"

// rungs are in order.
func rungs() []rung {
	return []rung{
		{"activation", "systemd accepts, forks and executes a shell", func(string) string {
			return service("/bin/sh -c 'printf \"\\\\000\\\\000\\\\000\\\\005\\\\014\\\\000\\\\000\\\\000\\\\000\"'\nStandardInput=socket")
		}},
		{"go", "a program in Go instead", func(string) string {
			return service("/usr/local/bin/answerer\nStandardInput=socket")
		}},
		{"sandbox", "with the relay's sandbox", func(ours string) string {
			_, sandbox, _ := strings.Cut(ours, sandboxFrom)
			return service("/usr/local/bin/answerer\nStandardInput=socket\n#" + sandbox)
		}},
		{"relay", "ssh-relay, and the same program in place of qrexec-client-vm", func(ours string) string {
			return environment(ours, "SPLITVAULT_QREXEC_CLIENT=/usr/local/bin/answerer")
		}},
		{"qrexec", "the emulated qrexec, and the same program in the vault", func(ours string) string {
			return environment(ours, "QUBES_SSH_SERVICE=rung.Answer")
		}},
		{"guard", "ssh-guard and the agent: all of it", nil},
	}
}

// warm is all of it, over a call that the connection before has left.
func warm() rung {
	return rung{"warm line", "SPLITVAULT_SSH_WARM", func(ours string) string { return environment(ours, "SPLITVAULT_SSH_WARM=1s") }}
}

func service(start string) string {
	return "[Unit]\nCollectMode=inactive-or-failed\n[Service]\nStandardError=journal\nEnvironment=GOMAXPROCS=1\nExecStart=" + start + "\n"
}

var execStart = regexp.MustCompile(`(?m)^ExecStart=`)

func environment(ours, variable string) string {
	return execStart.ReplaceAllString(ours, "Environment="+variable+"\nExecStart=")
}

func (r rung) relay() relay {
	if r.unit == nil {
		return relay{name: r.name, socket: relays()[0].socket}
	}
	return relay{name: r.name, socket: "/run/user/1000/rung/" + r.file()}
}

func (r rung) file() string { return strings.ReplaceAll(r.name, " ", "") }

const rungSocket = `[Socket]
ListenStream=%%t/rung/%s
Accept=yes
MaxConnections=512
TriggerLimitIntervalSec=0
PollLimitIntervalSec=0
`

// ladder installs the rungs beside the relays.
func (l *lab) ladder(ctx context.Context, answerer, copier []byte) error {
	ours, err := l.work.User(ctx, "cat", "/usr/lib/systemd/user/splitvault-ssh@.service")
	if err != nil {
		return err
	}
	if !strings.Contains(ours, sandboxFrom) {
		return fmt.Errorf("the relay's unit has no line %q any more: the rung with its sandbox would have none", sandboxFrom)
	}
	files := map[string][]byte{"/usr/local/bin/answerer": answerer, "/usr/local/bin/copier": copier}
	var sockets []string
	for _, r := range slices.Concat(rungs(), []rung{warm()}, copiers()) {
		if r.unit == nil {
			continue
		}
		sockets = append(sockets, "rung-"+r.file()+".socket")
		files["/etc/systemd/user/rung-"+r.file()+".socket"] = fmt.Appendf(nil, rungSocket, r.file())
		files["/etc/systemd/user/rung-"+r.file()+"@.service"] = []byte(r.unit(ours))
	}
	err = errors.Join(baseline.Put(ctx, l.work, files),
		baseline.Put(ctx, l.vault, map[string][]byte{"/etc/qubes-rpc/rung.Answer": answerer}))
	if err != nil {
		return err
	}
	_, err = l.work.User(ctx, "systemctl --user daemon-reload && systemctl --user start "+strings.Join(sockets, " "))
	return err
}

// stages measures the ladder, a list of keys on a connection of its own each time.
func (l *lab) stages(ctx context.Context, p plan) ([]row, error) {
	all := make([]relay, 0, len(rungs()))
	for _, r := range rungs() {
		all = append(all, r.relay())
	}
	all = append(all, warm().relay(), relays()[2])
	return l.inTurns(ctx, kind{name: "stages", relays: all}, p)
}
