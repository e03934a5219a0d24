package main

import (
	"errors"
	"fmt"
	"os"
	"strings"
)

// sshd runs as whoever runs the demo, for that account alone. The demo's files
// are below the world-writable /tmp, which StrictModes minds.
const sshdConfig = `ListenAddress 127.0.0.1
Port @PORT@
HostKey @DIR@/host_key
PidFile none
AuthorizedKeysFile @DIR@/authorized_keys
StrictModes no
UsePAM @PAM@
PasswordAuthentication no
KbdInteractiveAuthentication no
PermitRootLogin prohibit-password
PrintMotd no
PrintLastLog no
AllowTcpForwarding no
X11Forwarding no
`

const sshConfig = `Host server
    HostName 127.0.0.1
    Port @PORT@
    UserKnownHostsFile @DIR@/known_hosts
    GlobalKnownHostsFile none
    StrictHostKeyChecking yes
    PasswordAuthentication no
    LogLevel ERROR
`

// pam says whether sshd needs PAM: as root it otherwise refuses an account
// without a password ("!" in shadow(5)), as root has it on many desktops.
func (w *world) pam() string {
	shadow, err := os.ReadFile("/etc/shadow")
	if err == nil && os.Geteuid() == 0 && strings.HasPrefix(string(shadow), "root:!") {
		return "yes"
	}
	return "no"
}

// privsep makes the empty directory that sshd wants when root starts it; a
// running system has it, a container often does not.
func (w *world) privsep() error {
	const dir = "/run/sshd"
	if os.Geteuid() != 0 {
		return nil
	}
	err := os.Mkdir(dir, 0o755)
	switch {
	case err == nil:
		w.madeEmpty = dir
	case !errors.Is(err, os.ErrExist):
		return fmt.Errorf("making sshd's empty directory: %w", err)
	}
	return nil
}
