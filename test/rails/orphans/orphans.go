// Package orphans finds and ends the processes that a program's children left
// behind, also those that made a session of their own.
package orphans

import (
	"bufio"
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// Adopt makes this process the parent of every descendant whose own
// parent ends, so that a process that was left behind can be told from
// anybody else's (prctl(2), PR_SET_CHILD_SUBREAPER).
func Adopt() error {
	if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("adopting orphans: %w", err)
	}
	return nil
}

// Descendants returns the processes below this one, after waiting for those
// that have ended: it must not be called while somebody else waits for a child.
func Descendants() []int {
	for {
		pid, err := syscall.Wait4(-1, nil, syscall.WNOHANG, nil)
		if pid <= 0 || err != nil {
			break
		}
	}
	parents := map[int]int{}
	stats, _ := filepath.Glob("/proc/[0-9]*/status")
	for _, path := range stats {
		pid, _ := strconv.Atoi(filepath.Base(filepath.Dir(path)))
		if ppid, ok := parent(path); ok {
			parents[pid] = ppid
		}
	}
	var found []int
	for pid := range parents {
		for up, ok := parents[pid]; ok; up, ok = parents[up] {
			if up == os.Getpid() {
				found = append(found, pid)
				break
			}
		}
	}
	slices.Sort(found)
	return found
}

func parent(path string) (ppid int, ok bool) {
	status, err := os.ReadFile(path)
	if err != nil {
		return 0, false
	}
	for lines := bufio.NewScanner(bytes.NewReader(status)); lines.Scan(); {
		if value, found := strings.CutPrefix(lines.Text(), "PPid:"); found {
			ppid, err := strconv.Atoi(strings.TrimSpace(value))
			return ppid, err == nil
		}
	}
	return 0, false
}
