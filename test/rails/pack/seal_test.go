package pack

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// release makes a directory with two files, sealed with a key made for the test,
// and the file of allowed signers that its readers have.
func release(t *testing.T) (dir, signers string) {
	t.Helper()
	keys := t.TempDir()
	key := filepath.Join(keys, "key")
	if out, err := exec.CommandContext(t.Context(), "ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	public, err := os.ReadFile(key + ".pub")
	if err != nil {
		t.Fatal(err)
	}
	dir, signers = t.TempDir(), filepath.Join(keys, "signers")
	for name, text := range map[string]string{"b.deb": "b", "a.tar.gz": "a"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(signers, append([]byte("release@splitvault "), public...), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := Seal(dir, key); err != nil {
		t.Fatal(err)
	}
	return dir, signers
}

// verify does what CONTRIBUTING.md tells the readers of a release to type.
func verify(t *testing.T, dir, signers string) error {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "sh", "-euc",
		`ssh-keygen -Y verify -f "$1" -I release@splitvault -n file -s SHA256SUMS.sig <SHA256SUMS && sha256sum --quiet --check SHA256SUMS`, "sh", signers)
	cmd.Dir = dir
	out, err := cmd.CombinedOutput()
	t.Logf("%s", out)
	return err
}

func TestASealedReleaseIsVerifiedAndAChangedOneIsNot(t *testing.T) {
	dir, signers := release(t)
	if err := verify(t, dir, signers); err != nil {
		t.Fatalf("as it was sealed: %v", err)
	}
	for name, change := range map[string]string{
		"another byte in a file":      `printf B >b.deb`,
		"a file is gone":              `rm a.tar.gz`,
		"a checksum made to fit":      `printf B >b.deb; sha256sum a.tar.gz b.deb >SHA256SUMS`,
		"no signature":                `rm SHA256SUMS.sig`,
		"a signature of another text": `echo x >x; mv x SHA256SUMS`,
	} {
		dir, signers := release(t)
		cmd := exec.CommandContext(t.Context(), "sh", "-euc", change)
		cmd.Dir = dir
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%s: %v: %s", name, err, out)
		}
		if err := verify(t, dir, signers); err == nil {
			t.Errorf("%s: verified all the same", name)
		}
	}
}

func TestSealingAgainIsSealingAnew(t *testing.T) {
	dir, signers := release(t)
	if err := os.WriteFile(filepath.Join(dir, "c.rpm"), []byte("c"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := Seal(dir, ""); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(dir, "SHA256SUMS.sig")); err == nil {
		t.Error("the old signature is still there, over other checksums")
	}
	text, err := os.ReadFile(filepath.Join(dir, "SHA256SUMS"))
	if err != nil || strings.Count(string(text), "\n") != 3 || strings.Contains(string(text), "SHA256SUMS") {
		t.Errorf("got %q, %v", text, err)
	}
	if err := verify(t, dir, signers); err == nil {
		t.Error("verified without a signature")
	}
	if err := Seal(t.TempDir(), ""); err == nil {
		t.Error("an empty directory was sealed")
	}
}

func TestTheBillOfMaterialsIsWhatTheProgramsHave(t *testing.T) {
	build := t.TempDir()
	program, err := os.Executable() // this test: it links nothing but the standard library
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(program)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Join(build, "bin"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(build, "bin/x"), text, 0o700); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "bom.json")
	if err := WriteBOM(build, path, Release{"1.2.3", time.Unix(0, 0)}); err != nil {
		t.Fatal(err)
	}
	if text, err = os.ReadFile(path); err != nil {
		t.Fatal(err)
	}
	var got bom
	if err := json.Unmarshal(text, &got); err != nil || got.Format != "CycloneDX" || got.Metadata.Component.Version != "1.2.3" {
		t.Errorf("got %s, %v", text, err)
	}
	if len(got.Components) == 0 || got.Components[len(got.Components)-1].Name != "stdlib" || !strings.HasPrefix(got.Components[len(got.Components)-1].PURL, "pkg:golang/stdlib@1.") {
		t.Errorf("the standard library is not in it: %s", text)
	}
	if err := WriteBOM(t.TempDir(), path, Release{}); err == nil {
		t.Error("a bill of nothing")
	}
}
