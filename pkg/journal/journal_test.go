package journal

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"maps"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sirupsen/logrus"
	"golang.org/x/sys/unix"
)

// decode reads a datagram of the journal's native protocol as journald does.
func decode(t *testing.T, b []byte) map[string]string {
	t.Helper()
	fields := make(map[string]string)
	for len(b) > 0 {
		line, rest, ok := bytes.Cut(b, []byte("\n"))
		if !ok {
			t.Fatalf("line without end: %q", b)
		}
		name, value, plain := strings.Cut(string(line), "=")
		if !plain {
			n := binary.LittleEndian.Uint64(rest)
			value, rest = string(rest[8:8+n]), rest[8+n:]
			if rest[0] != '\n' {
				t.Fatalf("field %q does not end where it says", name)
			}
			rest = rest[1:]
		}
		if _, twice := fields[name]; twice {
			t.Errorf("field %q twice", name)
		}
		fields[name], b = value, rest
	}
	return fields
}

// journald is a socket where journald would be.
func journald(t *testing.T) (*net.UnixConn, string) {
	t.Helper()
	dir, err := os.MkdirTemp("", "journal")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	path := filepath.Join(dir, "socket")
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn, path
}

func receive(t *testing.T, conn *net.UnixConn) map[string]string {
	t.Helper()
	if err := conn.SetReadDeadline(time.Now().Add(10 * time.Second)); err != nil {
		t.Fatal(err)
	}
	b := make([]byte, 1<<16)
	n, err := conn.Read(b)
	if err != nil {
		t.Fatal(err)
	}
	return decode(t, b[:n])
}

// notATerminal is a standard error, and what was written to it.
func notATerminal(t *testing.T) (*os.File, func() string) {
	t.Helper()
	f, err := os.CreateTemp(t.TempDir(), "stderr")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f, func() string {
		b, err := os.ReadFile(f.Name())
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
}

func TestLineInTheJournal(t *testing.T) {
	t.Parallel()
	server, path := journald(t)
	stderr, written := notATerminal(t)
	log := build("ssh-relay", Local, stderr, path)
	log.WithFields(logrus.Fields{
		Qube: "vault", PeerPID: 7, Cause: "dom0 refused\nthe call", Err: errors.New(`"x"`),
		"secret": "hunter2", "SPLITVAULT_QUBE": "forged", logrus.ErrorKey: "not this one",
	}).Warn("request not served")
	want := map[string]string{
		"MESSAGE": "request not served: dom0 refused\nthe call: \"x\"", "PRIORITY": "4", "SYSLOG_IDENTIFIER": "splitvault-ssh-relay",
		"SPLITVAULT_QUBE": "vault", "SPLITVAULT_PEER_PID": "7", "SPLITVAULT_CAUSE": "dom0 refused\nthe call", "SPLITVAULT_ERR": `"x"`,
	}
	if got := receive(t, server); !maps.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	if text := written(); text != "" {
		t.Errorf("also on standard error: %q", text)
	}
}

func TestPriorities(t *testing.T) {
	t.Parallel()
	var got []string
	log := logrus.New()
	log.SetOutput(io.Discard)
	log.SetLevel(logrus.TraceLevel)
	log.AddHook(hook{identifier: "x", send: func(b []byte) error {
		got = append(got, decode(t, b)["PRIORITY"])
		return errors.New("an error stops nothing")
	}})
	log.Trace("")
	log.Debug("")
	log.Info("")
	log.Warn("")
	log.Error("")
	if want := []string{"7", "7", "6", "4", "3"}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

// The list is part of the product: `splitvault log` and people's own queries
// read these names.
func TestTheFieldsAreAClosedList(t *testing.T) {
	t.Parallel()
	const promised = "SERVICE QUBE AGENT KEY PURPOSE USER HOST TRUST METHOD ORIGIN ENTRY FIELD RULE VERDICT CONN " +
		"PEER_UID PEER_PID PEER_COMM BYTES_IN BYTES_OUT DURATION_MS CAUSE EXIT COUNT AUDIT_HEAD ERR"
	sent := make(map[string]string)
	log := logrus.New()
	log.SetOutput(io.Discard)
	log.AddHook(hook{identifier: "x", send: func(b []byte) error {
		sent = decode(t, b)
		return nil
	}})
	all := make(logrus.Fields)
	for _, name := range append(Fields(), "password", "payload", "params", "blob", "MESSAGE", "_PID", "service ", "Service") {
		all[name] = "x"
	}
	log.WithFields(all).Info("m")
	want := []string{"MESSAGE", "PRIORITY", "SYSLOG_IDENTIFIER"}
	for name := range strings.FieldsSeq(promised) {
		want = append(want, "SPLITVAULT_"+name)
	}
	slices.Sort(want)
	if got := slices.Sorted(maps.Keys(sent)); !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestWithoutAJournal(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		kind Stderr
		want string
	}{
		{"our own standard error has the text", Local, "level=warning msg=denied qube=vault\n"},
		{"the calling qube's has nothing", Foreign, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			stderr, written := notATerminal(t)
			log := build("ssh-guard", tt.kind, stderr, filepath.Join(t.TempDir(), "missing"))
			log.WithField(Qube, "vault").Warn("denied")
			if got := written(); got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

func TestOnATerminal(t *testing.T) {
	t.Parallel()
	server, path := journald(t)
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY|unix.O_NONBLOCK, 0)
	if err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal(err)
		}
		t.Skipf("no pseudo terminals here: %v", err)
	}
	defer master.Close()
	log := build("ssh-relay", Local, master, path)
	log.Info("hello")
	if err := server.SetReadDeadline(time.Now().Add(20 * time.Millisecond)); err != nil {
		t.Fatal(err)
	}
	if n, err := server.Read(make([]byte, 100)); err == nil {
		t.Errorf("%d bytes in the journal", n)
	}
}

func TestJournalThatDoesNotReadStopsNobody(t *testing.T) {
	t.Parallel()
	server, path := journald(t)
	filler, err := dial(path)
	if err != nil {
		t.Fatal(err)
	}
	for full := false; !full; { // the queue's length is net.unix.max_dgram_qlen
		full = filler.send([]byte("MESSAGE=x\n")) != nil
	}
	stderr, _ := notATerminal(t)
	log := build("ssh-guard", Foreign, stderr, path)
	begin := time.Now()
	log.Info("lost")
	if took := time.Since(begin); took > 5*time.Second {
		t.Errorf("took %v", took)
	}
	receive(t, server) // makes room
	log.Info("not lost")
	for range 10_000 {
		if receive(t, server)["MESSAGE"] == "not lost" {
			return
		}
	}
	t.Error("the line after the jam is lost as well")
}

func TestQuote(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ name, in, want string }{
		{"plain", "git", `"git"`},
		{"empty", "", `""`},
		{"a line of its own", "x\nSPLITVAULT_QUBE=work", `"x\nSPLITVAULT_QUBE=work"`},
		{"quotation marks", `a"b`, `"a\"b"`},
		{"terminal commands", "\x1b[2J", `"\x1b[2J"`},
		{"right to left", "a\u202eb", `"a\u202eb"`},
		{"not UTF-8", "\xff", `"\xff"`},
		{"as long as shown", strings.Repeat("a", 64), `"` + strings.Repeat("a", 64) + `"`},
		{"longer", strings.Repeat("a", 65), `"` + strings.Repeat("a", 64) + `"…`},
		{"cut inside a character", strings.Repeat("a", 63) + "é", `"` + strings.Repeat("a", 63) + `\xc3"…`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if got := Quote(tt.in); got != tt.want {
				t.Errorf("Quote(%q) = %s, want %s", tt.in, got, tt.want)
			}
		})
	}
}

func FuzzQuote(f *testing.F) {
	f.Add("git")
	f.Add("a\x00\xff\u202e\n")
	f.Fuzz(func(t *testing.T, untrusted string) {
		got := strings.TrimSuffix(Quote(untrusted), "…")
		if len(got) > 4*maxQuoted+2 {
			t.Errorf("%d bytes", len(got))
		}
		for i := range len(got) {
			if got[i] < 0x20 || got[i] > 0x7e {
				t.Fatalf("byte %#x in %q", got[i], got)
			}
		}
	})
}
