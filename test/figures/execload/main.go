// Command execload starts a program over and over, waits for its end each time, and
// prints how long that took, in nanoseconds, one a line; a start that fails gives a
// line "failed: REASON". It runs in a qube.
//
//	execload -n 100 qrexec-client-vm vault floor.True
package main

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"time"
)

func main() {
	n := flag.Int("n", 1, "number of starts")
	flag.Parse()
	if flag.NArg() == 0 {
		fmt.Fprintln(os.Stderr, "usage: execload [-n N] PROGRAM [ARGUMENT...]")
		os.Exit(2)
	}
	for range *n {
		start := time.Now()
		out, err := exec.Command(flag.Arg(0), flag.Args()[1:]...).CombinedOutput()
		if err != nil {
			fmt.Println("failed:", err, strings.ReplaceAll(string(out), "\n", " "))
			continue
		}
		fmt.Println(time.Since(start).Nanoseconds())
	}
}
