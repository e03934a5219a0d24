// Command dist makes one archive for each kind of machine: the tree that
// `just install` makes, with programs built for it. The same source and version
// give the same bytes, whoever makes them where.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/splitvault/splitvault/test/rails/stage"
	"github.com/splitvault/splitvault/test/rails/tarball"
)

// targets are the machines: those of Qubes and most others, and the USB armory's
// (Mk II: ARMv7).
func targets() map[string][]string {
	return map[string][]string{
		"amd64": {"GOARCH=amd64", "GOAMD64=v1"},
		"arm64": {"GOARCH=arm64", "GOARM64=v8.0"},
		"armv7": {"GOARCH=arm", "GOARM=7"},
	}
}

func main() { os.Exit(run(os.Args[1:], os.Stdout, os.Stderr)) }

// run makes the archives and returns the exit code: 0 done, 1 not done, 2 usage.
func run(args []string, stdout, stderr io.Writer) int {
	if len(args) != 2 || args[0] == "" || strings.ContainsAny(args[0], "/ ") {
		fmt.Fprintln(stderr, "usage: dist VERSION DIRECTORY (just dist)")
		return 2
	}
	ctx, cancel := signal.NotifyContext(context.Background(), os.Interrupt)
	defer cancel()
	moment, err := commitTime(ctx)
	if err != nil {
		fmt.Fprintln(stderr, "dist:", err)
		return 1
	}
	for name, env := range targets() {
		path := filepath.Join(args[1], fmt.Sprintf("splitvault-%s-linux-%s.tar.gz", args[0], name))
		if err := archive(ctx, args[0], path, env, moment); err != nil {
			fmt.Fprintf(stderr, "dist: for %s: %v\n", name, err)
			return 1
		}
		fmt.Fprintln(stdout, path)
	}
	return 0
}

// archive builds for one machine and packs the tree.
func archive(ctx context.Context, version, path string, env []string, moment time.Time) error {
	dir, err := os.MkdirTemp("", "dist-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	build, tree := filepath.Join(dir, "build"), filepath.Join(dir, "tree")
	for to, from := range map[string]string{"lib": "./daemons/...", "bin": "./cmd/..."} {
		if err := compile(ctx, ".", version, from, filepath.Join(build, to), env); err != nil {
			return err
		}
	}
	if _, err := stage.InstallBuilt(".", build, tree); err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	return tarball.Write(path, tree, strings.TrimSuffix(filepath.Base(path), ".tar.gz"), moment)
}

// compile builds a pattern of packages of the source for one machine, into a directory.
func compile(ctx context.Context, source, version, from, to string, env []string) error {
	if err := os.MkdirAll(to, 0o755); err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-buildvcs=false",
		"-ldflags=-s -w -X github.com/splitvault/splitvault/pkg/version.linked="+version, "-o", to+"/", from)
	cmd.Dir = source
	cmd.Env = append(append(os.Environ(), "GOOS=linux", "CGO_ENABLED=0"), env...)
	if said, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("building %s: %w\n%s", from, err, said)
	}
	return nil
}

// commitTime is what all files are dated: $SOURCE_DATE_EPOCH, the last commit's
// time, or, in a tree that is no clone, the beginning of time.
func commitTime(ctx context.Context) (time.Time, error) {
	text := os.Getenv("SOURCE_DATE_EPOCH")
	if text == "" {
		cmd := exec.CommandContext(ctx, "git", "log", "-1", "--format=%ct")
		cmd.Env = append(os.Environ(), "GIT_OPTIONAL_LOCKS=0")
		out, err := cmd.Output()
		if _, failed := errors.AsType[*exec.ExitError](err); failed || errors.Is(err, exec.ErrNotFound) {
			return time.Unix(0, 0), nil
		}
		if err != nil {
			return time.Time{}, err
		}
		text = strings.TrimSpace(string(out))
	}
	seconds, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return time.Time{}, fmt.Errorf("reading the time of the source: %w", err)
	}
	return time.Unix(seconds, 0), nil
}
