// Command install copies the built programs, the units and the template's
// files below a directory, as every package and the two-qube bench take them.
package main

import (
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/splitvault/splitvault/test/rails/stage"
)

func main() {
	os.Exit(run(os.Args[1:], ".", os.Stdout, os.Stderr))
}

// run installs the source tree at src below the directory named by the one
// argument and returns the exit code: 0 done, 1 not done, 2 usage.
func run(args []string, src string, stdout, stderr io.Writer) int {
	if len(args) != 1 || args[0] == "" {
		fmt.Fprintln(stderr, "install: name a directory: just install DESTDIR=/some/dir, or DESTDIR=/ for this machine itself")
		return 2
	}
	dest, err := filepath.Abs(args[0])
	if err != nil {
		fmt.Fprintln(stderr, "install:", err)
		return 1
	}
	n, err := stage.Install(src, dest)
	if err != nil {
		fmt.Fprintln(stderr, "install:", err)
		return 1
	}
	fmt.Fprintf(stdout, "%d files installed below %s\n", n, dest)
	return 0
}
