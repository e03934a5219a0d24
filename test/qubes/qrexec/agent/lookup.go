package agent

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

type serviceKind int

const (
	kindExecutable serviceKind = iota
	kindSocket
	kindTCP
)

type service struct {
	kind   serviceKind
	path   string
	target string // kindTCP: what follows /dev/tcp
}

// maxFileName is the longest descriptor that can name a file, Linux NAME_MAX.
const maxFileName = 255

// serviceDirs are the directories of a release, first wins
// (libqrexec/qrexec.h QREXEC_SERVICE_PATH).
func serviceDirs(h Host) []string {
	switch {
	case h.ServicePath != nil:
		return h.ServicePath
	case h.Release < "4.3":
		return []string{"/usr/local/etc/qubes-rpc", "/etc/qubes-rpc"}
	default:
		return []string{"/run/qubes-rpc", "/usr/local/etc/qubes-rpc", "/etc/qubes-rpc"}
	}
}

// find looks for NAME+ARG in all directories, then for NAME in all. A dangling
// symbolic link counts as not there.
func find(o order) (service, error) {
	names := []string{o.Service.Descriptor(), o.Service.Name}
	if len(names[0]) > maxFileName {
		names = names[1:]
	}
	for _, name := range names {
		for _, dir := range serviceDirs(o.Host) {
			path := filepath.Join(dir, name)
			found, err := classify(path, o.Host.Release)
			if errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ENOTDIR) {
				continue
			}
			return found, err
		}
	}
	return service{}, problem(exitNotFound, "Service not found: %s", o.Service.Descriptor())
}

func classify(path, release string) (service, error) {
	if target, err := os.Readlink(path); err == nil && release >= "4.2" {
		if rest, ok := strings.CutPrefix(target, "/dev/tcp"); ok && (rest == "" || rest[0] == '/') {
			return service{kind: kindTCP, path: path, target: rest}, nil
		}
	}
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ENOTDIR) {
		return service{}, err
	}
	if err != nil {
		return service{}, problem(exitBroken, "%w", err)
	}
	if info.Mode().Type() == fs.ModeSocket {
		return service{kind: kindSocket, path: path}, nil
	}
	if err := unix.Faccessat(unix.AT_FDCWD, path, unix.X_OK, unix.AT_EACCESS); err != nil {
		return service{}, problem(deadCode(release), "Unknown service type (not executable, not a socket): %s", path)
	}
	return service{kind: kindExecutable, path: path}, nil
}

// deadCode is the code for a socket that refuses and a file that is not
// executable: R4.1 tells neither from a missing service.
func deadCode(release string) int {
	if release < "4.2" {
		return exitNotFound
	}
	return exitBroken
}
