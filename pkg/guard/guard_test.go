package guard

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sirupsen/logrus"
	logtest "github.com/sirupsen/logrus/hooks/test"

	"github.com/splitvault/splitvault/pkg/qrexec"
)

// The test binary is a guard as well.
func TestMain(m *testing.M) {
	if does := os.Getenv("GUARD_TEST"); does != "" {
		os.Exit(guard(does))
	}
	os.Exit(m.Run())
}

// guard is the process of a guard that only begins, and then does something.
func guard(does string) int {
	call, code := Begin("test-guard", nil, os.Stderr)
	if call == nil {
		return code
	}
	defer call.Close()
	switch does {
	case "tell":
		fmt.Fprintln(os.Stderr, "a stray line")
		call.Tell("denied")
		fmt.Printf("%s %s %s\n", call.Caller.Qube, call.Caller.Service, call.Caller.Argument)
	case "crash":
		panic("a secret of the vault")
	case "parent":
		parent()
	case "wait":
		fmt.Println("begun")
		_, _ = io.Copy(io.Discard, os.Stdin)
	case "write":
		_, _ = io.Copy(io.Discard, os.Stdin) // until the reader has gone
		if _, err := os.Stdout.WriteString("an answer"); err != nil {
			return ExitInternal
		}
	default:
		return die(does)
	}
	return ExitOK
}

// process returns a guard that qrexec would have started.
func process(t *testing.T, does string, env ...string) *exec.Cmd {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	dir := t.TempDir()
	cmd.Env = append([]string{"PATH=" + os.Getenv("PATH"), "HOME=" + dir, "XDG_RUNTIME_DIR=" + dir, "GUARD_TEST=" + does}, env...)
	return cmd
}

func ofWork(argument string) []string {
	return []string{
		"QREXEC_REMOTE_DOMAIN=work", "QREXEC_SERVICE_FULL_NAME=qubes.Test+" + argument, "QREXEC_SERVICE_ARGUMENT=" + argument,
	}
}

func TestTheCallingQubeSeesOneLineAndNoMore(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		does, stdout, stderr string
		code                 int
	}{
		{"tell", "work qubes.Test card\n", "test-guard: denied\n", 0},
		{"crash", "", "", 2}, // Go's own code of a panic
	} {
		var stdout, stderr bytes.Buffer
		cmd := process(t, row.does, ofWork("card")...)
		cmd.Stdout, cmd.Stderr = &stdout, &stderr
		_ = cmd.Run() // its code is looked at
		if code := cmd.ProcessState.ExitCode(); code != row.code || stdout.String() != row.stdout || stderr.String() != row.stderr {
			t.Errorf("%s: exit code %d, %q, and on standard error %q", row.does, code, stdout.String(), stderr.String())
		}
	}
}

func TestWithoutACallOfQrexecNothingBegins(t *testing.T) {
	t.Parallel()
	for name, env := range map[string][]string{
		"no environment":           nil,
		"no qube":                  {"QREXEC_REMOTE_DOMAIN=", "QREXEC_SERVICE_FULL_NAME=qubes.Test+", "QREXEC_SERVICE_ARGUMENT="},
		"a qube that is a path":    {"QREXEC_REMOTE_DOMAIN=../work", "QREXEC_SERVICE_FULL_NAME=qubes.Test+", "QREXEC_SERVICE_ARGUMENT="},
		"another argument":         {"QREXEC_REMOTE_DOMAIN=work", "QREXEC_SERVICE_FULL_NAME=qubes.Test+a", "QREXEC_SERVICE_ARGUMENT=b"},
		"an argument that is none": {"QREXEC_REMOTE_DOMAIN=work", "QREXEC_SERVICE_FULL_NAME=qubes.Test+a b", "QREXEC_SERVICE_ARGUMENT=a b"},
	} {
		cmd := process(t, "tell", env...)
		out, _ := cmd.CombinedOutput() // its code is looked at
		if code := cmd.ProcessState.ExitCode(); code != ExitBadRequest || string(out) != "test-guard: not started by qrexec\n" {
			t.Errorf("%s: exit code %d: %q", name, code, out)
		}
	}
}

// The signal's exit code, 141, would be one of qrexec's.
func TestAClientThatIsGoneEndsNoGuardByASignal(t *testing.T) {
	t.Parallel()
	reader, stdout, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd := process(t, "write", ofWork("")...)
	cmd.Stdout = stdout
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	stdout.Close()
	reader.Close()
	stdin.Close()
	_ = cmd.Wait() // its code is looked at
	if code := cmd.ProcessState.ExitCode(); code != ExitInternal {
		t.Errorf("exit code %d: %v", code, cmd.ProcessState)
	}
}

// The client chooses the argument, which qrexec passes as the first of the program.
func TestAttackAnArgumentIsNoOption(t *testing.T) {
	t.Setenv("QREXEC_SERVICE_FULL_NAME", "qubes.Test+--help")
	for _, arg := range []string{"--help", "--version", "-x", "card"} {
		var out bytes.Buffer
		if code, done := Options("test-guard", "usage", []string{arg}, &out, &out); done || code != ExitOK || out.Len() > 0 {
			t.Errorf("%s: %d, %v, %q", arg, code, done, out.String())
		}
	}
}

func TestOptionsOfAPerson(t *testing.T) {
	t.Setenv("QREXEC_SERVICE_FULL_NAME", "")
	for arg, want := range map[string]struct {
		code        int
		out, errors string
	}{
		"--help":    {ExitOK, "usage: test-guard", ""},
		"--version": {ExitOK, "test-guard ", ""},
		"-x":        {ExitBadRequest, "", "test-guard: wants no arguments"},
		"card":      {ExitBadRequest, "", "test-guard: wants no arguments"},
	} {
		var stdout, stderr bytes.Buffer
		code, done := Options("test-guard", "usage: test-guard", []string{arg}, &stdout, &stderr)
		if !done || code != want.code || !strings.HasPrefix(stdout.String(), want.out) || !strings.HasPrefix(stderr.String(), want.errors) ||
			(want.out == "") != (stdout.Len() == 0) || (want.errors == "") != (stderr.Len() == 0) {
			t.Errorf("%s: %d, %v, %q, %q", arg, code, done, stdout.String(), stderr.String())
		}
	}
}

func callOf(qube string) (*Call, *logtest.Hook) {
	log, hook := logtest.NewNullLogger()
	return &Call{Caller: qrexec.Caller{Qube: qrexec.QubeName(qube)}, Log: logrus.NewEntry(log)}, hook
}

func TestAQubeThatHoldsItsPlacesTakesNoneOfAnothers(t *testing.T) {
	t.Setenv("XDG_RUNTIME_DIR", t.TempDir())
	work, _ := callOf("work")
	first, err := work.Place(t.Context(), "test", 1)
	if err != nil || first == nil {
		t.Fatalf("%v, %v", first, err)
	}
	short, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	second, err := work.Place(short, "test", 1)
	if !errors.Is(err, ErrBusy) || second != nil {
		t.Errorf("one too many: %v, %v", second, err)
	}
	if err := second.Release(); err != nil {
		t.Errorf("releasing no place: %v", err)
	}
	for qube, service := range map[string]string{"work2": "test", "work": "other"} {
		call, _ := callOf(qube)
		place, err := call.Place(t.Context(), service, 1)
		if err != nil || place == nil {
			t.Errorf("%s of %s: %v, %v", service, qube, place, err)
		}
		if err := place.Release(); err != nil {
			t.Error(err)
		}
	}
	if err := first.Release(); err != nil {
		t.Fatal(err)
	}
	again, err := work.Place(t.Context(), "test", 1)
	if err != nil || again == nil {
		t.Fatalf("after the first: %v, %v", again, err)
	}
	if err := again.Release(); err != nil {
		t.Error(err)
	}
}

func TestWithoutAStateDirectoryTheJournalSaysSo(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("XDG_RUNTIME_DIR", dir)
	// Others could get at it.
	if err := os.Mkdir(filepath.Join(dir, "splitvault"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(filepath.Join(dir, "splitvault"), 0o777); err != nil {
		t.Fatal(err)
	}
	call, hook := callOf("work")
	if place, err := call.Place(t.Context(), "test", 1); place != nil || err != nil {
		t.Errorf("%v, %v", place, err)
	}
	// A rate that cannot be counted is used up.
	if rates := call.Rates([]string{"a"}); len(rates) != 0 {
		t.Errorf("%v", rates)
	}
	if entries := hook.AllEntries(); len(entries) != 2 || entries[0].Level != logrus.WarnLevel || entries[1].Level != logrus.ErrorLevel {
		t.Errorf("logged %v", entries)
	}
}

func TestRatesAreOfARuleAndAQube(t *testing.T) {
	t.Setenv("XDG_RUNTIME_DIR", t.TempDir())
	work, _ := callOf("work")
	if rates := work.Rates(nil); rates != nil {
		t.Errorf("of no rule: %v", rates)
	}
	rates := work.Rates([]string{"a", "b"})
	if len(rates) != 2 || rates["a"] == nil || rates["b"] == nil {
		t.Fatalf("%v", rates)
	}
	other, _ := callOf("other")
	if len(other.Rates([]string{"a"})) != 1 {
		t.Error("of another qube")
	}
	dir := filepath.Join(os.Getenv("XDG_RUNTIME_DIR"), "splitvault", "rate")
	if files, err := os.ReadDir(dir); err != nil || len(files) != 3 {
		t.Errorf("%v, %v: each rule and qube is counted by itself", files, err)
	}
}

// What the rules ask is denied then, and what they allow does not wait for it.
func TestWhereNobodyCanBeAskedTheGuardGoesOn(t *testing.T) {
	t.Setenv("XDG_RUNTIME_DIR", t.TempDir())
	t.Setenv("DBUS_SESSION_BUS_ADDRESS", "unix:path=/nonexistent/bus")
	call, hook := callOf("work")
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if person := call.Person(ended); person != nil {
		t.Error("a person")
	}
	start := time.Now()
	if desktop := call.Desktop(t.Context()); desktop != nil {
		t.Error("a desktop")
	}
	if took := time.Since(start); took > 10*time.Second {
		t.Errorf("it took %v", took)
	}
	if n := len(hook.AllEntries()); n != 2 {
		t.Errorf("%d lines in the journal", n)
	}
}
