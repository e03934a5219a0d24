// Package scripts runs the project's own two commands as a newcomer would: the
// demo, and what justw does on a machine that lacks packages.
package scripts

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

func TestScripts(t *testing.T) {
	repository, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	demo := demoProgram(t)
	testscript.Run(t, testscript.Params{
		Dir: "testdata",
		Setup: func(env *testscript.Env) error {
			env.Setenv("REPO", repository)
			env.Setenv("DEMO", demo)
			// Unix sockets below it must fit 108 bytes.
			tmp := shortTempDir(t)
			env.Setenv("TMPDIR", tmp)
			return nil
		},
	})
}

// demoProgram builds the demo and the emulator of qrexec beside the programs
// that `just build` made, and returns its path.
func demoProgram(t *testing.T) string {
	t.Helper()
	for _, tool := range []string{"ssh-agent", "ssh-add", "ssh-keygen", "ssh", "git", "systemd-socket-activate"} {
		need(t, tool)
	}
	if _, err := exec.LookPath("sshd"); err != nil {
		need(t, "/usr/sbin/sshd")
	}
	build, err := filepath.Abs("../../build")
	if err != nil {
		t.Fatal(err)
	}
	need(t, filepath.Join(build, "lib/ssh-relay"))
	if err := os.MkdirAll(filepath.Join(build, "test"), 0o755); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("go", "build", "-trimpath", "-o", filepath.Join(build, "test")+"/", "../demo", "../qubes/cmd/qrexec")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("building the demo: %v\n%s", err, out)
	}
	return filepath.Join(build, "test/demo")
}

// need skips the test where a program is missing; in CI that is a failure.
func need(t *testing.T, program string) {
	t.Helper()
	_, err := exec.LookPath(program)
	switch {
	case err == nil:
	case os.Getenv("CI") != "":
		t.Fatalf("%v (run by: just scripts)", err)
	default:
		t.Skipf("%v (run by: just scripts)", err)
	}
}

// shortTempDir is t.TempDir with a path short enough for sockets in it.
func shortTempDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "sv")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}
