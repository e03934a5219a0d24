// Package keep runs a helper program that must not outlive its owner, whatever
// kills the owner.
package keep

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"syscall"
	"time"
)

// Verb is the command under which a program must call Keep, on its main thread
// with runtime.LockOSThread.
const Verb = "__keep"

// Keep runs a command until it ends or standard input does. The command gets
// SIGTERM then and, two seconds later, SIGKILL; it gets SIGKILL at once when
// this process is killed.
func Keep(command []string) error {
	if len(command) == 0 {
		return errors.New("keep: no command")
	}
	cmd := exec.Command(command[0], command[1:]...)
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("keep: %w", err)
	}
	ended, released := make(chan error, 1), make(chan struct{})
	go func() { ended <- cmd.Wait() }()
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin) // an error is an end too
		close(released)
	}()
	select {
	case err := <-ended:
		return fmt.Errorf("keep: %q ended by itself: %w", command[0], err)
	case <-released:
	}
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("keep: %w", err)
	}
	select {
	case <-ended:
	case <-time.After(2 * time.Second):
		_ = cmd.Process.Kill() // it may have ended just now
		<-ended
	}
	return nil
}
