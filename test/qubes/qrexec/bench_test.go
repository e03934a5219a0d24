package qrexec_test

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/splitvault/splitvault/test/qubes/policy"
	"github.com/splitvault/splitvault/test/qubes/qrexec"
	"github.com/splitvault/splitvault/test/qubes/qrexec/dom0"
)

// TestMain makes the test binary the emulator too, so that its processes run
// under the race detector.
func TestMain(m *testing.M) {
	switch filepath.Base(os.Args[0]) {
	case "qrexec", qrexec.ClientName:
		os.Exit(qrexec.Main(os.Args))
	}
	// A program built with -race sleeps for a second when it ends, unless told.
	if err := os.Setenv("GORACE", "atexit_sleep_ms=0"); err != nil {
		panic(err)
	}
	os.Exit(m.Run())
}

// patience is how long anything in these tests may take, on a busy machine.
const patience = 30 * time.Second

type bench struct {
	*qrexec.Local
	t testing.TB
}

// newBench starts qubes work and vault; every service of vault is allowed to work.
func newBench(t testing.TB, vaultArgs ...string) *bench {
	t.Helper()
	return startBench(t, nil, nil, vaultArgs)
}

func startBench(t testing.TB, dom0Args, workArgs, vaultArgs []string) *bench {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	logs, err := os.CreateTemp(t.TempDir(), "stderr")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if text, err := os.ReadFile(logs.Name()); err == nil && t.Failed() {
			t.Logf("stderr of dom0 and agents:\n%s", text)
		}
		_ = logs.Close()
	})
	app := func(name string) policy.Qube {
		return policy.Qube{Name: name, Type: "AppVM", Running: true, GuiVM: "dom0"}
	}
	if len(vaultArgs) == 0 {
		vaultArgs = []string{"--session", "gui"}
	}
	// Not t.TempDir: sockets in it must fit into 107 bytes (unix(7)).
	dir, err := os.MkdirTemp("", "q")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	l, err := qrexec.StartLocal(qrexec.LocalOptions{
		Dir: dir, Program: self, Stderr: logs, Dom0Args: dom0Args,
		Qubes:  []qrexec.LocalQube{{Qube: app("work"), AgentArgs: workArgs}, {Qube: app("vault"), AgentArgs: vaultArgs}},
		Policy: "* * work vault allow\n* * work @default allow target=vault\n",
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.Stop(); err != nil {
			t.Error(err)
		}
		for end := time.Now().Add(patience); ; time.Sleep(10 * time.Millisecond) {
			left := mentioning(dir)
			if len(left) == 0 {
				return
			}
			if time.Now().After(end) {
				t.Errorf("left behind: %q", left)
				return
			}
		}
	})
	return &bench{Local: l, t: t}
}

// mentioning lists the command lines of processes that name dir.
func mentioning(dir string) []string {
	var found []string
	files, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	for _, file := range files {
		if text, err := os.ReadFile(file); err == nil && bytes.Contains(text, []byte(dir+"/")) {
			found = append(found, string(text))
		}
	}
	return found
}

// until is a shell command that waits until path exists, or the test is over.
func until(path string) string {
	return "until test -e " + path + " || ! test -d " + filepath.Dir(path) + "; do sleep 0.02; done"
}

// serve installs a shell script as an executable service of vault.
func (b *bench) serve(name, script string) {
	b.t.Helper()
	b.write(filepath.Join(b.Services("vault"), name), "#!/bin/sh\n"+script+"\n", 0o755)
}

func (b *bench) configure(name, text string) {
	b.t.Helper()
	b.write(filepath.Join(b.Config("vault"), name), text, 0o644)
}

func (b *bench) write(path, text string, mode os.FileMode) {
	b.t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		b.t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), mode); err != nil {
		b.t.Fatal(err)
	}
}

func (b *bench) policy(lines ...string) {
	b.t.Helper()
	if err := b.SetPolicy(strings.Join(lines, "\n") + "\n"); err != nil {
		b.t.Fatal(err)
	}
}

func (b *bench) ctl(c dom0.Command) {
	b.t.Helper()
	if err := b.Do(c, nil); err != nil {
		b.t.Fatal(err)
	}
}

func (b *bench) fault(f dom0.Fault) {
	b.t.Helper()
	b.ctl(dom0.Command{Verb: "fault", Fault: f})
}

// settled is the record of the latest call, after all calls have ended.
func (b *bench) settled() dom0.Call {
	b.t.Helper()
	b.ctl(dom0.Command{Verb: "wait-idle"})
	s, err := b.Calls()
	if err != nil {
		b.t.Fatal(err)
	}
	if len(s.Calls) == 0 {
		b.t.Fatal("dom0 saw no call")
	}
	return s.Calls[len(s.Calls)-1]
}

type result struct {
	code           int
	stdout, stderr string
}

// call runs a client in work to its end.
func (b *bench) call(stdin string, args ...string) result {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.t.Context(), patience)
	defer cancel()
	cmd := b.Command(ctx, "work", args...)
	cmd.Stdin = strings.NewReader(stdin)
	return finish(b.t, ctx, cmd)
}

func finish(t testing.TB, ctx context.Context, cmd *exec.Cmd) result {
	t.Helper()
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	cmd.WaitDelay = time.Second
	err := cmd.Run()
	if ctx.Err() != nil {
		t.Fatalf("%v hung; stdout %.200q stderr %.200q", cmd.Args, stdout.String(), stderr.String())
	}
	return result{code: exitCode(t, err), stdout: stdout.String(), stderr: stderr.String()}
}

func exitCode(t testing.TB, err error) int {
	t.Helper()
	exit, ok := errors.AsType[*exec.ExitError](err)
	switch {
	case err == nil:
		return 0
	case ok:
		return exit.ExitCode()
	}
	t.Fatal(err)
	return -1
}

// want compares a whole result.
func (r result) want(t *testing.T, code int, stdout, stderr string) {
	t.Helper()
	if r.code != code || r.stdout != stdout || r.stderr != stderr {
		t.Errorf("got exit %d, stdout %.300q, stderr %.300q; want exit %d, stdout %.300q, stderr %.300q",
			r.code, r.stdout, r.stderr, code, stdout, stderr)
	}
}

func (r result) wantCode(t *testing.T, code int) {
	t.Helper()
	if r.code != code {
		t.Errorf("got exit %d, stdout %.300q, stderr %.300q; want exit %d", r.code, r.stdout, r.stderr, code)
	}
}

// eventually waits until ok is true.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		if ok() {
			return
		}
	}
	t.Fatalf("did not happen: %s", what)
}

// never checks that ok stays false for a while.
func never(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(250 * time.Millisecond); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		if ok() {
			t.Fatalf("happened: %s", what)
		}
	}
}

func exists(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}

func lines(text string) map[string]string {
	m := map[string]string{}
	for line := range strings.Lines(text) {
		name, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), "=")
		m[name] = value
	}
	return m
}

// needRoot skips a test that must switch users; in CI that is a failure.
func needRoot(t *testing.T) {
	t.Helper()
	if os.Geteuid() == 0 {
		return
	}
	if os.Getenv("CI") != "" {
		t.Fatal("this test must switch users: run it as root")
	}
	t.Skip("this test must switch users: run it as root")
}

// restartAgent plays a restart and waits until the agent is back.
func (b *bench) restartAgent(qube string) {
	b.t.Helper()
	b.ctl(dom0.Command{Verb: "restart-agent", Qube: qube})
	b.ctl(dom0.Command{Verb: "wait-agent", Qube: qube})
}

func (b *bench) statistics() dom0.Statistics {
	b.t.Helper()
	s, err := b.Calls()
	if err != nil {
		b.t.Fatal(err)
	}
	return s
}
