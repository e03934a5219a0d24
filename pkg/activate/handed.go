package activate

import (
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// firstFD is SD_LISTEN_FDS_START (sd_listen_fds(3)).
const firstFD = 3

// maxFDs bounds what is looked at: a relay is given one descriptor, and more than
// one is refused anyway.
const maxFDs = 16

// handedOver returns the descriptors that systemd has passed to this process, none
// where it was meant for another, and removes LISTEN_* from the environment.
//
// It is sd_listen_fds(3) by hand. Package activation of go-systemd does the same, but
// it has listeners with TLS as well, so that whoever imports it links crypto/tls: of
// an idle relay's memory that was an eighth.
func handedOver() []*os.File {
	pid, count := os.Getenv("LISTEN_PID"), os.Getenv("LISTEN_FDS")
	// The last is of systemd 258.
	for _, name := range []string{"LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES", "LISTEN_PIDFDID"} {
		_ = os.Unsetenv(name) // fails for no name such as these
	}
	if meant, err := strconv.Atoi(pid); err != nil || meant != os.Getpid() {
		return nil
	}
	n, err := strconv.Atoi(count)
	if err != nil {
		return nil
	}
	var files []*os.File
	for fd := firstFD; fd < firstFD+min(n, maxFDs); fd++ {
		unix.CloseOnExec(fd)
		files = append(files, os.NewFile(uintptr(fd), "LISTEN_FD_"+strconv.Itoa(fd)))
	}
	return files
}
