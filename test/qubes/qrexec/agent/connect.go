package agent

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/splitvault/splitvault/test/qubes/qrexec/internal/pump"
)

// connect connects to a socket service; the header "NAME+ARG SOURCE\0" goes ahead
// of the client's bytes.
func connect(o order, c rpcConfig, s service) (pump.Config, error) {
	var fd int
	var err error
	if s.kind == kindTCP {
		fd, err = connectTCP(s.target, o.Service.Argument)
	} else {
		fd, err = connectUnix(s.path)
	}
	if err != nil {
		return pump.Config{}, problem(deadCode(o.Host.Release), "connecting to %q: %w", s.path, err)
	}
	config := pump.Config{
		In: fd, Out: fd, Err: -1,
		ExitOnClientEOF: c.exitOnClientEOF,
		ExitOnServerEOF: c.exitOnServerEOF,
	}
	if !c.skipDescriptor {
		config.Header = []byte(o.Service.Descriptor() + " " + o.Service.Source + "\x00")
	}
	return config, nil
}

// connectUnix connects blocking, so that a full backlog makes it wait. A path too
// long for a socket address is reached through its directory.
func connectUnix(path string) (int, error) {
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1, err
	}
	if len(path) >= len(unix.RawSockaddrUnix{}.Path) {
		dir, err := os.MkdirTemp("", "qrexec-")
		if err != nil {
			return -1, errors.Join(err, unix.Close(fd))
		}
		defer os.RemoveAll(dir)
		short := filepath.Join(dir, "s")
		if err := os.Symlink(path, short); err != nil {
			return -1, errors.Join(err, unix.Close(fd))
		}
		path = short
	}
	return finishConnect(fd, &unix.SockaddrUnix{Name: path})
}

// errTCP is a /dev/tcp link or argument that qrexec does not take.
var errTCP = errors.New("invalid TCP service")

// connectTCP connects to the address that the link's rest ("/HOST/PORT", "/HOST"
// or "") and the argument give together: the last "+" of the argument separates
// the port, earlier ones stand for ":".
func connectTCP(rest, argument string) (int, error) {
	addr, err := parseTCP(rest, argument)
	if err != nil {
		return -1, err
	}
	family := unix.AF_INET
	var to unix.Sockaddr = &unix.SockaddrInet4{Port: int(addr.Port()), Addr: addr.Addr().Unmap().As4()}
	if addr.Addr().Is6() && !addr.Addr().Is4In6() {
		family = unix.AF_INET6
		to = &unix.SockaddrInet6{Port: int(addr.Port()), Addr: addr.Addr().As16()}
	}
	fd, err := unix.Socket(family, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1, err
	}
	return finishConnect(fd, to)
}

func parseTCP(rest, argument string) (netip.AddrPort, error) {
	parts := strings.Split(strings.TrimPrefix(rest, "/"), "/")
	host, port := "", ""
	switch {
	case rest == "" || rest == "/":
		at := strings.LastIndexByte(argument, '+')
		if at < 0 || strings.Contains(argument, "_") {
			return netip.AddrPort{}, fmt.Errorf("%w: argument %q has no host and port", errTCP, argument)
		}
		host, port = strings.ReplaceAll(argument[:at], "+", ":"), argument[at+1:]
	case len(parts) == 1:
		host, port = parts[0], argument
	case len(parts) == 2 && argument == "":
		host, port = parts[0], parts[1]
	case len(parts) == 2:
		return netip.AddrPort{}, fmt.Errorf("%w: argument %q given to a link with a port", errTCP, argument)
	default:
		return netip.AddrPort{}, fmt.Errorf("%w: link %q", errTCP, rest)
	}
	addr, err := netip.ParseAddr(host)
	if err != nil {
		return netip.AddrPort{}, fmt.Errorf("%w: host %q is not a numeric address", errTCP, host)
	}
	number, err := strconv.ParseUint(port, 10, 16)
	if err != nil || number == 0 || port[0] < '1' || port[0] > '9' {
		return netip.AddrPort{}, fmt.Errorf("%w: port %q", errTCP, port)
	}
	return netip.AddrPortFrom(addr.WithZone(""), uint16(number)), nil
}

func finishConnect(fd int, to unix.Sockaddr) (int, error) {
	for {
		err := unix.Connect(fd, to)
		if errors.Is(err, unix.EINTR) || errors.Is(err, unix.EAGAIN) {
			continue
		}
		if err != nil {
			return -1, errors.Join(err, unix.Close(fd))
		}
		return fd, nil
	}
}
