package units

import (
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// TestClientEnv: what dom0 names for this qube reaches the relays' environment,
// and nothing else does.
func TestClientEnv(t *testing.T) {
	for _, row := range []struct {
		name, ssh, pass string
		want            string
		logs            bool
	}{
		{"dom0 names none", "exit 2", "exit 2", "", false},
		{"dom0 names one", "echo vault", "exit 2", "QUBES_SSH_DOMAIN=vault\n", false},
		{"dom0 names two", "echo vault-1.2_x", "echo passwords", "QUBES_SSH_DOMAIN=vault-1.2_x\nQUBES_PASS_DOMAIN=passwords\n", false},
		{"longest name", "echo " + strings.Repeat("v", 31), "exit 2", "QUBES_SSH_DOMAIN=" + strings.Repeat("v", 31) + "\n", false},
		{"name too long", "echo " + strings.Repeat("v", 32), "echo p", "QUBES_PASS_DOMAIN=p\n", true},
		{"empty name", "echo", "exit 2", "", true},
		{"name begins with a digit", "echo 1vault", "exit 2", "", true},
		{"an option", "echo -n", "exit 2", "", true},
		{"a keyword of dom0's", "echo @dispvm", "exit 2", "", true},
		{"a second variable", `printf 'vault\nLD_PRELOAD=/x\n'`, "exit 2", "", true},
		{"blanks", `echo 'vault work'`, "exit 2", "", true},
		{"quotes", `echo 'vault"'`, "exit 2", "", true},
		{"letters of other languages", `printf 'v\303\244ult\n'`, "exit 2", "", true},
	} {
		t.Run(row.name, func(t *testing.T) {
			runtime := t.TempDir()
			out := clientEnv(t, runtime, row.ssh, row.pass)
			if got := text(t, runtime); got != row.want {
				t.Errorf("got %q, want %q", got, row.want)
			}
			if logged := out != ""; logged != row.logs {
				t.Errorf("logs %q", out)
			}
			isPrivate(t, runtime)
		})
	}
}

// TestClientEnvReplaces: a name that dom0 took back is gone, and a directory that
// was open to others is closed.
func TestClientEnvReplaces(t *testing.T) {
	runtime := t.TempDir()
	if err := os.Mkdir(filepath.Join(runtime, "splitvault"), 0o755); err != nil {
		t.Fatal(err)
	}
	clientEnv(t, runtime, "echo vault", "exit 2")
	clientEnv(t, runtime, "exit 2", "exit 2")
	if got := text(t, runtime); got != "" {
		t.Errorf("got %q", got)
	}
	isPrivate(t, runtime)
}

// TestClientEnvDoesNotHang: the socket, and with it the session, waits for it.
func TestClientEnvDoesNotHang(t *testing.T) {
	runtime := t.TempDir()
	began := time.Now()
	clientEnv(t, runtime, "exec sleep 60", "echo vault")
	if took := time.Since(began); took > 10*time.Second {
		t.Errorf("took %v", took)
	}
	if got, want := text(t, runtime), "QUBES_PASS_DOMAIN=vault\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// TestClientEnvAtOnce: the sockets of ssh, clef and pass start together.
func TestClientEnvAtOnce(t *testing.T) {
	runtime := t.TempDir()
	var group sync.WaitGroup
	for range 8 {
		group.Go(func() { clientEnv(t, runtime, "echo vault", "exit 2") })
	}
	group.Wait()
	if got, want := text(t, runtime), "QUBES_SSH_DOMAIN=vault\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	isPrivate(t, runtime)
}

// clientEnv runs client-env against a QubesDB in which the keys of ssh and pass
// answer by these shell commands, and returns what it logs.
func clientEnv(t *testing.T, runtime, ssh, pass string) string {
	t.Helper()
	db := fakeProgram(t, "qubesdb-read", "case $1 in\n/vm-config/splitvault-ssh-domain) "+ssh+
		";;\n/vm-config/splitvault-pass-domain) "+pass+";;\n*) echo no such path >&2; exit 2;;\nesac")
	cmd := exec.CommandContext(t.Context(), template+"/usr/lib/splitvault/client-env")
	cmd.Env = []string{"XDG_RUNTIME_DIR=" + runtime, "PATH=" + db + ":" + os.Getenv("PATH"), "LANG=C.UTF-8"}
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Errorf("%v\n%s", err, out)
	}
	return string(out)
}

func text(t *testing.T, runtime string) string {
	t.Helper()
	got, err := os.ReadFile(filepath.Join(runtime, "splitvault", "env"))
	if err != nil {
		t.Fatal(err)
	}
	return string(got)
}

// isPrivate fails unless the directory is the user's alone and has nothing but
// the finished file.
func isPrivate(t *testing.T, runtime string) {
	t.Helper()
	dir := filepath.Join(runtime, "splitvault")
	for path, want := range map[string]fs.FileMode{dir: 0o700, filepath.Join(dir, "env"): 0o600} {
		info, err := os.Stat(path)
		if err != nil || info.Mode().Perm() != want {
			t.Errorf("%s has mode %v, %v", path, info.Mode().Perm(), err)
		}
	}
	if files, err := os.ReadDir(dir); err != nil || len(files) != 1 {
		t.Errorf("got %v, %v in %s", files, err, dir)
	}
}

// TestAdvertisement: Settings -> Services in dom0 lists what the template offers,
// and a configuration file that outlives the package says nothing.
func TestAdvertisement(t *testing.T) {
	source, err := os.ReadFile(template + "/etc/qubes/post-install.d/30-splitvault.sh")
	if err != nil {
		t.Fatal(err)
	}
	for program, want := range map[string]string{
		"/bin/sh":      "supported-service.splitvault-ssh=1 supported-service.splitvault-pass=1 supported-service.splitvault-clef=1 supported-service.splitvault-vault=1\n",
		"/nonexistent": "",
	} {
		script := strings.ReplaceAll(string(source), "/usr/bin/splitvault", program)
		if script == string(source) {
			t.Fatal("does not look for /usr/bin/splitvault")
		}
		cmd := exec.CommandContext(t.Context(), "sh", "-c", script)
		cmd.Env = []string{"PATH=" + fakeProgram(t, "qvm-features-request", `echo "$@"`) + ":" + os.Getenv("PATH")}
		if out, err := cmd.CombinedOutput(); err != nil || string(out) != want {
			t.Errorf("with %s: got %q, %v, want %q", program, out, err, want)
		}
	}
}

// TestShellFilesAreShort: longer ones are to be Go.
func TestShellFilesAreShort(t *testing.T) {
	for path, mode := range map[string]fs.FileMode{
		"/usr/lib/splitvault/client-env":             0o755,
		"/etc/qubes/post-install.d/30-splitvault.sh": 0o755,
		"/etc/profile.d/splitvault.sh":               0o644,
	} {
		source, err := os.ReadFile(template + path)
		if err != nil {
			t.Fatal(err)
		}
		if n := strings.Count(string(source), "\n"); n > 40 {
			t.Errorf("%s has %d lines", path, n)
		}
		if info, err := os.Stat(template + path); err != nil || info.Mode().Perm() != mode {
			t.Errorf("%s has mode %v, want %v", path, info.Mode().Perm(), mode)
		}
	}
}
