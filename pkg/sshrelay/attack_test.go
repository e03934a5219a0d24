package sshrelay

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/splitvault/splitvault/pkg/qrexec/qrexectest"
	"github.com/splitvault/splitvault/pkg/slots"
	"github.com/splitvault/splitvault/pkg/sshagent"
)

// Lock, unlock, add, remove, load a library, and all that no client sends: each
// would change or kill the vault's agent through a plain relay.
func TestAttackForbiddenMessagesNeverLeaveTheQube(t *testing.T) {
	for typ := range 256 {
		if typ == 11 || typ == 13 || typ == 27 {
			continue
		}
		for _, body := range [][]byte{nil, text("x"), make([]byte, 60_000)} {
			synctest.Test(t, func(t *testing.T) {
				s := serve(t, &fakeVault{}).start()
				s.want(fmt.Sprintf("type %d with %d bytes", typ, len(body)), s.ask(message(t, byte(typ), body).Bytes()), failure())
				if err := s.leave(); err != nil {
					t.Error(err)
				}
				s.notes("[]")
			})
		}
	}
}

func TestAttackForbiddenBodiesOfPermittedTypes(t *testing.T) {
	reset := extension(t, "reset@splitvault", "")
	for _, tt := range []struct {
		name    string
		message sshagent.Frame
	}{
		{"list with a body", message(t, 11, []byte("x"))},
		{"sign without flags", message(t, 13, append(text("key"), text("data")...))},
		{"sign with something after it", message(t, 13, append(append(text("key"), text("data")...), 0, 0, 0, 0, 0))},
		{"sign whose key is longer than the message", message(t, 13, []byte{0xff, 0xff, 0xff, 0xff})},
		{"extension without name", message(t, 27, nil)},
		{"extension that changes a prompt's environment", extension(t, "ssh-env@jmmv.dev", "x")},
		{"look-alike of a bind", extension(t, "session-bind@openssh.org", "x")},
		{"bind with a zero byte", extension(t, "session-bind@openssh.com\x00", "x")},
		{"bind in capitals", extension(t, "Session-Bind@openssh.com", "x")},
		{"query with a body", extension(t, "query", "x")},
		{"reset, which is the relay's own", reset},
		{"reset with a body", extension(t, "reset@splitvault", "x")},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := serve(t, &fakeVault{}).start()
				s.want("answer", s.ask(tt.message.Bytes()), failure())
				if err := s.leave(); err != nil {
					t.Error(err)
				}
				s.notes("[]")
			})
		})
	}
}

func TestAttackForbiddenMessagesAreCountedAndTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := serve(t, &fakeVault{})
		var told []sshagent.MessageType
		s.relay.Refused = func(f sshagent.Frame) { told = append(told, f.Type()) }
		s.start()
		for range 100 { // refused, but no protocol error: the client is kept
			s.want("lock", s.ask(message(t, 22, text("pw")).Bytes()), failure())
		}
		if err := s.leave(); err != nil {
			t.Error(err)
		}
		if s.relay.Stats.Refused != 100 || len(told) != 100 || told[0] != sshagent.TypeLock {
			t.Errorf("counted %d, told %v", s.relay.Stats.Refused, told)
		}
	})
}

func TestAttackThreeProtocolErrorsClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := serve(t, &fakeVault{}).start()
		list := sshagent.RequestIdentities()
		s.ask(list.Bytes())
		for i := range 3 {
			s.want(fmt.Sprintf("error %d", i), s.ask(message(t, 200, nil).Bytes()), failure())
		}
		if got := s.ask(list.Bytes()); got != nil {
			t.Errorf("after the third: %x", got)
		}
		if err := <-s.result; !errors.Is(err, errDropped) {
			t.Errorf("ended with %v", err)
		}
		s.notes("[dial list close]")
	})
}

func TestAttackMalformedLengthsCloseWithoutAnswer(t *testing.T) {
	length := func(n uint32) []byte { return binary.BigEndian.AppendUint32(nil, n) }
	for _, tt := range []struct {
		name  string
		bytes []byte
		want  error
	}{
		{"length 0", length(0), sshagent.ErrEmpty},
		{"length 0 and more", append(length(0), 11), sshagent.ErrEmpty},
		{"4 GiB", append(length(0xffffffff), 11), sshagent.ErrTooLarge},
		{"one byte too much", append(length(sshagent.MaxRequest+1), 11), sshagent.ErrTooLarge},
		{"text of another protocol", []byte("GET / HTTP/1.1\r\n\r\n"), sshagent.ErrTooLarge},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := serve(t, &fakeVault{}).start()
				go s.client.Write(tt.bytes)
				if got := s.read(); got != nil {
					t.Errorf("answered %x", got)
				}
				if err := <-s.result; !errors.Is(err, tt.want) {
					t.Errorf("ended with %v, want %v", err, tt.want)
				}
				s.notes("[]")
			})
		})
	}
}

func TestAttackHalfAMessageThenSilence(t *testing.T) {
	whole := message(t, 13, make([]byte, 1000)).Bytes()
	for _, n := range []int{1, 3, 4, 5, 900} {
		t.Run(fmt.Sprint(n, " bytes"), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := serve(t, &fakeVault{}).start()
				begin := time.Now()
				if _, err := s.client.Write(whole[:n]); err != nil {
					t.Fatal(err)
				}
				if err := <-s.result; !errors.Is(err, sshagent.ErrSlow) {
					t.Errorf("ended with %v", err)
				}
				if took := time.Since(begin); took > sshagent.FrameTime {
					t.Errorf("took %v", took)
				}
				s.notes("[]")
			})
		})
	}
}

// One byte before each deadline of a naive reader: the bound is on the message.
func TestAttackOneByteEveryNineSeconds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := serve(t, &fakeVault{}).start()
		begin := time.Now()
		var sender sync.WaitGroup
		sender.Go(func() {
			for range 1000 {
				if _, err := s.client.Write([]byte{0}); err != nil {
					return
				}
				time.Sleep(9 * time.Second)
			}
		})
		<-s.result
		if took := time.Since(begin); took > sshagent.FrameTime {
			t.Errorf("held for %v", took)
		}
		s.notes("[]")
		s.client.Close()
		sender.Wait()
	})
}

// ansible, or a hostile program: two hundred clients that keep their connection
// after the answer. All are served over eight calls, and never more.
func TestAttackTwoHundredClientsShareEightCalls(t *testing.T) {
	t.Parallel()
	pool := slots.New(t.TempDir(), "ssh", poolSize)
	var now, peak atomic.Int32
	dial := func(ctx context.Context) (Line, error) {
		slot, err := pool.Acquire(ctx)
		if err != nil {
			return nil, err
		}
		n := now.Add(1)
		for old := peak.Load(); n > old && !peak.CompareAndSwap(old, n); old = peak.Load() {
		}
		return &pooledLine{slot: slot, now: &now}, nil
	}
	var clients, relays sync.WaitGroup
	all := make(chan struct{})
	for range 200 {
		ours, theirs := pair(t)
		gone := make(chan struct{})
		relay := &Relay{
			Client: ours, Gone: gone, Dial: dial, Idle: 10 * time.Second,
			Contended: func() bool { waiting, err := pool.Contended(); return waiting && err == nil },
			Refused:   func(sshagent.Frame) {},
			Failed:    func(err error) { t.Errorf("failed for want of a place: %v", err) },
		}
		relays.Go(func() {
			if err := relay.Serve(t.Context()); err != nil {
				t.Error(err)
			}
		})
		clients.Go(func() {
			if _, err := theirs.Write(sshagent.RequestIdentities().Bytes()); err != nil {
				t.Error(err)
			}
			reply, err := sshagent.NewReader(theirs, sshagent.MaxReply, time.Minute).Next()
			if want := qrexectest.Reply(sshagent.RequestIdentities()); err != nil || string(reply.Bytes()) != string(want.Bytes()) {
				t.Errorf("reply %x, %v", reply.Bytes(), err)
			}
		})
		go func() {
			<-all
			close(gone)
		}()
	}
	clients.Wait()
	close(all)
	relays.Wait()
	if peak.Load() > poolSize || now.Load() != 0 {
		t.Errorf("%d calls at once, %d left", peak.Load(), now.Load())
	}
}

// pooledLine answers at once.
type pooledLine struct {
	slot *slots.Slot
	now  *atomic.Int32
}

func (l *pooledLine) Exchange(_ context.Context, f sshagent.Frame, _ <-chan struct{}) (sshagent.Frame, error) {
	return qrexectest.Reply(f), nil
}
func (l *pooledLine) Dead() <-chan struct{} { return nil }

func (l *pooledLine) Close() {
	l.now.Add(-1)
	_ = l.slot.Release()
}

// A message's type is all that a log line may say of it.
func TestAttackBytesOfARefusedMessageDoNotReachTheJournal(t *testing.T) {
	t.Parallel()
	log, lines := recorded()
	reporter := &Reporter{Log: log, Config: config("vault")}
	for range 3 {
		reporter.Refused(message(t, 22, text("SECRET")))
		reporter.Refused(extension(t, "SECRET@example.org", "SECRET"))
	}
	all := lines()
	if strings.Contains(all, "SECRET") || strings.Count(all, "request refused") != 2 ||
		!strings.Contains(all, "method=LOCK") || !strings.Contains(all, "method=EXTENSION") {
		t.Errorf("lines:\n%s", all)
	}
}
