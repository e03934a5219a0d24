package faults

import (
	"math/rand/v2"
	"strconv"
	"time"
)

// gust is a fault that happens at random. begin brings it about for a service, and
// returns what mends it, nil if it mends by itself.
type gust struct {
	name  string
	begin func(c *cell, r *rand.Rand) func()
}

func storms() []gust {
	pause := func(r *rand.Rand) { time.Sleep(time.Duration(300+r.IntN(1500)) * time.Millisecond) }
	// A command in one qube, and one that takes it back. That there is nothing to kill
	// just now is no error.
	work := func(name, line, back string) gust {
		return gust{name, func(c *cell, r *rand.Rand) func() {
			_, _ = c.work.Root(c.t.Context(), "sh", "-c", line)
			return undo(c, r, pause, back, false)
		}}
	}
	vault := func(name, line, back string) gust {
		return gust{name, func(c *cell, r *rand.Rand) func() {
			_, _ = c.vault.Root(c.t.Context(), "sh", "-c", line)
			return undo(c, r, pause, back, true)
		}}
	}
	qrexec := func(kind string, args func(r *rand.Rand) []string) gust {
		return gust{kind, func(c *cell, r *rand.Rand) func() {
			c.ctl(append([]string{"fault", kind, "--service", c.s.calls, "--times", strconv.Itoa(1 + r.IntN(12))}, args(r)...)...)
			pause(r)
			return nil
		}}
	}
	none := func(*rand.Rand) []string { return nil }
	after := func(r *rand.Rand) []string {
		return []string{"--after", strconv.Itoa(r.IntN(60)), "--direction", []string{"to-service", "to-client"}[r.IntN(2)]}
	}
	user := func(line string) string {
		return "setpriv --reuid 1000 --regid 1000 --init-groups env XDG_RUNTIME_DIR=/run/user/1000 HOME=/home/user sh -c '" + line + "'"
	}
	anyOf := func(names string) string { return "pkill -KILL -u user -x '" + names + "'" }
	return []gust{
		qrexec("refuse", none), qrexec("down", none), qrexec("channel", none), qrexec("cut", after), qrexec("cut", after), qrexec("stall", after),
		qrexec("late", func(r *rand.Rand) []string { return []string{"--delay", strconv.Itoa(r.IntN(900)) + "ms"} }),
		qrexec("slow", func(r *rand.Rand) []string { return []string{"--chunk", "100", "--delay", "100us"} }),
		{"xen-gives-out", func(c *cell, r *rand.Rand) func() {
			c.ctl("limits", "--xen", "2")
			pause(r)
			return nil
		}},
		work("kill-relays", anyOf("(ssh|clef|pass)-relay"), ""),
		work("kill-clients", anyOf("qrexec-client-v"), ""),
		vault("kill-guards", anyOf("qubes.Ssh|qubes.Clefsign|pass.*"), ""),
		vault("kill-gpg", anyOf("gpg"), ""),
		vault("kill-gpg-agent", anyOf("gpg-agent"), ""),
		vault("kill-ssh-agent", anyOf("ssh-agent"), ""),
		vault("kill-clef", anyOf("clef"), ""),
		vault("stop-agents", "pkill -STOP -u user -x 'ssh-agent|clef|gpg-agent'", "pkill -CONT -u user -x 'ssh-agent|clef|gpg-agent'"),
		vault("journal-hangs", "pkill -STOP -x systemd-journal", "pkill -CONT -x systemd-journal"),
		work("journal-gone", "systemctl stop "+journal, "systemctl start "+journal),
		vault("bus-hangs", "pkill -STOP -u user -x dbus-daemon", "pkill -CONT -u user -x dbus-daemon"),
		work("bus-hangs", "pkill -STOP -u user -x dbus-daemon", "pkill -CONT -u user -x dbus-daemon"),
		vault("audit-disk-full", fill(audit), "umount "+audit),
		vault("runtime-disk-full", fill(runtime), "umount "+runtime),
		work("runtime-disk-full", fill(runtime+"/slots"), "umount "+runtime+"/slots"),
		work("daemon-reload", user("systemctl --user daemon-reload"), ""),
		work("sockets-restart", user("systemctl --user restart splitvault-ssh.socket splitvault-clef.socket splitvault-pass.socket"), ""),
		work("relays-stop", user(`systemctl --user stop "splitvault-*@*.service"`), ""),
		{"qrexec-agent-restarts", func(c *cell, r *rand.Rand) func() {
			qube := []string{"vault", "work"}[r.IntN(2)]
			c.ctl("restart-agent", "--for", "500ms", qube)
			return func() { c.ctl("wait-agent", qube) }
		}},
		{"vault-crashes", func(c *cell, r *rand.Rand) func() {
			if r.IntN(3) > 0 { // it takes a while
				return nil
			}
			must(c.t, c.vault.Kill())
			pause(r)
			return func() { // dom0 has started it for some request, or does so for this one
				c.ask(c.t.Context(), services()[2], 20*time.Second)
				var err error
				c.vault, err = c.Qube("vault")
				must(c.t, err)
				back(c)
			}
		}},
	}
}

// undo waits, and returns what takes a fault back.
func undo(c *cell, r *rand.Rand, pause func(*rand.Rand), line string, inVault bool) func() {
	if line == "" {
		return nil
	}
	pause(r)
	return func() {
		q := c.work
		if inVault {
			q = c.vault
		}
		_, _ = q.Root(c.t.Context(), "sh", "-c", line) // a vault that has crashed since has nothing to take back
	}
}
