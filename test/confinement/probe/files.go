package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// scratch is a file of the probe's own in a directory that all may write to.
func scratch(mode os.FileMode) (path string, remove func(), err error) {
	path = filepath.Join("/dev/shm", "probe-"+strconv.Itoa(os.Getpid()))
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, mode)
	if err != nil {
		return "", nil, err
	}
	return path, func() { os.Remove(path) }, f.Close()
}

func fileMode() error {
	path, remove, err := scratch(0o666)
	if err != nil {
		return err
	}
	defer remove()
	info, err := os.Stat(path)
	if err == nil && info.Mode()&0o077 == 0 {
		return fmt.Errorf("it has mode %v", info.Mode())
	}
	return err
}

func makeSetUserID() error {
	path, remove, err := scratch(0o700)
	if err != nil {
		return err
	}
	defer remove()
	return unix.Chmod(path, 0o4700)
}

func writeIn(dir string) error {
	f, err := os.CreateTemp(dir, "probe-")
	if err != nil {
		return err
	}
	_ = os.Remove(f.Name())
	return f.Close()
}

func list(dir string) error {
	entries, err := os.ReadDir(dir)
	if err == nil && len(entries) == 0 {
		return fmt.Errorf("%s is empty", dir)
	}
	return err
}

func exists(path string) error {
	_, err := os.Lstat(path)
	return err
}

func read(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	return f.Close()
}

func mountedForWriting(path string) error {
	var stat unix.Statfs_t
	if err := unix.Statfs(path, &stat); err != nil {
		return err
	}
	if stat.Flags&unix.ST_RDONLY != 0 {
		return unix.EROFS
	}
	return nil
}

// kernelLog looks for the device itself, in whose place is another one.
func kernelLog() error {
	var stat unix.Stat_t
	if err := unix.Stat("/dev/kmsg", &stat); err != nil {
		return err
	}
	if stat.Rdev != unix.Mkdev(1, 11) {
		return errRefused
	}
	return nil
}

func rootIsRoot() error {
	text, err := os.ReadFile("/proc/self/uid_map")
	if err != nil {
		return err
	}
	if fields := strings.Fields(string(text)); len(fields) != 3 || fields[0] != "0" {
		return fmt.Errorf("users are %q", fields)
	}
	return nil
}

// hostName compares with the name that the qube had when the test began: in a
// namespace of its own the service does not see a change.
func hostName() error {
	ours, err := os.Readlink("/proc/self/ns/uts")
	if err != nil {
		return err
	}
	shared, err := os.ReadFile("/var/lib/probe-uts")
	if err != nil {
		return err
	}
	if strings.TrimSpace(string(shared)) != ours {
		return fmt.Errorf("it has %s, the qube %s", ours, shared)
	}
	return nil
}

// group is the service's own control group.
func group() (string, error) {
	text, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		return "", err
	}
	_, path, _ := strings.Cut(strings.TrimSpace(string(text)), "::")
	return filepath.Join("/sys/fs/cgroup", path), nil
}

func unbounded(file string) error {
	limit, err := limitOf(file)
	if err == nil && limit != "max" {
		return fmt.Errorf("%s is %s", file, limit)
	}
	return err
}

func limitOf(file string) (string, error) {
	dir, err := group()
	if err != nil {
		return "", err
	}
	text, err := os.ReadFile(filepath.Join(dir, file))
	return strings.TrimSpace(string(text)), err
}

func manyTasks() error {
	limit, err := limitOf("pids.max")
	if err != nil || limit == "max" {
		return err
	}
	if n, err := strconv.Atoi(limit); err != nil || n <= 64 {
		return fmt.Errorf("pids.max is %s, %w", limit, err)
	}
	return nil
}
