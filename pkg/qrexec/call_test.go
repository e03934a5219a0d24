package qrexec_test

import (
	"errors"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/splitvault/splitvault/pkg/qrexec"
	"github.com/splitvault/splitvault/pkg/qrexec/qrexectest"
	"github.com/splitvault/splitvault/pkg/sshagent"
)

// long bounds what must happen at once, on a busy machine under the race
// detector.
const long = 10 * time.Second

func start(t *testing.T, service qrexec.Service) (*qrexec.Call, *qrexectest.Calls) {
	t.Helper()
	calls := qrexectest.Record(t)
	call, err := qrexec.Start(qrexectest.Program(t), qrexec.Target(calls.Target), service)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		call.End(0)
		call.Out.Close()
		calls.KillChildren(t)
	})
	return call, calls
}

func ended(t *testing.T, call *qrexec.Call) qrexec.Outcome {
	t.Helper()
	select {
	case <-call.Done():
		return call.Outcome()
	case <-time.After(long):
		t.Fatal("the call never ended")
		return qrexec.Outcome{}
	}
}

func TestCallReportsHowTheClientProgramEnded(t *testing.T) {
	t.Parallel()
	for service, want := range map[qrexec.Service]qrexec.Outcome{
		qrexectest.Exit:            {Code: 0},
		qrexectest.Exit + "+1":     {Code: 1},
		qrexectest.Exit + "+125":   {Code: 125},
		qrexectest.Exit + "+126":   {Code: 126, Message: "Request refused\n"},
		qrexectest.Exit + "+127":   {Code: 127},
		qrexectest.Broken + "+255": {Code: 255, Message: "vchan connection closed early (fds: 0 1 2, status: -1 -1)\n"},
	} {
		t.Run(string(service), func(t *testing.T) {
			t.Parallel()
			call, calls := start(t, service)
			if err := call.In.Close(); err != nil {
				t.Error(err)
			}
			if got := ended(t, call); got != want {
				t.Errorf("got %+v, want %+v", got, want)
			}
			calls.Gone(t, 0)
		})
	}
}

func TestRequestAndReplyPassUnaltered(t *testing.T) {
	t.Parallel()
	call, calls := start(t, qrexectest.Answer)
	request := sshagent.RequestIdentities()
	if _, err := call.In.Write(request.Bytes()); err != nil {
		t.Fatal(err)
	}
	reply, err := sshagent.NewReader(call.Out, sshagent.MaxReply, long).Next()
	if err != nil || string(reply.Bytes()) != string(qrexectest.Reply(request).Bytes()) {
		t.Errorf("reply %x, %v", reply.Bytes(), err)
	}
	call.End(long)
	if got := call.Outcome(); got.Code != 0 || got.Stopped {
		t.Errorf("outcome %+v, want an end of its own accord", got)
	}
	if len(calls.Notes(t, "eof")) != 1 {
		t.Error("the service never saw the end of input")
	}
}

// The client writes the vault's standard error blockingly: not read, it would
// stall the call (qubes-core-qrexec, libqrexec/remote.c).
func TestFloodOfStandardErrorStallsNothing(t *testing.T) {
	t.Parallel()
	call, _ := start(t, qrexectest.Flood)
	if err := call.Out.SetReadDeadline(time.Now().Add(long)); err != nil {
		t.Fatal(err)
	}
	if _, err := call.In.Write(sshagent.RequestIdentities().Bytes()); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(call.Out, make([]byte, 5)); err != nil {
		t.Fatalf("no answer behind 2 MB of standard error: %v", err)
	}
	call.End(long)
	if n := len(call.Outcome().Message); n != 512 {
		t.Errorf("kept %d bytes of it, want 512", n)
	}
}

func TestEndInsists(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name    string
		service qrexec.Service
		signal  syscall.Signal
		atLeast time.Duration
	}{
		{"SIGTERM to what ignores the end of input", qrexectest.Hang, syscall.SIGTERM, 0},
		{"SIGKILL to what ignores SIGTERM as well", qrexectest.Deaf, syscall.SIGKILL, time.Second},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			call, calls := start(t, tt.service)
			calls.Await(t, "call", 1)
			if tt.service == qrexectest.Deaf {
				calls.Await(t, "deaf", 1)
			}
			begin := time.Now()
			call.End(0)
			if took := time.Since(begin); took < tt.atLeast || took > tt.atLeast+long {
				t.Errorf("took %v", took)
			}
			if got := call.Outcome(); got.Signal != tt.signal || !got.Stopped {
				t.Errorf("outcome %+v, want signal %v", got, tt.signal)
			}
			calls.Gone(t, 0)
			call.End(0) // is harmless
		})
	}
}

// A process that the client program left behind keeps standard error open; the
// end of the call must not wait for it.
func TestOrphanWithStandardErrorDoesNotHoldTheCall(t *testing.T) {
	t.Parallel()
	call, _ := start(t, qrexectest.Orphan)
	if got := ended(t, call); got.Code != 0 || got.Signal != 0 {
		t.Errorf("outcome %+v", got)
	}
}

func TestNoClientProgram(t *testing.T) {
	t.Parallel()
	before := openFiles(t)
	for range 50 {
		_, err := qrexec.Start("/nonexistent/qrexec-client-vm", "vault", "qubes.Ssh")
		if !errors.Is(err, qrexec.ErrNoClient) || !errors.Is(err, os.ErrNotExist) {
			t.Fatalf("error %v", err)
		}
		for _, want := range []string{"is this a qube?", "SPLITVAULT_QREXEC_CLIENT", "/nonexistent/qrexec-client-vm"} {
			if !strings.Contains(err.Error(), want) {
				t.Fatalf("%q does not say %q", err, want)
			}
		}
	}
	// Other tests run at the same time; a leak would be 200.
	if after := openFiles(t); after > before+100 {
		t.Errorf("%d open files before, %d after", before, after)
	}
}

func openFiles(t *testing.T) int {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(entries)
}

// A relay that is killed outright cannot end its call: the kernel does.
func TestCallDiesWithAKilledCaller(t *testing.T) {
	t.Parallel()
	calls := qrexectest.Record(t)
	caller := exec.Command(os.Args[0])
	caller.Env = append(os.Environ(), "QREXEC_TEST_CALLER="+calls.Target)
	caller.Stderr = os.Stderr
	if err := caller.Start(); err != nil {
		t.Fatal(err)
	}
	kill := sync.OnceFunc(func() {
		_ = caller.Process.Kill()
		_ = caller.Wait()
	})
	t.Cleanup(kill) // when the test fails before it gets there
	calls.Await(t, "deaf", 1)
	kill()
	calls.Gone(t, long)
}
