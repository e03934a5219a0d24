package faults

import (
	"strings"
	"time"
)

// full is a file system on which nothing can be made, over a directory that is there.
const full = `mkdir -p DIR && mount -t tmpfs -o size=4k,nr_inodes=1,uid=1000,gid=1000,mode=700 full DIR`

func fill(dir string) string { return strings.ReplaceAll(full, "DIR", dir) }

const (
	audit   = "/home/user/.local/state/splitvault"
	runtime = "/run/user/1000/splitvault"
	journal = "systemd-journald.socket systemd-journald-dev-log.socket systemd-journald-audit.socket systemd-journald.service"

	// These go to the user's systemd past the bus.
	noBus    = "systemctl --user stop dbus.socket dbus.service"
	startBus = "systemctl --user reset-failed dbus.socket dbus.service 2>/dev/null; systemctl --user start dbus.socket"
	stopBus  = "systemctl --user start dbus.service && systemctl --user kill -s STOP dbus.service"
	contBus  = "systemctl --user kill -s CONT dbus.service"
)

// guardWrapper starts a guard with less than it needs.
func guardWrapper(limit string) func(c *cell) {
	return func(c *cell) {
		name := map[string]string{"ssh": "qubes.Ssh", "clef": "qubes.Clefsign", "pass": "pass.GetPassword"}[c.s.name]
		must(c.t, c.vault.Put(c.t.Context(), "/usr/local/etc/qubes-rpc/"+name, []byte("#!/bin/sh\nulimit "+limit+"\nexec /usr/lib/splitvault/"+c.s.name+"-guard\n")))
	}
}

func noWrapper(c *cell) { c.rootVault("rm /usr/local/etc/qubes-rpc/*") }

// relaySetting gives the relays a line of their own.
func relaySetting(setting string) func(c *cell) {
	return func(c *cell) {
		must(c.t, c.work.Put(c.t.Context(), ".config/systemd/user/"+c.s.unit+"@.service.d/test.conf", []byte("[Service]\n"+setting+"\n")))
		c.onWork("systemctl --user daemon-reload")
	}
}

func noRelaySetting(c *cell) {
	c.onWork("rm -r .config/systemd/user/" + c.s.unit + "@.service.d && systemctl --user daemon-reload")
}

// both does the same in both qubes.
func both(line string) func(c *cell) {
	return func(c *cell) {
		c.rootVault(line)
		c.rootWork(line)
	}
}

// systemFaults are those of the system below.
func systemFaults() []fault {
	good := map[string]want{"": {good: true}}
	return []fault{
		{name: "audit-disk-full", gate: true, before: func(c *cell) { c.rootVault(fill(audit)) }, after: func(c *cell) { c.rootVault("umount " + audit) }, want: map[string]want{"": {good: true, log: `audit.*no space`}}},
		{name: "audit-disk-full-and-journal-gone", before: func(c *cell) {
			c.rootVault(fill(audit))
			c.rootVault("systemctl stop " + journal)
		}, after: func(c *cell) {
			c.rootVault("systemctl start " + journal)
			c.rootVault("umount " + audit)
		}, want: bad(noAgent, `4900.*cannot record`, `the service failed`, ``)},
		{name: "vault-runtime-disk-full", before: func(c *cell) { c.rootVault(fill(runtime)) }, after: func(c *cell) { c.rootVault("umount " + runtime) }, want: good},
		{name: "client-runtime-disk-full", before: func(c *cell) { c.rootWork(fill(runtime + "/slots")) }, after: func(c *cell) { c.rootWork("umount " + runtime + "/slots") }, want: bad(noAgent, `4900.*no space left`, `no space left`, `no space left`)},
		{name: "store-disk-full", only: []string{"pass"}, before: storeFull, after: func(c *cell) { c.rootVault("umount /home/user/.password-store") }, want: good},
		{name: "no-memory-for-relay", before: relaySetting("LimitDATA=1M"), after: noRelaySetting, want: bad(`communication with agent failed|No private key found`, `Empty reply|reset by peer|4900.*(qrexec|too many open files)`, `the relay ended|too many open files`, ``)},
		{name: "no-address-space-for-relay", before: relaySetting("LimitAS=80M"), after: noRelaySetting, want: bad(`communication with agent failed|No private key found`, `Empty reply|reset by peer|4900.*(qrexec|too many open files)`, `the relay ended|too many open files`, ``)},
		{name: "no-memory-for-guard", gate: true, before: guardWrapper("-d 1000"), after: noWrapper, want: bad(noAgent, `4900.*in VAULT`, `in VAULT`, ``)},
		{name: "no-descriptors-for-relay", before: relaySetting("LimitNOFILE=8"), after: noRelaySetting, want: bad(`communication with agent failed|No private key found`, `Empty reply|reset by peer|4900.*(qrexec|too many open files)`, `the relay ended|too many open files`, ``)},
		{name: "no-descriptors-for-guard", before: guardWrapper("-n 6"), after: noWrapper, want: bad(noAgent, `4900.*in VAULT`, `in VAULT`, ``)},
		{name: "few-descriptors-for-guard", before: guardWrapper("-n 9"), after: noWrapper, want: bad(noAgent, `4900.*in VAULT`, `in VAULT`, ``)},
		// ssh-agent is started with a limit, below which it does not start, and keeps to it.
		{name: "no-descriptors-for-upstream", only: []string{"clef", "pass"}, within: 40 * time.Second, before: func(c *cell) {
			c.onVault("pid=$(pgrep -x " + c.s.upstream + "); prlimit --pid $pid --nofile=$(ls /proc/$pid/fd | wc -l):")
		}, after: func(c *cell) {
			c.onVault("prlimit --pid $(pgrep -x " + c.s.upstream + ") --nofile=1024:")
		}, want: bad(noAgent, `4900`, `agent|decrypt|try again`, ``)},
		{name: "journal-gone", gate: true, before: both("systemctl stop " + journal), after: both("systemctl start " + journal), want: good},
		{name: "journal-hangs", before: both("pkill -STOP -x systemd-journal"), after: both("pkill -CONT -x systemd-journal"), want: good},
		{name: "bus-gone", gate: true, before: bus(noBus), after: bus(startBus), want: good},
		{name: "bus-hangs", before: bus(stopBus), after: bus(contBus), want: good},
		{name: "bus-gone-and-refused", before: func(c *cell) {
			bus(noBus)(c)
			once("refuse")(c)
		}, after: func(c *cell) {
			bus(startBus)(c)
			cleared(c)
		}, want: dom0Says("4001.*Qubes policy refused", "dom0 refused")},
		{name: "bus-hangs-and-refused", before: func(c *cell) {
			bus(stopBus)(c)
			once("refuse")(c)
		}, after: func(c *cell) {
			bus(contBus)(c)
			cleared(c)
		}, want: dom0Says("4001.*Qubes policy refused", "dom0 refused")},
		{name: "daemon-reloads", before: func(c *cell) {
			c.onWork("systemd-run --user --quiet --collect --unit=reloads sh -c 'while systemctl --user daemon-reload; do :; done'")
		}, after: func(c *cell) { c.onWork("systemctl --user stop reloads") }, want: good},
		{name: "units-restart-working", gate: true, stage: working, during: func(c *cell) {
			c.onWork("systemctl --user restart " + c.s.unit + ".socket && systemctl --user daemon-reload")
			c.onVault("systemctl --user daemon-reload")
			c.onVault(c.s.goOn)
		}, want: good},
		{name: "relays-stopped-working", stage: working, during: func(c *cell) {
			c.onWork("systemctl --user stop '" + c.s.unit + "@*.service'")
		}, want: bad(`communication with agent failed|No private key found`, `Empty reply|reset by peer|4900`, `the relay ended|125`, ``)},
	}
}

func bus(line string) func(c *cell) {
	return func(c *cell) {
		c.onVault(line)
		c.onWork(line)
	}
}

// storeFull fills the file system of the store, and has a client try to add to it.
func storeFull(c *cell) {
	c.rootVault(`cd /home/user && mount -t tmpfs -o size=256k,uid=1000,gid=1000,mode=700 store /mnt && cp -a .password-store/. /mnt/ && { cat /dev/zero >/mnt/filling || true; } 2>/dev/null && mount --move /mnt .password-store`)
	since := c.journalNow()
	if out, err := c.work.User(c.t.Context(), "seq 5000 | qpass insert work/more 2>&1"); err == nil || !strings.Contains(out, "the service failed") {
		c.t.Errorf("an entry is added to a full store: %q, %v", out, err)
	}
	c.logged("no space left", since)
	if left, err := c.vault.User(c.t.Context(), "ls -A .password-store/work"); err != nil || left != "long.gpg\nshort.gpg\n" {
		c.t.Errorf("in the store there is %q, %v", left, err)
	}
}
