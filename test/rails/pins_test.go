package rails

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// Each daemon starts anew for each connection: what it links is what each one
// pays. This is pinned, one file for each daemon: its size, and its packages that are
// not ours.
//
//	UPDATE=1 go test ./test/rails -run Linked
//
// writes the files anew; what changed is then seen in the diff.
const pins = "testdata/linked"

// sizeSlack is how much a daemon may grow or shrink in bytes unnoticed: with the
// version of Go, and with the code of a few months.
const sizeSlack = 512 << 10

func TestWhatIsLinkedIntoEachDaemonIsPinned(t *testing.T) {
	out := t.TempDir()
	build := exec.Command("go", "build", "-trimpath", "-buildvcs=false", "-ldflags=-s -w", "-o", out+"/", module+"daemons/...")
	build.Env = append(build.Environ(), "CGO_ENABLED=0", "GOOS=linux", "GOARCH=amd64")
	if said, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, said)
	}
	var names []string
	for _, p := range list(t) {
		name, found := strings.CutPrefix(p.ImportPath, module+"daemons/")
		if !found || p.Name != "main" {
			continue
		}
		names = append(names, name+".txt")
		t.Run(name, func(t *testing.T) { linked(t, filepath.Join(out, name), name, p.Deps) })
	}
	entries, err := os.ReadDir(pins)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if !slices.Contains(names, e.Name()) {
			t.Errorf("%s/%s is of no daemon", pins, e.Name())
		}
	}
}

func linked(t *testing.T, program, name string, deps []string) {
	t.Helper()
	info, err := os.Stat(program)
	if err != nil {
		t.Fatal(err)
	}
	var want bytes.Buffer
	fmt.Fprintf(&want, "%d bytes, for amd64\n", info.Size())
	slices.Sort(deps)
	for _, dep := range deps {
		if foreign := strings.Contains(strings.SplitN(dep, "/", 2)[0], ".") && !strings.HasPrefix(dep, module); foreign || isHeavy(dep) {
			fmt.Fprintln(&want, dep)
		}
	}
	path := filepath.Join(pins, name+".txt")
	if os.Getenv("UPDATE") != "" {
		if err := os.WriteFile(path, want.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	const renew = "renew with UPDATE=1 go test ./test/rails -run Linked"
	pinned, err := os.ReadFile(path)
	if err != nil {
		t.Fatalf("%v: %s", err, renew)
	}
	size, packages, _ := strings.Cut(string(pinned), " bytes")
	pinnedSize, err := strconv.ParseInt(size, 10, 64)
	if grown := info.Size() - pinnedSize; err != nil || max(grown, -grown) > sizeSlack {
		t.Errorf("%s has %d bytes, pinned are %s: %s", name, info.Size(), size, renew)
	}
	_, now, _ := strings.Cut(want.String(), " bytes")
	for line := range strings.SplitSeq(now, "\n") {
		if !strings.Contains(packages+"\n", line+"\n") {
			t.Errorf("%s now links %s: if that is meant, %s", name, line, renew)
		}
	}
	for line := range strings.SplitSeq(strings.TrimSpace(packages), "\n") {
		if !strings.Contains(now+"\n", line+"\n") {
			t.Errorf("%s no longer links %s: %s", name, line, renew)
		}
	}
}

// isHeavy picks the packages of Go that cost a start or widen what a program can
// do; the others come and go with Go's versions.
func isHeavy(dep string) bool {
	heavy := []string{"net", "net/http", "crypto/tls", "crypto/x509", "encoding/json", "encoding/xml", "encoding/gob", "html/template", "os/exec", "os/user", "reflect", "regexp", "text/template", "plugin"}
	return slices.Contains(heavy, dep)
}
