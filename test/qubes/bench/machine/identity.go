package machine

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// writeFile replaces a file of the new root. It never writes through a
// symbolic link that came with a layer.
func writeFile(path, content string, mode fs.FileMode) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return os.WriteFile(path, []byte(content), mode)
}

// writeIdentity tells the qube who and where it is.
func writeIdentity(c Config) error {
	if err := unix.Sethostname([]byte(c.Name)); err != nil {
		return fmt.Errorf("setting the host name: %w", err)
	}
	var id [16]byte
	rand.Read(id[:])
	return errors.Join(
		writeFile("etc/hostname", c.Name+"\n", 0o644),
		writeFile("etc/machine-id", fmt.Sprintf("%x\n", id), 0o444),
		writeFile("etc/hosts", "127.0.0.1 localhost "+c.Name+"\n::1 localhost\n", 0o644),
		writeFile("etc/fstab", "", 0o644),
		writeFile("etc/resolv.conf", "", 0o644),
		addAccount("etc/passwd", fmt.Sprintf("%s:x:%d:%d::/home/%s:/bin/bash", User, UID, UID, User), 0o644),
		addAccount("etc/group", fmt.Sprintf("%s:x:%d:", User, UID), 0o644),
		addAccount("etc/group", "qubes:x:98:"+User, 0o644),
		// PAM refuses to open a session for a user without a shadow line.
		addAccount("etc/shadow", User+":*::0:99999:7:::", 0o640),
		makeHome("home/"+User),
		writeFile("var/lib/systemd/linger/"+User, "", 0o644), // starts the user manager at boot
	)
}

// addAccount adds a line to an account file, in place of lines with the same
// name or number.
func addAccount(file, line string, mode fs.FileMode) error {
	old, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	want := strings.Split(line, ":")
	var kept strings.Builder
	for l := range strings.Lines(string(old)) {
		have := strings.Split(strings.TrimSuffix(l, "\n"), ":")
		sameID := want[2] != "" && len(have) > 2 && have[2] == want[2]
		if have[0] != want[0] && !sameID {
			kept.WriteString(l)
		}
	}
	return writeFile(file, kept.String()+line+"\n", mode)
}

// makeHome gives the home to its user and, at its first use, what /etc/skel has.
func makeHome(home string) error {
	old, err := os.ReadDir(home)
	if err != nil {
		return err
	}
	if len(old) == 0 {
		skeleton, err := os.ReadDir("etc/skel")
		if err != nil {
			return err
		}
		for _, e := range skeleton {
			content, err := os.ReadFile(filepath.Join("etc/skel", e.Name()))
			if err != nil {
				return err
			}
			file := filepath.Join(home, e.Name())
			if err := errors.Join(writeFile(file, string(content), 0o644), os.Chown(file, UID, UID)); err != nil {
				return err
			}
		}
	}
	return errors.Join(os.Chown(home, UID, UID), os.Chmod(home, 0o700))
}

// writeFiles writes what a program looks at to learn that it is in a qube, and
// which services are on there (qubes-core-agent-linux vm-systemd/qubes-sysinit.sh).
func writeFiles(c Config) error {
	files := map[string]string{
		"/run/qubes/this-is-appvm": "",
		"/run/qubesdb-bench/name":  c.Name,
		"/run/qubesdb-bench/type":  "AppVM",
	}
	for _, service := range c.Services {
		files["/run/qubes-service/"+service] = ""
		files["/run/qubesdb-bench/qubes-service/"+service] = "1"
	}
	for key, value := range c.DB {
		files["/run/qubesdb-bench"+filepath.Clean("/"+key)] = value
	}
	for path, content := range c.Files {
		files[filepath.Clean("/"+path)] = content
	}
	for path, content := range files {
		if err := writeFile("."+path, content, 0o644); err != nil {
			return err
		}
	}
	return os.MkdirAll("run/qubes-service", 0o755)
}
