// Package client is qrexec-client-vm as QubesOS/qubes-core-qrexec
// agent/qrexec-client-vm.c (release4.3) behaves: options, sequence, exit codes,
// what goes to stderr, and what it does to the descriptors it inherits.
package client

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/splitvault/splitvault/test/qubes/qrexec/internal/pump"
	"github.com/splitvault/splitvault/test/qubes/qrexec/internal/wire"
)

// DefaultSocket is where the agent of a qube listens.
const DefaultSocket = "/run/qubes/qrexec-agent"

// SocketEnv names the agent's socket where there is no option -a.
const SocketEnv = "QREXEC_BENCH_AGENT_SOCKET"

// ReleaseSuffix is appended to the agent's socket to name the file that holds the
// release the qube plays, when it is not 4.3.
const ReleaseSuffix = ".release"

// Main is the whole program: args with the program's name first; it returns the
// exit code. It works on descriptors 0, 1 and 2 of the process.
func Main(args []string) int {
	// Ignored, never restored, and inherited by the local program, as there.
	signal.Ignore(syscall.SIGPIPE)
	o, err := parse(args[1:], release(args[1:]))
	if err == nil {
		if o.agentSocket == "" {
			o.agentSocket = socketFromEnv()
		}
		var code int
		if code, err = call(o); err == nil {
			return code
		}
	}
	return report(args[0], err)
}

func report(program string, err error) int {
	exit, ok := errors.AsType[*exitError](err)
	if !ok {
		exit = &exitError{code: exitFailure, text: err.Error()}
	}
	if exit.text != "" {
		say(exit.text)
	}
	if exit.usage {
		say(usage(program))
	}
	return exit.code
}

func say(line string) { _, _ = unix.Write(2, []byte(line+"\n")) }

func usage(program string) string {
	return "usage: " + program + " [options] target_vmname program_ident [local_program [local program arguments]]\n" +
		"Options:\n" +
		"  --buffer-size=BUFFER_SIZE - minimum vchan buffer size (default: 64k)\n" +
		"  -t, --filter-escape-chars-stdout - filter non-ASCII and control characters on stdout (default if stdout is a terminal)\n" +
		"  -T, --filter-escape-chars-stderr - filter non-ASCII and control characters on stderr (default if stderr is a terminal)\n" +
		"  --no-filter-escape-chars-stdout, --no-filter-escape-chars-stderr - the opposite\n" +
		"  -a PATH, --agent-socket=PATH - path to connect to, default: " + DefaultSocket + "\n" +
		"  -p DATA, --prefix-data=DATA - send the given data before the provided stdin (can only be used once)\n" +
		"  --use-stdin-socket - use file descriptor 0 for both stdin and stdout\n" +
		"  -s NAME, --source-qube=NAME - the remote qube for which the call is made\n" +
		"  -h, --help - print this message"
}

func socketFromEnv() string {
	if path := os.Getenv(SocketEnv); path != "" {
		return path
	}
	return DefaultSocket
}

// release finds which release's options are understood. The agent's socket is
// needed for it before the options are parsed; -a and --agent-socket= are the
// forms looked for.
func release(args []string) string {
	path := socketFromEnv()
	for i, arg := range args {
		if v, ok := strings.CutPrefix(arg, "--agent-socket="); ok {
			path = v
		} else if (arg == "-a" || arg == "--agent-socket") && i+1 < len(args) {
			path = args[i+1]
		}
	}
	text, err := os.ReadFile(path + ReleaseSuffix)
	if err != nil {
		return "4.3"
	}
	return strings.TrimSpace(string(text))
}

// call asks for the service and moves its data. Nothing is read from stdin and no
// local program is started before dom0's answer.
func call(o options) (int, error) {
	link, lifeline, err := ask(o)
	if err != nil {
		return 0, err
	}
	defer wire.CloseAll(link, lifeline)
	code, err := transfer(o, link, lifeline)
	if err != nil {
		return 0, err
	}
	reportExit(lifeline, code)
	return code, nil
}

func ask(o options) (link, lifeline *os.File, err error) {
	agent, err := wire.Dial(o.agentSocket)
	if err != nil {
		return nil, nil, fmt.Errorf("connect: %w", err)
	}
	defer agent.Close()
	err = agent.Send(wire.Message{
		Kind: wire.KindCall, Target: []byte(o.target), Descriptor: []byte(o.service),
		Buffer: o.buffer, ForQube: o.sourceQube,
	})
	if err != nil {
		return nil, nil, fmt.Errorf("write(command) to agent: %w", err)
	}
	_, files, err := agent.Receive()
	if errors.Is(err, io.EOF) || errors.Is(err, syscall.ECONNRESET) {
		return nil, nil, &exitError{code: exitRefused, text: "Request refused"}
	}
	if err != nil {
		return nil, nil, fmt.Errorf("read: %w", err)
	}
	if len(files) != 2 {
		wire.CloseAll(files...)
		return nil, nil, fmt.Errorf("read: %d descriptors from the agent, want 2", len(files))
	}
	return files[0], files[1], nil
}

func transfer(o options, link, lifeline *os.File) (int, error) {
	linkFD, lifelineFD := int(link.Fd()), int(lifeline.Fd())
	in, out := 1, 0
	if o.stdinSocket {
		in = 0
	}
	var child *pump.Child
	if len(o.local) > 0 {
		var err error
		if child, in, out, err = startLocal(o.local); err != nil {
			return 0, err
		}
	}
	if err := wire.Greet(linkFD); err != nil {
		return 0, &exitError{code: exitFailure, text: "Data vchan connection failed"}
	}
	prefix := ""
	if o.prefix != nil {
		prefix = *o.prefix
	}
	code, _ := pump.Run(pump.Config{
		Link: linkFD, Lifeline: lifelineFD, In: in, Out: out, Err: -1,
		Prefix:    []byte(prefix),
		FilterOut: filter(o.filterOut, len(o.local) == 0 && isTerminal(1)),
		FilterErr: filter(o.filterErr, isTerminal(2)),
		Child:     child,
		Log:       say,
	})
	return code, nil
}

// reportExit tells dom0 the exit code, for the statistics of the bench. The other
// end may be gone.
func reportExit(lifeline *os.File, code int) {
	_ = unix.Sendto(int(lifeline.Fd()), wire.AppendExit(nil, code), unix.MSG_NOSIGNAL|unix.MSG_DONTWAIT, nil)
}

func filter(set *bool, otherwise bool) bool {
	if set != nil {
		return *set
	}
	return otherwise
}

func isTerminal(fd int) bool {
	_, err := unix.IoctlGetTermios(fd, unix.TCGETS)
	return err == nil
}
