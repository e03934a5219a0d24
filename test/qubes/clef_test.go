package qubes

import (
	"context"
	"errors"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"sync"

	"github.com/splitvault/splitvault/test/signer"
)

// clefHome makes Clef's home once for all scenarios; the real Clef needs a second.
var clefHome = sync.OnceValues(func() (map[string][]byte, error) {
	dir, err := os.MkdirTemp("", "clef-home-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	if err := signer.Home(context.Background(), dir); err != nil {
		return nil, err
	}
	files := map[string][]byte{}
	return files, filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		name, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		files[name], err = os.ReadFile(path)
		return err
	})
})

// clefUnattended runs the real Clef without a person: a pipe of which the test has
// the other end is its terminal.
const clefUnattended = `#!/bin/sh
set -eu
cd "$HOME/.clef"
rm -f terminal
mkfifo -m 600 terminal
exec 3<>terminal
[ -e locked ] || echo masterpass1 >&3
exec clef --nousb --pcscdpath "" --lightkdf --suppress-bootwarn --chainid 1337 --http --rules rules.js \
	--auditlog audit.log --4bytedb-custom 4byte.json <&3
`

// clef NAME [-window]: the real Clef in a qube, with the fixed key of package signer.
// Its unit runs it unattended, with ~/.clef/terminal for what a person types; or, with
// -window, as it is shipped.
func clef(ctx context.Context, s *scenario, args []string) error {
	if len(args) == 0 || len(args) == 2 && args[1] != "-window" {
		return errors.New("usage: clef NAME [-window]")
	}
	q, err := s.bench.Qube(args[0])
	if err != nil {
		return err
	}
	signer.Require(s.t)
	path, err := signer.Binary()
	if err != nil {
		return err
	}
	binary, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	home, err := clefHome()
	if err != nil {
		return err
	}
	put := map[string][]byte{"/usr/local/bin/clef": binary}
	maps.Copy(put, home)
	if len(args) == 1 {
		put["/usr/local/bin/clef-unattended"] = []byte(clefUnattended)
		put[".config/systemd/user/splitvault-clef-backend.service.d/test.conf"] = []byte("[Service]\nExecStart=\nExecStart=/usr/local/bin/clef-unattended\n")
	}
	for name, content := range put {
		if err := q.Put(ctx, name, content); err != nil {
			return err
		}
	}
	_, err = q.Root(ctx, "chmod 755 /usr/local/bin/clef && chmod -R go= /home/user/.clef /home/user/.ethereum && find /home/user/.clef -type f -exec chmod 400 {} +")
	if err != nil {
		return err
	}
	_, err = q.User(ctx, "systemctl --user daemon-reload")
	return err
}
