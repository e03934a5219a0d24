// Package qrexectest is a stand-in for qrexec-client-vm and the vault behind it,
// for tests: the test binary starts itself as the client program and behaves, or
// misbehaves, as the name of the called service says.
package qrexectest

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/splitvault/splitvault/pkg/sshagent"
)

// What a service does, by its name; some take a number as argument.
const (
	Answer  = "test.Answer"  // answers every request with Reply, to the end of input
	Serve   = "test.Serve"   // +N: answers N requests, then ends with code 0
	Exit    = "test.Exit"    // +N: ends with code N before reading anything; 126 says so as qrexec does
	Broken  = "test.Broken"  // +N: answers N requests, takes another, and ends with code 255
	Cut     = "test.Cut"     // +N: the first N bytes of the answer, then code 255
	Profile = "test.Profile" // +N: the first N bytes of a greeting, then as Answer
	Flood   = "test.Flood"   // 2 MB of standard error, then as Answer
	Hang    = "test.Hang"    // reads nothing, says nothing, as while dom0 asks
	Deaf    = "test.Deaf"    // Hang that ignores SIGTERM
	Mute    = "test.Mute"    // closes its output and goes on
	Unasked = "test.Unasked" // two answers to each request
	Wrong   = "test.Wrong"   // answers with a signature, whatever is asked
	Huge    = "test.Huge"    // N good answers, then one that says it has 4 GiB
	AtEOF   = "test.AtEOF"   // answers one request, at the end of input
	Agent   = "test.Agent"   // a real agent, whose socket AgentVariable names
	Orphan  = "test.Orphan"  // ends and leaves a process that holds its output and standard error
)

// AgentVariable names the socket for [Agent].
const AgentVariable = "QREXECTEST_AGENT"

const (
	dirVariable = "QREXECTEST_DIR"
	greeting    = "Welcome to the vault, user!\nYou have no mail.\n"
	// lifetime bounds a client that a failed test forgot.
	lifetime = time.Minute
)

// Main is a TestMain: it runs the tests, or is the client program, if the binary
// was started as that.
func Main(m *testing.M) {
	if len(os.Args) == 4 && os.Args[1] == "--" {
		os.Exit(client(os.Args[2], os.Args[3]))
	}
	dir, err := os.MkdirTemp("", "qrexectest")
	if err == nil {
		err = os.Setenv(dirVariable, dir)
	}
	if err == nil && os.Getenv("GORACE") == "" {
		// Under the race detector a process takes a second to end otherwise.
		err = os.Setenv("GORACE", "atexit_sleep_ms=0")
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	code := m.Run()
	os.RemoveAll(dir)
	os.Exit(code)
}

// Program is the client program to start.
func Program(tb testing.TB) string {
	tb.Helper()
	path, err := os.Executable()
	if err != nil {
		tb.Fatal(err)
	}
	return path
}

// Reply is what the stand-in answers to a request.
func Reply(request sshagent.Frame) sshagent.Frame {
	switch sshagent.Classify(request) {
	case sshagent.List:
		reply, err := sshagent.IdentitiesReply([]sshagent.Identity{{Blob: []byte("key"), Comment: []byte("vault")}})
		if err != nil {
			panic(err)
		}
		return reply
	case sshagent.Sign:
		return signature()
	case sshagent.Bind, sshagent.Reset:
		return sshagent.Success()
	case sshagent.Query:
		return sshagent.QueryReply(sshagent.ExtensionBind)
	default:
		return sshagent.Failure()
	}
}

func signature() sshagent.Frame {
	body := "\x0e\x00\x00\x00\x09signature"
	frame, err := sshagent.ParseFrame(append([]byte{0, 0, 0, byte(len(body))}, body...), sshagent.MaxReply)
	if err != nil {
		panic(err)
	}
	return frame
}

// vault is the other end of a call.
type vault struct {
	log    *os.File
	stdin  *os.File
	reader *sshagent.Reader
}

func client(target, service string) int {
	log, err := os.OpenFile(filepath.Join(os.Getenv(dirVariable), target), os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 99
	}
	defer log.Close()
	// Pipes of another process are in blocking mode for us.
	if err := syscall.SetNonblock(0, true); err != nil {
		return 99
	}
	stdin := os.NewFile(0, "stdin")
	v := &vault{log: log, stdin: stdin, reader: sshagent.NewReader(stdin, sshagent.MaxRequest, sshagent.FrameTime)}
	v.note("call", strconv.Itoa(os.Getpid()))
	time.AfterFunc(lifetime, func() { os.Exit(98) })
	name, argument, _ := strings.Cut(service, "+")
	v.note("service", service)
	n, err := strconv.Atoi(argument)
	if err != nil {
		n = 0 // the name of an agent
	}
	return v.behave(name, n)
}

func (v *vault) behave(name string, n int) int {
	switch name {
	case Answer:
		return v.serve(-1)
	case Serve:
		return v.serve(n)
	case Exit:
		if n == 126 {
			fmt.Fprintln(os.Stderr, "Request refused")
		}
		return n
	case Broken:
		v.serve(n)
		_, _ = v.next()
		fmt.Fprintln(os.Stderr, "vchan connection closed early (fds: 0 1 2, status: -1 -1)")
		return 255
	case Cut:
		if request, err := v.next(); err == nil {
			v.write(Reply(request).Bytes()[:n])
		}
		return 255
	case Profile:
		v.write([]byte(greeting[:min(n, len(greeting))]))
		return v.serve(-1)
	case Flood:
		line := strings.Repeat("x", 1023) + "\n"
		for range 2048 {
			fmt.Fprint(os.Stderr, line)
		}
		return v.serve(-1)
	case Unasked:
		for {
			request, err := v.next()
			if err != nil {
				return 0
			}
			v.write(append(Reply(request).Bytes(), Reply(request).Bytes()...))
		}
	case Wrong:
		if _, err := v.next(); err == nil {
			v.write(signature().Bytes())
		}
		return v.serve(-1)
	case Huge:
		v.serve(n)
		if _, err := v.next(); err == nil {
			v.write([]byte{0xff, 0xff, 0xff, 0xff, 12})
		}
		return v.serve(-1)
	case AtEOF:
		request, err := v.next()
		if err != nil {
			return 0
		}
		if _, err := v.next(); errors.Is(err, io.EOF) {
			v.write(Reply(request).Bytes())
		}
		return 0
	default:
		return v.linger(name)
	}
}

// linger is what a client does that does not end by itself.
func (v *vault) linger(name string) int {
	switch name {
	case Hang:
	case Deaf:
		signal.Ignore(syscall.SIGTERM)
		v.note("deaf", "")
	case Mute:
		os.Stdout.Close()
	case Agent:
		return through(v.stdin, os.Getenv(AgentVariable))
	case Orphan:
		child := exec.Command("sleep", strconv.Itoa(int(lifetime.Seconds())))
		child.Stdout, child.Stderr = os.Stdout, os.Stderr
		if err := child.Start(); err != nil {
			return 99
		}
		v.note("child", strconv.Itoa(child.Process.Pid))
		return 0
	default:
		return 127
	}
	select {}
}

// through connects the call to an agent's socket, to the end of input.
func through(stdin io.Reader, socket string) int {
	conn, err := net.Dial("unix", socket)
	if err != nil {
		return 1
	}
	go func() { _, _ = io.Copy(os.Stdout, conn) }()
	_, _ = io.Copy(conn, stdin)
	return 0
}

// serve answers n requests, all if n is negative.
func (v *vault) serve(n int) int {
	for ; n != 0; n-- {
		request, err := v.next()
		if err != nil {
			return 0
		}
		v.write(Reply(request).Bytes())
	}
	return 0
}

func (v *vault) next() (sshagent.Frame, error) {
	request, err := v.reader.Next()
	if errors.Is(err, io.EOF) {
		v.note("eof", "")
	}
	if err == nil {
		v.note("got", fmt.Sprintf("%x", request.Bytes()))
	}
	return request, err
}

func (v *vault) write(b []byte) {
	if _, err := os.Stdout.Write(b); err != nil {
		os.Exit(97)
	}
}

func (v *vault) note(what, text string) { fmt.Fprintf(v.log, "%s %s\n", what, text) }
