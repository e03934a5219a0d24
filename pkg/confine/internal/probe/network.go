package main

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strconv"
	"time"

	"golang.org/x/sys/unix"

	"github.com/splitvault/splitvault/pkg/confine"
)

// world is what a server reaches, and another port, that it must not.
type world struct {
	dir         string
	port, other uint16
}

func worldIn(dir string) (w world, err error) {
	text, err := os.ReadFile(dir + "/ports")
	if err != nil {
		return w, err
	}
	_, err = fmt.Sscan(string(text), &w.port, &w.other)
	w.dir = dir
	return w, err
}

func (w world) shared() string { return w.dir + "/shared" }

func (w world) reach() confine.Reach {
	return confine.Reach{Dirs: []string{w.shared(), "/nonexistent"}, Port: w.port}
}

func networkAttempts(w world) map[string]func() error {
	return map[string]func() error{
		"connect to the backend's port": func() error { return connect(w.port) },
		"connect to another port":       func() error { return connect(w.other) },
		"connect by multipath TCP":      func() error { return connectMultipath(w.other) },
		"connect by sending at once": func() error {
			return sendAtOnce(func(fd, flags int) error { return unix.Sendto(fd, []byte("x"), flags, here(w.other)) })
		},
		"connect by sending a message at once": func() error {
			return sendAtOnce(func(fd, flags int) error { return unix.Sendmsg(fd, []byte("x"), nil, here(w.other), flags) })
		},
		"bind a port":                      bindPort,
		"send a datagram over the network": func() error { return datagram(w.other) },
		"connect to an abstract socket":    func() error { return closing(net.Dial("unix", "@"+w.dir)) },
		"empty an open file":               func() error { return unix.Ftruncate(unix.Stderr, 0) },
		"open and empty a file":            func() error { return closing(os.OpenFile(w.shared()+"/kept", os.O_WRONLY|os.O_TRUNC, 0)) },
		"leave the shared directory":       func() error { return closing(os.Open(w.shared() + "/link")) },
		"make a directory":                 func() error { return makeDirectory(w.shared()) },
		"make a link":                      func() error { return makeLink(w.shared()) },
		"share files":                      func() error { return share(w.shared()) },
		"share a socket":                   func() error { return shareSocket(w.shared()) },
	}
}

func connect(port uint16) error {
	dialer := net.Dialer{Timeout: 5 * time.Second}
	return closing(dialer.Dial("tcp", address(port)))
}

func address(port uint16) string {
	return net.JoinHostPort("127.0.0.1", strconv.Itoa(int(port)))
}

func connectMultipath(port uint16) error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, unix.IPPROTO_MPTCP)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	return unix.Connect(fd, here(port))
}

func sendAtOnce(send func(fd, flags int) error) error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	return send(fd, unix.MSG_FASTOPEN|unix.MSG_NOSIGNAL)
}

func here(port uint16) unix.Sockaddr {
	return &unix.SockaddrInet4{Port: int(port), Addr: netip.MustParseAddr("127.0.0.1").As4()}
}

// bindPort asks for plain TCP: Landlock knows nothing of multipath TCP, Go's default.
func bindPort() error {
	var config net.ListenConfig
	config.SetMultipathTCP(false)
	return closing(config.Listen(context.Background(), "tcp", "127.0.0.1:0"))
}

func datagram(port uint16) error {
	conn, err := net.Dial("udp", address(port))
	if err != nil {
		return err
	}
	defer conn.Close()
	return err2(conn.Write([]byte("x")))
}

func makeDirectory(dir string) error {
	if err := os.Mkdir(dir+"/made", 0o700); err != nil {
		return err
	}
	return os.Remove(dir + "/made")
}

func makeLink(dir string) error {
	if err := os.Symlink("/etc", dir+"/made"); err != nil {
		return err
	}
	return os.Remove(dir + "/made")
}

// share does what locks and tickets need.
func share(dir string) error {
	path := dir + "/lock"
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|unix.O_NOFOLLOW, 0o600)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		return err
	}
	if _, err := f.WriteString("x"); err != nil {
		return err
	}
	if _, err := os.Lstat(path); err != nil {
		return err
	}
	if _, err := os.ReadDir(dir); err != nil {
		return err
	}
	return os.Remove(path)
}

// shareSocket listens as a leader does whom others join.
func shareSocket(dir string) error {
	path := dir + "/socket"
	listener, err := net.Listen("unix", path)
	if err != nil {
		return err
	}
	defer listener.Close()
	if err := closing(net.Dial("unix", path)); err != nil {
		return err
	}
	return closing(listener.Accept())
}
