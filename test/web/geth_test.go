package web

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/splitvault/splitvault/test/baseline"
)

// gethClient builds go-ethereum's own client, out of the module that may link it.
func gethClient(t *testing.T) []byte {
	t.Helper()
	path := filepath.Join(t.TempDir(), "geth")
	cmd := exec.CommandContext(t.Context(), "go", "build", "-trimpath", "-buildvcs=false", "-ldflags=-s -w", "-o", path, "./geth")
	cmd.Dir = "../clef"
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("building go-ethereum's client: %v\n%s", err, out)
	}
	program, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return program
}

// geth: rpc.Client and what is behind geth --signer, over the port and over clef.ipc.
func (w *world) geth(t *testing.T, program []byte) {
	if err := baseline.Put(t.Context(), w.work, map[string][]byte{"/usr/local/bin/geth": program}); err != nil {
		t.Fatal(err)
	}
	want := strings.Join([]string{
		"version 6.1.0",
		"batch 6.1.0 [" + checksum + "]",
		"eth_chainId 4200",
		"accounts " + checksum,
		"text " + checksum,
		"transaction " + checksum + " " + txHash,
	}, "\n") + "\n"
	for _, endpoint := range []string{"http://localhost:8550", "/home/user/.clef/clef.ipc"} {
		if got, err := w.work.User(t.Context(), "geth", endpoint); err != nil || got != want {
			t.Errorf("%s: got %s, %v, want %s", endpoint, got, err, want)
		}
	}
}
