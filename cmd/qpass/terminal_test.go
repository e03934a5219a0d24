package main

import (
	"bytes"
	"os"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// typing is qpass on a terminal, with a person before it.
type typing struct {
	t      *testing.T
	master *os.File

	mu    sync.Mutex
	shown bytes.Buffer
}

// terminalFor starts a command on a new terminal of its own; ended gives its exit code.
func (w *world) terminalFor(t *testing.T, args ...string) (p *typing, ended <-chan int) {
	t.Helper()
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { master.Close() })
	if err := unix.IoctlSetPointerInt(int(master.Fd()), unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	n, err := unix.IoctlGetInt(int(master.Fd()), unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	slave, err := os.OpenFile("/dev/pts/"+strconv.Itoa(n), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	cmd := w.command(args...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = slave, slave, slave
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	p = &typing{t: t, master: master}
	go func() {
		b := make([]byte, 1024)
		for {
			n, err := master.Read(b)
			if err != nil {
				return
			}
			p.mu.Lock()
			p.shown.Write(b[:n])
			p.mu.Unlock()
		}
	}()
	codes := make(chan int, 1)
	go func() {
		_ = cmd.Wait()
		codes <- cmd.ProcessState.ExitCode()
		slave.Close()
	}()
	t.Cleanup(func() { _ = cmd.Process.Kill() })
	return p, codes
}

func (p *typing) screen() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.shown.String()
}

// answer types a line when the screen ends with what is asked.
func (p *typing) answer(asked, line string) {
	p.t.Helper()
	for deadline := time.Now().Add(long); !strings.HasSuffix(p.screen(), asked); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			p.t.Fatalf("never asked %q: %q", asked, p.screen())
		}
	}
	if _, err := p.master.WriteString(line); err != nil {
		p.t.Fatal(err)
	}
}

func (p *typing) want(ended <-chan int, code int) {
	p.t.Helper()
	select {
	case got := <-ended:
		if got != code {
			p.t.Errorf("exit code %d, want %d: %q", got, code, p.screen())
		}
	case <-time.After(long):
		p.t.Fatalf("does not end: %q", p.screen())
	}
}

// echoes tells whether the terminal shows what is typed.
func (p *typing) echoes() bool {
	p.t.Helper()
	settings, err := unix.IoctlGetTermios(int(p.master.Fd()), unix.TCGETS)
	if err != nil {
		p.t.Fatal(err)
	}
	return settings.Lflag&unix.ECHO != 0
}

func TestAPasswordIsTypedTwiceAndNotShown(t *testing.T) {
	t.Parallel()
	w := direct(t, entries())
	p, ended := w.terminalFor(t, "qpass", "insert", "typed/a")
	p.answer("Enter password for typed/a: ", "s3cret\n")
	p.answer("Retype password for typed/a: ", "s3cret\n")
	p.want(ended, 0)
	if strings.Contains(p.screen(), "s3cret") || !p.echoes() {
		t.Errorf("the terminal echoes: %v, and shows %q", p.echoes(), p.screen())
	}
	w.want("", result{stdout: "s3cret\n"}, "qpass", "show", "typed/a")

	p, ended = w.terminalFor(t, "qpass", "insert", "typed/b")
	p.answer("Enter password for typed/b: ", "one\n")
	p.answer("Retype password for typed/b: ", "other\n")
	p.want(ended, 1)
}

// Ctrl-C ends it at once, wherever it waits for a person, and the terminal is as it was.
func TestCtrlCAtThePasswordPrompt(t *testing.T) {
	t.Parallel()
	w := direct(t, entries())
	const interrupt = "\x03"
	p, ended := w.terminalFor(t, "qpass", "insert", "typed/c")
	p.answer("Enter password for typed/c: ", interrupt)
	p.want(ended, exitInterrupted)
	if !p.echoes() {
		t.Error("the terminal shows no more what is typed")
	}
	p, ended = w.terminalFor(t, "qpass", "insert", "--multiline", "typed/d")
	p.answer("when finished:\r\n", "a line\n"+interrupt)
	p.want(ended, exitInterrupted)
	w.want("", result{stderr: "no such entry", code: 10}, "qpass", "show", "typed/d")
}
