package consent

import (
	"context"
	"errors"
	"fmt"
	"time"

	systemd "github.com/coreos/go-systemd/v22/dbus"
	"github.com/godbus/dbus/v5"

	"github.com/splitvault/splitvault/pkg/userbus"
)

const (
	// Unit is consentd's unit, of the user's service manager.
	Unit = "splitvault-consent.service"
	// startTime bounds a start: of the program, from a cold disk, not of a screen.
	startTime = 5 * time.Second
)

// Dial connects to consentd, and has the user's service manager start it if it
// does not run. A guard does so before it confines itself, and only for a qube
// with a rule that may ask.
func Dial(ctx context.Context, getenv func(string) string) (*Client, error) {
	ctx, cancel := context.WithTimeout(ctx, startTime)
	defer cancel()
	for {
		c, err := Connect(ctx, getenv)
		if err == nil || !errors.Is(err, ErrNotRunning) {
			return c, err
		}
		if err := start(ctx, getenv); err != nil {
			return nil, err
		}
		c, err = Connect(ctx, getenv)
		if err == nil || !errors.Is(err, ErrNotRunning) {
			return c, err
		}
		// One that was about to end counted as started.
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("starting consentd: it does not answer (journalctl --user -u %s): %w", Unit, err)
		case <-time.After(50 * time.Millisecond):
		}
	}
}

func start(ctx context.Context, getenv func(string) string) error {
	manager, err := systemd.NewConnection(func() (*dbus.Conn, error) { return userbus.Connect(ctx, getenv) })
	if err != nil {
		return fmt.Errorf("starting consentd: no user session to start it in: %w", err)
	}
	defer manager.Close()
	if err := manager.Subscribe(); err != nil {
		return fmt.Errorf("starting consentd: %w", err)
	}
	result := make(chan string, 1)
	if _, err := manager.StartUnitContext(ctx, Unit, "replace", result); err != nil {
		return fmt.Errorf("starting consentd: %w", err)
	}
	select {
	case <-ctx.Done():
		return fmt.Errorf("starting consentd: the service manager takes too long: %w", ctx.Err())
	case r := <-result:
		if r != "done" {
			return fmt.Errorf("starting consentd: %s: %s (journalctl --user -u %s)", Unit, r, Unit)
		}
		return nil
	}
}
