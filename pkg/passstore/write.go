package passstore

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/splitvault/splitvault/pkg/entryname"
)

// maxID bounds a .gpg-id file and its signature, in bytes.
const maxID = 64 << 10

// Recipients is a .gpg-id file, as it was read once.
type Recipients struct {
	Path      string // below the store: "work/.gpg-id"
	Text      []byte
	Signature []byte // of .gpg-id.sig beside it, nil if there is none
}

// ErrNoRecipients says that the store does not say whom to encrypt to.
var ErrNoRecipients = errors.New("the password store has no .gpg-id (pass init makes one)")

// IDs are the recipients: what stands on each line, without comments, as pass
// reads them.
func (r Recipients) IDs() []string {
	var ids []string
	for line := range strings.Lines(string(r.Text)) {
		id, _, _ := strings.Cut(line, "#")
		if id = strings.TrimSpace(id); id != "" {
			ids = append(ids, id)
		}
	}
	return ids
}

// Recipients returns the .gpg-id that holds for an entry: the one in its directory
// or the nearest above. It need not exist yet.
func (s *Store) Recipients(name entryname.Name) (Recipients, error) {
	parts := strings.Split(string(name), "/")
	for n := range slices.Backward(parts) {
		prefix := strings.Join(parts[:n], "/")
		if n > 0 {
			prefix += "/"
		}
		r, err := s.recipientsIn(prefix)
		if errors.Is(err, ErrNoEntry) {
			continue
		}
		if err != nil {
			return Recipients{}, fmt.Errorf("reading whom to encrypt to: %w", err)
		}
		return r, nil
	}
	return Recipients{}, ErrNoRecipients
}

func (s *Store) recipientsIn(prefix string) (Recipients, error) {
	// Any file there has the same directory.
	dir, _, err := s.parent(entryname.Name(prefix+"x"), false)
	if err != nil {
		return Recipients{}, err
	}
	defer dir.Close()
	r := Recipients{Path: prefix + ".gpg-id"}
	var stat unix.Stat_t
	if err := unix.Fstatat(fd(dir), ".gpg-id", &stat, unix.AT_SYMLINK_NOFOLLOW); err != nil {
		return Recipients{}, absent(err)
	}
	if stat.Mode&unix.S_IFMT != unix.S_IFREG {
		// To go on to the one above would be to encrypt to others than it says.
		return Recipients{}, fmt.Errorf("%s is no regular file", r.Path)
	}
	if r.Text, err = read(dir, ".gpg-id", maxID); err != nil {
		return Recipients{}, hard(err)
	}
	if r.Signature, err = read(dir, ".gpg-id.sig", maxID); err != nil && !errors.Is(err, ErrNoEntry) {
		return Recipients{}, err
	}
	return r, nil
}

// hard makes of "not there" an error that is not passed over.
func hard(err error) error {
	if errors.Is(err, ErrNoEntry) {
		return fmt.Errorf("it changed meanwhile: %s", err.Error())
	}
	return err
}

// Write makes an entry of a message, whole or not at all. Where there is one, it is
// replaced if replace says so, and else it is [ErrExists].
func (s *Store) Write(name entryname.Name, message []byte, replace bool) (err error) {
	dir, base, err := s.parent(name, true)
	if err != nil {
		return err
	}
	defer dir.Close()
	sweep(dir)
	temporary := temporaryPrefix + hex.EncodeToString(random())
	if err := create(dir, temporary, message); err != nil {
		return fmt.Errorf("writing the entry %q: %w", name, err)
	}
	defer func() {
		// After a rename it is not there.
		if unlinkErr := unix.Unlinkat(fd(dir), temporary, 0); unlinkErr != nil && !errors.Is(unlinkErr, unix.ENOENT) {
			err = errors.Join(err, unlinkErr)
		}
	}()
	if replace {
		err = unix.Renameat(fd(dir), temporary, fd(dir), base)
	} else {
		// Fails where anything of that name is, also what came a moment ago.
		err = unix.Linkat(fd(dir), temporary, fd(dir), base, 0)
	}
	if errors.Is(err, unix.EEXIST) {
		return fmt.Errorf("writing the entry %q: %w", name, ErrExists)
	}
	if err != nil {
		return fmt.Errorf("writing the entry %q: %w", name, err)
	}
	return dir.Sync()
}

func create(dir *os.File, name string, content []byte) error {
	n, err := unix.Openat(fd(dir), name, unix.O_WRONLY|unix.O_CREAT|unix.O_EXCL|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0o600)
	if err != nil {
		return err
	}
	file := os.NewFile(uintptr(n), name)
	_, err = file.Write(content)
	if err == nil {
		err = file.Sync()
	}
	if closeErr := file.Close(); err == nil {
		err = closeErr
	}
	if err != nil {
		return errors.Join(err, unix.Unlinkat(fd(dir), name, 0))
	}
	return nil
}

func random() []byte {
	b := make([]byte, 16)
	rand.Read(b) // it never fails (crypto/rand)
	return b
}
