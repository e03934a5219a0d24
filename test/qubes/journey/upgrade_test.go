package journey

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/splitvault/splitvault/test/qubes/bench"
)

// upgrade installs an older build, changes what an administrator may change,
// and installs the present one over it: the changes stay, all else is new, and a qube
// works before and after. Then all of it goes, but for what is the user's.
func upgrade(t *testing.T, kit *bench.Kit, pkg []byte) {
	b := kit.New(t, "bookworm")
	tpl := newTemplate(t, b)
	tpl.put("/root/old.deb", olderBuild(t))
	tpl.run("apt install /root/old.deb")
	tpl.run("mkdir -p /etc/splitvault/enable && touch /etc/splitvault/enable/splitvault-ssh && echo '# mine' >>/etc/profile.d/splitvault.sh")
	tpl.poweroff()
	work := b.BootSpec(bench.Spec{Name: "work", Template: tpl.dir})
	if out, err := work.User(t.Context(), "splitvault", "--version"); err != nil || out != "splitvault 0.0.9\n" {
		t.Errorf("before: %q, %v", out, err)
	}
	active(t, work, true)

	tpl.boot()
	tpl.put("/root/new.deb", pkg)
	tpl.run("apt install /root/new.deb")
	if got := tpl.run(`dpkg-query -W -f '${Version} ${Status}' splitvault`); got != "1.0.0-1 install ok installed" {
		t.Errorf("dpkg says %q", got)
	}
	if mine := tpl.run("tail -n 1 /etc/profile.d/splitvault.sh"); mine != "# mine\n" {
		t.Errorf("the administrator's change is lost: %q", mine)
	}
	for _, gone := range []string{"/usr/lib/splitvault/old-relay", "/usr/lib/systemd/user/splitvault-old.socket"} {
		tpl.run("test ! -e " + gone)
	}
	if script := tpl.run("cat /etc/qubes/post-install.d/30-splitvault.sh"); strings.Contains(script, "older") {
		t.Error("a file of the package that nobody changed is still the old one")
	}
	tpl.poweroff()
	if err := work.Shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}
	work, err := b.Start(work.Spec())
	if err != nil {
		t.Fatal(err)
	}
	active(t, work, true)

	tpl.boot()
	tpl.run("apt purge splitvault")
	// The administrator's own switch is no file of the package.
	if left := tpl.run(`find / -xdev \( -path /proc -o -path /home -o -path /root -o -path /var/log \) -prune -o -iname '*splitvault*' -print | sort`); left != "/etc/splitvault\n/etc/splitvault/enable/splitvault-ssh\n" {
		t.Errorf("left in the template:\n%s", left)
	}
	tpl.poweroff()
	if err := work.Shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}
	if work, err = b.Start(work.Spec()); err != nil {
		t.Fatal(err)
	}
	active(t, work, false)
}

// olderBuild is a package of this project as an older one might have been: another
// version, a program and a unit that are gone, and a script with other words.
func olderBuild(t *testing.T) []byte {
	t.Helper()
	src := filepath.Join(t.TempDir(), "older")
	script := `mkdir -p "$2" && cd "$1" && cp -a units templatevm dom0 docs debian *.md "$2" && mkdir -p "$2/build" && cp -a build/lib build/bin "$2/build"
		cp "$2/build/lib/ssh-relay" "$2/build/lib/old-relay"
		printf '#!/bin/sh\necho splitvault 0.0.9\n' >"$2/build/bin/splitvault"
		printf '[Unit]\nConditionPathExists=/nowhere\n[Socket]\nListenStream=%%t/old\n' >"$2/units/client/splitvault-old.socket"
		echo '# older' >>"$2/templatevm/etc/qubes/post-install.d/30-splitvault.sh"`
	m := maker(t, "0.0.9")
	if out, err := exec.CommandContext(t.Context(), "sh", "-euc", script, "sh", m.Source, src).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	m.Source, m.Build = src, filepath.Join(src, "build")
	return deb(t, m)
}

// active holds whether the agent's socket is there, and the user's systemd content.
func active(t *testing.T, q *bench.Qube, want bool) {
	t.Helper()
	state, err := q.User(t.Context(), "systemctl", "--user", "is-active", "splitvault-ssh.socket")
	if (state == "active\n") != want {
		t.Errorf("%s: the socket is %q, %v", q.Name(), state, err)
	}
	if _, err := q.User(t.Context(), "test", "-S", "/run/user/1000/ssh/S.ssh-agent"); (err == nil) != want {
		t.Errorf("%s: is there a socket: %t", q.Name(), err == nil)
	}
	if state, err := q.User(t.Context(), "systemctl", "--user", "is-system-running"); err != nil || state != "running\n" {
		t.Errorf("%s: the user's systemd is %q, %v", q.Name(), state, err)
	}
}

// switches: the owner of a template who runs systemctl --global enable, one
// whose tools write /etc/splitvault/enable, and one who uses qvm-service. Each is
// enough alone, and each spares a qube that is marked as a vault.
func switches(t *testing.T, kit *bench.Kit, pkg []byte) {
	b := kit.New(t, "trixie")
	tpl := newTemplate(t, b)
	tpl.put("/root/splitvault.deb", pkg)
	tpl.run("apt install /root/splitvault.deb")
	tpl.poweroff()
	boot := func(name string, services ...string) *bench.Qube {
		return b.BootSpec(bench.Spec{Name: name, Template: tpl.dir, Services: services})
	}
	active(t, boot("untouched"), false)
	active(t, boot("by-service", "splitvault-ssh"), true)
	for name, line := range map[string]string{
		"by-enable": "systemctl --global enable splitvault-ssh.socket",
		"by-file":   "mkdir -p /etc/splitvault/enable && touch /etc/splitvault/enable/splitvault-ssh",
	} {
		tpl.boot()
		tpl.run("systemctl --global disable splitvault-ssh.socket; rm -rf /etc/splitvault")
		tpl.run(line)
		tpl.poweroff()
		active(t, boot(name), true)
		active(t, boot(name+"-vault", "splitvault-vault"), false)
	}
	if _, err := os.Stat(filepath.Join(tpl.dir, "etc/splitvault/enable")); err != nil {
		if _, err := os.Lstat(filepath.Join(tpl.dir, "etc/systemd/user/sockets.target.wants/splitvault-ssh.socket")); err != nil {
			t.Error("the template kept neither switch: the test has tested nothing")
		}
	}
}
