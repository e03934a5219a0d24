package clefstart_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/godbus/dbus/v5"

	"github.com/splitvault/splitvault/pkg/clefbackend"
	"github.com/splitvault/splitvault/pkg/clefstart"
)

const version = `{"jsonrpc":"2.0","id":"splitvault-guard","result":"6.1.0"}` + "\n"

// A person who is told why there is no signer can do something about it.
func TestWhyThereIsNoClefIsToldApart(t *testing.T) {
	t.Parallel()
	noUnit := func() *dbus.Error { return dbus.NewError("org.freedesktop.systemd1.NoSuchUnit", []any{"not found"}) }
	refused := func() *dbus.Error { return dbus.NewError("org.freedesktop.DBus.Error.AccessDenied", []any{"no"}) }
	for name, row := range map[string]struct {
		manager *manager
		want    error
		says    string
	}{
		"no unit":                  {&manager{start: noUnit}, clefstart.ErrNotInstalled, "no unit " + clefstart.Unit},
		"a unit that is not found": {&manager{unit: unit{"not-found", "inactive", "success", 0}}, clefstart.ErrNotInstalled, "not-found"},
		"a masked unit":            {&manager{unit: unit{"masked", "inactive", "success", 0}}, clefstart.ErrNotInstalled, "masked"},
		"a broken drop-in":         {&manager{unit: unit{"bad-setting", "inactive", "success", 0}}, clefstart.ErrNotInstalled, "bad-setting"},
		"no program for the unit":  {&manager{unit: unit{"loaded", "failed", "exit-code", 203}}, clefstart.ErrNotInstalled, "journalctl"},
		"no clef, or no terminal":  {&manager{unit: unit{"loaded", "failed", "exit-code", 69}}, clefstart.ErrNotInstalled, "journalctl"},
		"no display":               {&manager{unit: unit{"loaded", "failed", "exit-code", 75}}, clefstart.ErrNoSession, "no display"},
		"a crash":                  {&manager{unit: unit{"loaded", "failed", "signal", 11}}, clefstart.ErrCrashed, "signal, code 11"},
		"a window that was closed": {&manager{unit: unit{"loaded", "inactive", "success", 0}}, clefstart.ErrCrashed, "success, code 0"},
		"started too often":        {&manager{unit: unit{"loaded", "failed", "start-limit-hit", 0}}, clefstart.ErrCrashed, "start-limit-hit"},
		"not unlocked":             {&manager{unit: unit{"loaded", "active", "success", 0}}, clefstart.ErrLocked, "does not listen yet"},
		"starting still":           {&manager{unit: unit{"loaded", "activating", "success", 0}}, clefstart.ErrLocked, "does not listen yet"},
		"a manager that refuses":   {&manager{start: refused}, clefstart.ErrNoSession, "no"},
		"a job that does not end":  {&manager{silent: true}, clefstart.ErrNoSession, "takes too long"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := serve(t, row.manager)
			began := time.Now()
			conn, err := clefstart.Dial(t.Context(), socket(t), m.getenv, time.Second)
			if conn != nil || !errors.Is(err, row.want) || !strings.Contains(err.Error(), row.says) {
				t.Errorf("%v, want %v with %q", err, row.want, row.says)
			}
			if took := time.Since(began); took > 10*time.Second {
				t.Errorf("it takes %v", took)
			}
			if n := m.starts.Load(); n != 1 {
				t.Errorf("started %d times", n)
			}
		})
	}
}

func TestWithoutAManagerThereIsNoSession(t *testing.T) {
	t.Parallel()
	m := serve(t, &manager{})
	if _, err := m.conn.ReleaseName(managerName); err != nil {
		t.Fatal(err)
	}
	for name, getenv := range map[string]func(string) string{
		"no manager on the bus": m.getenv,
		"no bus":                func(string) string { return "/nonexistent" },
	} {
		if _, err := clefstart.Dial(t.Context(), socket(t), getenv, 2*time.Second); !errors.Is(err, clefstart.ErrNoSession) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Clef listens once its password was typed, long after its unit is active.
func TestClefIsWaitedForUntilItAnswers(t *testing.T) {
	t.Parallel()
	for name, left := range map[string]func(*testing.T, clefstart.Backend){
		"no socket": func(*testing.T, clefstart.Backend) {}, "a stale socket": stale,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			at := socket(t)
			left(t, at)
			m := serve(t, &manager{unit: unit{"loaded", "active", "success", 0}})
			unlocked := time.AfterFunc(700*time.Millisecond, func() { listen(t, at, version) })
			defer unlocked.Stop()
			conn, err := clefstart.Dial(t.Context(), at, m.getenv, 20*time.Second)
			if err != nil {
				t.Fatal(err)
			}
			conn.Close()
			if n := m.starts.Load(); n != 1 {
				t.Errorf("started %d times", n)
			}
		})
	}
}

func TestNothingIsStartedWhereItWouldNotHelp(t *testing.T) {
	t.Parallel()
	m := serve(t, &manager{unit: unit{"loaded", "active", "success", 0}})
	running, other := socket(t), socket(t)
	listen(t, running, version)
	listen(t, other, "<html>\n")
	for name, row := range map[string]struct {
		at   clefstart.Backend
		want error
	}{
		"it runs":           {running, nil},
		"something else":    {other, clefbackend.ErrNotClef},
		"another machine":   {clefstart.Backend{Network: "tcp", Address: "192.0.2.1:8550"}, clefstart.ErrElsewhere},
		"no address at all": {clefstart.Backend{Network: "tcp", Address: "clef:8550"}, clefstart.ErrElsewhere},
	} {
		conn, err := clefstart.Dial(t.Context(), row.at, m.getenv, time.Second)
		if !errors.Is(err, row.want) {
			t.Errorf("%s: %v, want %v", name, err, row.want)
		}
		if err != nil && len(err.Error()) > 500 {
			t.Errorf("%s: an error of %d bytes", name, len(err.Error()))
		}
		if conn != nil {
			conn.Close()
		}
	}
	if n := m.starts.Load(); n != 0 {
		t.Errorf("started %d times", n)
	}
}

// What listens may answer without end: it is read up to a bound, or for a few seconds
// where the machine is slow, and nothing of it is repeated.
func TestAnEndlessAnswerIsNone(t *testing.T) {
	t.Parallel()
	m := serve(t, &manager{unit: unit{"loaded", "active", "success", 0}})
	endless := socket(t)
	listen(t, endless, `{"jsonrpc":"2.0","id":"splitvault-guard","result":"`+strings.Repeat("x", 64<<20))
	began := time.Now()
	conn, err := clefstart.Dial(t.Context(), endless, m.getenv, time.Second)
	if conn != nil || err == nil || len(err.Error()) > 500 {
		t.Errorf("%v, %.500v", conn, err)
	}
	if took := time.Since(began); took > 15*time.Second {
		t.Errorf("it takes %v", took)
	}
}

// A client that hangs up ends the wait, whatever its patience.
func TestAClientThatIsGoneIsNotWaitedFor(t *testing.T) {
	t.Parallel()
	m := serve(t, &manager{unit: unit{"loaded", "active", "success", 0}})
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(300*time.Millisecond, cancel)
	began := time.Now()
	if conn, err := clefstart.Dial(ctx, socket(t), m.getenv, time.Minute); conn != nil || err == nil {
		t.Errorf("%v, %v", conn, err)
	}
	if took := time.Since(began); took > 10*time.Second {
		t.Errorf("it takes %v", took)
	}
}
