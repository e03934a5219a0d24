package orphans

import (
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

func TestAProcessThatLeftItsSessionAndItsParentIsFound(t *testing.T) {
	if err := Adopt(); err != nil {
		t.Fatal(err)
	}
	before := Descendants()
	// The shell ends at once; sleep has a session of its own and no parent.
	out, err := exec.Command("sh", "-c", "setsid sleep 60 >/dev/null 2>&1 & echo $!").Output()
	if err != nil {
		t.Fatal(err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(out)))
	if err != nil {
		t.Fatal(err)
	}
	found := Descendants()
	if !slices.Contains(found, pid) || slices.Contains(found, os.Getpid()) {
		t.Errorf("found %v, want the new process %d, and not this one, %d", found, pid, os.Getpid())
	}
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	if _, err := syscall.Wait4(pid, nil, 0, nil); err != nil {
		t.Fatal(err)
	}
	if after := Descendants(); !slices.Equal(after, before) {
		t.Errorf("after its end: %v, before its start: %v", after, before)
	}
}
