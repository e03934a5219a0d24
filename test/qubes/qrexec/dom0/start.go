package dom0

import (
	"context"
	"os"
	"os/exec"
	"strings"
	"time"
)

// startTimeout is how long a started qube may take until its agent is there.
const startTimeout = 60 * time.Second

// runStart runs the start command with QUBE, or DISPVM_TEMPLATE for a new
// disposable, whose name it prints. It returns the qube's name.
func (b *Broker) runStart(ctx context.Context, qube, template string) (string, error) {
	b.mu.Lock()
	command := b.start
	b.mu.Unlock()
	if command == "" {
		return "", refused("qube %q cannot be started: the bench has no start command", qube+template)
	}
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, "/bin/sh", "-c", command)
	cmd.Env = append(os.Environ(), "QUBE="+qube, "DISPVM_TEMPLATE="+template)
	cmd.WaitDelay = time.Second
	output, err := cmd.Output()
	if err != nil {
		return "", refused("starting qube %q failed: %v", qube+template, err)
	}
	if qube == "" {
		qube = strings.TrimSpace(string(output))
	}
	if err := b.reload(context.WithoutCancel(ctx)); err != nil {
		return "", err
	}
	b.edit(func() { delete(b.halted, qube) })
	return qube, nil
}

func (b *Broker) waitForAgent(ctx context.Context, qube string) (*agentLink, error) {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	var link *agentLink
	err := b.waitFor(ctx, func() bool {
		link = b.reachable(qube)
		return link != nil
	})
	if err != nil {
		return nil, refused("the agent of %s did not come up: %v", qube, err)
	}
	return link, nil
}
