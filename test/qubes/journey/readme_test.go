package journey

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/splitvault/splitvault/test/qubes/bench"
	"github.com/splitvault/splitvault/test/qubes/bench/machine"
	"github.com/splitvault/splitvault/test/qubes/typeddom0"
	"github.com/splitvault/splitvault/test/rails/typed"
)

// TestJourneys are the ways of different people, with one build of the project.
func TestJourneys(t *testing.T) {
	s := prepare(t, bench.Prepare(t), deb(t, maker(t, "1.0.0")))
	for _, journey := range []struct {
		name string
		way  func(*testing.T, shelf)
	}{
		{"as the README says", func(t *testing.T, s shelf) { wayOfTheReadme(t, s, "trixie") }},
		{"as the README says on Debian 12", func(t *testing.T, s shelf) { wayOfTheReadme(t, s, "bookworm") }},
		{"upgrade and purge", upgrade},
		{"three switches", switches},
		{"with other programs", interop},
	} {
		t.Run(journey.name, func(t *testing.T) {
			t.Parallel()
			journey.way(t, s)
		})
	}
}

// wayOfTheReadme installs, uses and removes splitvault with nothing but what
// README.md tells people to type, in the qubes where they are to type it.
func wayOfTheReadme(t *testing.T, s shelf, suite string) {
	commands, err := typed.In(string(read(t, source+"/README.md")))
	if err != nil {
		t.Fatal(err)
	}
	w := newWay(t, s, suite, "README.md", false)
	for _, c := range commands {
		if c.Section == "Remove" {
			w.check()
			w.clef()
			break
		}
		w.do(c)
	}
	for _, c := range commands[slices.IndexFunc(commands, func(c typed.Command) bool { return c.Section == "Remove" }):] {
		w.do(c)
	}
	w.checkRemoved()
}

// elsewhere are commands that the bench does in its own way, or cannot.
var elsewhere = map[string]string{
	"git clone ":  "this checkout is that clone",
	"./justw ":    "the bench makes the package with the same tool",
	"qvm-copy ":   "the bench puts the package where qvm-copy puts it",
	"curl ":       "there is no network, and no release yet",
	"sha256sum ":  "goes with the download",
	"ssh-keygen ": "goes with the download",
}

// way is somebody who follows the README.
type way struct {
	t     *testing.T
	b     *bench.Test
	tpl   *template
	suite string

	document string // whose commands are typed
}

func newWay(t *testing.T, s shelf, suite, document string, installed bool) *way {
	t.Helper()
	b := s.kit.New(t, suite)
	w := &way{t, b, s.take(t, b, suite, installed), suite, document}
	for _, name := range []string{"work", "vault"} {
		b.BootSpec(bench.Spec{Name: name, Template: w.tpl.dir, DB: map[string]string{}})
	}
	// What every reader has: a vault with a key, passwords and a screen.
	w.inQube("vault", `mkdir -p -m 700 ~/.ssh && ssh-keygen -q -t ed25519 -N '' -C laptop -f ~/.ssh/id_ed25519`)
	w.inQube("vault", `gpg --batch --quiet --pinentry-mode loopback --passphrase '' --quick-generate-key store@example.org default default never
		pass init store@example.org >/dev/null && echo secret | pass insert --echo work/email >/dev/null && echo other | pass insert --echo private/bank >/dev/null`)
	if _, err := b.Ctl(t.Context(), "answer", "--default", "allow:vault"); err != nil { // and a hand on dom0's window
		t.Fatal(err)
	}
	if !installed {
		w.tpl.boot()
		w.tpl.put("QubesIncoming/disp1234/splitvault_1.0.0-1_amd64.deb", s.pkg)
	}
	return w
}

// do types one command, and returns what it says in an app qube.
func (w *way) do(c typed.Command) string {
	w.t.Helper()
	w.t.Logf("%s:%d [%s] %s", w.document, c.Line, c.Qube, firstLine(c.Text))
	for prefix := range elsewhere {
		if strings.HasPrefix(c.Text, prefix) {
			return ""
		}
	}
	switch c.Qube {
	case "dom0":
		if err := typeddom0.Run(w.t.Context(), w, c.Text); err != nil {
			w.t.Fatal(err)
		}
	case templateName:
		if w.tpl.qube == nil {
			w.tpl.boot()
		}
		if strings.HasPrefix(c.Text, "sudo poweroff") {
			w.tpl.poweroff()
			return ""
		}
		w.tpl.run(c.Text)
	case "work", "vault":
		return w.inQube(c.Qube, c.Text)
	default:
		w.t.Fatalf("nobody knows the qube %s", c.Qube)
	}
	return ""
}

// qube is one that was booted.
func (w *way) qube(name string) *bench.Qube {
	w.t.Helper()
	q, err := w.b.Qube(name)
	if err != nil {
		w.t.Fatal(err)
	}
	return q
}

// inQube types into a terminal of an app qube.
func (w *way) inQube(name, line string) string {
	w.t.Helper()
	q := w.qube(name)
	if q.PID() == 0 { // one opens a terminal there
		if err := w.Start(w.t.Context(), name); err != nil {
			w.t.Fatal(err)
		}
	}
	how := machine.AsLogin
	if name == "vault" {
		how = machine.AsService // a session's environment
		w.session()
	}
	if strings.HasPrefix(line, "sudo ") {
		how = machine.AsRoot
	}
	cmd := q.Command(w.t.Context(), how, line)
	out, err := cmd.CombinedOutput()
	if err != nil {
		w.t.Fatalf("[%s] %s: %v\n%s", name, line, err, out)
	}
	return string(out)
}

// session gives the vault a screen, if it has none yet; and on Debian 12 the ssh-agent
// that its X session starts. On Debian 13 there is one of the user's systemd.
func (w *way) session() {
	w.t.Helper()
	_, err := w.qube("vault").User(w.t.Context(), "sh", "-c", `systemctl --user is-active --quiet screen || {
		systemd-run --user --quiet --unit=screen Xvfb :7 -noreset -screen 0 1024x768x24
		systemctl --user set-environment DISPLAY=:7
		[ "$0" != bookworm ] || {
			systemd-run --user --quiet --unit=session-agent ssh-agent -D -a "$XDG_RUNTIME_DIR/session-agent"
			systemctl --user set-environment SSH_AUTH_SOCK="$XDG_RUNTIME_DIR/session-agent"
		}
		for i in $(seq 200); do [ -S /tmp/.X11-unix/X7 ] && exit; sleep 0.05; done; exit 1; }`, w.suite)
	if err != nil {
		w.t.Fatal(err)
	}
}

// check is what must hold when all was typed.
func (w *way) check() {
	w.t.Helper()
	if keys := w.inQube("work", "ssh-add -L"); !strings.Contains(keys, "ssh-ed25519 ") {
		w.t.Errorf("work sees no key: %s", keys)
	}
	for _, name := range []string{"work", "vault"} {
		if state := w.inQube(name, "systemctl --user is-system-running"); state != "running\n" {
			w.t.Errorf("%s is %s", name, state)
		}
	}
	if _, err := w.qube("vault").User(w.t.Context(), "test", "-e", "/run/user/1000/ssh"); err == nil {
		w.t.Error("the vault has got a client's socket")
	}
}

// checkRemoved is what must hold when all was removed: nothing is left in the
// template, and the qubes are as before.
func (w *way) checkRemoved() {
	w.t.Helper()
	if w.tpl.qube == nil {
		w.tpl.boot()
	}
	if left := w.tpl.run(`find / -xdev \( -path /proc -o -path /home -o -path /var/log \) -prune -o -iname '*splitvault*' -print; dpkg-query -W -f '${Package} ${Status}\n' | grep splitvault || true`); left != "" {
		w.t.Errorf("left in the template:\n%s", left)
	}
	w.tpl.poweroff()
	for _, name := range []string{"work", "vault"} {
		if err := w.restart(name); err != nil {
			w.t.Fatal(err)
		}
	}
	before := map[string]string{"trixie": "\nSSH_AUTH_SOCK=/run/user/1000/openssh_agent\n", "bookworm": "\n"}
	if got := w.inQube("work", `echo "$SSH_AUTH_SOCK"; systemctl --user show-environment | grep SSH_AUTH_SOCK; systemctl --user --all list-units 'splitvault*' --no-legend; test ! -e /run/user/1000/ssh`); got != before[w.suite] {
		w.t.Errorf("work is not as before: %q", got)
	}
}

func (w *way) restart(name string) error {
	if err := w.Shutdown(w.t.Context(), name); err != nil {
		return err
	}
	return w.Start(w.t.Context(), name)
}

// PolicyDir implements typeddom0.Machine, as do the others below.
func (w *way) PolicyDir() string { return w.b.PolicyDir() }

func (w *way) SetService(qube, service string, on bool) error {
	q, err := w.b.Qube(qube)
	if err == nil {
		q.SetService(service, on)
	}
	return err
}

func (w *way) AddTag(qube, tag string) error {
	q, err := w.b.Qube(qube)
	if err != nil {
		return err
	}
	return q.AddTag(tag)
}

func (w *way) SetFeature(qube, feature, value string) error {
	q, err := w.b.Qube(qube)
	if err != nil {
		return err
	}
	key, found := strings.CutPrefix(feature, "vm-config.")
	if !found {
		return fmt.Errorf("only vm-config.* reaches a qube, not %q", feature)
	}
	q.Spec().DB["/vm-config/"+key] = value
	if q.PID() == 0 {
		return nil
	}
	return q.Put(w.t.Context(), "/run/qubesdb-bench/vm-config/"+key, []byte(value))
}

func (w *way) Shutdown(ctx context.Context, name string) error {
	q, err := w.b.Qube(name)
	if err != nil || q.PID() == 0 {
		return err
	}
	return q.Shutdown(ctx)
}

func (w *way) Start(_ context.Context, name string) error {
	q, err := w.b.Qube(name)
	if err != nil || q.PID() != 0 {
		return err
	}
	_, err = w.b.Bench.Start(q.Spec())
	return err
}

func firstLine(s string) string {
	line, _, _ := strings.Cut(s, "\n")
	return line
}
