// Command probe tries one thing that a confined service is not to be able to do,
// and prints "possible", or "refused: " and why. Without an argument it prints that
// it runs, which is what it does for another architecture. It runs in a qube; the
// names are those of package confinement.
package main

import (
	"errors"
	"fmt"
	"os"
)

func main() {
	if len(os.Args) != 2 {
		fmt.Println("runs")
		return
	}
	try, known := probes()[os.Args[1]]
	if !known {
		fmt.Fprintf(os.Stderr, "probe: cannot try %q\n", os.Args[1])
		os.Exit(2)
	}
	if err := try(); err != nil {
		fmt.Println("refused:", err)
		return
	}
	fmt.Println("possible")
}

var errRefused = errors.New("no")

func probes() map[string]func() error {
	return map[string]func() error{
		"become root by a set-user-ID program":       setUserID,
		"make a file that others may read":           fileMode,
		"leave a core file":                          coreFile,
		"open an internet socket":                    inetSocket,
		"open a netlink socket":                      netlinkSocket,
		"make a user namespace":                      userNamespace,
		"ask for realtime scheduling":                realtime,
		"make a set-user-ID file":                    makeSetUserID,
		"switch off the randomising of addresses":    personality,
		"map memory that is writable and executable": writeAndExecute,
		"make calls of another architecture":         otherArchitecture,
		"be traced":                                  traced,
		"change its priority":                        priority,
		"confine itself further":                     confineItself,
		"go on after a call that is filtered":        goOn,
		"have memory swapped out":                    func() error { return unbounded("memory.swap.max") },
		"use memory without bound":                   func() error { return unbounded("memory.max") },
		"start more than 64 processes":               manyTasks,
		"see root as root":                           rootIsRoot,
		"write to /var/tmp":                          func() error { return writeIn("/var/tmp") },
		"write to the home directory":                func() error { return writeIn(os.Getenv("HOME")) },
		"write to the runtime directory":             func() error { return writeIn(os.Getenv("XDG_RUNTIME_DIR")) },
		"write to its state":                         func() error { return writeIn("/var/lib/splitvault") },
		"read the clock's adjustment":                clock,
		"share the qube's host name":                 hostName,
		"see the kernel's log":                       kernelLog,
		"list kernel modules":                        func() error { return list("/usr/lib/modules") },
		"list the users' home directories":           func() error { return list("/home") },
		"see others' temporary files":                func() error { return exists("/tmp/others") },
		"see devices":                                func() error { return exists("/dev/others") },
		"see others' processes":                      func() error { return exists("/proc/1") },
		"have capabilities in reach":                 capabilities,
		"read the kernel's symbols":                  func() error { return read("/proc/kallsyms") },
		"have control groups mounted for writing":    func() error { return mountedForWriting("/sys/fs/cgroup") },
		"send to another machine":                    func() error { return send("10.99.99.99:9") },
		"send to itself":                             func() error { return send("127.0.0.1:9") },
	}
}
