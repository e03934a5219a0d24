package agent

import (
	"bytes"

	"golang.org/x/sys/unix"
)

// maxLogLine bounds a line of a service's stderr in the log.
const maxLogLine = 1024

// syslogCopy copies a service's stderr to the qube's log, tag SVC+ARG-SOURCE, as
// the agent does with logger(1) from R4.3.
type syslogCopy struct {
	tag  string
	fd   int // -1 = no log here
	line []byte
}

func newSyslog(tag string) *syslogCopy {
	s := &syslogCopy{tag: tag, fd: -1}
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return s
	}
	if err := unix.Connect(fd, &unix.SockaddrUnix{Name: "/dev/log"}); err != nil {
		_ = unix.Close(fd)
		return s
	}
	s.fd = fd
	return s
}

// write takes a piece of stderr; empty ones and an unfinished last line are kept
// back or lost, never waited for.
func (s *syslogCopy) write(data []byte) {
	if s.fd < 0 {
		return
	}
	for {
		head, rest, found := bytes.Cut(data, []byte("\n"))
		s.line = append(s.line, head[:min(len(head), maxLogLine-len(s.line))]...)
		if !found {
			return
		}
		_ = unix.Sendto(s.fd, append([]byte("<13>"+s.tag+": "), s.line...), unix.MSG_NOSIGNAL, nil)
		s.line, data = s.line[:0], rest
	}
}
