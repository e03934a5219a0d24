package confine

import (
	"errors"
	"os"

	ll "github.com/landlock-lsm/go-landlock/landlock/syscall"
	"golang.org/x/sys/unix"
)

// NoFiles is one layer of Guard, to be tried alone. What makes a system call in
// every thread of a program that is linked with C, as under the race detector, has
// to list them (https://github.com/landlock-lsm/go-landlock/issues/39).
func NoFiles() (landlocked bool, err error) {
	ruleset, err := noFiles()
	if err != nil || ruleset == none {
		return false, err
	}
	threads, err := os.Open("/proc/self/task")
	if err != nil {
		return false, err
	}
	list := ll.PathBeneathAttr{AllowedAccess: ll.AccessFSReadDir, ParentFd: int(threads.Fd())}
	return true, errors.Join(ll.LandlockAddPathBeneathRule(ruleset, &list, 0), threads.Close(),
		ll.AllThreadsPrctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0),
		ll.AllThreadsLandlockRestrictSelf(ruleset, 0), unix.Close(ruleset))
}
