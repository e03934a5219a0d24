// Package confine takes from the running process what it does not need, before
// it looks at the first hostile byte.
//
// A guard is started by qrexec, so no unit's sandbox applies to it; what
// protects the vault from a guard that was taken over is this, and it is the
// program's own:
//
//   - no_new_privs, no core file, no ptrace by processes of the same user;
//   - Landlock: no file can be opened, read, written, executed or listed, no TCP
//     port bound or connected (where the kernel has Landlock);
//   - seccomp: no file opened, no new socket and no connect, no program executed,
//     no new process, no memory made executable, no signal to another process.
//
// So everything that the guard needs must be open before: its agents, the
// journal's socket, its rules. What is open stays usable: a guard that was taken
// over could still talk to its agents, write to the journal and answer its client.
//
// [Runner] is for a guard that has to run programs, [Server] for a program that
// connects to its backend again and again.
package confine

import (
	"errors"
	"fmt"

	ll "github.com/landlock-lsm/go-landlock/landlock/syscall"
	"golang.org/x/sys/unix"
)

const (
	maxData  = 512 << 20 // bytes of private writable memory: Go reserves in large steps
	maxFiles = 64
)

// Guard confines the process for good. It must be called before any untrusted
// byte is read; an error means that the process is to end. landlocked tells
// whether the kernel has Landlock; if not, the filter of system calls alone keeps
// the process from the files, and that is to be said in the journal.
func Guard() (landlocked bool, err error) {
	if err := Limits(); err != nil {
		return false, err
	}
	if err := unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0); err != nil {
		return false, fmt.Errorf("forbidding ptrace: %w", err)
	}
	ruleset, err := noFiles()
	if err != nil {
		return false, err
	}
	if err := noNewResources(); err != nil {
		return false, err
	}
	if ruleset == none {
		return false, nil
	}
	// The filter lets it through; no_new_privs, without which it fails, is set by now.
	if err := errors.Join(ll.AllThreadsLandlockRestrictSelf(ruleset, 0), unix.Close(ruleset)); err != nil {
		return false, fmt.Errorf("closing the file system (Landlock): %w", err)
	}
	return true, nil
}

// Limits sets limits of resources that hold for this process and its children:
// no core file, a bound on memory and open files.
func Limits() error { return limits(maxFiles) }

func limits(files uint64) error {
	for _, l := range []struct {
		what  int
		value uint64
		name  string
	}{
		{unix.RLIMIT_CORE, 0, "core file"},
		{unix.RLIMIT_DATA, maxData, "memory"},
		{unix.RLIMIT_NOFILE, files, "open files"},
	} {
		if err := unix.Setrlimit(l.what, &unix.Rlimit{Cur: l.value, Max: l.value}); err != nil {
			return fmt.Errorf("limiting %s: %w", l.name, err)
		}
	}
	return nil
}

// none is no ruleset.
const none = -1

// noFiles makes a ruleset that denies all of the file system, TCP, signals to
// others and abstract sockets, as far as the kernel's Landlock goes; none on a
// kernel without, where the filter of system calls denies the same.
func noFiles() (ruleset int, err error) {
	abi, err := ll.LandlockGetABIVersion()
	if err != nil || abi < 1 {
		return none, nil //nolint:nilerr // not built in, or not switched on
	}
	attr := handled(abi)
	if ruleset, err = ll.LandlockCreateRuleset(&attr, 0); err != nil {
		return none, fmt.Errorf("closing the file system (Landlock): %w", err)
	}
	return ruleset, nil
}

// handled is all that an ABI of Landlock knows to deny (landlock(7), "Landlock
// ABI versions"). What a later one adds is the same as in the last that is known
// here.
func handled(abi int) ll.RulesetAttr {
	var a ll.RulesetAttr
	a.HandledAccessFS = ll.AccessFSRefer - 1 // all before it
	if abi >= 2 {
		a.HandledAccessFS |= ll.AccessFSRefer
	}
	if abi >= 3 {
		a.HandledAccessFS |= ll.AccessFSTruncate
	}
	if abi >= 4 {
		a.HandledAccessNet = ll.AccessNetBindTCP | ll.AccessNetConnectTCP
	}
	if abi >= 5 {
		a.HandledAccessFS |= ll.AccessFSIoctlDev
	}
	if abi >= 6 {
		a.Scoped = ll.ScopeAbstractUnixSocket | ll.ScopeSignal
	}
	return a
}
