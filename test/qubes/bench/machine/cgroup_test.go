package machine

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
)

// A run in another PID namespace of this machine has PIDs that mean other processes
// here, or none: its qubes must not be taken for dead.
func TestSweepLeavesOtherPIDNamespacesAlone(t *testing.T) {
	if err := Possible(); err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal(err)
		}
		t.Skip(err)
	}
	root, err := cgroupRoot()
	if err != nil {
		t.Fatal(err)
	}
	namespace, err := pidNamespace()
	if err != nil {
		t.Fatal(err)
	}
	const dead = "4194304-1" // no PID is as high (PID_MAX_LIMIT)
	name := fmt.Sprintf("sweep%d", os.Getpid())
	for _, row := range []struct {
		dir  string
		stay bool
	}{
		{fmt.Sprintf("%s%d-%s-%s", cgroupPrefix, namespace, dead, name), false},
		{fmt.Sprintf("%s%d-%s-%s", cgroupPrefix, namespace, thisProcess(), name), true},
		{fmt.Sprintf("%s%d-%s-%s", cgroupPrefix, namespace+1, dead, name), true},
	} {
		dir := filepath.Join(root, row.dir)
		if err := os.Mkdir(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		defer os.Remove(dir)
		if err := sweepCgroups(); err != nil {
			t.Fatal(err)
		}
		if _, err := os.Stat(dir); (err == nil) != row.stay {
			t.Errorf("%s: %v after the sweep", row.dir, err)
		}
	}
}
