package signer

import (
	"context"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
)

// Unattended is a program for a home of Files that runs "clef" without a person: a pipe
// of which the test has the other end is its terminal. Where ~/.clef/locked is, the master
// password is not typed. What Clef says goes where the program's output goes.
const Unattended = `#!/bin/sh
set -eu
cd "$HOME/.clef"
rm -f terminal
mkfifo -m 600 terminal
exec 3<>terminal
[ -e locked ] || echo masterpass1 >&3
exec clef --nousb --pcscdpath "" --lightkdf --suppress-bootwarn --chainid 1337 --http --rules rules.js \
	--auditlog audit.log --4bytedb-custom 4byte.json <&3
`

// Files are those of a home for Clef (see [Home]), by their paths in it. They are made
// once: the real Clef needs a second.
var Files = sync.OnceValues(func() (map[string][]byte, error) {
	dir, err := os.MkdirTemp("", "clef-home-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	if err := Home(context.Background(), dir); err != nil {
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
