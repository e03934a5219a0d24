package signer

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
	"sync"
	"syscall"
	"testing"
	"time"
)

// Clef is one that runs, until its test ends.
type Clef struct {
	Home   string
	HTTP   string // ADDRESS:PORT
	Socket string
	stdin  io.Writer
	output *output
}

// Require skips a test where there is no Clef; in CI it fails.
func Require(t testing.TB) {
	t.Helper()
	_, err := Binary()
	switch {
	case err == nil:
	case errors.Is(err, ErrNotBuilt) && os.Getenv("CI") == "":
		t.Skip(err)
	default:
		t.Fatal(err)
	}
}

// Start runs Clef on a new home, unlocked and listening.
func Start(t testing.TB) *Clef {
	t.Helper()
	Require(t)
	home := t.TempDir()
	if err := Home(t.Context(), home); err != nil {
		t.Fatal(err)
	}
	return Serve(t, home)
}

// Serve runs Clef on a home.
func Serve(t testing.TB, home string) *Clef {
	t.Helper()
	binary, err := Binary()
	if err != nil {
		t.Fatal(err)
	}
	c := &Clef{Home: home, Socket: filepath.Join(home, ".clef", "clef.ipc"), output: &output{}}
	port := freePort(t)
	c.HTTP = fmt.Sprintf("127.0.0.1:%d", port)
	cmd := exec.Command(binary, Args(home, port)...)
	cmd.Dir, cmd.Env = home, []string{"HOME=" + home, "PATH=/usr/bin:/bin"}
	cmd.Stdout, cmd.Stderr = c.output, c.output
	stdin, err := cmd.StdinPipe() // its end would end Clef at the first prompt
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	c.stdin = stdin
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGINT)
		ended := time.AfterFunc(5*time.Second, func() { _ = cmd.Process.Kill() })
		_ = cmd.Wait()
		ended.Stop()
		if t.Failed() {
			t.Logf("Clef said:\n%s", c.Output())
		}
	})
	c.Type(t, masterPassword)
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		a, errA := net.Dial("unix", c.Socket)
		b, errB := net.Dial("tcp", c.HTTP)
		if errA == nil {
			a.Close()
		}
		if errB == nil {
			b.Close()
		}
		if errA == nil && errB == nil {
			return c
		}
		if time.Now().After(deadline) {
			t.Fatalf("Clef does not listen: %v, %v\n%s", errA, errB, c.Output())
		}
	}
}

// Type types a line.
func (c *Clef) Type(t testing.TB, line string) {
	t.Helper()
	if _, err := io.WriteString(c.stdin, line+"\n"); err != nil {
		t.Fatal(err)
	}
}

// Output is what Clef has said so far.
func (c *Clef) Output() string { return c.output.String() }

// WaitFor waits until Clef has said something.
func (c *Clef) WaitFor(t testing.TB, words string) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !strings.Contains(c.Output(), words); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("Clef does not say %q:\n%s", words, c.Output())
		}
	}
}

// Audit is Clef's own log of requests.
func (c *Clef) Audit(t testing.TB) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(c.Home, ".clef", "audit.log"))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func freePort(t testing.TB) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

// output is a buffer that may be read while it is written.
type output struct {
	mu  sync.Mutex
	all bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.all.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.all.String()
}
