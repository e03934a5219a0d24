package machine

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// cgroupPrefix is not the one of versions that knew no namespaces: their sweep would
// take these qubes for dead.
const cgroupPrefix = "testqube-"

// cgroupRoot is where cgroup2 is mounted: below its usual place on hosts that
// still have version 1 for the controllers.
func cgroupRoot() (string, error) {
	for _, dir := range []string{"/sys/fs/cgroup/unified", "/sys/fs/cgroup"} {
		var st unix.Statfs_t
		if unix.Statfs(dir, &st) == nil && st.Type == unix.CGROUP2_SUPER_MAGIC {
			return dir, nil
		}
	}
	return "", errors.New("no cgroup2 mount at /sys/fs/cgroup or /sys/fs/cgroup/unified")
}

// Possible tells why no qube can be booted here, or nil.
func Possible() error {
	if os.Geteuid() != 0 {
		return errors.New("booting qubes needs root")
	}
	root, err := cgroupRoot()
	if err != nil {
		return err
	}
	if err := unix.Access(root, unix.W_OK); err != nil {
		return fmt.Errorf("cgroup2 at %q is not writable: %w", root, err)
	}
	return nil
}

// pidNamespace is the number of the namespace in which this process's PIDs mean
// something.
func pidNamespace() (uint64, error) {
	var st unix.Stat_t
	if err := unix.Stat("/proc/self/ns/pid", &st); err != nil {
		return 0, fmt.Errorf("looking at the PID namespace: %w", err)
	}
	return st.Ino, nil
}

// makeCgroup makes the directory a qube lives in, named after its supervisor.
func makeCgroup(name string) (string, error) {
	root, err := cgroupRoot()
	if err != nil {
		return "", err
	}
	namespace, err := pidNamespace()
	if err != nil {
		return "", err
	}
	dir := filepath.Join(root, fmt.Sprintf("%s%d-%s-%s", cgroupPrefix, namespace, thisProcess(), name))
	if err := os.Mkdir(dir, 0o755); err != nil {
		return "", fmt.Errorf("making the qube's cgroup: %w", err)
	}
	return dir, nil
}

// removeCgroup removes a tree of cgroups whose processes are dying; the kernel
// may take a moment to let go of them.
func removeCgroup(dir string) error {
	var err error
	for try := range 200 {
		if err = removeTree(dir); err == nil {
			return nil
		}
		if try == 50 { // what entered the qube and has not noticed its end
			_ = os.WriteFile(filepath.Join(dir, "cgroup.kill"), []byte("1"), 0)
		}
		time.Sleep(10 * time.Millisecond)
	}
	return fmt.Errorf("removing the cgroup %q: %w", dir, err)
}

func removeTree(dir string) error {
	var dirs []string
	err := filepath.WalkDir(dir, func(p string, d fs.DirEntry, err error) error {
		if err == nil && d.IsDir() {
			dirs = append(dirs, p)
		}
		return nil // a cgroup that vanished meanwhile is what we want
	})
	if err != nil {
		return err
	}
	for _, d := range slices.Backward(dirs) {
		if err := os.Remove(d); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

// Freeze stops every process of a running qube where it is, as Xen does with one that
// is paused, or lets them go on. No clock stops meanwhile. It returns when it is so.
func (s State) Freeze(name string, frozen bool) error {
	qube, ok := s.find(name)
	if !ok {
		return fmt.Errorf("qube %q is not running", name)
	}
	value := "0"
	if frozen {
		value = "1"
	}
	if err := os.WriteFile(filepath.Join(qube.cgroup, "cgroup.freeze"), []byte(value), 0); err != nil {
		return fmt.Errorf("freezing %q: %w", name, err)
	}
	for range 500 {
		events, err := os.ReadFile(filepath.Join(qube.cgroup, "cgroup.events"))
		if err != nil {
			return fmt.Errorf("freezing %q: %w", name, err)
		}
		if strings.Contains(string(events), "frozen "+value) {
			return nil
		}
		time.Sleep(10 * time.Millisecond)
	}
	return fmt.Errorf("qube %q does not freeze or thaw", name)
}

// sweepCgroups removes the cgroups of qubes whose supervisor is dead. Of those that
// another PID namespace made (a container's, on this machine) nobody can tell here.
func sweepCgroups() error {
	root, err := cgroupRoot()
	if err != nil {
		return err
	}
	namespace, err := pidNamespace()
	if err != nil {
		return err
	}
	dirs, err := filepath.Glob(filepath.Join(root, fmt.Sprintf("%s%d-*", cgroupPrefix, namespace)))
	if err != nil {
		return err
	}
	for _, dir := range dirs {
		owner, ok := cgroupOwner(filepath.Base(dir))
		if !ok || owner.alive() {
			continue
		}
		if err := removeCgroup(dir); err != nil {
			return err
		}
	}
	return nil
}

// cgroupOwner reads the supervisor from a cgroup's name:
// testqube-NAMESPACE-PID-START-NAME.
func cgroupOwner(name string) (process, bool) {
	f := strings.SplitN(strings.TrimPrefix(name, cgroupPrefix), "-", 4)
	if len(f) != 4 {
		return process{}, false
	}
	pid, err := strconv.Atoi(f[1])
	return process{pid, f[2]}, err == nil
}
