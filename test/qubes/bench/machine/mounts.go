package machine

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"golang.org/x/sys/unix"
)

const (
	nsd  = unix.MS_NOSUID | unix.MS_NODEV
	nsde = nsd | unix.MS_NOEXEC
)

// fsMount is one mount, its target relative to the qube's future root.
type fsMount struct {
	source, target, fstype string
	flags                  uintptr
	options                string
}

func mountAll(mounts []fsMount) error {
	for _, m := range mounts {
		if err := os.MkdirAll(m.target, 0o755); err != nil {
			return err
		}
		if err := unix.Mount(m.source, m.target, m.fstype, m.flags, m.options); err != nil {
			return fmt.Errorf("mounting %q at %q: %w", m.fstype, m.target, err)
		}
	}
	return nil
}

// mountKernel mounts the kernel's file systems. What could change the host's
// kernel is read-only, which also makes systemd skip its sysctl and udev units.
func mountKernel() error {
	if err := mountAll([]fsMount{{"proc", "proc", "proc", nsde, ""}}); err != nil {
		return err
	}
	for _, p := range []string{"proc/sys", "proc/sysrq-trigger", "proc/irq", "proc/bus"} {
		if _, err := os.Stat(p); err != nil {
			continue // not in this kernel
		}
		if err := unix.Mount(p, p, "", unix.MS_BIND, ""); err != nil {
			return fmt.Errorf("binding %q: %w", p, err)
		}
		if err := unix.Mount("", p, "", unix.MS_BIND|unix.MS_REMOUNT|unix.MS_RDONLY|nsde, ""); err != nil {
			return fmt.Errorf("making %q read-only: %w", p, err)
		}
	}
	return mountAll([]fsMount{
		{"sysfs", "sys", "sysfs", unix.MS_RDONLY | nsde, ""},
		{"cgroup2", "sys/fs/cgroup", "cgroup2", nsde, ""},
	})
}

// makeDevices makes a /dev without any device of the host's.
func makeDevices() error {
	if err := mountAll([]fsMount{{"dev", "dev", "tmpfs", unix.MS_NOSUID, "mode=755,size=4m"}}); err != nil {
		return err
	}
	umask := unix.Umask(0)
	defer unix.Umask(umask)
	for name, device := range map[string]uint64{
		"null": unix.Mkdev(1, 3), "zero": unix.Mkdev(1, 5), "full": unix.Mkdev(1, 7),
		"random": unix.Mkdev(1, 8), "urandom": unix.Mkdev(1, 9), "tty": unix.Mkdev(5, 0),
	} {
		if err := unix.Mknod("dev/"+name, unix.S_IFCHR|0o666, int(device)); err != nil {
			return fmt.Errorf("making /dev/%s: %w", name, err)
		}
	}
	for name, target := range map[string]string{
		"ptmx": "pts/ptmx", "fd": "/proc/self/fd", "stdin": "fd/0", "stdout": "fd/1", "stderr": "fd/2",
	} {
		if err := os.Symlink(target, "dev/"+name); err != nil {
			return err
		}
	}
	for _, dir := range []string{"dev/.proc", "dev/.sys"} {
		if err := os.Mkdir(dir, 0o700); err != nil {
			return err
		}
	}
	return mountAll([]fsMount{
		{"devpts", "dev/pts", "devpts", unix.MS_NOSUID | unix.MS_NOEXEC, "newinstance,ptmxmode=0666,mode=620,gid=5"},
		{"shm", "dev/shm", "tmpfs", nsd, "mode=1777"},
		{"mqueue", "dev/mqueue", "mqueue", nsde, ""}, // PrivateIPC= needs one
		// A user namespace may mount a new procfs or sysfs (PrivatePIDs= does)
		// only where one without mounts over it is visible.
		{"proc", "dev/.proc", "proc", nsde, ""},
		{"sysfs", "dev/.sys", "sysfs", nsde, ""},
	})
}

// hideState gives the qube fresh directories where a system keeps what it
// knows, and empties those that are not part of a distribution.
func hideState(c Config) error {
	mounts := []fsMount{
		{"run", "run", "tmpfs", nsd, "mode=755"},
		{"tmp", "tmp", "tmpfs", nsd, "mode=1777"},
		{"tmp", "var/tmp", "tmpfs", nsd, "mode=1777"},
		{"state", "var/log", "tmpfs", nsd, "mode=755"},
		{"state", "var/cache", "tmpfs", nsd, "mode=755"},
		{"state", "var/spool", "tmpfs", nsd, "mode=755"},
	}
	system := []string{"bin", "dev", "etc", "lib", "lib32", "lib64", "libx32", "proc", "run", "sbin", "sys", "tmp", "usr", "var"}
	entries, err := os.ReadDir(".")
	if err != nil {
		return err
	}
	for _, e := range entries {
		if e.IsDir() && !slices.Contains(system, e.Name()) && !inLayer(c, e.Name()) {
			mounts = append(mounts, fsMount{"state", e.Name(), "tmpfs", nsd, "mode=755"})
		}
	}
	return mountAll(mounts)
}

// inLayer tells whether a template's package brings a top-level directory.
func inLayer(c Config, name string) bool {
	return slices.ContainsFunc(c.Layers, func(layer string) bool {
		_, err := os.Stat(filepath.Join(layer, name))
		return err == nil
	})
}

// bindHost shows the qube what is its own on the host: its home, its end of
// qrexec, the socket for readiness, and what the configuration adds.
func (s State) bindHost(c Config) error {
	binds := append([]Bind{
		{s.Home(c.Name), "/home/" + User},
		{s.Qrexec(c.Name), "/run/qrexec-bench"},
		{s.path(c.Name, "notify"), "/run/host"},
	}, c.Binds...)
	for _, b := range binds {
		if err := mountAll([]fsMount{{b.Source, "." + filepath.Clean(b.Target), "", unix.MS_BIND, ""}}); err != nil {
			return fmt.Errorf("showing %q in the qube: %w", b.Source, err)
		}
	}
	return nil
}
