package qubes

import (
	"context"
	"errors"
	"maps"
	"os"

	"github.com/splitvault/splitvault/test/signer"
)

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
	home, err := signer.Files()
	if err != nil {
		return err
	}
	put := map[string][]byte{"/usr/local/bin/clef": binary}
	maps.Copy(put, home)
	if len(args) == 1 {
		put["/usr/local/bin/clef-unattended"] = []byte(signer.Unattended)
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
