package journey

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/splitvault/splitvault/test/qubes/bench"
)

// listFiles prints the package's files.
const listFiles = `dpkg -L splitvault | while read -r path; do [ -d "$path" ] && [ ! -L "$path" ] || echo "$path"; done`

// upgrade installs an older build, changes what an administrator may change, and
// installs over it the build of an earlier commit and then the present one, also in a
// qube that runs: the changes stay, all else is new, and sockets listen before, after and
// all the while. Then all of it goes, but for what is the user's.
func upgrade(t *testing.T, s shelf) {
	b := s.kit.New(t, "bookworm")
	tpl := s.take(t, b, "bookworm", false)
	tpl.boot()
	tpl.put("/root/older.deb", olderBuild(t))
	tpl.run("apt install /root/older.deb")
	files := strings.Fields(tpl.run(listFiles))
	tpl.run("mkdir -p /etc/splitvault/enable && touch /etc/splitvault/enable/splitvault-ssh && echo '# mine' >>/etc/profile.d/splitvault.sh")
	if pkg, err := previous(t); err == nil {
		tpl.put("/root/previous.deb", pkg)
		tpl.run("apt install /root/previous.deb")
	} else {
		t.Attr("note", "no upgrade from the build of an earlier commit, only from a made-up one: "+strings.ReplaceAll(err.Error(), "\n", " "))
	}
	version := strings.TrimSuffix(tpl.run("dpkg-query -W -f '${Version}' splitvault"), "-1")
	tpl.poweroff()
	work := b.BootSpec(bench.Spec{Name: "work", Template: tpl.dir})
	if out, err := work.User(t.Context(), "splitvault", "--version"); err != nil || out != "splitvault "+version+"\n" {
		t.Errorf("before: %q, %v", out, err)
	}
	active(t, work, true)
	upgradeRunning(t, work, s.pkg)

	tpl.boot()
	tpl.put("/root/new.deb", s.pkg)
	tpl.run("apt install /root/new.deb")
	if got := tpl.run(`dpkg-query -W -f '${Version} ${Status}' splitvault`); got != "1.0.0-1 install ok installed" {
		t.Errorf("dpkg says %q", got)
	}
	if mine := tpl.run("tail -n 1 /etc/profile.d/splitvault.sh"); mine != "# mine\n" {
		t.Errorf("the administrator's change is lost: %q", mine)
	}
	kept := strings.Fields(tpl.run(listFiles))
	gone := slices.DeleteFunc(files, func(path string) bool { return slices.Contains(kept, path) })
	if len(gone) < 2 {
		t.Errorf("gone from the package are %q: the made-up build had more", gone)
	}
	for _, path := range gone {
		tpl.run("test ! -e " + path)
	}
	if script := tpl.run("cat /etc/qubes/post-install.d/30-splitvault.sh"); strings.Contains(script, "older") {
		t.Error("a file of the package that nobody changed is still the old one")
	}
	tpl.run("cd / && dpkg --verify splitvault | grep -v ' c /etc/profile.d/splitvault.sh$' >/root/damaged || true; test ! -s /root/damaged")
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

// upgradeRunning installs a package in a qube in which the socket listens, as in one
// that is its own template: it goes on listening, and the next client meets the new
// program. (There is no vault: the relay's own answer is what comes.)
func upgradeRunning(t *testing.T, q *bench.Qube, pkg []byte) {
	t.Helper()
	if err := q.Put(t.Context(), "/root/new.deb", pkg); err != nil {
		t.Fatal(err)
	}
	if out, err := q.Root(t.Context(), "DEBIAN_FRONTEND=noninteractive apt-get -y -o Dpkg::Options::=--force-confold install /root/new.deb 2>&1"); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	active(t, q, true)
	out, err := q.User(t.Context(), "SSH_AUTH_SOCK=$XDG_RUNTIME_DIR/ssh/S.ssh-agent ssh-add -l 2>&1; echo; readlink /proc/*/exe | grep deleted || true")
	if err != nil || !strings.Contains(out, "agent refused operation") || strings.Contains(out, "splitvault") {
		t.Errorf("after an upgrade of the running qube: %q, %v", out, err)
	}
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
func switches(t *testing.T, s shelf) {
	b := s.kit.New(t, "trixie")
	tpl := s.take(t, b, "trixie", true)
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
