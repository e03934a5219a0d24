// Package confinetest builds what tests confine as programs are shipped: without C and
// the race detector, whose runtimes make calls that the confinement denies.
package confinetest

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
)

// Program is a program that is built when it is first wanted. Make it with Guard or Self.
type Program struct {
	dir   string
	build func() (path string, err error)
}

// Guard is the program of the package that is tested.
func Guard() *Program { return program("go", "build", "-o") }

// Self is the program that its tests are.
func Self() *Program { return program("go", "test", "-c", "-o") }

func program(command ...string) *Program {
	p := &Program{}
	p.build = sync.OnceValues(func() (string, error) {
		dir, err := os.MkdirTemp("", "shipped-")
		if err != nil {
			return "", err
		}
		p.dir = dir
		// Under another name it would not be known to what asks the kernel for it.
		here, err := os.Getwd()
		if err != nil {
			return "", err
		}
		path := filepath.Join(dir, filepath.Base(here))
		cmd := exec.Command(command[0], append(command[1:], path, ".")...)
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
		if said, err := cmd.CombinedOutput(); err != nil {
			return "", fmt.Errorf("building %s: %w\n%s", path, err, said)
		}
		return path, nil
	})
	return p
}

// Path is where it is.
func (p *Program) Path(tb testing.TB) string {
	tb.Helper()
	path, err := p.build()
	if err != nil {
		tb.Fatal(err)
	}
	return path
}

// Remove removes it, if it was built: for TestMain, after all tests.
func (p *Program) Remove() {
	if p.dir != "" {
		os.RemoveAll(p.dir)
	}
}
