package version

import (
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

func TestStringIsNeverEmpty(t *testing.T) {
	t.Parallel()
	if String() == "" {
		t.Error("no version")
	}
}

// The justfile names the variable; renamed here, every program would silently
// say "devel".
func TestTheLinkerSetsIt(t *testing.T) {
	t.Parallel()
	program := filepath.Join(t.TempDir(), "ssh-relay")
	build := exec.Command("go", "build", "-buildvcs=false",
		"-ldflags=-X github.com/splitvault/splitvault/pkg/version.linked=v9.8.7-test", "-o", program, "../../daemons/ssh-relay")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	out, err := exec.Command(program, "--version").CombinedOutput()
	if got := strings.TrimSpace(string(out)); got != "ssh-relay v9.8.7-test" || err != nil {
		t.Errorf("%q, %v", got, err)
	}
}
