// Command unitcheck holds the units against systemd-analyze(1), as they are
// installed. Unknown keys and bad values only make it print, with exit code 0:
// so any word that it prints is a failure.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/splitvault/splitvault/test/rails/stage"
)

func main() {
	tree := flag.String("tree", "", "check the units of an installed `directory`, of a package for instance; default: what `just install` makes")
	flag.Parse()
	if err := check(".", *tree); err != nil {
		fmt.Fprintln(os.Stderr, "unitcheck:", err)
		os.Exit(1)
	}
}

// check checks the units below tree, or those that src installs.
func check(src, tree string) error {
	dir, err := os.MkdirTemp("", "unitcheck-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	root := filepath.Join(dir, "root")
	if tree != "" {
		if root, err = filepath.Abs(tree); err != nil {
			return err
		}
	} else if _, err := stage.Install(src, root); err != nil {
		return err
	}
	version, err := systemdVersion()
	if err != nil {
		return err
	}
	total := 0
	for _, manager := range []string{"user", "system"} {
		units, err := rebase(filepath.Join(root, "usr/lib/systemd", manager), root, filepath.Join(dir, manager))
		if err != nil {
			return err
		}
		if total += len(units); len(units) == 0 {
			continue
		}
		if err := complain(dir, root, manager, version, units); err != nil {
			return err
		}
	}
	if total == 0 {
		return errors.New("no unit is installed")
	}
	fmt.Printf("%d units: nothing to say for systemd %d\n", total, version)
	return nil
}

// complain fails where systemd-analyze has anything to say.
func complain(dir, root, manager string, version int, units []string) error {
	said, err := verify(dir, manager, units)
	var complaints []string
	for line := range strings.Lines(said) {
		if !expected(line, version) {
			complaints = append(complaints, strings.NewReplacer(root, "", dir+"/", "").Replace(strings.TrimSpace(line)))
		}
	}
	switch {
	case len(complaints) > 0:
		return fmt.Errorf("systemd-analyze of systemd %d says:\n%s", version, strings.Join(complaints, "\n"))
	case err != nil:
		return fmt.Errorf("running systemd-analyze: %w", err)
	}
	return nil
}

// ours matches the paths in units that the project installs itself.
var ours = regexp.MustCompile(`([=\s:@+!-])(/usr/lib/splitvault/|/usr/bin/(?:splitvault|qpass))`)

// rebase copies the units that are installed in from to the directory to, and puts
// root before each path of a program of ours: systemd-analyze looks whether they
// are there, and its --root knows no user units. A unit that is a link becomes one
// of its own, as systemd-analyze does not find what it was merged into. It returns
// the copies.
func rebase(from, root, to string) ([]string, error) {
	if err := os.Mkdir(to, 0o700); err != nil {
		return nil, err
	}
	var units []string
	err := filepath.WalkDir(from, func(path string, d fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil || d.IsDir() || strings.HasSuffix(filepath.Dir(path), ".wants") {
			return err
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		text = ours.ReplaceAll(text, []byte("${1}"+root+"${2}"))
		if unit, ok := strings.CutSuffix(filepath.Base(filepath.Dir(path)), ".d"); ok {
			stub, err := dropIn(to, unit, d.Name(), text)
			units = append(units, stub)
			return err
		}
		copied := filepath.Join(to, d.Name())
		units = append(units, copied)
		return os.WriteFile(copied, text, 0o600)
	})
	return units, err
}

// dropIn writes a drop-in for a socket of somebody else's, and a stand-in for that
// socket: systemd-analyze reads drop-ins with their unit only.
func dropIn(to, unit, name string, text []byte) (stub string, err error) {
	service, ok := strings.CutSuffix(unit, ".socket")
	if !ok {
		return "", fmt.Errorf("a drop-in for %s: only for sockets is there a stand-in", unit)
	}
	files := map[string]string{
		unit:                 "[Socket]\nListenStream=%t/stand-in\n",
		service + ".service": "[Service]\nExecStart=/bin/true\n",
		unit + ".d/" + name:  string(text),
	}
	if err := os.MkdirAll(filepath.Join(to, unit+".d"), 0o700); err != nil {
		return "", err
	}
	for path, content := range files {
		if err := os.WriteFile(filepath.Join(to, path), []byte(content), 0o600); err != nil {
			return "", err
		}
	}
	return filepath.Join(to, unit), nil
}

func verify(dir, manager string, units []string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	// Manual pages of a tree that is not installed cannot be found by man(1).
	cmd := exec.CommandContext(ctx, "systemd-analyze", append([]string{"--" + manager, "--man=no", "verify"}, units...)...)
	// Without this directory a machine that did not boot systemd has no user manager.
	cmd.Env = append(os.Environ(), "XDG_RUNTIME_DIR="+dir)
	said, err := cmd.CombinedOutput()
	return string(said), err
}

// expected tells the one line that is no complaint: PollLimitIntervalSec= came
// with systemd 255, and older ones ignore it with a word.
func expected(line string, version int) bool {
	return version < 255 && strings.HasSuffix(strings.TrimSpace(line), "Unknown key 'PollLimitIntervalSec' in section [Socket], ignoring.")
}

var versionLine = regexp.MustCompile(`^systemd (\d+)`)

func systemdVersion() (int, error) {
	out, err := exec.Command("systemd-analyze", "--version").Output()
	if err != nil {
		return 0, fmt.Errorf("asking systemd-analyze for its version: %w", err)
	}
	match := versionLine.FindSubmatch(out)
	if match == nil {
		return 0, fmt.Errorf("systemd-analyze --version says %q", out)
	}
	return strconv.Atoi(string(match[1]))
}
