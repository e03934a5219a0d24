package stdio

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// The tests run this binary anew, as the program whose standard files they are.
const role = "SPLITVAULT_TEST_STDIO"

func TestMain(m *testing.M) {
	switch os.Getenv(role) {
	case "":
		os.Exit(m.Run())
	case "deadline":
		os.Exit(waitForDeadline())
	case "crash":
		crash()
	case "open":
		openAt()
	}
}

// waitForDeadline reads and writes with deadlines, which must pass.
func waitForDeadline() int {
	in, out, err := Open()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	soon := time.Now().Add(50 * time.Millisecond)
	if err := errors.Join(in.SetReadDeadline(soon), out.SetWriteDeadline(soon)); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 2
	}
	if _, err := in.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
		fmt.Fprintln(os.Stderr, "read:", err)
		return 3
	}
	if _, err := out.Write(make([]byte, 8<<20)); !errors.Is(err, os.ErrDeadlineExceeded) {
		fmt.Fprintln(os.Stderr, "write:", err)
		return 4
	}
	return 0
}

// take takes standard error, for the file that is to be at descriptor 2, if any.
func take() (client *os.File) {
	client, err := TakeStderr()
	if path := os.Getenv("INSTEAD"); err == nil && path != "" {
		var instead *os.File
		if instead, err = os.OpenFile(path, os.O_WRONLY|os.O_APPEND, 0); err == nil {
			err = LeadStderr(instead)
		}
	}
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	return client
}

func crash() {
	fmt.Fprintln(take(), "generic line")
	panic("what the vault knows")
}

// openAt says which descriptors lead to the file.
func openAt() {
	take()
	for fd := range 64 {
		if to, err := os.Readlink(fmt.Sprintf("/proc/self/fd/%d", fd)); err == nil && to == os.Getenv("INSTEAD") {
			fmt.Print(fd, " ")
		}
	}
}

func child(t *testing.T, what string, env ...string) *exec.Cmd {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(append(os.Environ(), role+"="+what), env...)
	return cmd
}

// ends returns a connected pair, in blocking mode as qrexec makes it.
func ends(t *testing.T) (ours, theirs *os.File) {
	t.Helper()
	fds, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	ours, theirs = os.NewFile(uintptr(fds[0]), "ours"), os.NewFile(uintptr(fds[1]), "theirs")
	t.Cleanup(func() { ours.Close(); theirs.Close() })
	return ours, theirs
}

func TestDeadlinesWorkOnWhatQrexecHandsOver(t *testing.T) {
	t.Parallel()
	_, in := ends(t)
	_, out := ends(t)
	inRead, inWrite, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	outRead, outWrite, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range []*os.File{inRead, inWrite, outRead, outWrite} {
		defer f.Close()
	}
	for name, files := range map[string][2]*os.File{"two socket pairs": {in, out}, "one socket": {in, in}, "two pipes": {inRead, outWrite}} {
		cmd := child(t, "deadline")
		cmd.Stdin, cmd.Stdout = files[0], files[1]
		var stderr bytes.Buffer
		cmd.Stderr = &stderr
		if err := cmd.Run(); err != nil {
			t.Errorf("%s: %v\n%s", name, err, stderr.Bytes())
		}
	}
}

func TestFilesWithoutDeadlinesAreRefused(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "file")
	file, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	cmd := child(t, "deadline")
	cmd.Stdin = file
	out, err := cmd.CombinedOutput()
	if cmd.ProcessState.ExitCode() != 1 || !strings.Contains(string(out), "qrexec") {
		t.Errorf("%v\n%s", err, out)
	}
}

// Standard error is shown in the calling qube.
func TestACrashTellsTheFileAndNotTheClient(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "crash")
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for name, instead := range map[string]string{"a file": path, "nowhere": ""} {
		cmd := child(t, "crash", "INSTEAD="+instead)
		var stderr bytes.Buffer
		cmd.Stderr = &stderr
		if err := cmd.Run(); err == nil || cmd.ProcessState.ExitCode() != 2 {
			t.Fatalf("%s: %v", name, err)
		}
		if stderr.String() != "generic line\n" {
			t.Errorf("%s: the client sees %q", name, stderr.String())
		}
	}
	if said, err := os.ReadFile(path); err != nil || !strings.HasPrefix(string(said), "panic: what the vault knows\n\ngoroutine 1 [running]:\n") {
		t.Errorf("the file has %q, %v", said, err)
	}
}

// The lock of a file ends with the process then.
func TestOnlyDescriptor2KeepsTheFileOpen(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "crash")
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := child(t, "open", "INSTEAD="+path)
	out, err := cmd.Output()
	if err != nil || string(out) != "2 " {
		t.Errorf("open at %q, %v", out, err)
	}
}
