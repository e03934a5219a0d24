package qrexec_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/splitvault/splitvault/test/qubes/qrexec/dom0"
	"github.com/splitvault/splitvault/test/qubes/qrexec/internal/wire"
)

func TestContract15The129thCallIsRefused(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.socketService("x", echoAll)
	var held []*os.File
	for range 128 {
		held = append(held, b.hold("vault", "x")...)
	}
	if open := b.statistics().Open; open != 128 {
		t.Fatalf("%d calls are open, want 128", open)
	}
	b.call("", "vault", "x").want(t, 126, "", "Request refused\n")
	wire.CloseAll(held...)
	b.ctl(dom0.Command{Verb: "wait-idle"})
	b.call("", "vault", "x").wantCode(t, 0)
	if s := b.statistics(); s.Peak != 128 || s.Total != 130 {
		t.Errorf("peak %d, total %d; want 128 and 130", s.Peak, s.Total)
	}
}

// hold opens a call as a client does, without a process for it; the call lives
// until the descriptors are closed.
func (b *bench) hold(target, service string) []*os.File {
	b.t.Helper()
	agent, err := wire.Dial(b.Socket("work"))
	if err != nil {
		b.t.Fatal(err)
	}
	defer agent.Close()
	if err := agent.Send(wire.Message{Kind: wire.KindCall, Target: []byte(target), Descriptor: []byte(service)}); err != nil {
		b.t.Fatal(err)
	}
	_, files, err := agent.Receive()
	if err != nil {
		b.t.Fatal(err)
	}
	b.t.Cleanup(func() { wire.CloseAll(files...) })
	if err := wire.Greet(int(files[0].Fd())); err != nil {
		b.t.Fatal(err)
	}
	return files
}

func TestContract15XenGivesOutEarlier(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.serve("x", `cat`)
	b.ctl(dom0.Command{Verb: "limits", Limits: dom0.Limits{Daemon: 128, Xen: 3}})
	open := []*conversation{}
	for range 3 {
		c := b.talk(modeB, "vault", "x")
		c.say("x")
		c.hear("x")
		open = append(open, c)
	}
	b.call("", "vault", "x").want(t, 1, "", "Data vchan connection failed\n")
	for _, c := range open {
		c.halfClose()
		c.exits(0)
	}
	b.ctl(dom0.Command{Verb: "wait-idle"})
	b.call("hi", "vault", "x").want(t, 0, "hi", "")
}

func TestContract16CutAfterExactlyNBytes(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.serve("x", `cat`)
	for _, after := range []int64{0, 1, 5, 9} {
		b.fault(dom0.Fault{Kind: dom0.FaultCut, After: after, Times: 1})
		r := b.call("0123456789", "vault", "x")
		if r.code != 255 || r.stdout != "0123456789"[:after] || !strings.HasPrefix(r.stderr, "vchan connection closed early") {
			t.Errorf("cut after %d bytes to the client: exit %d stdout %q stderr %q", after, r.code, r.stdout, r.stderr)
		}
	}
	got := filepath.Join(t.TempDir(), "got")
	b.serve("store", `cat >`+got)
	b.fault(dom0.Fault{Kind: dom0.FaultCut, After: 4, Direction: dom0.ToService, Times: 1})
	b.call("0123456789", "vault", "store").wantCode(t, 255)
	b.settled()
	if text, err := os.ReadFile(got); err != nil || string(text) != "0123" {
		t.Errorf("the service got %q, %v; want 4 bytes", text, err)
	}
	b.call("0123456789", "vault", "x").want(t, 0, "0123456789", "")
}

func TestContract16StallKeepsTheCallOpenUntilTheClientGoes(t *testing.T) {
	t.Parallel()
	for _, direction := range []string{dom0.ToService, dom0.ToClient} {
		t.Run(direction, func(t *testing.T) {
			b := newBench(t)
			b.serve("x", `cat`)
			b.fault(dom0.Fault{Kind: dom0.FaultStall, After: 3, Direction: direction})
			c := b.talk(modeB, "vault", "x")
			c.say("0123456789")
			c.hear("012")
			c.hearNothing()
			c.stays()
			_ = c.cmd.Process.Kill()
			_ = c.cmd.Wait()
			b.settled()
		})
	}
}

func TestContract16RefuseDownAndBrokenChannelByService(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.serve("x", `cat`)
	b.serve("y", `cat`)
	for _, tt := range []struct {
		kind dom0.FaultKind
		code int
		err  string
	}{
		{dom0.FaultRefuse, 126, "Request refused\n"},
		{dom0.FaultDown, 126, "Request refused\n"},
		{dom0.FaultChannel, 1, "Data vchan connection failed\n"},
	} {
		b.fault(dom0.Fault{Kind: tt.kind, Service: "x", Times: 1, Source: "work"})
		b.call("hi", "vault", "y").want(t, 0, "hi", "")
		b.call("hi", "vault", "x").want(t, tt.code, "", tt.err)
		b.call("hi", "vault", "x").want(t, 0, "hi", "")
	}
}

func TestContract16LateApproval(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.serve("x", `cat`)
	b.fault(dom0.Fault{Kind: dom0.FaultLate, Delay: dom0.Duration{Duration: 300 * time.Millisecond}})
	began := time.Now()
	b.call("hi", "vault", "x").want(t, 0, "hi", "")
	if took := time.Since(began); took < 300*time.Millisecond {
		t.Errorf("took %v", took)
	}
}

func TestContract16AskedPersonAnswers(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.serve("x", `echo ran`)
	b.policy("x * work @default ask target=vault default_target=vault", "x * work vault ask")
	answer := func(text string) {
		t.Helper()
		a, err := dom0.ParseAnswer(text)
		if err != nil {
			t.Fatal(err)
		}
		b.ctl(dom0.Command{Verb: "answer", Answer: a})
	}
	answer("allow")
	b.call("", "", "x").want(t, 0, "ran\n", "")
	answer("allow:vault")
	b.call("", "vault", "x").want(t, 0, "ran\n", "")
	answer("deny")
	b.call("", "", "x").wantCode(t, 126)
	b.ctl(dom0.Command{Verb: "answer-default", Answer: dom0.Answer{Verdict: "allow"}})
	b.call("", "", "x").want(t, 0, "ran\n", "")
	if c := b.settled(); !c.Asked || c.Verdict != "allow" {
		t.Errorf("dom0 noted %+v", c)
	}
}

func TestContract16PromptsOfParallelCallsAreSeparate(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.serve("x", `echo ran`)
	b.policy("x * work vault ask default_target=vault")
	var calls sync.WaitGroup
	for range 3 {
		calls.Go(func() { b.call("", "vault", "x").wantCode(t, 0) })
	}
	var asks []dom0.Prompt
	eventually(t, "three prompts", func() bool { return b.Do(dom0.Command{Verb: "asks"}, &asks) == nil && len(asks) == 3 })
	if asks[0].Source != "work" || asks[0].Service != "x" || len(asks[0].Targets) != 1 || asks[0].DefaultTarget != "vault" {
		t.Errorf("prompt %+v", asks[0])
	}
	for range 3 {
		b.ctl(dom0.Command{Verb: "answer", Answer: dom0.Answer{Verdict: "allow"}})
	}
	calls.Wait()
}

func TestContract16HaltedTargetIsStartedOrNot(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.serve("x", `echo ran`)
	halt := func() { b.ctl(dom0.Command{Verb: "halt", Qube: "vault"}) }
	halt()
	b.call("", "vault", "x").wantCode(t, 126)
	b.ctl(dom0.Command{Verb: "start-command", Text: `test "$QUBE" = vault && sleep 0.2`})
	b.call("", "vault", "x").want(t, 0, "ran\n", "")
	halt()
	b.policy("x * work vault allow autostart=no")
	b.call("", "vault", "x").wantCode(t, 126)
	b.policy("x * work vault allow")
	b.ctl(dom0.Command{Verb: "start-command", Text: `exit 1`})
	b.call("", "vault", "x").wantCode(t, 126)
}

func TestContract16HaltCutsOpenCalls(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.serve("x", `cat`)
	c := b.talk(modeB, "vault", "x")
	c.say("x")
	c.hear("x")
	b.ctl(dom0.Command{Verb: "halt", Qube: "vault"})
	c.exits(255)
}

func TestContract10And16AgentRestartSparesOpenCalls(t *testing.T) {
	t.Parallel()
	for _, qube := range []string{"work", "vault"} {
		t.Run(qube, func(t *testing.T) {
			b := newBench(t)
			b.serve("x", `cat`)
			c := b.talk(modeB, "vault", "x")
			c.say("x")
			c.hear("x")
			b.ctl(dom0.Command{Verb: "restart-agent", Qube: qube, Duration: dom0.Duration{Duration: time.Second}})
			b.call("", "vault", "x").wantCode(t, map[string]int{"work": 1, "vault": 126}[qube])
			c.say("y")
			c.hear("y")
			b.ctl(dom0.Command{Verb: "wait-agent", Qube: qube})
			b.call("hi", "vault", "x").want(t, 0, "hi", "")
			c.halfClose()
			c.hearEOF()
			c.exits(0)
		})
	}
}

func TestContract16AgentGoneForGoodCutsItsCalls(t *testing.T) {
	t.Parallel()
	b := startBench(t, []string{"--grace", "200ms"}, nil, nil)
	b.serve("x", `cat`)
	c := b.talk(modeB, "vault", "x")
	c.say("x")
	c.hear("x")
	b.ctl(dom0.Command{Verb: "restart-agent", Qube: "vault", Duration: dom0.Duration{Duration: time.Minute}})
	c.exits(255)
}

// A call for which a qube is started is not one of those that its last agent served.
func TestContract16CallThatStartsTheQubeIsNotCut(t *testing.T) {
	t.Parallel()
	b := startBench(t, []string{"--grace", "500ms"}, nil, nil)
	b.serve("x", `cat`)
	b.ctl(dom0.Command{Verb: "restart-agent", Qube: "vault", Duration: dom0.Duration{Duration: time.Second}})
	b.ctl(dom0.Command{Verb: "halt", Qube: "vault"})
	b.ctl(dom0.Command{Verb: "start-command", Text: "sleep 2"})
	b.call("hi", "vault", "x").want(t, 0, "hi", "")
}

func TestContract16NothingStaysWhenDom0Ends(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	end := filepath.Join(t.TempDir(), "end")
	b.serve("x", `cat; touch `+end)
	c := b.talk(modeB, "vault", "x")
	c.say("x")
	c.hear("x")
	if err := b.Stop(); err != nil {
		t.Fatal(err)
	}
	c.exits(255)
	eventually(t, "the service saw the end of file", func() bool { return exists(end) })
}

func TestContract16OlderReleases(t *testing.T) {
	t.Parallel()
	for _, release := range []string{"4.1", "4.2"} {
		t.Run(release, func(t *testing.T) {
			old := release == "4.1"
			b := startBench(t, nil, []string{"--release", release}, []string{"--release", release, "--session", "gui"})
			b.serve("x", `echo ran`)
			b.write(filepath.Join(b.Services("vault"), "plain"), "text", 0o644)
			b.socketService("socket", echoAll)
			b.configure("socket", "skip-service-descriptor=true\n")
			if err := os.Symlink("/dev/tcp/127.0.0.1/1", filepath.Join(b.Services("vault"), "tcp")); err != nil {
				t.Fatal(err)
			}
			pick := func(ifOld, otherwise int) int {
				if old {
					return ifOld
				}
				return otherwise
			}
			b.call("", "vault", "x").want(t, 0, "ran\n", "")
			b.call("", "-p", "x", "vault", "x").wantCode(t, pick(2, 0))
			b.call("", "--source-qube=x", "vault", "x").wantCode(t, 2)
			b.call("", "vault", "plain").wantCode(t, pick(127, 125))
			b.call("", "vault", "tcp").wantCode(t, pick(127, 125))
			header := ""
			if old {
				header = "socket+ work\x00"
			}
			b.call("hi", "vault", "socket").want(t, 0, header+"hi", "")
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			ours, theirs := socketPair(t)
			_ = ours.Close()
			cmd := b.Command(ctx, "work", "--use-stdin-socket", "vault", "x")
			cmd.Stdin = theirs
			finish(t, ctx, cmd).wantCode(t, pick(2, 0))
		})
	}
}

func TestContract16QubeCannotSpeakForAnother(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.serve("x", `echo "$QREXEC_REMOTE_DOMAIN"`)
	b.call("", "-s", "vault", "vault", "x").wantCode(t, 126)
	b.call("", "vault", "x").want(t, 0, "work\n", "")
}
