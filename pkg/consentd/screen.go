package consentd

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"strings"
	"time"

	"github.com/godbus/dbus/v5"

	"github.com/splitvault/splitvault/pkg/consent"
	"github.com/splitvault/splitvault/pkg/prompt"
	"github.com/splitvault/splitvault/pkg/rundir"
	"github.com/splitvault/splitvault/pkg/userbus"
)

const (
	askTime    = time.Second            // for the service manager, or qubesdb
	guiTime    = 30 * time.Second       // a session of a vault just started takes that long
	justStart  = time.Minute            // since the user's service manager runs
	screenPoll = 250 * time.Millisecond // while it is waited for
)

// Session tells of the user's session. Its functions are bounded by ctx.
type Session struct {
	// Environment returns the environment of the user's service manager, which
	// the session's start completes, and since when the manager runs.
	Environment func(ctx context.Context) (screen consent.Screen, since time.Time, err error)
	// Coming tells whether this qube is one that gets a graphical session.
	Coming func(ctx context.Context) bool
}

// screen finds where to ask: the display of the service manager's environment,
// else that of the guard. Where neither answers, the vault was started within the last
// minute and dom0 has its graphical session switched on, the session is waited for; a
// vault without one says no at once.
func (p *Person) screen(ctx context.Context, guards consent.Screen) (consent.Screen, error) {
	runtime := rundir.Base(p.Getenv)
	started := time.Now()
	for {
		asked, cancel := context.WithTimeout(ctx, askTime)
		managers, since, errManager := p.Session.Environment(asked)
		cancel()
		screen, errSession := prompt.Usable(managers, runtime)
		if errSession == nil {
			return screen, nil
		}
		screen, errGuard := prompt.Usable(guards, runtime)
		if errGuard == nil {
			return screen, nil
		}
		err := fmt.Errorf("looking for a display: the session's: %w; the guard's: %w", errors.Join(errManager, errSession), errGuard)
		old := since.IsZero() || started.Sub(since) > justStart
		if old || time.Since(started) > guiTime || !p.Session.Coming(ctx) {
			return consent.Screen{}, err
		}
		select {
		case <-ctx.Done():
			return consent.Screen{}, ctx.Err()
		case <-time.After(screenPoll):
		}
	}
}

// UserSession is the real session.
func UserSession(getenv func(string) string) Session {
	return Session{
		Environment: func(ctx context.Context) (consent.Screen, time.Time, error) { return environment(ctx, getenv) },
		Coming:      coming,
	}
}

const (
	systemdName = "org.freedesktop.systemd1"
	managerPath = "/org/freedesktop/systemd1"
	managerType = "org.freedesktop.systemd1.Manager"
)

func environment(ctx context.Context, getenv func(string) string) (consent.Screen, time.Time, error) {
	conn, err := userbus.Connect(ctx, getenv)
	if err != nil {
		return consent.Screen{}, time.Time{}, err
	}
	defer conn.Close()
	manager := conn.Object(systemdName, managerPath)
	var all map[string]dbus.Variant
	call := manager.CallWithContext(ctx, "org.freedesktop.DBus.Properties.GetAll", 0, managerType)
	if err := call.Store(&all); err != nil {
		return consent.Screen{}, time.Time{}, fmt.Errorf("asking the user's service manager: %w", err)
	}
	values := map[string]string{}
	if list, ok := all["Environment"].Value().([]string); ok {
		for _, v := range list {
			name, value, _ := strings.Cut(v, "=")
			values[name] = value
		}
	}
	since := time.Time{}
	if microseconds, ok := all["UserspaceTimestamp"].Value().(uint64); ok && microseconds > 0 {
		since = time.UnixMicro(int64(microseconds))
	}
	return consent.ScreenFrom(func(name string) string { return values[name] }), since, nil
}

// coming asks qubesdb whether dom0 gives this qube a graphical session
// (qubes-core-admin, qubes/ext/gui.py).
func coming(ctx context.Context) bool {
	ctx, cancel := context.WithTimeout(ctx, askTime)
	defer cancel()
	cmd := exec.CommandContext(ctx, "/usr/bin/qubesdb-read", "/qubes-gui-enabled")
	cmd.Env = []string{"PATH=/usr/bin:/bin"}
	cmd.WaitDelay = askTime
	untrusted, err := cmd.Output()
	return err == nil && strings.TrimSpace(string(untrusted)) == "True"
}
