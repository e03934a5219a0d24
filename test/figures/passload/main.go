// Command passload calls the services of a password store, as the published scripts
// did it, and prints how long each call took, in nanoseconds, one a line; a call that
// fails gives a line "failed: REASON". It runs in a client qube.
//
//	passload -services pass. -n 100 -want 20     lists, of as many names
//	passload -services seed. -n 100 -get NAME    whole entries
package main

import (
	"bytes"
	"flag"
	"fmt"
	"os/exec"
	"strings"
	"time"
)

func main() {
	services := flag.String("services", "", "what the names of the services begin with")
	n := flag.Int("n", 1, "number of calls")
	want := flag.Int("want", 0, "names in the list")
	get := flag.String("get", "", "the entry to get instead")
	flag.Parse()
	for range *n {
		start := time.Now()
		if err := call(*services, *get, *want); err != nil {
			fmt.Println("failed:", strings.ReplaceAll(err.Error(), "\n", " "))
			continue
		}
		fmt.Println(time.Since(start).Nanoseconds())
	}
}

func call(services, get string, want int) error {
	cmd := exec.Command("qrexec-client-vm", "vault", services+"ListPasswords")
	if get != "" {
		cmd = exec.Command("qrexec-client-vm", "vault", services+"GetPassword")
		cmd.Stdin = strings.NewReader(get + "\n")
	}
	out, err := cmd.Output()
	if err != nil {
		return err
	}
	if lines := bytes.Count(out, []byte("\n")); get == "" && lines != want {
		return fmt.Errorf("%d names", lines)
	}
	if get != "" && string(out) != "secret\n" {
		return fmt.Errorf("got %d bytes", len(out))
	}
	return nil
}
