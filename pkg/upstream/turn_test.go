package upstream_test

import (
	"context"
	"errors"
	"net"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/splitvault/splitvault/pkg/sshagent"
	"github.com/splitvault/splitvault/pkg/sshagent/bind"
	"github.com/splitvault/splitvault/pkg/turn"
	"github.com/splitvault/splitvault/pkg/upstream"
)

// waiting is an agent that serves one request at a time, as OpenSSH's does, and at
// the first signature waits for a person who is away.
type waiting struct {
	mu    sync.Mutex // held while it serves a request
	signs atomic.Int32
	end   chan struct{}
}

func (w *waiting) serve(c net.Conn) {
	reader := sshagent.NewReader(c, sshagent.MaxRequest, sshagent.FrameTime)
	for {
		frame, err := reader.Next()
		if err != nil {
			return
		}
		if frame.Type() == sshagent.TypeSignRequest {
			w.signs.Add(1) // it is in the queue, and nobody takes it out again
		}
		w.mu.Lock()
		answer := []byte{0, 0, 0, 5, 12, 0, 0, 0, 0}
		switch frame.Type() {
		case sshagent.TypeSignRequest:
			<-w.end
			answer = []byte{0, 0, 0, 1, 5}
		case sshagent.TypeExtension:
			answer = []byte{0, 0, 0, 1, 5}
		}
		w.mu.Unlock()
		if _, err := c.Write(answer); err != nil {
			return
		}
	}
}

// A question that was left in the agent gets no second one on top, however the calls
// of the qube come one after the other.
func TestOneQuestionInAnAgentAtATime(t *testing.T) {
	t.Parallel()
	dir := shortDir(t)
	w := &waiting{end: make(chan struct{})}
	path := filepath.Join(dir, "agent")
	listen(t, path, w.serve)
	t.Cleanup(func() { close(w.end) })
	agents := make([]*upstream.Agent, 4)
	for i := range agents {
		agents[i] = dial(t, path)
		var err error
		if agents[i].Turn, err = turn.Open(dir, "work/agent"); err != nil {
			t.Fatal(err)
		}
	}
	r := request(t, []byte("key"), []byte("data"))
	sign := func(a *upstream.Agent, patience time.Duration) error {
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		_, err := a.Sign(ctx, &bind.List{}, false, r)
		return err
	}
	if err := sign(agents[0], 200*time.Millisecond); err == nil { // the client hangs up
		t.Error("signed")
	}
	var all sync.WaitGroup
	for _, a := range agents[1:] {
		all.Go(func() {
			if err := sign(a, time.Second); err == nil || errors.Is(err, turn.ErrTired) {
				t.Errorf("got %v", err)
			}
		})
	}
	all.Wait()
	if n := w.signs.Load(); n != 1 {
		t.Errorf("%d questions are in the agent", n)
	}
}

// A question counts as left in an agent that goes on without its client, and not where
// the agent itself has ended: what it asked ended with it, and the next one is new.
func TestAnAgentThatEndsHasNoQuestionLeftInIt(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct {
		ends  bool
		tired bool
	}{"the agent ends": {true, false}, "the client goes": {false, true}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := shortDir(t)
			path := filepath.Join(dir, "agent")
			listen(t, path, func(c net.Conn) {
				reader := sshagent.NewReader(c, sshagent.MaxRequest, sshagent.FrameTime)
				for {
					frame, err := reader.Next()
					if err != nil || frame.Type() == sshagent.TypeSignRequest && row.ends {
						return
					}
					switch frame.Type() {
					case sshagent.TypeExtension:
						_, _ = c.Write([]byte{0, 0, 0, 1, 5})
					case sshagent.TypeRequestIdentities:
						_, _ = c.Write([]byte{0, 0, 0, 5, 12, 0, 0, 0, 0})
					}
				}
			})
			r := request(t, []byte("key"), []byte("data"))
			var err error
			for range 4 {
				a := dial(t, path)
				if a.Turn, err = turn.Open(dir, "work/agent"); err != nil {
					t.Fatal(err)
				}
				ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
				_, err = a.Sign(ctx, &bind.List{}, false, r)
				cancel()
			}
			if err == nil || errors.Is(err, turn.ErrTired) != row.tired {
				t.Errorf("the fourth gets %v", err)
			}
		})
	}
}
