package units

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

const (
	clientUnits = "../../units/client"
	template    = "../../templatevm"
	daemons     = "../../daemons"
)

// TestClientSockets: what every socket of a client qube promises.
func TestClientSockets(t *testing.T) {
	for _, path := range glob(t, clientUnits+"/*.socket") {
		t.Run(filepath.Base(path), func(t *testing.T) {
			name := strings.TrimSuffix(filepath.Base(path), ".socket")
			unit := read(t, path)
			for key, want := range map[string]string{
				"Unit.ConditionUser":             "!root",
				"Socket.Accept":                  "yes",
				"Socket.RemoveOnStop":            "yes",
				"Socket.MaxConnections":          "512",
				"Socket.Backlog":                 "1024",
				"Socket.TriggerLimitIntervalSec": "0",
				"Socket.PollLimitIntervalSec":    "0",
				"Socket.ExecStartPre":            "-/usr/lib/splitvault/client-env",
				"Install.WantedBy":               "sockets.target",
			} {
				if got := unit.Get(key); got != want {
					t.Errorf("%s is %q, want %q", key, unit[key], want)
				}
			}
			// One switch for all sockets of a service.
			service := strings.TrimSuffix(strings.TrimSuffix(name, "6"), "-ipc")
			for _, want := range []string{
				"|/run/qubes-service/" + service,
				"|/etc/systemd/user/sockets.target.wants/" + name + ".socket",
				"|/etc/splitvault/enable/" + service,
				"!/run/qubes-service/splitvault-vault",
			} {
				if !slices.Contains(unit["Unit.ConditionPathExists"], want) {
					t.Errorf("ConditionPathExists=%s is missing", want)
				}
			}
			if listen := unit.Get("Socket.ListenStream"); strings.HasPrefix(listen, "%") {
				if unit.Get("Socket.SocketMode") != "0600" || unit.Get("Socket.DirectoryMode") != "0700" {
					t.Errorf("%s is open to others", listen)
				}
			}
			if _, err := os.Stat(filepath.Join(clientUnits, name+"@.service")); err != nil {
				t.Errorf("no service for its connections: %v", err)
			}
			// Static link: enabled in every qube, switched on by the conditions.
			link := filepath.Join(template, "usr/lib/systemd/user/sockets.target.wants", name+".socket")
			if to, err := os.Readlink(link); err != nil || to != "../"+name+".socket" {
				t.Errorf("%s points to %q, %v", link, to, err)
			}
		})
	}
}

// TestSSHSocketRulesTheEnvironment: the last writer of SSH_AUTH_SOCK wins, and
// only our own value is taken back.
func TestSSHSocketRulesTheEnvironment(t *testing.T) {
	unit := read(t, clientUnits+"/splitvault-ssh.socket")
	sock := unit.Get("Socket.ListenStream")
	if sock != "%t/ssh/S.ssh-agent" {
		t.Errorf("listens on %q", sock)
	}
	for _, other := range []string{"ssh-agent.socket", "gcr-ssh-agent.socket", "gpg-agent-ssh.socket"} {
		if !slices.Contains(strings.Fields(unit.Get("Unit.After")), other) {
			t.Errorf("does not start after %s", other)
		}
		// They unset the variable when they stop, whoever set it.
		dropIn := read(t, filepath.Join(template, "usr/lib/systemd/user", other+".d", "50-splitvault.conf"))
		want := `-/bin/sh -c 'if [ -S "$$1" ]; then exec systemctl --user set-environment "SSH_AUTH_SOCK=$$1"; fi' sh ` + sock
		if got := dropIn.Get("Socket.ExecStopPost"); got != want || len(dropIn) != 1 {
			t.Errorf("%s: the drop-in is %q, want only ExecStopPost=%s", other, dropIn, want)
		}
	}
	set := "-/usr/bin/systemctl --user set-environment SSH_AUTH_SOCK=" + sock
	post := unit["Socket.ExecStartPost"]
	if len(post) != 2 || post[0] != set {
		t.Fatalf("ExecStartPost= is %q, want %q and one for the bus", post, set)
	}
	// Asked at boot, the bus would wait for this socket, and this socket for it:
	// the user's session would never start.
	if !strings.HasPrefix(post[1], "-/bin/sh -c 'if systemctl --user --quiet is-active dbus.service; then ") {
		t.Errorf("calls the bus although it may not run: %q", post[1])
	}
	// With a value, systemctl removes a variable only where it has that value.
	if got, want := unit.Get("Socket.ExecStopPost"), "-/usr/bin/systemctl --user unset-environment SSH_AUTH_SOCK="+sock; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	for key := range unit {
		if key == "Unit.Conflicts" {
			t.Error("Conflicts= stops the other unit even where our conditions fail")
		}
	}
}

// forbidden in a service of one connection, with the reason.
var forbidden = map[string]string{
	`^(Runtime|State|Cache|Logs|Configuration)Directory$`:                                                             "each instance that ends would delete it for all, or its place differs between versions",
	`^(Private|Protect(System|Home|Proc|Kernel|Control)|Temporary|Bind|ReadWrite|Inaccessible|ExecPaths|NoExec|Root)`: "makes a mount namespace, and qrexec-client-vm needs /dev/xen",
	`^(CapabilityBoundingSet|ProtectClock|DynamicUser|RootDirectory)$`:                                                "fails in a user's systemd",
	`^LimitNPROC$`:                       "counts all processes of the user",
	`^IPAddress(Deny|Allow)$`:            "does nothing in a user's systemd",
	`^Restart$`:                          "a connection cannot be served twice",
	`^Standard(Input|Output)$`:           "a stray line would reach the client",
	`^(User|Group|SupplementaryGroups)$`: "is the user's own systemd",
	`^SystemCallFilter$`:                 "costs 4 to 23 ms a connection: only after a measurement",
}

// TestClientServices: what every service of a client qube promises.
func TestClientServices(t *testing.T) {
	for _, path := range glob(t, clientUnits+"/*@.service") {
		t.Run(filepath.Base(path), func(t *testing.T) {
			unit := read(t, path)
			for key, want := range map[string]string{
				"Unit.CollectMode":                "inactive-or-failed",
				"Service.StandardError":           "journal",
				"Service.Environment":             "GOMAXPROCS=1", // memory and start, see docs/performance.md
				"Service.EnvironmentFile":         "-%t/splitvault/env",
				"Service.NoNewPrivileges":         "yes",
				"Service.UMask":                   "0077",
				"Service.LimitCORE":               "0",
				"Service.RestrictNamespaces":      "yes",
				"Service.RestrictSUIDSGID":        "yes",
				"Service.LockPersonality":         "yes",
				"Service.MemoryDenyWriteExecute":  "yes",
				"Service.SystemCallArchitectures": "native",
			} {
				if got := unit.Get(key); got != want {
					t.Errorf("%s is %q, want %q", key, unit[key], want)
				}
			}
			if families := strings.Fields(unit.Get("Service.RestrictAddressFamilies")); !slices.Contains(families, "AF_UNIX") || slices.Contains(families, "AF_INET") {
				t.Errorf("address families are %q", families)
			}
			for key := range unit {
				name, found := strings.CutPrefix(key, "Service.")
				for pattern, why := range forbidden {
					if found && regexp.MustCompile(pattern).MatchString(name) {
						t.Errorf("%s=: %s", name, why)
					}
				}
			}
		})
	}
}

// TestUnitsNameWhatIsThere: programs and man pages.
func TestUnitsNameWhatIsThere(t *testing.T) {
	man := regexp.MustCompile(`^man:([a-z-]+)\(([0-9])\)$`)
	for _, path := range glob(t, "../../units/*/*.*") {
		unit := read(t, path)
		for _, key := range []string{"ExecStart", "ExecStartPre", "ExecStartPost", "ExecStop", "ExecStopPost"} {
			for _, command := range slices.Concat(unit["Service."+key], unit["Socket."+key]) {
				program, _, _ := strings.Cut(strings.TrimLeft(command, "-"), " ")
				name, ours := strings.CutPrefix(program, "/usr/lib/splitvault/")
				if ours && !exists(filepath.Join(daemons, name)) && !exists(filepath.Join(template, program)) {
					t.Errorf("%s: %s does not exist", path, program)
				}
				if !ours && program != "/usr/bin/systemctl" && program != "/bin/sh" {
					t.Errorf("%s runs %s", path, program)
				}
			}
		}
		pages := strings.Fields(unit.Get("Unit.Documentation"))
		if len(pages) == 0 {
			t.Errorf("%s has no Documentation=", path)
		}
		for _, page := range pages {
			m := man.FindStringSubmatch(page)
			if m == nil || !exists(filepath.Join(template, "usr/share/man/man"+m[2], m[1]+"."+m[2])) {
				t.Errorf("%s: no man page for %s", path, page)
			}
		}
	}
}

// TestServiceLinks: qrexec starts the guards themselves, by absolute links, so
// that argv[0] and the environment are qrexec's.
func TestServiceLinks(t *testing.T) {
	for _, path := range glob(t, template+"/etc/qubes-rpc/*") {
		to, err := os.Readlink(path)
		if name, ours := strings.CutPrefix(to, "/usr/lib/splitvault/"); err != nil || !ours || !exists(filepath.Join(daemons, name)) {
			t.Errorf("%s points to %q, %v", path, to, err)
		}
	}
	// None waits for a session: without one, calls would hang for ever. The
	// defaults are right, so no configuration is shipped.
	if found, _ := filepath.Glob(template + "/etc/qubes/rpc-config/*"); len(found) != 0 {
		t.Errorf("qrexec configuration is shipped: %q", found)
	}
}

func TestReadRefusesWhatItDoesNotUnderstand(t *testing.T) {
	for name, text := range map[string]string{
		"continued line": "[Unit]\nAfter=a \\\n b\n",
		"no section":     "After=a\n",
		"no setting":     "[Unit]\nAfter\n",
	} {
		path := filepath.Join(t.TempDir(), "x.socket")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if unit, err := Read(path); err == nil {
			t.Errorf("%s: got %v", name, unit)
		}
	}
}

func read(t *testing.T, path string) Unit {
	t.Helper()
	unit, err := Read(path)
	if err != nil {
		t.Fatal(err)
	}
	return unit
}

// glob fails where nothing matches: a test of nothing is no test.
func glob(t *testing.T, pattern string) []string {
	t.Helper()
	paths, err := filepath.Glob(pattern)
	if err != nil || len(paths) == 0 {
		t.Fatalf("nothing matches %q: %v", pattern, err)
	}
	return paths
}

func exists(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}

// TestNetworkUnits: what listens on a network is off by default, not root, and
// behind two fences.
func TestNetworkUnits(t *testing.T) {
	socket := read(t, "../../units/network/splitvault-clef-net.socket")
	service := read(t, "../../units/network/splitvault-clef-net@.service")
	for key, got := range map[string]string{
		"fence of the socket":  strings.Join(socket["Socket.IPAddressDeny"], " ") + "/" + strings.Join(socket["Socket.IPAddressAllow"], " "),
		"fence of the service": strings.Join(service["Service.IPAddressDeny"], " ") + "/" + strings.Join(service["Service.IPAddressAllow"], " "),
	} {
		if got != "any/localhost" {
			t.Errorf("%s: %q", key, got)
		}
	}
	for key, want := range map[string]string{
		"Service.User": "splitvault", "Service.NoNewPrivileges": "yes", "Service.ProtectSystem": "strict", "Service.CapabilityBoundingSet": "",
		"Service.StandardError": "journal", "Unit.CollectMode": "inactive-or-failed", "Service.ReadWritePaths": "/run/splitvault /var/lib/splitvault",
	} {
		if got := service[key]; len(got) != 1 || got[0] != want {
			t.Errorf("%s is %q, want %q", key, got, want)
		}
	}
	// Each connection that ends would remove it for all.
	if len(service["Service.RuntimeDirectory"]) > 0 {
		t.Error("RuntimeDirectory=")
	}
	if found, _ := filepath.Glob(template + "/usr/lib/systemd/system/*.wants/*"); len(found) > 0 {
		t.Errorf("switched on by the package: %q", found)
	}
}
