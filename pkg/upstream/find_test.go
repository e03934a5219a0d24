package upstream_test

import (
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/godbus/dbus/v5"

	"github.com/splitvault/splitvault/pkg/rules"
	"github.com/splitvault/splitvault/pkg/sshagent/bind"
	"github.com/splitvault/splitvault/pkg/upstream"
	"github.com/splitvault/splitvault/pkg/userbus/bustest"
)

// find dials and returns the comments of the keys that are found.
func find(t *testing.T, p *upstream.Place, s *rules.SSH, name rules.AgentName) ([]string, error) {
	t.Helper()
	agents, err := p.Dial(t.Context(), s, name)
	if err != nil {
		return nil, err
	}
	defer agents.Close()
	var all []string
	var none bind.List
	for _, a := range agents {
		all = append(all, comments(t, a, &none)...)
	}
	return all, nil
}

func TestSearchOrder(t *testing.T) {
	t.Parallel()
	dir := shortDir(t)
	path := func(name string) string { return filepath.Join(dir, name) }
	// A socket nobody listens on any more, as a reboot leaves them elsewhere.
	stale, err := net.ListenUnix("unix", &net.UnixAddr{Net: "unix", Name: path("stale")})
	if err != nil {
		t.Fatal(err)
	}
	stale.SetUnlinkOnClose(false)
	stale.Close()
	if err := os.WriteFile(path("file"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	all := []string{"environment", "session", "openssh_agent", "gcr/ssh", "gnupg/S.gpg-agent.ssh", "keyring/ssh"}
	for _, name := range all {
		plainAgent(t, path(name), name)
	}
	place := func(environment, session string) *upstream.Place {
		return &upstream.Place{Runtime: dir, Environment: environment, Session: func(context.Context) string { return session }}
	}
	for _, row := range []struct {
		name, environment, session, want string
	}{
		{"the environment first", path("environment"), path("session"), "environment"},
		{"then the session", "", path("session"), "session"},
		{"then the usual places", "", "", "openssh_agent"},
		{"a stale socket is skipped", path("stale"), path("session"), "session"},
		{"a file is skipped", path("file"), path("session"), "session"},
		{"what is not there is skipped", path("gone"), path("gone"), "openssh_agent"},
	} {
		t.Run(row.name, func(t *testing.T) {
			got, err := find(t, place(row.environment, row.session), &rules.SSH{}, "")
			if err != nil || !slices.Equal(got, []string{row.want}) {
				t.Errorf("got %q, %v, want %q", got, err, row.want)
			}
		})
	}
	for i, name := range all[2:] {
		got, err := find(t, place("", ""), &rules.SSH{}, "")
		if err != nil || !slices.Equal(got, []string{name}) {
			t.Errorf("usual place %d: got %q, %v, want %q", i, got, err, name)
		}
		if err := os.Remove(path(name)); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := find(t, place("", ""), &rules.SSH{}, ""); !errors.Is(err, upstream.ErrNoAgent) {
		t.Errorf("no agent: %v", err)
	}
}

func TestNamedAgents(t *testing.T) {
	t.Parallel()
	dir := shortDir(t)
	path := func(name string) string { return filepath.Join(dir, name) }
	for _, name := range []string{"default", "one", "two", "official/work.sock", "official/one.sock", "openssh_agent"} {
		plainAgent(t, path(name), name)
	}
	place := &upstream.Place{Runtime: dir, Home: dir, Official: path("official")}
	configured := &rules.SSH{Agents: map[rules.AgentName]rules.AgentPaths{
		"default": {path("default")}, "one": {"%t/one"}, "both": {"~/two", "%t/one"}, "half": {"%t/one", "%t/gone"},
	}}
	for _, row := range []struct {
		name  string
		rules *rules.SSH
		agent rules.AgentName
		want  []string
		err   error
	}{
		{"a configured default comes before the search", configured, "", []string{"default"}, nil},
		{"one by name", configured, "one", []string{"one"}, nil},
		{"merged, in the order of the rules", configured, "both", []string{"two", "one"}, nil},
		{"one of two is gone", configured, "half", nil, os.ErrNotExist},
		{"an agent of the official split-ssh", configured, "work", []string{"official/work.sock"}, nil},
		{"not configured, and official", &rules.SSH{}, "one", []string{"official/one.sock"}, nil},
		{"unknown", configured, "other", nil, upstream.ErrUnknownAgent},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			got, err := find(t, place, row.rules, row.agent)
			if !errors.Is(err, row.err) || !slices.Equal(got, row.want) {
				t.Errorf("got %q, %v", got, err)
			}
		})
	}
}

// A qube that is client and vault must not ask itself, by whatever name.
func TestItsOwnSocketsAreNoAgents(t *testing.T) {
	t.Parallel()
	dir := shortDir(t)
	path := func(name string) string { return filepath.Join(dir, name) }
	plainAgent(t, path("ssh/S.ssh-agent"), "relay")
	plainAgent(t, path("ssh/card.sock"), "relay of another agent")
	plainAgent(t, path("openssh_agent"), "agent")
	for name, link := range map[string]func(string, string) error{"symlink": os.Symlink, "hardlink": os.Link} {
		if err := link(path("ssh/S.ssh-agent"), path(name)); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink(path("ssh"), path("linked-directory")); err != nil {
		t.Fatal(err)
	}
	place := &upstream.Place{Runtime: dir, Official: path("none")}
	for _, own := range []string{"ssh/S.ssh-agent", "ssh/card.sock", "symlink", "hardlink", "linked-directory/S.ssh-agent", "ssh/../ssh/S.ssh-agent"} {
		configured := &rules.SSH{Agents: map[rules.AgentName]rules.AgentPaths{"x": {dir + "/" + own}}}
		if got, err := find(t, place, configured, "x"); !errors.Is(err, upstream.ErrLoop) {
			t.Errorf("%s: got %q, %v", own, got, err)
		}
		searched := *place
		searched.Environment = dir + "/" + own
		if got, err := find(t, &searched, &rules.SSH{}, ""); err != nil || !slices.Equal(got, []string{"agent"}) {
			t.Errorf("%s in the environment: got %q, %v", own, got, err)
		}
	}
	if err := os.Remove(path("openssh_agent")); err != nil {
		t.Fatal(err)
	}
	place.Environment = path("symlink")
	if _, err := find(t, place, &rules.SSH{}, ""); !errors.Is(err, upstream.ErrNoAgent) || !errors.Is(err, upstream.ErrLoop) {
		t.Errorf("the error does not name the loop: %v", err)
	}
}

// manager stands for systemd's user manager.
type manager struct{ environment []string }

func (m manager) Get(iface, property string) (dbus.Variant, *dbus.Error) {
	if iface != "org.freedesktop.systemd1.Manager" || property != "Environment" {
		return dbus.Variant{}, dbus.MakeFailedError(errors.New("no such property"))
	}
	return dbus.MakeVariant(m.environment), nil
}

func TestSessionSocket(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		name        string
		environment []string
		want        string
	}{
		{"set", []string{"LANG=C", "SSH_AUTH_SOCK=/run/x", "Z=1"}, "/run/x"},
		{"not set", []string{"XSSH_AUTH_SOCK=/run/x"}, ""},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			dir, address := bustest.Start(t)
			conn, err := dbus.Connect(address)
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			if err := conn.Export(manager{row.environment}, "/org/freedesktop/systemd1", "org.freedesktop.DBus.Properties"); err != nil {
				t.Fatal(err)
			}
			if _, err := conn.RequestName("org.freedesktop.systemd1", dbus.NameFlagDoNotQueue); err != nil {
				t.Fatal(err)
			}
			env := map[string]string{"XDG_RUNTIME_DIR": dir}
			if got := upstream.SessionSocket(t.Context(), func(k string) string { return env[k] }); got != row.want {
				t.Errorf("got %q, want %q", got, row.want)
			}
		})
	}
	none := func(k string) string { return map[string]string{"XDG_RUNTIME_DIR": "/nonexistent"}[k] }
	if got := upstream.SessionSocket(t.Context(), none); got != "" {
		t.Errorf("without a bus: %q", got)
	}
}

func TestErrorsNameTheNextStep(t *testing.T) {
	t.Parallel()
	place := &upstream.Place{Runtime: shortDir(t), Official: "/nonexistent"}
	if _, err := find(t, place, &rules.SSH{}, ""); err == nil || !strings.Contains(err.Error(), "ssh-add") {
		t.Errorf("no agent: %v", err)
	}
	if _, err := find(t, place, &rules.SSH{}, "card"); err == nil || !strings.Contains(err.Error(), "[ssh.agents]") {
		t.Errorf("unknown agent: %v", err)
	}
}
