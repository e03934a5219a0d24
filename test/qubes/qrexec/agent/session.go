package agent

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/godbus/dbus/v5"
)

// session is how a service of one call is started.
type session struct {
	user       string // "" = the account of this process
	forkServer bool   // by a process of the GUI session, directly
	marker     string // exists once there is a GUI session
	host       Host
	own        bool // the agent runs as the service's user, and plays the session
}

// newSession decides as the agent does: the fork server takes calls for the
// session's user, unless rpc-config has keys of socket services.
func newSession(o order, c rpcConfig) session {
	h := o.Host
	s := session{user: h.User, host: h, marker: h.SessionMarker}
	if s.marker == "" {
		s.marker = "/run/qubes/qrexec-server." + h.User + ".sock"
	}
	if o.Service.User != "" && o.Service.User != "DEFAULT" {
		s.user = o.Service.User
	}
	if c.forceUser != "" {
		s.user = c.forceUser
	}
	s.forkServer = s.present() && s.user == h.User && !c.socketOnly()
	return s
}

func (s session) present() bool {
	switch s.host.Session {
	case SessionGUI:
		return true
	case SessionAuto:
		_, err := os.Stat(s.marker)
		return err == nil
	default:
		return false
	}
}

// wait stands for the service qubes.WaitForSession: it has no time-out, and looks
// as often as the original.
func (s session) wait() {
	for !s.present() {
		if _, err := os.Stat(s.marker); err == nil {
			return
		}
		time.Sleep(100 * time.Millisecond)
	}
}

// environment is what the service inherits, without QREXEC_*. In a GUI session
// that is the session's, which an agent that runs as the user plays with its own
// environment; else it is what PAM and qrexec-agent set.
func (s session) environment(a account) []string {
	runtime := "/run/user/" + strconv.Itoa(a.uid)
	env := newEnviron()
	env.add("HOME="+a.home, "USER="+a.name, "LOGNAME="+a.name, "SHELL="+a.shell, "PATH="+defaultPath(a))
	_, err := os.Stat(runtime)
	if err == nil {
		env.add("XDG_RUNTIME_DIR=" + runtime)
	}
	switch {
	case s.forkServer && s.own:
		env.add(os.Environ()...)
	case s.forkServer && err == nil:
		env.add("DBUS_SESSION_BUS_ADDRESS=unix:path=" + runtime + "/bus")
		env.add(managerEnvironment(runtime, a.uid)...)
	}
	env.add(s.host.Env...)
	return env.list()
}

func defaultPath(a account) string {
	if a.uid == 0 {
		return "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
	}
	return "/usr/local/bin:/usr/bin:/bin"
}

// managerEnvironment asks the user's service manager for its environment block,
// where a desktop session puts DISPLAY, SSH_AUTH_SOCK and the like. No manager,
// no variables. It uses the manager's own socket, so that no bus is started.
func managerEnvironment(runtime string, uid int) []string {
	path := runtime + "/systemd/private"
	if _, err := os.Stat(path); err != nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	env, err := askManager(ctx, path, uid)
	if err != nil {
		fmt.Fprintf(os.Stderr, "qrexec-agent: environment of the user manager: %v\n", err)
		return nil
	}
	return env
}

func askManager(ctx context.Context, path string, uid int) ([]string, error) {
	conn, err := dbus.Dial("unix:path="+path, dbus.WithContext(ctx))
	if err != nil {
		return nil, fmt.Errorf("connecting: %w", err)
	}
	defer conn.Close()
	if err := conn.Auth([]dbus.Auth{dbus.AuthExternal(strconv.Itoa(uid))}); err != nil {
		return nil, fmt.Errorf("authenticating: %w", err)
	}
	manager := conn.Object("org.freedesktop.systemd1", "/org/freedesktop/systemd1")
	v, err := manager.GetProperty("org.freedesktop.systemd1.Manager.Environment")
	if err != nil {
		return nil, fmt.Errorf("reading property: %w", err)
	}
	env, ok := v.Value().([]string)
	if !ok {
		return nil, fmt.Errorf("property is a %s", v.Signature())
	}
	return env, nil
}

// environ is an environment in which a later value of a name wins.
type environ struct {
	order  []string
	values map[string]string
}

func newEnviron() *environ { return &environ{values: map[string]string{}} }

// add takes NAME=VALUE pairs, but none of qrexec's own names.
func (e *environ) add(pairs ...string) {
	for _, pair := range pairs {
		name, value, ok := strings.Cut(pair, "=")
		if !ok || strings.HasPrefix(name, "QREXEC") {
			continue
		}
		if _, known := e.values[name]; !known {
			e.order = append(e.order, name)
		}
		e.values[name] = value
	}
}

func (e *environ) list() []string {
	pairs := make([]string, 0, len(e.order))
	for _, name := range e.order {
		pairs = append(pairs, name+"="+e.values[name])
	}
	return pairs
}
