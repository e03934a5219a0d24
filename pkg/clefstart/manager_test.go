package clefstart_test

import (
	"net"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"

	"github.com/godbus/dbus/v5"

	"github.com/splitvault/splitvault/pkg/clefstart"
	"github.com/splitvault/splitvault/pkg/strictjson"
	"github.com/splitvault/splitvault/pkg/userbus/bustest"
)

// unit is what the service manager says of Clef's unit once it was started.
type unit struct {
	load, active, result string
	code                 int32
}

// manager is a user's service manager, as far as package clefstart talks to it, on a
// real D-Bus.
type manager struct {
	conn   *dbus.Conn
	dir    string // $XDG_RUNTIME_DIR
	starts atomic.Int32
	unit   unit
	start  func() *dbus.Error // what starting the unit does; nil: nothing
	silent bool               // jobs never end
}

const (
	managerPath  = "/org/freedesktop/systemd1"
	managerName  = "org.freedesktop.systemd1"
	jobPath      = managerPath + "/job/7"
	unitPath     = managerPath + "/unit/splitvault_2dclef_2dbackend_2eservice"
	managerIface = managerName + ".Manager"
)

func serve(t *testing.T, m *manager) *manager {
	t.Helper()
	dir, address := bustest.Start(t)
	conn, err := dbus.Connect(address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	m.conn, m.dir = conn, dir
	for _, err := range []error{
		conn.ExportMethodTable(map[string]any{"Subscribe": func() *dbus.Error { return nil }, "StartUnit": m.startUnit}, managerPath, managerIface),
		conn.ExportMethodTable(map[string]any{"GetAll": m.properties}, unitPath, "org.freedesktop.DBus.Properties"),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	if reply, err := conn.RequestName(managerName, dbus.NameFlagDoNotQueue); err != nil || reply != dbus.RequestNameReplyPrimaryOwner {
		t.Fatal(reply, err)
	}
	return m
}

func (m *manager) getenv(key string) string {
	return map[string]string{"XDG_RUNTIME_DIR": m.dir}[key]
}

func (m *manager) startUnit(name, mode string) (dbus.ObjectPath, *dbus.Error) {
	m.starts.Add(1)
	if name != clefstart.Unit || mode != "replace" {
		return "", dbus.NewError("test.Wrong", []any{name, mode})
	}
	if m.start != nil {
		if err := m.start(); err != nil {
			return "", err
		}
	}
	if !m.silent {
		_ = m.conn.Emit(managerPath, managerIface+".JobRemoved", uint32(7), dbus.ObjectPath(jobPath), name, "done")
	}
	return jobPath, nil
}

func (m *manager) properties(of string) (map[string]dbus.Variant, *dbus.Error) {
	if of == managerName+".Service" {
		return map[string]dbus.Variant{"ExecMainStatus": dbus.MakeVariant(m.unit.code), "Result": dbus.MakeVariant(m.unit.result)}, nil
	}
	return map[string]dbus.Variant{"LoadState": dbus.MakeVariant(m.unit.load), "ActiveState": dbus.MakeVariant(m.unit.active)}, nil
}

// socket is a place for Clef's socket; its path is short.
func socket(t *testing.T) clefstart.Backend {
	t.Helper()
	dir, err := os.MkdirTemp("", "clef")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return clefstart.Backend{Network: "unix", Address: filepath.Join(dir, "clef.ipc")}
}

// stale leaves a socket to which nobody listens, as Clef does when it is killed.
func stale(t *testing.T, b clefstart.Backend) {
	t.Helper()
	listener, err := net.Listen("unix", b.Address)
	if err != nil {
		t.Fatal(err)
	}
	listener.(*net.UnixListener).SetUnlinkOnClose(false)
	listener.Close()
}

// listen has something listen like Clef, that says this to each line.
func listen(t *testing.T, b clefstart.Backend, says string) {
	t.Helper()
	if err := os.RemoveAll(b.Address); err != nil {
		t.Error(err)
	}
	listener, err := net.Listen(b.Network, b.Address)
	if err != nil {
		t.Error(err)
		return
	}
	t.Cleanup(func() { listener.Close() })
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				if _, err := strictjson.NewReader(conn, 1<<16).Next(); err != nil {
					return
				}
				_, _ = conn.Write([]byte(says)) // the other side may have closed it
			}()
		}
	}()
}
