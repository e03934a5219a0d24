// Package userbus connects to the user's D-Bus.
package userbus

import (
	"context"
	"fmt"

	"github.com/godbus/dbus/v5"

	"github.com/splitvault/splitvault/pkg/rundir"
)

// Connect connects to the bus of $DBUS_SESSION_BUS_ADDRESS, else to
// $XDG_RUNTIME_DIR/bus, where systemd has it. It never starts a bus:
// the library's own search would run dbus-launch. When ctx ends the connection
// is closed, whatever it is waiting for.
func Connect(ctx context.Context, getenv func(string) string) (*dbus.Conn, error) {
	address := getenv("DBUS_SESSION_BUS_ADDRESS")
	if address == "" {
		address = "unix:path=" + dbus.EscapeBusAddressValue(rundir.Base(getenv)) + "/bus"
	}
	conn, err := dbus.Connect(address, dbus.WithContext(ctx))
	if err != nil {
		return nil, fmt.Errorf("connecting to the user's D-Bus: %w", err)
	}
	return conn, nil
}
