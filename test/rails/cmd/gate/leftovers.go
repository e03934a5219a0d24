package main

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/splitvault/splitvault/test/rails/orphans"
)

// scene is what a run must leave as it found it.
type scene struct {
	mounts []string
	dirs   []string // the two-qube bench's control groups and state directories
	tree   string   // git status of the working tree, ignored files left out
}

func look() (scene, error) {
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return scene{}, fmt.Errorf("reading the mount table: %w", err)
	}
	var s scene
	for line := range strings.Lines(string(mounts)) {
		// proc_pid_mountinfo(5): the fifth field is the mount point.
		if fields := strings.Fields(line); len(fields) > 4 {
			s.mounts = append(s.mounts, fields[4])
		}
	}
	s.dirs = benchDirs()
	// Outside of a clone there is no tree to compare; then both are empty.
	tree, _ := exec.Command("git", "--no-optional-locks", "status", "--porcelain").Output()
	s.tree = string(tree)
	return s, nil
}

// benchDirs returns what the two-qube bench made on the host and has not
// removed, leaving out what belongs to a run that is still alive.
func benchDirs() []string {
	var found []string
	for _, pattern := range []string{"/sys/fs/cgroup/testqube-*", "/sys/fs/cgroup/unified/qubebench-*"} {
		dirs, _ := filepath.Glob(pattern) // the pattern is well formed
		for _, dir := range dirs {
			// testqube-NAMESPACE-PID-STARTED-QUBE
			_, rest, _ := strings.Cut(strings.TrimPrefix(filepath.Base(dir), "testqube-"), "-")
			pid, _, _ := strings.Cut(rest, "-")
			if _, err := os.Stat("/proc/" + pid); err != nil {
				found = append(found, dir)
			}
		}
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		return found // the bench has no directory either, then
	}
	locks, _ := filepath.Glob(filepath.Join(cache, "splitvault/bench/*/lock"))
	for _, path := range locks {
		if !locked(path) {
			found = append(found, filepath.Dir(path))
		}
	}
	return found
}

// locked reports whether a living process holds the lock file.
func locked(path string) bool {
	f, err := os.Open(path)
	if err != nil {
		return false
	}
	defer f.Close()
	return errors.Is(syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB), syscall.EWOULDBLOCK)
}

// leftBehind lists what is there now and was not before, and ends the
// processes among it. Processes and files get two seconds to go by
// themselves: a child's end is told to its parent a moment late.
func leftBehind(before scene, tmp string) []string {
	var left []string
	for until := time.Now().Add(2 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		left = append(processes(), files(tmp)...)
		if len(left) == 0 || time.Now().After(until) {
			break
		}
	}
	for _, pid := range orphans.Descendants() {
		_ = syscall.Kill(pid, syscall.SIGKILL)
	}
	after, err := look()
	if err != nil {
		return append(left, err.Error())
	}
	for _, mount := range after.mounts {
		if !slices.Contains(before.mounts, mount) {
			left = append(left, "mount "+mount)
		}
	}
	for _, dir := range after.dirs {
		if !slices.Contains(before.dirs, dir) {
			left = append(left, "directory "+dir)
		}
	}
	// At home a person may go on writing while the tests run.
	if os.Getenv("CI") != "" && after.tree != before.tree {
		left = append(left, "changes in the working tree:\n"+after.tree)
	}
	return left
}

// files lists what lies in the steps' temporary directory.
func files(tmp string) []string {
	var left []string
	entries, err := os.ReadDir(tmp)
	if err != nil {
		return []string{err.Error()}
	}
	for _, e := range entries {
		kind := "file "
		if e.Type() == fs.ModeDir {
			kind = "directory "
		}
		left = append(left, kind+filepath.Join(tmp, e.Name()))
	}
	return left
}

// processes lists the descendants of this process that still run.
func processes() []string {
	var left []string
	for _, pid := range orphans.Descendants() {
		cmdline, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
		if err != nil {
			continue // ended meanwhile
		}
		left = append(left, fmt.Sprintf("process %d: %s", pid, bytes.TrimSpace(bytes.ReplaceAll(cmdline, []byte{0}, []byte{' '}))))
	}
	return left
}
