package qrexec_test

import (
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/splitvault/splitvault/test/qubes/qrexec/dom0"
)

func TestContract01CommandLine(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.serve("test.Args", `cat; echo "arg:$1"`)
	socket := b.Socket("work")
	tests := []struct {
		name string
		args []string
		code int
		out  string
	}{
		{"plain call", []string{"vault", "test.Args+x"}, 0, "inarg:x\n"},
		{"two dashes end the options", []string{"--", "vault", "test.Args"}, 0, "inarg:\n"},
		{"agent socket, long and short", []string{"--agent-socket=" + socket, "-a", socket, "vault", "test.Args"}, 0, "inarg:\n"},
		{"short value attached", []string{"-a" + socket, "vault", "test.Args"}, 0, "inarg:\n"},
		{"long option abbreviated", []string{"--agent", socket, "vault", "test.Args"}, 0, "inarg:\n"},
		{"prefix comes before stdin", []string{"-p", "pre-", "vault", "test.Args"}, 0, "pre-inarg:\n"},
		{"prefix, long", []string{"--prefix-data=pre-", "vault", "test.Args"}, 0, "pre-inarg:\n"},
		{"buffer size decimal", []string{"--buffer-size=1", "vault", "test.Args"}, 0, "inarg:\n"},
		{"buffer size hexadecimal", []string{"--buffer-size=0x10000", "vault", "test.Args"}, 0, "inarg:\n"},
		{"filters, all forms", []string{"-tT", "--no-filter-escape-chars-stdout", "--no-filter-escape-chars-stderr", "vault", "test.Args"}, 0, "inarg:\n"},
		{"help", []string{"-h"}, 0, ""},
		{"prefix given twice", []string{"-pa", "-pb", "vault", "test.Args"}, 2, ""},
		{"bad buffer size", []string{"--buffer-size=x", "vault", "test.Args"}, 1, ""},
		{"buffer size with junk", []string{"--buffer-size=10k", "vault", "test.Args"}, 1, ""},
		{"unknown option", []string{"--nonsense", "vault", "test.Args"}, 2, ""},
		{"ambiguous option", []string{"--filter", "vault", "test.Args"}, 2, ""},
		{"value where none belongs", []string{"--use-stdin-socket=1", "vault", "test.Args"}, 2, ""},
		{"service missing", []string{"vault"}, 2, ""},
		{"nothing", nil, 2, ""},
		{"stdin is no socket", []string{"--use-stdin-socket", "vault", "test.Args"}, 2, ""},
		{"option after the target is the service", []string{"vault", "-h"}, 127, ""},
		{"missing agent", []string{"-a", "/nonexistent", "vault", "test.Args"}, 1, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := b.call("in", tt.args...)
			if r.code != tt.code || r.stdout != tt.out {
				t.Errorf("got exit %d, stdout %q, stderr %q; want exit %d, stdout %q", r.code, r.stdout, r.stderr, tt.code, tt.out)
			}
		})
	}
}

func TestContract01DollarBecomesAtAndTargetsAreCutAt63Bytes(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.call("", "$default", "test.X")
	if got := b.settled().Requested; got != "@default" {
		t.Errorf("requested %q, want @default", got)
	}
	b.call("", strings.Repeat("v", 70), "test.X")
	if got := b.settled().Requested; got != strings.Repeat("v", 63) {
		t.Errorf("requested %d bytes, want 63", len(got))
	}
}

func TestContract01TerminalsGetFilteredOutput(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.serve("test.Bytes", `printf 'a\033\377\t\na'; printf 'e\033' >&2`)
	run := func(args ...string) string {
		master, tty := openPTY(t)
		cmd := b.Command(t.Context(), "work", args...)
		cmd.Stdout = tty
		if err := cmd.Run(); err != nil {
			t.Fatal(err)
		}
		_ = tty.Close()
		buf := make([]byte, 100)
		n, err := master.Read(buf)
		if err != nil {
			t.Fatal(err)
		}
		return string(buf[:n])
	}
	if got := run("vault", "test.Bytes"); got != "a__\t\r\na" {
		t.Errorf("to a terminal: %q", got)
	}
	if got := run("--no-filter-escape-chars-stdout", "vault", "test.Bytes"); got != "a\033\377\t\r\na" {
		t.Errorf("to a terminal, filter off: %q", got)
	}
	b.call("", "vault", "test.Bytes").want(t, 0, "a\033\377\t\na", "e\033")
	b.call("", "-tT", "vault", "test.Bytes").want(t, 0, "a__\t\na", "e_")
}

func openPTY(t *testing.T) (master, tty *os.File) {
	t.Helper()
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = master.Close() })
	if err := unix.IoctlSetPointerInt(int(master.Fd()), unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	n, err := unix.IoctlGetInt(int(master.Fd()), unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	tty, err = os.OpenFile("/dev/pts/"+strconv.Itoa(n), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	return master, tty
}

func TestContract03StdinIsNotTouchedBeforeTheVerdict(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.serve("test.Cat", `cat`)
	b.policy("test.Cat * work vault ask default_target=vault")
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.WriteString("precious"); err != nil {
		t.Fatal(err)
	}
	cmd := b.Command(t.Context(), "work", "vault", "test.Cat")
	cmd.Stdin = r
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	b.ctl(dom0.Command{Verb: "wait-ask"})
	never(t, "bytes were taken while the prompt stood", func() bool {
		n, err := unix.IoctlGetInt(int(r.Fd()), unix.TIOCINQ)
		return err != nil || n != len("precious")
	})
	b.ctl(dom0.Command{Verb: "answer", Answer: dom0.Answer{Verdict: "allow"}})
	_ = r.Close()
	_ = w.Close()
	got, err := io.ReadAll(out)
	if err != nil || string(got) != "precious" {
		t.Errorf("got %q, %v", got, err)
	}
	if err := cmd.Wait(); err != nil {
		t.Error(err)
	}
}

func TestContract03LocalProgramStartsOnlyAfterApproval(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.serve("test.Cat", `cat`)
	b.policy("test.Cat * work vault deny")
	mark := filepath.Join(t.TempDir(), "started")
	b.call("", "vault", "test.Cat", "/bin/sh", "-c", "touch "+mark).wantCode(t, 126)
	if exists(mark) {
		t.Error("the local program ran although the call was refused")
	}
}

func TestContract03KilledClientLeavesThePromptOpenAndTheCallDies(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	mark := filepath.Join(t.TempDir(), "started")
	b.serve("test.Touch", `touch `+mark)
	b.policy("test.Touch * work vault ask")
	cmd := b.Command(t.Context(), "work", "vault", "test.Touch")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	b.ctl(dom0.Command{Verb: "wait-ask"})
	_ = cmd.Process.Kill()
	_ = cmd.Wait()
	var asks []dom0.Prompt
	never(t, "the prompt went away", func() bool {
		return b.Do(dom0.Command{Verb: "asks"}, &asks) != nil || len(asks) != 1
	})
	b.ctl(dom0.Command{Verb: "answer", ID: asks[0].ID, Answer: dom0.Answer{Verdict: "allow", Target: "vault"}})
	if c := b.settled(); c.Verdict != "allow" || c.ClientExit != nil {
		t.Errorf("call %+v, want an allowed one without a client's exit", c)
	}
	time.Sleep(50 * time.Millisecond)
	if exists(mark) {
		t.Error("the service ran for a client that was gone")
	}
}

func TestContract05EveryRefusalLooksTheSame(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.serve("test.Cat", `cat`)
	refused := func(t *testing.T, target, service string) {
		t.Helper()
		b.call("secret", target, service).want(t, 126, "", "Request refused\n")
	}
	for _, tt := range []struct{ name, line string }{
		{"no rule", "other * work vault allow"},
		{"denied", "test.Cat * work vault deny"},
		{"broken policy", "test.Cat * work vault allow # inline comment"},
		{"loopback", "test.Cat * work vault allow target=work"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b.policy(tt.line)
			refused(t, "vault", "test.Cat")
		})
	}
	b.policy("* * work vault ask")
	t.Run("the person says no", func(t *testing.T) {
		b.ctl(dom0.Command{Verb: "answer", Answer: dom0.Answer{Verdict: "deny"}})
		refused(t, "vault", "test.Cat")
	})
	t.Run("an answer that was no choice", func(t *testing.T) {
		b.ctl(dom0.Command{Verb: "answer", Answer: dom0.Answer{Verdict: "allow", Target: "work"}})
		refused(t, "vault", "test.Cat")
	})
	b.policy("* * work vault allow")
	t.Run("empty service", func(t *testing.T) { refused(t, "vault", "") })
	t.Run("service that begins with a plus", func(t *testing.T) { refused(t, "vault", "+x") })
	t.Run("target halted and not startable", func(t *testing.T) {
		b.ctl(dom0.Command{Verb: "halt", Qube: "vault"})
		refused(t, "vault", "test.Cat")
		b.ctl(dom0.Command{Verb: "unhalt", Qube: "vault"})
	})
	t.Run("no free port", func(t *testing.T) {
		b.ctl(dom0.Command{Verb: "limits", Limits: dom0.Limits{Daemon: 0}})
		refused(t, "vault", "test.Cat")
	})
}

func TestContract13LocalProgramEnvironmentAndCodes(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.serve("test.Exit", `cat >/dev/null; exit $1`)
	b.serve("test.Talk", `read line; echo "got $line"`)
	tests := []struct {
		name    string
		service string
		program []string
		code    int
	}{
		{"remote wins when it fails", "test.Exit+7", []string{"/bin/sh", "-c", "exit 0"}, 7},
		{"local counts when the remote is content", "test.Exit+0", []string{"/bin/sh", "-c", "exit 3"}, 3},
		{"remote before local", "test.Exit+7", []string{"/bin/sh", "-c", "exit 3"}, 7},
		{"local killed", "test.Exit+0", []string{"/bin/sh", "-c", "kill -9 $$"}, 137},
		{"no search in PATH", "test.Exit+0", []string{"sh", "-c", "exit 0"}, 255},
		{"argv 0 is the base name", "test.Exit+0", []string{"/bin/sh", "-c", `test "$0" = x; test "$(head -zn1 /proc/$$/cmdline | tr -d '\0')" = sh`, "x"}, 0},
		{"original descriptors are kept", "test.Exit+0", []string{"/bin/sh", "-c", `echo out >&$SAVED_FD_1; test -z "$SAVED_FD_2"`}, 0},
		{"SIGPIPE is ignored", "test.Exit+0", []string{"/bin/sh", "-c", `grep -q '^SigIgn:.*1000$' /proc/$$/status`}, 0},
		{"the pid of the client", "test.Exit+0", []string{"/bin/sh", "-c", `test "$QREXEC_AGENT_PID" = "$PPID"`}, 0},
		{"its stdio is the service", "test.Talk", []string{"/bin/sh", "-c", `echo hi; read answer; test "$answer" = "got hi"`}, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := b.call("", append([]string{"vault", tt.service}, tt.program...)...)
			r.wantCode(t, tt.code)
			if tt.name == "original descriptors are kept" && r.stdout != "out\n" {
				t.Errorf("stdout %q", r.stdout)
			}
		})
	}
}
