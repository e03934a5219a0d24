package qubes

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"sync"

	"github.com/splitvault/splitvault/test/baseline"
)

// published is "baseline NAME pass": the published scripts in a vault, and a server for
// the notifications of its desktop.
func published(ctx context.Context, s *scenario, args []string) error {
	if len(args) != 2 || args[1] != "pass" {
		return errors.New("usage: baseline NAME pass")
	}
	q, err := s.bench.Qube(args[0])
	if err != nil {
		return err
	}
	notifyd, err := baseline.Program(ctx, "test/baseline/notifyd")
	if err != nil {
		return err
	}
	return errors.Join(baseline.Put(ctx, q, map[string][]byte{"/usr/local/bin/notifyd": notifyd}), baseline.Pass(ctx, q))
}

// testPrograms are the tests of packages, built once for all scenarios.
var testPrograms sync.Map // of directory to func() ([]byte, error)

// tests is "tests NAME DIRECTORY": the tests of a package, as a program in the qube.
func tests(ctx context.Context, s *scenario, args []string) error {
	if len(args) != 2 {
		return errors.New("usage: tests NAME DIRECTORY")
	}
	q, err := s.bench.Qube(args[0])
	if err != nil {
		return err
	}
	build, _ := testPrograms.LoadOrStore(args[1], sync.OnceValues(func() ([]byte, error) { return testProgram(args[1]) }))
	program, err := build.(func() ([]byte, error))()
	if err != nil {
		return err
	}
	return baseline.Put(ctx, q, map[string][]byte{"/usr/local/bin/" + path.Base(args[1]) + ".test": program})
}

func testProgram(dir string) ([]byte, error) {
	temporary, err := os.MkdirTemp("", "tests-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(temporary)
	out := filepath.Join(temporary, "program")
	cmd := exec.Command("go", "test", "-c", "-vet=off", "-o", out, "github.com/splitvault/splitvault/"+dir)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if said, err := cmd.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("building the tests of %s: %w\n%s", dir, err, said)
	}
	return os.ReadFile(out)
}
