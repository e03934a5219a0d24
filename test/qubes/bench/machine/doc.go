// Package machine boots one throw-away "qube" on a Linux host: a real systemd
// as PID 1 and a real "systemd --user" of an ordinary user, in PID, mount, UTS,
// IPC, network and cgroup namespaces of their own, on an overlay whose upper
// layer is a tmpfs. It needs root, overlayfs and a writable cgroup2 mount (no
// controllers), Linux 5.7 or later; neither KVM nor a host that runs systemd.
//
// Three processes make a qube: the supervisor (Supervise), which is this
// program; init (Init), the same program again as PID 1 of the new namespaces;
// and systemd, which init becomes. Every mount of a qube is in a mount
// namespace that only processes of its PID namespace use, so the death of its
// PID 1, of its supervisor or of the supervisor's owner takes processes and
// mounts with it. Only an empty cgroup directory can stay, which the next boot
// or GC sweeps: its name tells whose it was.
//
// This is a test bench, not a security boundary: there is no user namespace,
// so root inside a qube is the host's root.
package machine
