package bench

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/splitvault/splitvault/test/qubes/bench/autostart"
	"github.com/splitvault/splitvault/test/qubes/bench/keep"
)

// broker is the emulator's process on the host.
type broker struct {
	process *exec.Cmd
	life    io.Closer
}

func qrexecDir(state string) string  { return filepath.Join(state, "qrexec") }
func qubesFile(state string) string  { return filepath.Join(state, "qubes.json") }
func dom0Stderr(state string) string { return filepath.Join(state, "dom0.stderr") }

// prepareDom0 writes what dom0 reads: the policy directory and the list of qubes.
func (b *Bench) prepareDom0() error {
	if err := os.Mkdir(qrexecDir(string(b.state)), 0o755); err != nil {
		return err
	}
	if err := copyTree(filepath.Join(b.kit.source, "dom0/policy.d"), b.PolicyDir()); err != nil {
		return fmt.Errorf("copying the project's policy: %w", err)
	}
	return b.writeSystem()
}

// startDom0 returns when dom0 takes commands.
func startDom0(ctx context.Context, k *Kit, state string) (*broker, error) {
	said, err := os.OpenFile(dom0Stderr(state), os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	defer said.Close()
	cmd := exec.Command(k.Program(), keep.Verb, k.Qrexec(), "dom0",
		"--dir", qrexecDir(state), "--policy", filepath.Join(state, "policy"), "--qubes", qubesFile(state),
		"--start-command", fmt.Sprintf("exec '%s' %s '%s' \"$QUBE\"", k.Program(), autostart.Verb, state))
	cmd.Stdout, cmd.Stderr = said, said
	life, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("starting dom0: %w", err)
	}
	d := &broker{cmd, life}
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(2 * time.Millisecond) {
		words, err := os.ReadFile(said.Name())
		if err == nil && bytes.Contains(words, []byte("ready\n")) {
			return d, nil
		}
		if ctx.Err() != nil || time.Now().After(deadline) {
			return nil, errors.Join(fmt.Errorf("dom0 did not start: %s", bytes.TrimSpace(words)), d.stop())
		}
	}
}

func (d *broker) stop() error {
	_ = d.life.Close() // it may have ended, which closed the other end
	if err := d.process.Wait(); err != nil {
		return fmt.Errorf("stopping dom0: %w", err)
	}
	return nil
}

// replaceFile writes a file so that a reader sees the old text or the new one.
func replaceFile(path, text string) error {
	fresh := path + ".new"
	if err := os.WriteFile(fresh, []byte(text), 0o644); err != nil {
		return err
	}
	return os.Rename(fresh, path)
}
