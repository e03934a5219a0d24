// Package clefqube puts the real Clef into a booted vault: with a fixed key, its own
// rules, and nobody before its terminal.
package clefqube

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/splitvault/splitvault/test/baseline"
	"github.com/splitvault/splitvault/test/qubes/bench"
	"github.com/splitvault/splitvault/test/qubes/bench/machine"
	"github.com/splitvault/splitvault/test/signer"
)

const home = "/home/user"

// run starts Clef with a standard input that stays open: its end would end Clef at
// the first prompt. Nothing listens before the password is there.
const run = `rm -f clef-in && mkfifo -m 0600 clef-in && exec 3<>clef-in && echo masterpass1 >&3 && exec "$@" <&3`

// Start makes a home for Clef in a vault, and runs it there as splitvault-clef-backend
// would: on 127.0.0.1:8550 and ~/.clef/clef.ipc.
func Start(ctx context.Context, vault *bench.Qube) error {
	binary, err := signer.Binary()
	if err != nil {
		return err
	}
	program, err := os.ReadFile(binary)
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "clef-home-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	if err := signer.Home(ctx, dir); err != nil {
		return err
	}
	if err := errors.Join(unpack(ctx, vault, dir), baseline.Put(ctx, vault, map[string][]byte{"/usr/local/bin/clef": program})); err != nil {
		return err
	}
	words := append([]string{"systemd-run", "--user", "--quiet", "--collect", "--unit=clef", "--working-directory=" + home, "sh", "-c", run, "sh", "clef"}, signer.Args(home, 8550)...)
	if _, err := vault.User(ctx, words...); err != nil {
		return err
	}
	_, err = vault.User(ctx, "for i in $(seq 400); do curl -sf http://localhost:8550 && exit 0; sleep 0.05; done; exit 1")
	return err
}

// unpack copies a directory into the home of a qube's user.
func unpack(ctx context.Context, q *bench.Qube, dir string) error {
	var archive bytes.Buffer
	w := tar.NewWriter(&archive)
	if err := errors.Join(w.AddFS(os.DirFS(dir)), w.Close()); err != nil {
		return fmt.Errorf("packing Clef's home: %w", err)
	}
	cmd := q.Command(ctx, machine.AsUser, "tar", "-C", home, "--no-same-owner", "-x")
	cmd.Stdin = &archive
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s: unpacking Clef's home: %w: %s", q.Name(), err, bytes.TrimSpace(out))
	}
	return nil
}

// Asked returns the methods that reached Clef, in order, by its own log of requests.
// account_new is not in it: Clef does not log that.
func Asked(ctx context.Context, vault *bench.Qube) ([]string, error) {
	out, err := vault.User(ctx, `grep -o 'api=signer type=request .*' .clef/audit.log || true`)
	if err != nil {
		return nil, err
	}
	var methods []string
	for line := range strings.Lines(out) {
		methods = append(methods, strings.TrimSpace(line))
	}
	return methods, nil
}
