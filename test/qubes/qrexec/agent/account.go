package agent

import (
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// account is one line of /etc/passwd with the groups of /etc/group.
type account struct {
	name   string
	uid    int
	gid    int
	home   string
	shell  string
	groups []int
}

// lookupAccount finds name, or the account of this process for "". It reads the
// files itself: os/user does not tell the shell without cgo.
func lookupAccount(name string) (account, error) {
	text, err := os.ReadFile("/etc/passwd")
	if err != nil {
		return account{}, fmt.Errorf("looking up user %q: %w", name, err)
	}
	for line := range strings.Lines(string(text)) {
		a, ok := parseAccount(strings.TrimSuffix(line, "\n"))
		if !ok || name != "" && a.name != name || name == "" && a.uid != os.Geteuid() {
			continue
		}
		if os.Geteuid() != 0 && a.uid != os.Geteuid() {
			return account{}, fmt.Errorf("requested user %s, but qrexec-agent is running as uid %d", name, os.Geteuid())
		}
		a.groups, err = groupsOf(a)
		return a, err
	}
	return account{}, fmt.Errorf("user %s does not exist", name)
}

func parseAccount(line string) (account, bool) {
	f := strings.Split(line, ":")
	if len(f) != 7 {
		return account{}, false
	}
	uid, err := strconv.Atoi(f[2])
	if err != nil {
		return account{}, false
	}
	gid, err := strconv.Atoi(f[3])
	if err != nil {
		return account{}, false
	}
	return account{name: f[0], uid: uid, gid: gid, home: f[5], shell: f[6]}, true
}

func groupsOf(a account) ([]int, error) {
	text, err := os.ReadFile("/etc/group")
	if err != nil {
		return nil, fmt.Errorf("looking up groups of %q: %w", a.name, err)
	}
	groups := []int{a.gid}
	for line := range strings.Lines(string(text)) {
		f := strings.Split(strings.TrimSuffix(line, "\n"), ":")
		if len(f) != 4 || !slices.Contains(strings.Split(f[3], ","), a.name) {
			continue
		}
		if gid, err := strconv.Atoi(f[2]); err == nil && gid != a.gid {
			groups = append(groups, gid)
		}
	}
	return groups, nil
}

// become turns the whole process into the account's, as the fork server of a GUI
// session is from its start.
func (a account) become() error {
	if os.Geteuid() == a.uid {
		return nil
	}
	if err := unix.Setgroups(a.groups); err != nil {
		return fmt.Errorf("setting groups of %q: %w", a.name, err)
	}
	if err := syscall.Setresgid(a.gid, a.gid, a.gid); err != nil {
		return fmt.Errorf("setting group of %q: %w", a.name, err)
	}
	if err := syscall.Setresuid(a.uid, a.uid, a.uid); err != nil {
		return fmt.Errorf("becoming %q: %w", a.name, err)
	}
	return nil
}

// credential is what a child needs to be the account's; nil when it is already.
func (a account) credential() *syscall.Credential {
	if os.Geteuid() == a.uid {
		return nil
	}
	groups := make([]uint32, len(a.groups))
	for i, g := range a.groups {
		groups[i] = uint32(g)
	}
	return &syscall.Credential{Uid: uint32(a.uid), Gid: uint32(a.gid), Groups: groups}
}
