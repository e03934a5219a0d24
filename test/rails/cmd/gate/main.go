// Command gate is `just test`: it runs every step of the project's checks, ends
// with a table of what held and what could not be run, and looks for anything
// that the steps left behind. Where the environment variable CI is not empty,
// what could not be run is a failure.
package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"github.com/splitvault/splitvault/test/rails/orphans"
)

func main() {
	os.Exit(run(os.Args[1:]))
}

func run(args []string) int {
	if len(args) != 1 {
		fmt.Fprintln(os.Stderr, "gate: the one argument is the just to run the steps with: just test")
		return 2
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	if err := orphans.Adopt(); err != nil {
		fmt.Fprintln(os.Stderr, "gate:", err)
		return 1
	}
	before, err := look()
	if err != nil {
		fmt.Fprintln(os.Stderr, "gate:", err)
		return 1
	}
	tmp, err := shortTempDir()
	if err != nil {
		fmt.Fprintln(os.Stderr, "gate:", err)
		return 1
	}
	defer os.RemoveAll(tmp)
	skipped, err := os.CreateTemp("", "splitvault-skipped-")
	if err != nil {
		fmt.Fprintln(os.Stderr, "gate:", err)
		return 1
	}
	defer os.Remove(skipped.Name())
	defer skipped.Close()

	r := &report{ci: os.Getenv("CI") != "", began: time.Now()}
	g := gate{just: args[0], tmp: tmp, skipped: skipped.Name()}
	for _, s := range steps {
		if ctx.Err() != nil {
			break
		}
		r.results = append(r.results, g.step(ctx, s))
	}
	for lines := bufio.NewScanner(skipped); lines.Scan(); {
		r.skipped = append(r.skipped, lines.Text())
	}
	r.left = leftBehind(before, g.tmp)
	r.interrupted = ctx.Err() != nil
	return r.print(os.Stdout)
}

// shortTempDir makes the steps' TMPDIR. Tests put unix sockets deep below it,
// and a socket's path has 107 bytes (unix(7)): each byte of this one counts.
func shortTempDir() (string, error) {
	for i := range 1000 {
		dir := filepath.Join(os.TempDir(), fmt.Sprintf("s%d", i))
		err := os.Mkdir(dir, 0o700)
		if errors.Is(err, fs.ErrExist) {
			continue
		}
		// As /tmp is: some tests become another user.
		return dir, errors.Join(err, os.Chmod(dir, 0o777|fs.ModeSticky))
	}
	return "", fmt.Errorf("making a temporary directory: too many in %s", os.TempDir())
}
