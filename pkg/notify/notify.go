// Package notify tells the person at the screen, by the desktop notifications of
// freedesktop.org over the user's D-Bus. A notification is a courtesy: it never
// fails what it speaks of, and waits at most a moment.
package notify

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/godbus/dbus/v5"
	"golang.org/x/sys/unix"

	"github.com/splitvault/splitvault/pkg/userbus"
)

// patience bounds the talk with the bus; a daemon has other work.
const patience = 200 * time.Millisecond

// Send shows a notification. summary and body must hold nothing of a peer that
// was not quoted; the body's markup is escaped here.
func Send(ctx context.Context, getenv func(string) string, summary, body string) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	conn, err := userbus.Connect(ctx, getenv)
	if err != nil {
		return fmt.Errorf("notifying: %w", err)
	}
	defer conn.Close()
	call := conn.Object("org.freedesktop.Notifications", "/org/freedesktop/Notifications").CallWithContext(ctx,
		"org.freedesktop.Notifications.Notify", 0,
		"splitvault", uint32(0), "dialog-password", summary, escape(body),
		[]string{}, map[string]dbus.Variant{}, int32(-1))
	if call.Err != nil {
		return fmt.Errorf("notifying: %w", call.Err)
	}
	return nil
}

// escape makes text safe where a notification server reads markup.
func escape(s string) string {
	return strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;").Replace(s)
}

// Once tells whether the last true answer for a subject is longer ago than
// interval, and remembers this one. All processes that name the same directory
// share the memory: a file per subject, whose time is when it was told. A
// subject is a file name.
func Once(dir, subject string, interval time.Duration) (bool, error) {
	if subject != filepath.Base(subject) || subject == "." || subject == ".." {
		return false, fmt.Errorf("remembering a notification: %.40q is not a file name", subject)
	}
	f, err := os.OpenFile(filepath.Join(dir, subject), os.O_RDWR|os.O_CREATE|unix.O_NOFOLLOW, 0o600)
	if err != nil {
		return false, fmt.Errorf("remembering a notification: %w", err)
	}
	defer f.Close()
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		if errors.Is(err, unix.EWOULDBLOCK) {
			return false, nil // another process tells it at this moment
		}
		return false, fmt.Errorf("remembering a notification: %w", err)
	}
	info, err := f.Stat()
	if err != nil {
		return false, fmt.Errorf("remembering a notification: %w", err)
	}
	// Told once makes the file one byte long.
	if age := time.Since(info.ModTime()); info.Size() > 0 && age >= 0 && age < interval {
		return false, nil
	}
	if _, err := f.WriteAt([]byte{'\n'}, 0); err != nil {
		return false, fmt.Errorf("remembering a notification: %w", err)
	}
	return true, nil
}
