// Command probe tries what a guard must not be able to do, and what it must,
// before or after it confines itself. The tests of package confine run it: built
// as guards are, without C and race detector, whose runtimes need other calls.
package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"net"
	"os"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/splitvault/splitvault/pkg/confine"
)

func main() {
	if err := run(os.Args[1], os.Args[2], os.Args[3:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// run confines the process if asked to, and does one thing:
//
//	try DIR PID   all that is forbidden; DIR is a world, PID another process of this user
//	exec          become /bin/true
//	memory        allocate more than a guard may, in steps
//	serve DIR     what a guard does
//	wait          until standard input ends
//
// A world is a directory that anybody may write to, with sockets "agent" and "journal",
// a directory "shared" and the file "ports".
func run(confined, what string, args []string) error {
	var place world
	if len(args) > 0 {
		var err error
		if place, err = worldIn(args[0]); err != nil {
			return err
		}
	}
	open, err := prepare(what, args)
	if err != nil {
		return err
	}
	elsewhere := otherThread()
	if err := elsewhere(func() error { return nil }); err != nil {
		return err
	}
	var gaps []string
	switch confined {
	case "confined":
		if _, err := confine.Guard(); err != nil {
			return err
		}
	case "server", "server without Landlock", "server without seccomp":
		if gaps, err = serverOn(confined, place.reach()); err != nil {
			return err
		}
	case "runner":
		if _, err := confine.Runner(confine.Access{Run: []string{"/usr", "/bin", "/lib", "/lib64", "/nonexistent"}, Read: []string{"/etc"}}); err != nil {
			return err
		}
	}
	switch what {
	case "try":
		return json.NewEncoder(os.Stdout).Encode(outcome{tryAll(attempts(args[0], args[1]), networkAttempts(place), elsewhere), gaps})
	case "exec":
		return syscall.Exec("/bin/true", []string{"true"}, nil)
	case "memory":
		return memory()
	case "serve":
		return serve(open)
	case "wait":
		return wait()
	default:
		return fmt.Errorf("cannot do %q", what)
	}
}

// wait lets every process of the user trace this one, where the kernel has Yama,
// which by default lets parents only.
func wait() error {
	err := unix.Prctl(unix.PR_SET_PTRACER, ^uintptr(0), 0, 0, 0)
	if err != nil && err != unix.EINVAL && err != unix.EPERM {
		return err
	}
	fmt.Println("waiting")
	_, err = os.Stdin.Read(make([]byte, 1))
	return err
}

// outcome is what the tests read.
type outcome struct {
	Results map[string]string
	Gaps    []string // what the confinement said
}

// tryAll returns for each attempt "" or how it failed on both threads.
func tryAll(all, more map[string]func() error, elsewhere func(func() error) error) map[string]string {
	results := make(map[string]string)
	maps.Copy(all, more)
	for name, try := range all {
		here, there := try(), elsewhere(try)
		results[name] = ""
		if here != nil && there != nil {
			results[name] = here.Error()
		}
	}
	return results
}

func attempts(dir, victim string) map[string]func() error {
	return map[string]func() error{
		"open a file for reading":        func() error { return closing(os.Open("/etc/passwd")) },
		"open a file for writing":        func() error { return closing(os.Create(dir + "/written")) },
		"list a directory":               func() error { return err2(os.ReadDir(dir)) },
		"remove a file":                  func() error { return os.Remove(dir + "/victim") },
		"read its own memory's map":      func() error { return err2(os.ReadFile("/proc/self/maps")) },
		"start a program":                startProgram,
		"fork":                           fork,
		"fork by clone3":                 forkClone3,
		"new unix socket":                func() error { return socket(unix.AF_UNIX, unix.SOCK_STREAM) },
		"new inet socket":                func() error { return socket(unix.AF_INET, unix.SOCK_STREAM) },
		"new netlink socket":             func() error { return socket(unix.AF_NETLINK, unix.SOCK_RAW) },
		"new socket pair":                socketPair,
		"connect to an agent":            func() error { return closing(net.Dial("unix", dir+"/agent")) },
		"memory writable and executable": func() error { return mapMemory(unix.PROT_READ | unix.PROT_WRITE | unix.PROT_EXEC) },
		"memory made executable":         protect,
		"signal another process":         func() error { return withPID(victim, func(pid int) error { return unix.Kill(pid, 0) }) },
		"signal another process's thread": func() error {
			return withPID(victim, func(pid int) error { return unix.Tgkill(pid, pid, 0) })
		},
		"trace another process":           func() error { return withPID(victim, unix.PtraceSeize) },
		"have signals sent by descriptor": func() error { return withPID(victim, ownDescriptor) },
		"write over an append-only file":  stopAppending,
		"read another process's memory":   func() error { return withPID(victim, readMemory) },
		"become another user":             func() error { return unix.Setresuid(-1, -1, -1) },
		"namespace of its own":            func() error { return unix.Unshare(0) },
		"many open files":                 func() error { return openMany(100) },
		"be dumped": func() error {
			v, err := unix.PrctlRetInt(unix.PR_GET_DUMPABLE, 0, 0, 0, 0)
			if err == nil && v == 0 {
				return unix.EPERM
			}
			return err
		},
	}
}

func closing[T interface{ Close() error }](v T, err error) error {
	if err != nil {
		return err
	}
	return v.Close()
}

func err2[T any](_ T, err error) error { return err }

func withPID(victim string, try func(pid int) error) error {
	pid, err := strconv.Atoi(victim)
	if err != nil {
		return err
	}
	return try(pid)
}
