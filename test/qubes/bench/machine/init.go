package machine

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// InitVerb is the command under which the program must call Init with the two
// arguments that follow it.
const InitVerb = "__init"

// systemd is the program a qube boots, below its root.
const systemd = "usr/lib/systemd/systemd"

// Init is PID 1 of the new namespaces: it builds the qube's file system and
// then becomes its systemd. It returns only if it fails.
func Init(s State, c Config) error {
	if os.Getpid() != 1 {
		return errors.New("init: not PID 1 of a qube; use \"qubebench run\"")
	}
	if err := errors.Join(checkName(c.Name), enterCgroupNamespace()); err != nil {
		return err
	}
	if err := s.assemble(c); err != nil { // and sit in the new root
		return err
	}
	unix.Umask(0o022) // whatever our owner's is
	for _, step := range []func() error{
		mountKernel,
		makeDevices,
		func() error { return hideState(c) },
		func() error { return s.bindHost(c) },
		func() error { return writeIdentity(c) },
		func() error { return writeFiles(c) },
		func() error { return chooseUnits(c) },
		pivot,
		dropCapabilities,
		keepHostFiles,
	} {
		if err := step(); err != nil {
			return err
		}
	}
	// container= makes systemd's own conditions skip udev, sysctl and the like.
	err := unix.Exec("/"+systemd,
		[]string{"/sbin/init", "--unit=" + bootTarget, "--log-target=journal", "--show-status=no"},
		[]string{"container=qubebench", "PATH=" + searchPath, "LANG=C.UTF-8", "NOTIFY_SOCKET=/run/host/s"})
	return fmt.Errorf("executing systemd: %w", err)
}

// enterCgroupNamespace makes the qube's cgroup, in which this process was
// started, the root of all it can see.
func enterCgroupNamespace() error {
	if err := unix.Unshare(unix.CLONE_NEWCGROUP); err != nil {
		return fmt.Errorf("unsharing the cgroup namespace: %w", err)
	}
	return nil
}

// assemble mounts the overlay of root and layers, and goes there.
func (s State) assemble(c Config) error {
	mnt := s.path(c.Name, "mnt")
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("making mounts private: %w", err)
	}
	if err := unix.Mount("qubebench", mnt, "tmpfs", 0, "mode=755,size=2g"); err != nil {
		return fmt.Errorf("mounting the qube's tmpfs: %w", err)
	}
	for _, dir := range []string{"upper", "work", "merged"} {
		if err := os.Mkdir(filepath.Join(mnt, dir), 0o755); err != nil {
			return err
		}
	}
	lower := []string{c.Root}
	for i, layer := range c.Layers {
		// A copy: overlay layers may not contain each other, must not change
		// while mounted, and the files must belong to root.
		dir := filepath.Join(mnt, fmt.Sprintf("layer%d", i))
		if err := os.Mkdir(dir, 0o755); err != nil {
			return err
		}
		out, err := exec.Command("cp", "-a", "--no-preserve=ownership", layer+"/.", dir+"/").CombinedOutput()
		if err != nil {
			return fmt.Errorf("copying the layer %q: %w: %s", layer, err, out)
		}
		lower = append([]string{dir}, lower...)
	}
	options := fmt.Sprintf("lowerdir=%s,upperdir=%s/upper,workdir=%s/work", strings.Join(lower, ":"), mnt, mnt)
	if err := unix.Mount("qube", filepath.Join(mnt, "merged"), "overlay", 0, options); err != nil {
		return fmt.Errorf("mounting the overlay: %w", err)
	}
	return os.Chdir(filepath.Join(mnt, "merged"))
}

// pivot makes the current directory the root. A chroot would not do: in one,
// unshare(CLONE_NEWUSER) fails, and with it PrivateUsers= and all that needs it.
func pivot() error {
	const old = ".old"
	if err := os.Mkdir(old, 0o700); err != nil {
		return err
	}
	if err := unix.PivotRoot(".", old); err != nil {
		return fmt.Errorf("pivot_root: %w", err)
	}
	if err := os.Chdir("/"); err != nil {
		return err
	}
	if err := unix.Unmount("/"+old, unix.MNT_DETACH); err != nil {
		return fmt.Errorf("letting go of the host's root: %w", err)
	}
	return os.Remove("/" + old)
}

// dropCapabilities gives up, for ever and for all children, what reaches past
// the namespaces into the host's kernel.
func dropCapabilities() error {
	for _, capability := range []uintptr{unix.CAP_SYS_MODULE, unix.CAP_SYS_RAWIO, unix.CAP_SYS_TIME, unix.CAP_SYSLOG} {
		if err := unix.Prctl(unix.PR_CAPBSET_DROP, capability, 0, 0, 0); err != nil {
			return fmt.Errorf("dropping capability %d: %w", capability, err)
		}
	}
	return nil
}
