package pack

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

const (
	sums      = "SHA256SUMS"
	signature = sums + ".sig" // where ssh-keygen puts it
)

// Seal writes SHA256SUMS over all files of a directory, and with a key signs it:
// SHA256SUMS.sig, by `ssh-keygen -Y sign`. key is the file of a private key, or of a
// public one whose other half an agent has, the vault's for instance. Everybody who
// has ssh can verify it.
func Seal(dir, key string) error {
	if err := os.Remove(filepath.Join(dir, signature)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	entries, err := os.ReadDir(dir) // by name
	if err != nil {
		return err
	}
	var text strings.Builder
	for _, e := range entries {
		if e.Name() == sums {
			continue
		}
		if !e.Type().IsRegular() {
			return fmt.Errorf("sealing %q: %s is no file", dir, e.Name())
		}
		sum, err := sha256Of(filepath.Join(dir, e.Name()))
		if err != nil {
			return err
		}
		fmt.Fprintf(&text, "%x  %s\n", sum, e.Name())
	}
	if text.Len() == 0 {
		return fmt.Errorf("sealing %q: nothing is there", dir)
	}
	path := filepath.Join(dir, sums)
	if err := os.WriteFile(path, []byte(text.String()), 0o644); err != nil {
		return err
	}
	if key == "" {
		return nil
	}
	// "file" is ssh-keygen(1)'s own example, and what rules call sshsig:file.
	cmd := exec.Command("ssh-keygen", "-Y", "sign", "-f", key, "-n", "file", path)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("signing with %q: %w: %s", key, err, out)
	}
	return nil
}

func sha256Of(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return nil, fmt.Errorf("reading %q: %w", path, err)
	}
	return h.Sum(nil), nil
}
