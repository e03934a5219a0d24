package sshrelay

import (
	"context"
	"errors"
	"fmt"
	"os"
	"testing"
	"testing/synctest"
	"time"

	"github.com/splitvault/splitvault/pkg/qrexec/qrexectest"
	"github.com/splitvault/splitvault/pkg/sshagent"
)

// ssh -A opens a connection that it never uses.
func TestNoCallForAConnectionThatIsNotUsed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := serve(t, &fakeVault{}).start()
		time.Sleep(time.Hour)
		if err := s.leave(); err != nil {
			t.Error(err)
		}
		s.notes("[]")
	})
}

func TestSameBytesBothWaysAndOneCallForMany(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := serve(t, &fakeVault{}).start()
		for _, request := range []sshagent.Frame{
			sshagent.RequestIdentities(), signRequest(t), extension(t, "query", ""), extension(t, "session-bind@openssh.com", "x"),
		} {
			s.want(request.Type().String(), s.ask(request.Bytes()), qrexectest.Reply(request).Bytes())
		}
		if err := s.leave(); err != nil {
			t.Error(err)
		}
		s.notes("[dial list sign query bind close]")
		if got, want := s.relay.Stats.Requests, 4; got != want {
			t.Errorf("counted %d requests, want %d", got, want)
		}
	})
}

func TestPipelinedRequestsAreAnsweredInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := serve(t, &fakeVault{}).start()
		list, sign, query := sshagent.RequestIdentities(), signRequest(t), extension(t, "query", "")
		go s.client.Write(append(append(append([]byte{}, list.Bytes()...), sign.Bytes()...), query.Bytes()...))
		for _, request := range []sshagent.Frame{list, sign, query} {
			s.want(request.Type().String(), s.read(), qrexectest.Reply(request).Bytes())
		}
		if err := s.leave(); err != nil {
			t.Error(err)
		}
	})
}

func TestIdleCallIsLetGoAndBindsAreReplayed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := serve(t, &fakeVault{}).start()
		bind := func(n string) []byte { return extension(t, "session-bind@openssh.com", n).Bytes() }
		s.want("first bind", s.ask(bind("1")), sshagent.Success().Bytes())
		s.want("second bind", s.ask(bind("2")), sshagent.Success().Bytes())
		time.Sleep(9 * time.Second)
		s.notes("[dial bind bind]")
		time.Sleep(2 * time.Second)
		s.notes("[dial bind bind close]")
		s.want("list", s.ask(sshagent.RequestIdentities().Bytes()), qrexectest.Reply(sshagent.RequestIdentities()).Bytes())
		s.notes("[dial bind bind close dial bind bind list]")
		if err := s.leave(); err != nil {
			t.Error(err)
		}
	})
}

func TestReplayIsTheSameBytesInTheSameOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var sent []string
		s := serve(t, &fakeVault{answer: func(_ context.Context, f sshagent.Frame, _ <-chan struct{}) (sshagent.Frame, error) {
			sent = append(sent, string(f.Bytes()))
			return qrexectest.Reply(f), nil
		}}).start()
		a, b := extension(t, "session-bind@openssh.com", "a").Bytes(), extension(t, "session-bind@openssh.com", "b").Bytes()
		s.ask(a)
		s.ask(b)
		time.Sleep(time.Minute)
		s.ask(signRequest(t).Bytes())
		if err := s.leave(); err != nil {
			t.Error(err)
		}
		if want := []string{string(a), string(b), string(a), string(b), string(signRequest(t).Bytes())}; fmt.Sprint(sent) != fmt.Sprint(want) {
			t.Errorf("sent %x, want %x", sent, want)
		}
	})
}

// The guard has learned from it that the client is forwarded; after a new call it
// must know again.
func TestRefusedBindsAreReplayedToo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := serve(t, &fakeVault{answer: func(_ context.Context, f sshagent.Frame, _ <-chan struct{}) (sshagent.Frame, error) {
			if sshagent.Classify(f) == sshagent.Bind {
				return sshagent.ExtensionFailure(), nil
			}
			return qrexectest.Reply(f), nil
		}}).start()
		s.want("bind", s.ask(extension(t, "session-bind@openssh.com", "x").Bytes()), sshagent.ExtensionFailure().Bytes())
		time.Sleep(time.Minute)
		s.ask(sshagent.RequestIdentities().Bytes())
		if err := s.leave(); err != nil {
			t.Error(err)
		}
		s.notes("[dial bind close dial bind list close]")
	})
}

// Without its bindings a request would be judged as another session's.
func TestRequestIsNotSentIfTheVaultNoLongerAcceptsItsBind(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		accept := true
		s := serve(t, &fakeVault{answer: func(_ context.Context, f sshagent.Frame, _ <-chan struct{}) (sshagent.Frame, error) {
			if !accept {
				return sshagent.ExtensionFailure(), nil
			}
			return qrexectest.Reply(f), nil
		}}).start()
		s.ask(extension(t, "session-bind@openssh.com", "x").Bytes())
		time.Sleep(time.Minute)
		accept = false
		s.want("sign", s.ask(signRequest(t).Bytes()), failure())
		if err := s.leave(); err != nil {
			t.Error(err)
		}
		s.notes("[dial bind close dial bind close]")
		if len(s.failed) != 1 {
			t.Errorf("told %v", s.failed)
		}
	})
}

func TestBindsAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := serve(t, &fakeVault{}).start()
		for i := range maxBinds {
			s.want("bind", s.ask(extension(t, "session-bind@openssh.com", fmt.Sprint(i)).Bytes()), sshagent.Success().Bytes())
		}
		s.want("one more", s.ask(extension(t, "session-bind@openssh.com", "more").Bytes()), sshagent.ExtensionFailure().Bytes())
		if err := s.leave(); err != nil {
			t.Error(err)
		}
	})
}

func TestIdleCallIsLetGoAtOnceWhenOthersWait(t *testing.T) {
	for _, idle := range []time.Duration{10 * time.Second, 0} {
		t.Run(idle.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := serve(t, &fakeVault{})
				s.relay.Idle = idle
				s.start()
				s.ask(sshagent.RequestIdentities().Bytes())
				time.Sleep(5 * time.Second)
				s.notes("[dial list]")
				s.vault.wait(true)
				time.Sleep(contentionMax + time.Millisecond)
				s.notes("[dial list close]")
				if err := s.leave(); err != nil {
					t.Error(err)
				}
			})
		})
	}
}

func TestIdleZeroHoldsTheCall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := serve(t, &fakeVault{})
		s.relay.Idle = 0
		s.start()
		s.ask(sshagent.RequestIdentities().Bytes())
		time.Sleep(time.Hour)
		s.ask(sshagent.RequestIdentities().Bytes())
		if err := s.leave(); err != nil {
			t.Error(err)
		}
		s.notes("[dial list list close]")
	})
}

// Somebody reads a prompt: others wait, and the call is held all the same.
func TestCallWithARequestInItIsNotLetGo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := serve(t, &fakeVault{contended: true, answer: func(_ context.Context, f sshagent.Frame, _ <-chan struct{}) (sshagent.Frame, error) {
			time.Sleep(10 * time.Minute)
			return qrexectest.Reply(f), nil
		}}).start()
		s.want("sign", s.ask(signRequest(t).Bytes()), qrexectest.Reply(signRequest(t)).Bytes())
		if err := s.leave(); err != nil {
			t.Error(err)
		}
		s.notes("[dial sign close]")
	})
}

func TestCallThatEndedWhileIdleIsMadeAnew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := serve(t, &fakeVault{}).start()
		s.ask(sshagent.RequestIdentities().Bytes())
		close(s.vault.dead)
		synctest.Wait()
		s.notes("[dial list close]")
		s.want("list", s.ask(sshagent.RequestIdentities().Bytes()), qrexectest.Reply(sshagent.RequestIdentities()).Bytes())
		if err := s.leave(); err != nil {
			t.Error(err)
		}
		if len(s.failed) != 0 {
			t.Errorf("told %v, but nothing failed", s.failed)
		}
	})
}

func TestARequestIsRepeatedOnceAndOnlyIfItWasNotSent(t *testing.T) {
	for _, tt := range []struct {
		name   string
		errs   []error // of the exchanges, then they succeed
		want   []byte
		notes  string
		failed int
	}{
		{"ended before", []error{&CallError{Unsent: true}}, qrexectest.Reply(sshagent.RequestIdentities()).Bytes(), "[dial list close dial list close]", 0},
		{"ended before, twice", []error{&CallError{Unsent: true}, &CallError{Unsent: true}}, failure(), "[dial list close dial list close]", 1},
		{"ended with the request in it", []error{&CallError{}}, failure(), "[dial list close]", 1},
		{"another error", []error{errVault}, failure(), "[dial list close]", 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := serve(t, &fakeVault{answer: func(_ context.Context, f sshagent.Frame, _ <-chan struct{}) (sshagent.Frame, error) {
					if len(tt.errs) > 0 {
						err := tt.errs[0]
						tt.errs = tt.errs[1:]
						return sshagent.Frame{}, err
					}
					return qrexectest.Reply(f), nil
				}}).start()
				s.want("list", s.ask(sshagent.RequestIdentities().Bytes()), tt.want)
				if err := s.leave(); err != nil {
					t.Error(err)
				}
				s.notes(tt.notes)
				if len(s.failed) != tt.failed {
					t.Errorf("told %v, want %d", s.failed, tt.failed)
				}
			})
		})
	}
}

func TestFailureIsOneAnswerAndTheNextRequestACallOfItsOwn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		broken := true
		s := serve(t, &fakeVault{dialing: func(context.Context) error {
			if broken {
				return errVault
			}
			return nil
		}}).start()
		s.want("while broken", s.ask(sshagent.RequestIdentities().Bytes()), failure())
		broken = false
		s.want("mended", s.ask(sshagent.RequestIdentities().Bytes()), qrexectest.Reply(sshagent.RequestIdentities()).Bytes())
		if err := s.leave(); err != nil {
			t.Error(err)
		}
		if len(s.failed) != 1 || !errors.Is(s.failed[0], errVault) {
			t.Errorf("told %v", s.failed)
		}
	})
}

// A hostile or broken vault must not feed the client other messages.
func TestReplyThatAnswersSomethingElseIsNotPassedOn(t *testing.T) {
	list, sign := sshagent.RequestIdentities(), signRequest(t)
	for _, tt := range []struct {
		name           string
		request, reply sshagent.Frame
	}{
		{"signature for a list", list, qrexectest.Reply(sign)},
		{"list for a signature", sign, qrexectest.Reply(list)},
		{"success for a signature", sign, sshagent.Success()},
		{"extension failure for a list, which clients cannot read", list, sshagent.ExtensionFailure()},
		{"a request", list, list},
		{"unknown type", list, message(t, 99, nil)},
		{"failure with something in it", list, message(t, 5, []byte("x"))},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := serve(t, &fakeVault{answer: func(context.Context, sshagent.Frame, <-chan struct{}) (sshagent.Frame, error) {
					return tt.reply, nil
				}}).start()
				s.want("answer", s.ask(tt.request.Bytes()), failure())
				synctest.Wait()
				if got := s.vault.said(); got != fmt.Sprintf("[dial %v close]", sshagent.Classify(tt.request)) {
					t.Errorf("the call was kept: %s", got)
				}
				if err := s.leave(); err != nil {
					t.Error(err)
				}
				if len(s.failed) != 1 {
					t.Errorf("told %v", s.failed)
				}
			})
		})
	}
}

func TestClientThatGoesAwayEndsTheCallAtOnce(t *testing.T) {
	hang := func(ctx context.Context) error {
		<-ctx.Done()
		return ctx.Err()
	}
	for _, tt := range []struct {
		name  string
		vault *fakeVault
		notes string
	}{
		{"while it waits for its turn", &fakeVault{dialing: hang}, "[dial]"},
		{"while the vault asks somebody", &fakeVault{answer: func(ctx context.Context, _ sshagent.Frame, _ <-chan struct{}) (sshagent.Frame, error) {
			return sshagent.Frame{}, hang(ctx)
		}}, "[dial sign close]"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := serve(t, tt.vault).start()
				if _, err := s.client.Write(signRequest(t).Bytes()); err != nil {
					t.Fatal(err)
				}
				synctest.Wait()
				begin := time.Now()
				if err := s.leave(); err != nil {
					t.Error(err)
				}
				if took := time.Since(begin); took != 0 {
					t.Errorf("took %v", took)
				}
				s.notes(tt.notes)
				if len(s.failed) != 0 {
					t.Errorf("told %v of a client that is gone", s.failed)
				}
			})
		})
	}
}

// The unit is stopped, the session ends.
func TestEndOfTheContextEndsEverything(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := serve(t, &fakeVault{})
		ctx, cancel := context.WithCancel(t.Context())
		go func() { s.result <- s.relay.Serve(ctx) }()
		s.ask(sshagent.RequestIdentities().Bytes())
		cancel()
		if err := <-s.result; err != nil {
			t.Error(err)
		}
		s.notes("[dial list close]")
		if got := s.read(); got != nil {
			t.Errorf("the client got %x, not the end", got)
		}
	})
}

func TestClientThatDoesNotReadItsAnswerIsDropped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := serve(t, &fakeVault{}).start()
		if _, err := s.client.Write(sshagent.RequestIdentities().Bytes()); err != nil {
			t.Fatal(err)
		}
		begin := time.Now()
		if err := <-s.result; !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("ended with %v", err)
		}
		if took := time.Since(begin); took != clientWriteTime {
			t.Errorf("took %v", took)
		}
		s.notes("[dial list close]")
	})
}
