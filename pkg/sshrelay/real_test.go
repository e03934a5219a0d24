package sshrelay

import (
	"bytes"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sirupsen/logrus"
	"golang.org/x/sys/unix"

	"github.com/splitvault/splitvault/pkg/hangup"
	"github.com/splitvault/splitvault/pkg/qrexec"
	"github.com/splitvault/splitvault/pkg/qrexec/qrexectest"
	"github.com/splitvault/splitvault/pkg/slots"
	"github.com/splitvault/splitvault/pkg/sshagent"
)

// long bounds what must happen at once, on a busy machine under the race
// detector.
const long = 10 * time.Second

// pair returns the two ends of a socketpair.
func pair(t *testing.T) (ours, theirs *net.UnixConn) {
	t.Helper()
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	ends := make([]*net.UnixConn, len(fds))
	for i, fd := range fds {
		f := os.NewFile(uintptr(fd), "pair")
		conn, err := net.FileConn(f)
		f.Close()
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { conn.Close() })
		ends[i] = conn.(*net.UnixConn)
	}
	return ends[0], ends[1]
}

// recorded is a log and a function that returns what was logged.
func recorded() (logrus.FieldLogger, func() string) {
	var mu sync.Mutex
	var text bytes.Buffer
	log := logrus.New()
	log.SetFormatter(&logrus.TextFormatter{DisableColors: true, DisableTimestamp: true})
	log.SetOutput(writer(func(b []byte) (int, error) {
		mu.Lock()
		defer mu.Unlock()
		return text.Write(b)
	}))
	return log, func() string {
		mu.Lock()
		defer mu.Unlock()
		return text.String()
	}
}

type writer func([]byte) (int, error)

func (w writer) Write(b []byte) (int, error) { return w(b) }

func config(target string) *Config {
	return &Config{Self: "work", Dialer: &Dialer{Target: qrexec.Target(target), Service: "qubes.Ssh"}}
}

// world is a client, a relay, and a child process as the qrexec client.
type world struct {
	t        *testing.T
	client   *net.UnixConn
	calls    *qrexectest.Calls
	replies  *sshagent.Reader
	slots    string // directory of the pool, which has one place
	base     string // XDG_RUNTIME_DIR
	log      func() string
	notified []string
	result   chan error
}

func connect(t *testing.T, service qrexec.Service, adjust ...func(*Dialer)) *world {
	t.Helper()
	ours, theirs := pair(t)
	w := &world{
		t: t, client: theirs, calls: qrexectest.Record(t), slots: t.TempDir(), base: t.TempDir(), result: make(chan error, 1),
		replies: sshagent.NewReader(theirs, sshagent.MaxReply, long),
	}
	watcher, err := hangup.Watch(ours)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(watcher.Close)
	dialer := &Dialer{
		Pool: slots.New(w.slots, "ssh", 1), Client: qrexectest.Program(t), Target: qrexec.Target(w.calls.Target), Service: service,
	}
	for _, f := range adjust {
		f(dialer)
	}
	log, lines := recorded()
	w.log = lines
	reporter := &Reporter{
		Log: log, Config: &Config{Dialer: dialer, Self: "work"}, Base: w.base,
		Notify: func(summary, body string) error {
			w.notified = append(w.notified, summary+": "+body)
			return nil
		},
	}
	relay := &Relay{
		Client: ours, Gone: watcher.Gone(), Dial: dialer.Dial, Contended: dialer.Contended, Idle: 10 * time.Second,
		Refused: reporter.Refused, Failed: reporter.Failed,
	}
	go func() { w.result <- relay.Serve(t.Context()) }()
	return w
}

func (w *world) send(f sshagent.Frame) {
	w.t.Helper()
	if _, err := w.client.Write(f.Bytes()); err != nil {
		w.t.Fatal(err)
	}
}

// ask sends a request and compares the reply.
func (w *world) ask(request sshagent.Frame, want []byte) {
	w.t.Helper()
	w.send(request)
	w.get(want)
}

func (w *world) get(want []byte) {
	w.t.Helper()
	if err := w.client.SetReadDeadline(time.Now().Add(long)); err != nil {
		w.t.Fatal(err)
	}
	reply, err := w.replies.Next()
	if err != nil || string(reply.Bytes()) != string(want) {
		w.t.Errorf("reply %x, %v, want %x", reply.Bytes(), err, want)
	}
}

// leave closes the client's connection. Nothing may be left then.
func (w *world) leave() {
	w.t.Helper()
	w.client.Close()
	w.end()
}

// end waits for the end of the relay.
func (w *world) end() {
	w.t.Helper()
	select {
	case err := <-w.result:
		if err != nil {
			w.t.Errorf("ended with %v", err)
		}
	case <-time.After(long):
		w.t.Fatal("the relay did not end")
	}
	w.calls.Gone(w.t, 0)
	slot, err := slots.New(w.slots, "ssh", 1).Acquire(w.t.Context())
	if err != nil {
		w.t.Errorf("the place was not given back: %v", err)
		return
	}
	_ = slot.Release()
}

func list() sshagent.Frame { return sshagent.RequestIdentities() }

func listed() []byte { return qrexectest.Reply(list()).Bytes() }

// Whatever happens behind the relay: a clean failure to the client for each
// request, a line in the journal each time that says what to do, one
// notification for both, no process left.
func TestEveryFailureIsToldAndLeavesNothing(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name    string
		service qrexec.Service
		cause   string
		says    []string
	}{
		{"refused by dom0", qrexectest.Exit + "+126", "refused", []string{"dom0 refused the call", "30-splitvault", "exit=126", "Request refused"}},
		{"no such service", qrexectest.Exit + "+127", "no-service", []string{"has no service test.Exit", "install splitvault", "exit=127"}},
		{"qrexec cannot start it", qrexectest.Exit + "+125", "qrexec-problem", []string{"qrexec could not start", "exit=125"}},
		{"no agent in this qube", qrexectest.Exit + "+1", "no-connection", []string{"qubes-qrexec-agent", "exit=1"}},
		{"usage", qrexectest.Exit + "+2", "usage", []string{"4.2", "exit=2"}},
		{"guard fails", qrexectest.Exit + "+42", "service-failed", []string{"exit code 42"}},
		{"guard ends without a word", qrexectest.Serve + "+0", "no-answer", []string{"without a whole answer", "exit=0"}},
		{"vault shuts down", qrexectest.Broken + "+0", "broken", []string{"shut down", "exit=255", "vchan connection closed early"}},
		{"dies after 3 bytes of the answer", qrexectest.Cut + "+3", "broken", []string{"exit=255"}},
		{"dies after the length of the answer", qrexectest.Cut + "+4", "broken", []string{"exit=255"}},
		{"dies before the last byte of the answer", qrexectest.Cut + "+23", "broken", []string{"exit=255"}},
		{"profile text", qrexectest.Profile + "+44", "garbage", []string{"a profile file in the vault prints text", ".profile"}},
		{"one word of profile text", qrexectest.Profile + "+4", "garbage", []string{"a profile file in the vault prints text"}},
		{"two letters of profile text, then the answer", qrexectest.Profile + "+2", "garbage", []string{"a profile file in the vault prints text"}},
		{"a reply of 4 GiB", qrexectest.Huge, "garbage", []string{"no answer of an agent"}},
		{"a signature for a list", qrexectest.Wrong, "error", []string{"the vault answered REQUEST_IDENTITIES with SIGN_RESPONSE"}},
		{"closes its output and goes on", qrexectest.Mute, "no-answer", []string{"without a whole answer"}},
		{"leaves a process that holds the pipes", qrexectest.Orphan, "no-answer", []string{"without a whole answer", "exit=0"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := connect(t, tt.service)
			t.Cleanup(func() { w.calls.KillChildren(t) })
			w.ask(list(), failure())
			w.ask(list(), failure())
			w.leave()
			if n := w.calls.Count(t); n != 2 {
				t.Errorf("%d calls for two requests", n)
			}
			log := w.log()
			if n := strings.Count(log, "request not served"); n != 2 {
				t.Errorf("%d lines for two failures", n)
			}
			for _, want := range tt.says {
				if !strings.Contains(log, want) {
					t.Errorf("the journal does not say %q:\n%s", want, log)
				}
			}
			w.toldOnce(tt.cause)
		})
	}
}

func (w *world) toldOnce(cause string) {
	w.t.Helper()
	if len(w.notified) != 1 || strings.Contains(w.notified[0], "Request refused") {
		w.t.Errorf("notified %q, want one, and none of the vault's words", w.notified)
	}
	entries, err := os.ReadDir(filepath.Join(w.base, "splitvault", "notified"))
	if err != nil || len(entries) != 1 || entries[0].Name() != "ssh-"+cause {
		w.t.Errorf("told of %v, %v, want ssh-%s", entries, err, cause)
	}
}

func TestNoQrexecClient(t *testing.T) {
	t.Parallel()
	w := connect(t, "qubes.Ssh", func(d *Dialer) { d.Client = "/nonexistent/qrexec-client-vm" })
	w.ask(list(), failure())
	w.ask(list(), failure())
	w.leave()
	if log := w.log(); !strings.Contains(log, "is this a qube?") || !strings.Contains(log, "/nonexistent/qrexec-client-vm") {
		t.Errorf("the journal does not say it:\n%s", log)
	}
	w.toldOnce("no-client")
}

func TestStandardErrorNeverGetsIntoTheStream(t *testing.T) {
	t.Parallel()
	w := connect(t, qrexectest.Flood)
	w.ask(list(), listed())
	w.ask(signRequest(t), qrexectest.Reply(signRequest(t)).Bytes())
	w.leave()
	if n := w.calls.Count(t); n != 1 {
		t.Errorf("%d calls", n)
	}
	if log := w.log(); log != "" {
		t.Errorf("logged although nothing failed: %q", log)
	}
}

func TestTheVaultGetsTheSameBytes(t *testing.T) {
	t.Parallel()
	w := connect(t, qrexectest.Answer)
	large, err := sshagent.SignRequest{Key: []byte("key"), Data: bytes.Repeat([]byte("x"), sshagent.MaxRequest-16)}.Frame()
	if err != nil {
		t.Fatal(err)
	}
	requests := []sshagent.Frame{list(), extension(t, "session-bind@openssh.com", "x"), signRequest(t), large}
	var want []string
	for _, request := range requests {
		w.ask(request, qrexectest.Reply(request).Bytes())
		want = append(want, hexadecimal(request))
	}
	w.leave()
	if got := w.calls.Notes(t, "got"); !slices.Equal(got, want) {
		t.Errorf("the vault got %d messages, not the same bytes", len(got))
	}
	if n := len(w.calls.Notes(t, "eof")); n != 1 {
		t.Errorf("the vault saw %d ends of input", n)
	}
}

// A client that stopped sending and still reads: the vault is told, which ends
// a prompt, and what it answers is delivered.
func TestHalfCloseIsPassedOnAndTheAnswerDelivered(t *testing.T) {
	t.Parallel()
	w := connect(t, qrexectest.AtEOF)
	w.send(list())
	w.calls.Await(t, "got", 1)
	if err := w.client.CloseWrite(); err != nil {
		t.Fatal(err)
	}
	w.get(listed())
	if n, err := w.client.Read(make([]byte, 1)); n != 0 || err != io.EOF { //nolint:errorlint // net returns it bare
		t.Errorf("after the answer: %d bytes, %v", n, err)
	}
	w.end()
}

func TestHalfCloseBeforeTheFirstAnswer(t *testing.T) {
	t.Parallel()
	w := connect(t, qrexectest.Answer)
	w.send(list())
	w.send(list())
	if err := w.client.CloseWrite(); err != nil {
		t.Fatal(err)
	}
	w.get(listed())
	w.get(listed())
	w.end()
}

func TestClientGoneEndsTheClientProgram(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name    string
		service qrexec.Service
		ready   string // note to wait for
		within  time.Duration
	}{
		{"while dom0 asks", qrexectest.Hang, "call", endGrace},
		{"though it ignores SIGTERM", qrexectest.Deaf, "deaf", endGrace + time.Second},
		{"though its output is closed", qrexectest.Mute, "call", endGrace},
		{"between two requests", qrexectest.Answer, "", 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := connect(t, tt.service)
			if tt.ready == "" {
				w.ask(list(), listed())
			} else {
				w.send(list())
				w.calls.Await(t, tt.ready, 1)
			}
			begin := time.Now()
			w.leave()
			// The machine of the tests may be slow.
			if took := time.Since(begin); took > tt.within+2*time.Second {
				t.Errorf("took %v, want about %v", took, tt.within)
			}
			if log := w.log(); strings.Contains(log, "request not served") && tt.service != qrexectest.Mute {
				t.Errorf("a client that is gone is no failure:\n%s", log)
			}
		})
	}
}

// The guard ended by itself, or the vault was restarted, while nothing was
// asked: no failure, a new call.
func TestCallThatEndedIsReplacedWithoutAWord(t *testing.T) {
	t.Parallel()
	w := connect(t, qrexectest.Serve+"+1")
	for range 5 {
		w.ask(list(), listed())
		w.calls.Gone(t, long)
	}
	w.leave()
	if n := w.calls.Count(t); n != 5 {
		t.Errorf("%d calls", n)
	}
	if log := w.log(); log != "" {
		t.Errorf("logged:\n%s", log)
	}
}

// A signature asked for twice is a second prompt.
func TestRequestThatTheVaultTookIsNotSentAgain(t *testing.T) {
	t.Parallel()
	w := connect(t, qrexectest.Broken+"+1")
	w.ask(list(), listed())
	w.ask(signRequest(t), failure())
	w.leave()
	if n := w.calls.Count(t); n != 1 {
		t.Errorf("%d calls", n)
	}
	if got := w.calls.Notes(t, "got"); len(got) != 2 {
		t.Errorf("the vault got %q", got)
	}
}

func TestVaultThatSpeaksUnaskedIsHungUpOn(t *testing.T) {
	t.Parallel()
	w := connect(t, qrexectest.Unasked)
	w.ask(list(), listed())
	time.Sleep(100 * time.Millisecond) // the second answer is there by now
	w.ask(signRequest(t), failure())
	w.ask(list(), listed()) // a new call
	w.leave()
	if n := w.calls.Count(t); n != 2 {
		t.Errorf("%d calls", n)
	}
	if log := w.log(); !strings.Contains(log, "without being asked") {
		t.Errorf("the journal does not say it:\n%s", log)
	}
}

func TestGarbageAfterGoodAnswersIsNoProfileText(t *testing.T) {
	t.Parallel()
	w := connect(t, qrexectest.Huge+"+1")
	w.ask(list(), listed())
	w.ask(list(), failure())
	w.leave()
	if log := w.log(); !strings.Contains(log, "after some that were") || strings.Contains(log, "profile") {
		t.Errorf("the journal says:\n%s", log)
	}
}

func hexadecimal(f sshagent.Frame) string {
	const digits = "0123456789abcdef"
	var b strings.Builder
	for _, c := range f.Bytes() {
		b.WriteByte(digits[c>>4])
		b.WriteByte(digits[c&15])
	}
	return b.String()
}
