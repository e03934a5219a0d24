// Command crowd runs a command many times at once and prints how long each run
// took, in nanoseconds, one a line; a run that fails gives a line "failed: REASON".
// A line "wall: NANOSECONDS" tells how long all took together. It runs in a client
// qube.
//
//	crowd -n 200 -within 2m ssh host true
package main

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"sync"
	"time"
)

func main() {
	n := flag.Int("n", 1, "runs")
	within := flag.Duration("within", time.Minute, "time for all of them")
	flag.Parse()
	if flag.NArg() == 0 {
		fmt.Fprintln(os.Stderr, "usage: crowd -n N [-within TIME] COMMAND")
		os.Exit(2)
	}
	ctx, cancel := context.WithTimeout(context.Background(), *within)
	defer cancel()
	lines := make([]string, *n)
	began := time.Now()
	var runs sync.WaitGroup
	for i := range lines {
		runs.Go(func() { lines[i] = run(ctx, flag.Args()) })
	}
	runs.Wait()
	fmt.Println("wall:", time.Since(began).Nanoseconds())
	for _, line := range lines {
		fmt.Println(line)
	}
}

func run(ctx context.Context, command []string) string {
	cmd := exec.CommandContext(ctx, command[0], command[1:]...)
	start := time.Now()
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Sprintf("failed: %v: %q", err, bytes.TrimSpace(out))
	}
	return fmt.Sprint(time.Since(start).Nanoseconds())
}
