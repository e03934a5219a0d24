package sshrelay

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/splitvault/splitvault/pkg/qrexec/qrexectest"
	"github.com/splitvault/splitvault/pkg/sshagent"
)

func TestMain(m *testing.M) { qrexectest.Main(m) }

var errVault = errors.New("the fake vault fails")

// fakeVault places fake calls and notes what happens on them: "dial", "list",
// "bind", …, "last" (no message follows), "close".
type fakeVault struct {
	// answer is what an exchange returns; nil answers as qrexectest.Reply.
	answer func(ctx context.Context, f sshagent.Frame, last <-chan struct{}) (sshagent.Frame, error)
	// dialing is called by each dial.
	dialing func(ctx context.Context) error

	mu        sync.Mutex
	notes     []string
	contended bool
	dead      chan struct{} // of the last call
}

func (v *fakeVault) note(what string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.notes = append(v.notes, what)
}

func (v *fakeVault) said() string {
	v.mu.Lock()
	defer v.mu.Unlock()
	return fmt.Sprint(v.notes)
}

func (v *fakeVault) wait(waiting bool) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.contended = waiting
}

func (v *fakeVault) dial(ctx context.Context) (Line, error) {
	v.note("dial")
	if v.dialing != nil {
		if err := v.dialing(ctx); err != nil {
			return nil, err
		}
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	v.dead = make(chan struct{})
	return &fakeLine{vault: v, dead: v.dead}, nil
}

type fakeLine struct {
	vault *fakeVault
	dead  chan struct{}
}

func (l *fakeLine) Exchange(ctx context.Context, f sshagent.Frame, last <-chan struct{}) (sshagent.Frame, error) {
	l.vault.note(sshagent.Classify(f).String())
	if l.vault.answer != nil {
		return l.vault.answer(ctx, f, last)
	}
	return qrexectest.Reply(f), nil
}

func (l *fakeLine) Dead() <-chan struct{} { return l.dead }
func (l *fakeLine) Close()                { l.vault.note("close") }

// served is a client with a relay and a fake vault, for a synctest bubble.
type served struct {
	t      *testing.T
	client net.Conn
	gone   chan struct{}
	vault  *fakeVault
	relay  *Relay
	failed []error
	result chan error
}

func serve(t *testing.T, vault *fakeVault) *served {
	t.Helper()
	ours, theirs := net.Pipe()
	s := &served{t: t, client: theirs, gone: make(chan struct{}), vault: vault, result: make(chan error, 1)}
	s.relay = &Relay{
		Client: ours, Gone: s.gone, Dial: vault.dial, Idle: 10 * time.Second,
		Contended: func() bool {
			vault.mu.Lock()
			defer vault.mu.Unlock()
			return vault.contended
		},
		Refused: func(sshagent.Frame) {},
		Failed:  func(err error) { s.failed = append(s.failed, err) },
	}
	return s
}

// start serves; it is apart from serve so that a test can set the relay up.
func (s *served) start() *served {
	go func() { s.result <- s.relay.Serve(s.t.Context()) }()
	return s
}

// leave closes the client's connection and returns what Serve returned.
func (s *served) leave() error {
	close(s.gone)
	s.client.Close()
	return <-s.result
}

// ask sends a message and returns the reply, nil for a closed connection.
func (s *served) ask(message []byte) []byte {
	s.t.Helper()
	if _, err := s.client.Write(message); err != nil {
		return nil
	}
	return s.read()
}

func (s *served) read() []byte {
	s.t.Helper()
	reply, err := sshagent.NewReader(s.client, sshagent.MaxReply, time.Hour).Next()
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrClosedPipe) {
		return nil
	}
	if err != nil {
		s.t.Errorf("reading the reply: %v", err)
	}
	return reply.Bytes()
}

func (s *served) want(what string, got, want []byte) {
	s.t.Helper()
	if string(got) != string(want) {
		s.t.Errorf("%s: answer %x, want %x", what, got, want)
	}
}

// notes compares what happened in the vault.
func (s *served) notes(want string) {
	s.t.Helper()
	if got := s.vault.said(); got != want {
		s.t.Errorf("the vault saw %s, want %s", got, want)
	}
}

// message is a message of a type with a body.
func message(t *testing.T, typ byte, body []byte) sshagent.Frame {
	t.Helper()
	n := len(body) + 1
	frame, err := sshagent.ParseFrame(append([]byte{byte(n >> 24), byte(n >> 16), byte(n >> 8), byte(n), typ}, body...), sshagent.MaxReply)
	if err != nil {
		t.Fatal(err)
	}
	return frame
}

func text(s string) []byte {
	return append([]byte{byte(len(s) >> 24), byte(len(s) >> 16), byte(len(s) >> 8), byte(len(s))}, s...)
}

func extension(t *testing.T, name, rest string) sshagent.Frame {
	t.Helper()
	return message(t, 27, append(text(name), rest...))
}

func signRequest(t *testing.T) sshagent.Frame {
	t.Helper()
	frame, err := sshagent.SignRequest{Key: []byte("key"), Data: []byte("data")}.Frame()
	if err != nil {
		t.Fatal(err)
	}
	return frame
}

func failure() []byte { return []byte{0, 0, 0, 1, 5} }
