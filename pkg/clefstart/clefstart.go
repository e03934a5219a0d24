// Package clefstart brings the vault's Clef up when it is needed, and tells why it
// is not up: not installed, no session to show its window in, crashed, or started
// and waiting for a person to unlock it.
package clefstart

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"time"

	systemd "github.com/coreos/go-systemd/v22/dbus"
	"github.com/godbus/dbus/v5"

	"github.com/splitvault/splitvault/pkg/clefbackend"
	"github.com/splitvault/splitvault/pkg/userbus"
)

const (
	// Unit is Clef's unit, of the user's service manager.
	Unit = "splitvault-clef-backend.service"
	// Exit codes of its program (units/vault, clef-backend), in the range that
	// sysexits.h has for such.
	exitNotInstalled = 69
	exitNoSession    = 75
	// execFailed is what systemd gives for a program that is not there (systemd.exec(5)).
	execFailed = 203

	startTime = 5 * time.Second
	pollTime  = 150 * time.Millisecond
)

// The reasons for which Clef is not up. Each is told to the client qube, after
// "signer not ready: ".
var (
	ErrNoSession = errors.New("no session of its user to start Clef in")
	//lint:ignore ST1005 Clef is a name
	ErrNotInstalled = errors.New("Clef is not installed") //nolint:staticcheck // a name
	//lint:ignore ST1005 Clef is a name
	ErrCrashed = errors.New("Clef ended") //nolint:staticcheck // a name
	ErrLocked  = errors.New("unlock Clef")
	// ErrElsewhere: Clef is on another machine, and does not answer.
	//lint:ignore ST1005 Clef is a name
	ErrElsewhere = errors.New("Clef does not answer") //nolint:staticcheck // a name
)

// Backend is where Clef listens, as package clefbackend has it.
type Backend struct{ Network, Address string }

// local tells whether the unit can make something listen there.
func (b Backend) local() bool {
	if b.Network == "unix" {
		return true
	}
	at, err := netip.ParseAddrPort(b.Address)
	return err == nil && at.Addr().IsLoopback()
}

// Dial connects to Clef. If it does not listen, and is to be on this machine, it
// has the user's service manager start its unit and waits for a real answer, for
// patience at most.
func Dial(ctx context.Context, b Backend, getenv func(string) string, patience time.Duration) (*clefbackend.Conn, error) {
	c, err := clefbackend.Dial(ctx, b.Network, b.Address)
	if err == nil || !errors.Is(err, clefbackend.ErrDown) {
		return c, err
	}
	if !b.local() {
		return nil, fmt.Errorf("%w: %w", ErrElsewhere, err)
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	bus, err := systemd.NewConnection(func() (*dbus.Conn, error) { return userbus.Connect(ctx, getenv) })
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNoSession, err)
	}
	defer bus.Close()
	if err := start(ctx, bus); err != nil {
		return nil, err
	}
	return wait(ctx, b, bus)
}

// start starts the unit, which does nothing if it runs.
func start(ctx context.Context, bus *systemd.Conn) error {
	ctx, cancel := context.WithTimeout(ctx, startTime)
	defer cancel()
	result := make(chan string, 1)
	if err := bus.Subscribe(); err != nil {
		return fmt.Errorf("%w: %w", ErrNoSession, err)
	}
	if _, err := bus.StartUnitContext(ctx, Unit, "replace", result); err != nil {
		if named, ok := errors.AsType[dbus.Error](err); ok && named.Name == "org.freedesktop.systemd1.NoSuchUnit" {
			return fmt.Errorf("%w: no unit %s", ErrNotInstalled, Unit)
		}
		return fmt.Errorf("%w: %w", ErrNoSession, err)
	}
	select {
	case <-ctx.Done():
		return fmt.Errorf("%w: the service manager takes too long", ErrNoSession)
	case <-result: // what it came to is read from the unit
		return nil
	}
}

// wait tries until Clef answers, or its unit has ended, or ctx.
func wait(ctx context.Context, b Backend, bus *systemd.Conn) (*clefbackend.Conn, error) {
	for {
		c, err := clefbackend.Dial(ctx, b.Network, b.Address)
		if err == nil || !errors.Is(err, clefbackend.ErrDown) {
			return c, err
		}
		if err := ended(ctx, bus); err != nil {
			return nil, err
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("%w: %s runs and does not listen yet", ErrLocked, Unit)
		case <-time.After(pollTime):
		}
	}
}

// ended says why the unit does not run, nil if it does.
func ended(ctx context.Context, bus *systemd.Conn) error {
	unit, err := bus.GetUnitPropertiesContext(ctx, Unit)
	if ctx.Err() != nil {
		return nil //nolint:nilerr // the next look at ctx tells
	}
	if err != nil {
		return fmt.Errorf("%w: %w", ErrNoSession, err)
	}
	switch load, active := unit["LoadState"], unit["ActiveState"]; {
	case load == "not-found" || load == "masked" || load == "bad-setting" || load == "error":
		return fmt.Errorf("%w: %s is %v", ErrNotInstalled, Unit, load)
	case active == "active" || active == "activating" || active == "reloading":
		return nil
	}
	service, err := bus.GetUnitTypePropertiesContext(ctx, Unit, "Service")
	if err != nil {
		return fmt.Errorf("%w: %w", ErrCrashed, err)
	}
	switch status, _ := service["ExecMainStatus"].(int32); status {
	case exitNotInstalled, execFailed:
		return fmt.Errorf("%w: journalctl --user -u %s", ErrNotInstalled, Unit)
	case exitNoSession:
		return fmt.Errorf("%w: it has no display", ErrNoSession)
	default:
		return fmt.Errorf("%w: %v, code %d: journalctl --user -u %s", ErrCrashed, service["Result"], status, Unit)
	}
}
