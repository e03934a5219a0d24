// Command notifyd stands for a desktop's notification server: it takes every
// notification on the user's session bus and shows none.
package main

import (
	"fmt"
	"os"
	"os/signal"
	"sync/atomic"
	"syscall"

	"github.com/godbus/dbus/v5"
)

const (
	name = "org.freedesktop.Notifications"
	path = "/org/freedesktop/Notifications"
)

type server struct{ last atomic.Uint32 }

// Notify takes a notification and returns its number.
func (s *server) Notify(_ string, _ uint32, _, _, _ string, _ []string, _ map[string]dbus.Variant, _ int32) (uint32, *dbus.Error) {
	return s.last.Add(1), nil
}

// GetCapabilities says that there are none beyond plain text.
func (*server) GetCapabilities() ([]string, *dbus.Error) { return []string{"body"}, nil }

// GetServerInformation names the server; notify-send asks for it.
func (*server) GetServerInformation() (program, vendor, version, spec string, err *dbus.Error) {
	return "notifyd", "splitvault", "1", "1.2", nil
}

func main() {
	if err := run(); err != nil {
		fmt.Fprintf(os.Stderr, "notifyd: %v\n", err)
		os.Exit(1)
	}
}

func run() error {
	bus, err := dbus.ConnectSessionBus()
	if err != nil {
		return fmt.Errorf("connecting to the session bus: %w", err)
	}
	defer bus.Close()
	if err := bus.Export(&server{}, path, name); err != nil {
		return fmt.Errorf("offering %s: %w", name, err)
	}
	reply, err := bus.RequestName(name, dbus.NameFlagDoNotQueue)
	if err != nil {
		return fmt.Errorf("taking the name %s: %w", name, err)
	}
	if reply != dbus.RequestNameReplyPrimaryOwner {
		return fmt.Errorf("the name %s is taken", name)
	}
	fmt.Println("ready")
	end := make(chan os.Signal, 1)
	signal.Notify(end, syscall.SIGTERM, syscall.SIGINT)
	<-end
	return nil
}
