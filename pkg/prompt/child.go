package prompt

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"syscall"
	"time"
)

// maxOutput is how much a prompting program may say.
const maxOutput = 4096

// find looks for a program in dir, or where the distribution has it. It follows
// nobody's PATH.
func find(dir, name string) (string, error) {
	dirs := []string{dir}
	if dir == "" {
		dirs = []string{"/usr/bin", "/bin"}
	}
	for _, dir := range dirs {
		path := filepath.Join(dir, name)
		if info, err := os.Stat(path); err == nil && info.Mode().IsRegular() && info.Mode()&0o111 != 0 {
			return path, nil
		}
	}
	return "", fmt.Errorf("%w: %s is not installed", ErrNotHere, name)
}

// child is a prompting program. It and whatever it starts are killed when
// ctx ends, and it is killed when this process is: its window must not outlive
// the one who would hear the answer.
func child(ctx context.Context, path string, env Environment, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, path, args...)
	cmd.Env, cmd.Dir = env.list(), "/"
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = time.Second
	return cmd
}

// onThread runs f on a thread of its own that lives until f ends: the death
// signal of a child comes when the thread that started it ends.
func onThread[T any](f func() (T, error)) (T, error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	return f()
}

// output runs a program to its end and returns what it said and its exit code.
func output(cmd *exec.Cmd) (stdout, stderr string, code int, err error) {
	var out, errs bounded
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Start(); err != nil {
		return "", "", 0, fmt.Errorf("%w: %w", ErrNotHere, err)
	}
	err = cmd.Wait()
	// What it may have left running has no business on.
	_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
	if exit, ok := errors.AsType[*exec.ExitError](err); ok && exit.Exited() {
		return string(out.data), string(errs.data), exit.ExitCode(), nil
	}
	if err != nil {
		return "", string(errs.data), 0, fmt.Errorf("%w: %w", ErrFailed, err)
	}
	return string(out.data), string(errs.data), 0, nil
}

// bounded keeps the first bytes of what is written to it, one more than fits any
// answer, and swallows the rest.
type bounded struct{ data []byte }

func (b *bounded) Write(p []byte) (int, error) {
	b.data = append(b.data, p[:min(len(p), maxOutput-len(b.data))]...)
	return len(p), nil
}
