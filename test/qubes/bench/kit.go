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

	"github.com/splitvault/splitvault/test/qubes/bench/roots"
)

// Kit is what all benches of a process share: the bench's own programs, and the
// two layers that lie over each qube's Debian.
type Kit struct {
	run    *runDir
	source string // the project's checkout
}

// BuildKit builds the bench's programs and installs the project, by its own
// "just install", as a package would. It needs the working directory inside the
// project's checkout. $QUBEBENCH_TEMPLATE names a tree that is installed already
// to take instead, for instance that of a package. What the build says goes to
// log if it fails.
func BuildKit(ctx context.Context, log io.Writer) (*Kit, error) {
	source, err := checkout()
	if err != nil {
		return nil, err
	}
	run, err := newRunDir()
	if err != nil {
		return nil, err
	}
	kit := &Kit{run, source}
	var said bytes.Buffer
	if err := kit.build(ctx, &said); err != nil {
		_, _ = said.WriteTo(log) // the error below says what counts
		return nil, errors.Join(fmt.Errorf("building the bench: %w", err), run.remove())
	}
	return kit, nil
}

// Close removes what BuildKit made.
func (k *Kit) Close() error { return k.run.remove() }

// Program is the bench's command, whose verbs run qubes.
func (k *Kit) Program() string { return filepath.Join(k.run.path, "bin", "qubebench") }

// Qrexec is the emulator's command: dom0 and its remote control.
func (k *Kit) Qrexec() string { return filepath.Join(k.run.path, "bin", "qrexec") }

// Template is the tree that the project's packages install.
func (k *Kit) Template() string { return filepath.Join(k.run.path, "template") }

// own is the layer with the bench's own files: no part of the project's
// packages, what Qubes itself brings to a template.
func (k *Kit) own() string { return filepath.Join(k.run.path, "own") }

func (k *Kit) build(ctx context.Context, said io.Writer) error {
	if err := copyTree(filepath.Join(k.source, "test/qubes/bench/layer"), k.own()); err != nil {
		return err
	}
	// Two packages' tests run at a time, and the project builds in its checkout.
	lock, err := lockFile(ctx, filepath.Join(filepath.Dir(k.run.path), ".build.lock"), 5*time.Minute)
	if err != nil {
		return err
	}
	defer lock.Close()
	bin := filepath.Join(k.run.path, "bin") + "/"
	if err := k.command(ctx, said, "go", "build", "-trimpath", "-buildvcs=false", "-o", bin,
		"./test/qubes/cmd/qubebench", "./test/qubes/cmd/qrexec"); err != nil {
		return err
	}
	if err := installQrexec(k.Qrexec(), k.own()); err != nil {
		return err
	}
	if tree := os.Getenv("QUBEBENCH_TEMPLATE"); tree != "" {
		return k.command(ctx, said, "cp", "-a", tree, k.Template())
	}
	just := "just"
	if _, err := exec.LookPath(just); err != nil {
		just = "./justw"
	}
	return k.command(ctx, said, just, "install", "DESTDIR="+k.Template())
}

// installQrexec puts the emulator where Qubes has qrexec's client and agent.
func installQrexec(program, layer string) error {
	content, err := os.ReadFile(program)
	if err != nil {
		return err
	}
	dir := filepath.Join(layer, "usr/lib/qubebench")
	file := filepath.Join(dir, "qrexec")
	if err := errors.Join(os.MkdirAll(dir, 0o755), os.WriteFile(file, content, 0o755)); err != nil {
		return err
	}
	if err := errors.Join(os.Chmod(filepath.Dir(dir), 0o755), os.Chmod(dir, 0o755), os.Chmod(file, 0o755)); err != nil { // whatever the umask
		return err
	}
	return os.Symlink("../lib/qubebench/qrexec", filepath.Join(layer, "usr/bin/qrexec-client-vm"))
}

// command runs a step of the build in the checkout.
func (k *Kit) command(ctx context.Context, said io.Writer, name string, args ...string) error {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = k.source
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	cmd.Stdout, cmd.Stderr = said, said
	cmd.WaitDelay = time.Second
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("running %s %s: %w", name, args[0], err)
	}
	return nil
}

// Root returns the directory of a suite's root, after building it if need be.
func (k *Kit) Root(ctx context.Context, suite string, log io.Writer) (string, error) {
	return roots.Build(ctx, suite, log)
}

// checkout finds the project's directory at or above the working directory.
func checkout() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "test/qubes/bench/layer")); err == nil {
			return dir, nil
		}
		up := filepath.Dir(dir)
		if up == dir {
			return "", errors.New("the working directory is not inside a checkout of splitvault")
		}
		dir = up
	}
}

// copyTree copies directories and regular files with the modes that packages
// give them, whatever the checkout's umask made of theirs.
func copyTree(from, to string) error {
	return filepath.WalkDir(from, func(path string, d os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		relative, err := filepath.Rel(from, path)
		if err != nil {
			return err
		}
		target := filepath.Join(to, relative)
		if d.IsDir() {
			return errors.Join(os.MkdirAll(target, 0o755), os.Chmod(target, 0o755))
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		content, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		mode := os.FileMode(0o644)
		if info.Mode()&0o111 != 0 {
			mode = 0o755
		}
		return errors.Join(os.WriteFile(target, content, mode), os.Chmod(target, mode))
	})
}
