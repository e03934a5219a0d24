package confinement

import "strings"

// Option is a setting of our units.
type Option struct {
	Setting string // as in the unit: "NoNewPrivileges=yes"
	Probe   string // what probe is to try, in words for the document, too
	// With are settings without which this one does nothing, or cannot be tried.
	With []string
	// Opens: it is an exception; what is refused without it is possible with it.
	Opens bool
	// Controller is the one of cgroup2 that systemd must have for it.
	Controller string
}

// Key is the setting's name.
func (o Option) Key() string {
	key, _, _ := strings.Cut(o.Setting, "=")
	return key
}

// forAll are options of the user's and the system's units.
func forAll() []Option {
	return []Option{
		{Setting: "NoNewPrivileges=yes", Probe: "become root by a set-user-ID program"},
		{Setting: "UMask=0077", Probe: "make a file that others may read"},
		{Setting: "LimitCORE=0", Probe: "leave a core file"},
		{Setting: "RestrictAddressFamilies=AF_UNIX", Probe: "open an internet socket"},
		{Setting: "RestrictAddressFamilies=AF_UNIX AF_NETLINK", Probe: "open an internet socket"},
		{Setting: "RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6", Probe: "open a netlink socket"},
		{Setting: "RestrictNamespaces=yes", Probe: "make a user namespace"},
		{Setting: "RestrictRealtime=yes", Probe: "ask for realtime scheduling"},
		{Setting: "RestrictSUIDSGID=yes", Probe: "make a set-user-ID file"},
		{Setting: "LockPersonality=yes", Probe: "switch off the randomising of addresses"},
		{Setting: "MemoryDenyWriteExecute=yes", Probe: "map memory that is writable and executable"},
		{Setting: "SystemCallArchitectures=native", Probe: "make calls of another architecture"},
		{Setting: "SystemCallFilter=@system-service", Probe: "be traced", With: []string{"SystemCallErrorNumber=EPERM"}},
		{Setting: "SystemCallFilter=~@privileged @resources", Probe: "change its priority", With: []string{"SystemCallErrorNumber=EPERM"}},
		{Setting: "SystemCallErrorNumber=EPERM", Probe: "go on after a call that is filtered", With: []string{"SystemCallFilter=~@debug"}, Opens: true},
	}
}

// UserOptions are those of the units that a user's systemd starts, in client and
// vault. There, file options work only beside PrivateUsers=yes.
func UserOptions() []Option {
	private := []string{"PrivateUsers=yes"}
	return append(forAll(),
		Option{Setting: "MemorySwapMax=0", Probe: "have memory swapped out", Controller: "memory"},
		Option{Setting: "PrivateUsers=yes", Probe: "see root as root"},
		Option{Setting: "ProtectSystem=strict", Probe: "write to /var/tmp", With: private},
		Option{Setting: "ProtectHome=read-only", Probe: "write to the home directory", With: private},
		Option{Setting: "ReadWritePaths=%t", Probe: "write to the runtime directory", With: append([]string{"ProtectSystem=strict", "ProtectHome=read-only"}, private...), Opens: true},
		Option{Setting: "ProtectClock=yes", Probe: "read the clock's adjustment", With: private},
		Option{Setting: "ProtectHostname=yes", Probe: "share the qube's host name", With: private},
		Option{Setting: "ProtectKernelLogs=yes", Probe: "see the kernel's log", With: private},
		Option{Setting: "ProtectKernelModules=yes", Probe: "list kernel modules", With: private},
		Option{Setting: "CapabilityBoundingSet=", Probe: "have capabilities in reach", With: private},
	)
}

const confiningCalls = "seccomp landlock_create_ruleset landlock_add_rule landlock_restrict_self"

// SystemOptions are those of the units of the network set-up, which the system's
// own systemd starts as user splitvault.
func SystemOptions() []Option {
	return append(forAll(),
		Option{Setting: "IPAddressDeny=any", Probe: "send to another machine"},
		Option{Setting: "IPAddressAllow=localhost", Probe: "send to itself", With: []string{"IPAddressDeny=any"}, Opens: true},
		Option{Setting: "CapabilityBoundingSet=", Probe: "have capabilities in reach"},
		Option{Setting: "ProtectSystem=strict", Probe: "write to /var/tmp"},
		Option{Setting: "ReadWritePaths=/run/splitvault /var/lib/splitvault", Probe: "write to its state", With: []string{"ProtectSystem=strict"}, Opens: true},
		// Newer systemds have these calls in @system-service already.
		Option{
			Setting: "SystemCallFilter=" + confiningCalls, Probe: "confine itself further", Opens: true,
			With: []string{"SystemCallFilter=@system-service", "SystemCallFilter=~" + confiningCalls, "SystemCallErrorNumber=EPERM"},
		},
		Option{Setting: "ProtectHome=yes", Probe: "list the users' home directories"},
		Option{Setting: "PrivateTmp=yes", Probe: "see others' temporary files"},
		Option{Setting: "PrivateDevices=yes", Probe: "see devices"},
		Option{Setting: "ProtectClock=yes", Probe: "read the clock's adjustment"},
		Option{Setting: "ProtectHostname=yes", Probe: "share the qube's host name"},
		Option{Setting: "ProtectKernelTunables=yes", Probe: "read the kernel's symbols"},
		Option{Setting: "ProtectKernelModules=yes", Probe: "list kernel modules"},
		Option{Setting: "ProtectKernelLogs=yes", Probe: "see the kernel's log"},
		Option{Setting: "ProtectControlGroups=yes", Probe: "have control groups mounted for writing"},
		Option{Setting: "ProtectProc=invisible", Probe: "see others' processes"},
		Option{Setting: "MemoryMax=256M", Probe: "use memory without bound", Controller: "memory"},
		Option{Setting: "TasksMax=64", Probe: "start more than 64 processes", Controller: "pids"},
	)
}
