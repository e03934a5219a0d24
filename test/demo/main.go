// Command demo shows split SSH and split pass on one machine, without root: a
// make-believe vault qube that holds a key and passwords, a client qube that uses them,
// and between them the emulator of qrexec. Everything else is real: the project's own
// programs, OpenSSH, git, pass, gpg, and systemd's socket activation. It takes seconds, and leaves
// nothing behind, also when it is interrupted.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/splitvault/splitvault/test/rails/orphans"
)

func main() {
	// Children get a signal when the thread that started them ends
	// (prctl(2), PR_SET_PDEATHSIG): that must be the program's own end.
	runtime.LockOSThread()
	os.Exit(run(os.Args[1:], os.Stdout, os.Stderr))
}

// run returns 0 when every step came out as the story says, 1 when one did not,
// 2 for wrong usage or a missing program, 130 when it was interrupted.
func run(args []string, stdout, stderr io.Writer) int {
	flags := flag.NewFlagSet("demo", flag.ContinueOnError)
	flags.SetOutput(stderr)
	build := flags.String("build", "build", "the directory that `just build` filled")
	shell := flags.Bool("shell", isTerminal(os.Stdin) && isTerminal(os.Stdout),
		"end with a shell in the client qube")
	if err := flags.Parse(args); err != nil || flags.NArg() > 0 {
		return 2
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	tools, err := findTools(*build)
	if err != nil {
		fmt.Fprintln(stderr, "demo:", err)
		return 2
	}
	if err := orphans.Adopt(); err != nil {
		fmt.Fprintln(stderr, "demo:", err)
		return 1
	}
	w, err := newWorld(tools)
	if err != nil {
		fmt.Fprintln(stderr, "demo:", err)
		return 1
	}
	typing, stopTyping := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGQUIT)
	defer stopTyping()
	err = tell(typing, w, stdout)
	interrupted := typing.Err() != nil
	if err == nil && !interrupted && *shell {
		// What is typed from here on is the shell's. It is received, and not
		// ignored: the shell and its children would inherit that.
		unheard := make(chan os.Signal, 1)
		signal.Notify(unheard, os.Interrupt, syscall.SIGQUIT)
		stopTyping()
		err = w.shell(ctx, stdout)
		interrupted = ctx.Err() != nil
	}
	if err != nil && !interrupted {
		fmt.Fprintf(stderr, "\ndemo: %v\n%s", err, w.logs())
	}
	switch endErr := w.end(); {
	case endErr != nil:
		fmt.Fprintln(stderr, "demo: cleaning up:", endErr)
		return 1
	case interrupted:
		fmt.Fprintln(stderr, "\ndemo: interrupted; everything is cleaned up")
		return 130
	case err != nil:
		return 1
	}
	fmt.Fprintln(stdout, "\nAll processes of the demo are ended and its files are removed.")
	return 0
}

func isTerminal(f *os.File) bool {
	_, err := unix.IoctlGetTermios(int(f.Fd()), unix.TCGETS)
	return err == nil
}
