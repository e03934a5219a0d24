package upstream

import (
	"context"

	"github.com/splitvault/splitvault/pkg/sshagent"
)

// SendMarked sends any message on the marked connection, as a guard could that
// was taken over.
func (a *Agent) SendMarked(ctx context.Context, f sshagent.Frame) (sshagent.Frame, error) {
	return a.marked.exchange(ctx, f, listTime)
}

// Unmarked tells whether a connection without our mark is open.
func (a *Agent) Unmarked() bool { return a.local != nil }
