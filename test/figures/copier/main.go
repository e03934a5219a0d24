// Command copier is the least that a relay in Go can do: it calls the service that
// it is given, with qrexec-client-vm, and copies both ways. systemd passes it one
// client as standard input and output. It stands beside ssh-relay, to tell what a
// relay costs from what ssh-relay does.
package main

import (
	"fmt"
	"io"
	"os"
	"os/exec"
)

func main() {
	if err := relay(os.Args[1:]); err != nil {
		fmt.Fprintf(os.Stderr, "copier: %v\n", err)
		os.Exit(1)
	}
}

func relay(service []string) error {
	cmd := exec.Command("qrexec-client-vm", append([]string{"vault"}, service...)...)
	in, err := cmd.StdinPipe()
	if err != nil {
		return err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	go func() {
		_, _ = io.Copy(in, os.Stdin) // an error is the end of the call
		in.Close()
	}()
	if _, err := io.Copy(os.Stdout, out); err != nil {
		return err
	}
	return cmd.Wait()
}
