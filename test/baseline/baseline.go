// Package baseline holds the shell relays that splitvault is compared with, and
// lays them over running qubes of the bench. README.md says what they are.
package baseline

import (
	"archive/tar"
	"bytes"
	"context"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"strings"

	"github.com/splitvault/splitvault/test/qubes/bench"
	"github.com/splitvault/splitvault/test/qubes/bench/machine"
)

//go:embed all:ssh-seed all:ssh-official all:pass-sh all:clef-python
var layers embed.FS

// The sockets of the relays in a client qube.
const (
	SeedSocket      = "/run/user/1000/seed/S.ssh-agent"
	SeedQuietSocket = "/run/user/1000/seed-quiet/S.ssh-agent"
	OfficialSocket  = "/home/user/.split-ssh/main.sock"
)

// The sockets at which the relays expect the agent in the vault.
const (
	SeedAgent     = "/run/user/1000/gnupg/S.gpg-agent.ssh"
	OfficialAgent = "/run/split-ssh/main.sock"
)

// Policy is what dom0 must be told for the client qube.
func Policy(client string) []string {
	var lines []string
	for _, service := range []string{"seed.Ssh", "seed.SshQuiet", "qubes.SshAgent"} {
		lines = append(lines, fmt.Sprintf("%s * %s vault allow", service, client))
	}
	return lines
}

// Client installs the relays' client side in a qube and starts it.
func Client(ctx context.Context, q *bench.Qube) error {
	if err := install(ctx, q, "ssh-seed", "ssh-official"); err != nil {
		return err
	}
	if _, err := q.User(ctx, "systemctl", "--user", "start", "seed-ssh.socket", "seed-ssh-quiet.socket"); err != nil {
		return err
	}
	_, err := q.Root(ctx, "systemctl", "start", "official-ssh@main.service")
	return err
}

// Vault installs the relays' vault side and points both at the agent that
// listens on socket. Debian's own gpg-agent-ssh.socket gives way.
func Vault(ctx context.Context, q *bench.Qube, socket string) error {
	if err := install(ctx, q, "ssh-seed", "ssh-official"); err != nil {
		return err
	}
	if _, err := q.User(ctx, "systemctl --user stop gpg-agent-ssh.socket && mkdir -p -m 0700 "+path.Dir(SeedAgent)+" && ln -sfn "+socket+" "+SeedAgent); err != nil {
		return err
	}
	_, err := q.Root(ctx, "mkdir -p "+path.Dir(OfficialAgent)+" && ln -sfn "+socket+" "+OfficialAgent)
	return err
}

// Pass installs the scripts of a password store in the vault's qube: seed.ListPasswords
// and seed.GetPassword.
func Pass(ctx context.Context, q *bench.Qube) error { return install(ctx, q, "pass-sh") }

// install lays whole layers over a qube and makes systemd see them.
func install(ctx context.Context, q *bench.Qube, names ...string) error {
	files := map[string][]byte{}
	for _, name := range names {
		err := fs.WalkDir(layers, name, func(p string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				return err
			}
			content, err := layers.ReadFile(p)
			files[strings.TrimPrefix(p, name)] = content
			return err
		})
		if err != nil {
			return fmt.Errorf("reading the baseline %q: %w", name, err)
		}
	}
	if err := Put(ctx, q, files); err != nil {
		return err
	}
	_, err := q.Root(ctx, "systemctl", "daemon-reload")
	_, errUser := q.User(ctx, "systemctl", "--user", "daemon-reload")
	return errors.Join(err, errUser)
}

// Put writes files in a qube as root: absolute path to content. Scripts and
// programs become executable.
func Put(ctx context.Context, q *bench.Qube, files map[string][]byte) error {
	var archive bytes.Buffer
	w := tar.NewWriter(&archive)
	for name, content := range files {
		mode := int64(0o644)
		if bytes.HasPrefix(content, []byte("#!")) || bytes.HasPrefix(content, []byte("\x7fELF")) {
			mode = 0o755
		}
		header := &tar.Header{Name: strings.TrimPrefix(name, "/"), Mode: mode, Size: int64(len(content))}
		if err := w.WriteHeader(header); err != nil {
			return fmt.Errorf("packing %q: %w", name, err)
		}
		if _, err := w.Write(content); err != nil {
			return fmt.Errorf("packing %q: %w", name, err)
		}
	}
	if err := w.Close(); err != nil {
		return fmt.Errorf("packing files: %w", err)
	}
	cmd := q.Command(ctx, machine.AsRoot, "tar", "-C", "/", "--no-overwrite-dir", "-x")
	cmd.Stdin = &archive
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s: unpacking files: %w: %s", q.Name(), err, bytes.TrimSpace(out))
	}
	return nil
}

// Program builds a program of this module for the qubes and returns its bytes.
// name is its directory below the module's root.
func Program(ctx context.Context, name string) ([]byte, error) {
	dir, err := os.MkdirTemp("", "splitvault-program-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	out := filepath.Join(dir, path.Base(name))
	cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-buildvcs=false", "-o", out, "github.com/splitvault/splitvault/"+name)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if said, err := cmd.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("building %s: %w: %s", name, err, bytes.TrimSpace(said))
	}
	return os.ReadFile(out)
}
