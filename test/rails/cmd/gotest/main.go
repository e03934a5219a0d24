// Command gotest runs `go test` with the given arguments, prints its ordinary
// summary lines and the output of failed tests, names every skipped test with its
// reason, and prints what a test notes by T.Attr("note", …). Where the environment
// variable CI is not empty a skipped test is a failure: what CI did not run, it did
// not prove.
package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
)

func main() {
	os.Exit(run(os.Args[1:], os.Stdout, os.Stderr))
}

// run returns go test's exit code, or 1 where nothing ran or, in CI, where a
// test was skipped.
func run(args []string, stdout, stderr io.Writer) int {
	cmd := exec.Command("go", append([]string{"test", "-json"}, args...)...)
	cmd.Stderr = stderr
	pipe, err := cmd.StdoutPipe()
	if err != nil {
		fmt.Fprintln(stderr, "gotest:", err)
		return 1
	}
	if err := cmd.Start(); err != nil {
		fmt.Fprintln(stderr, "gotest:", err)
		return 1
	}
	result := summarize(pipe, stdout)
	err = cmd.Wait()
	if file := os.Getenv("RAILS_SKIPPED"); file != "" {
		if err := appendLines(file, result.skipped); err != nil {
			fmt.Fprintln(stderr, "gotest:", err)
			return 1
		}
	}
	for _, line := range result.skipped {
		fmt.Fprintln(stdout, "SKIPPED", line)
	}
	var exit *exec.ExitError
	switch {
	case errors.As(err, &exit):
		return max(exit.ExitCode(), 1)
	case err != nil:
		fmt.Fprintln(stderr, "gotest:", err)
		return 1
	case result.passed == 0:
		fmt.Fprintln(stderr, "gotest: no test ran")
		return 1
	case len(result.skipped) > 0 && os.Getenv("CI") != "":
		fmt.Fprintln(stderr, "gotest: skipped tests count as failed, because CI is set")
		return 1
	}
	return 0
}

func appendLines(file string, lines []string) error {
	f, err := os.OpenFile(file, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("noting skipped tests: %w", err)
	}
	w := bufio.NewWriter(f)
	for _, line := range lines {
		fmt.Fprintln(w, line)
	}
	return errors.Join(w.Flush(), f.Close())
}
