package stdio

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
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

func crash() {
	client, err := TakeStderr(os.Getenv("STREAM"), "splitvault-test")
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	fmt.Fprintln(client, "generic line")
	panic("what the vault knows")
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
func TestACrashTellsTheJournalAndNotTheClient(t *testing.T) {
	t.Parallel()
	dir, err := os.MkdirTemp("", "journal")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	stream := filepath.Join(dir, "stdout")
	listener, err := net.Listen("unix", stream)
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	got := make(chan string, 1)
	go func() {
		conn, err := listener.Accept()
		if err != nil {
			got <- err.Error()
			return
		}
		b, _ := io.ReadAll(conn)
		got <- string(b)
	}()
	for name, path := range map[string]string{"journal": stream, "no journal": filepath.Join(dir, "none")} {
		cmd := child(t, "crash", "STREAM="+path)
		var stderr bytes.Buffer
		cmd.Stderr = &stderr
		if err := cmd.Run(); err == nil || cmd.ProcessState.ExitCode() != 2 {
			t.Fatalf("%s: %v", name, err)
		}
		if stderr.String() != "generic line\n" {
			t.Errorf("%s: the client sees %q", name, stderr.String())
		}
	}
	said := <-got
	if !strings.HasPrefix(said, "splitvault-test\n\n3\n0\n0\n0\n0\n") || !strings.Contains(said, "panic: what the vault knows") {
		t.Errorf("the journal got %q", said)
	}
}

func TestAJournalThatTakesNothingDoesNotHoldUpACrash(t *testing.T) {
	t.Parallel()
	dir, err := os.MkdirTemp("", "journal")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	stream := filepath.Join(dir, "stdout")
	listener, err := net.Listen("unix", stream)
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close() // nobody accepts
	cmd := child(t, "crash", "STREAM="+stream)
	start := time.Now()
	if err := cmd.Run(); err == nil {
		t.Error("no crash")
	}
	if took := time.Since(start); took > 10*time.Second {
		t.Errorf("it took %v", took)
	}
}
