package main_test

import (
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/splitvault/splitvault/pkg/confine/confinetest"
	"github.com/splitvault/splitvault/pkg/gpg/gpgtest"
)

// guard is the program.
var guard = confinetest.Guard()

func TestMain(m *testing.M) {
	if pid := os.Getenv(peekVariable); pid != "" {
		peek(pid)
		return
	}
	code := m.Run()
	guard.Remove()
	os.Exit(code)
}

const long = 20 * time.Second // for what must happen at once, on a busy machine

// allowAll is for the qube work.
const allowAll = "[[pass.rule]]\nqube = \"work\"\ndecision = \"allow\"\n"

// vault is a home directory with rules, keyring and store, and stand-ins for
// the programs that the control script calls.
type vault struct {
	*gpgtest.Keyring
	home, store, bin string
	program          string
}

// entries are those of which each is odd in another way.
func entries() map[string]string {
	return map[string]string{
		"github.com":             "hunter2\n",
		"work/example.com/alice": "pw-multi\nlogin: alice\nurl: https://example.com/login\n\n  indented \ttab\n",
		"work/x":                 "work-secret\n",
		"misc/nonl":              "no-trailing-newline",
		"misc/empty":             "",
		"misc/blank-first":       "\n\nthird\n",
		"unicode/münchen 東京":     "pässwörd-密码-🔑\n",
		"spaces/a  b c":          "x\n",
		"odd/-dash":              "x\n",
		`odd/back\slash`:         "x\n",
		"odd/new\nline":          "x\n",
		"odd/esc\x1b]0;PWNED\a":  "x\n",
		"odd/<b>bold</b>&amp":    "x\n",
		"odd/$(id)`id`":          "x\n",
		"misc/binary":            "a\x00b\x00c\n",
		"odd/pw-dash-n":          "-n\n",
		"misc/big":               strings.Repeat("0123456789abcdef", 12500),
		"otp/ex":                 "totp-pw\notpauth://totp/Ex:alice?secret=JBSWY3DPEHPK3PXP&issuer=Ex&period=30&digits=6\n",
		"otp/hotp":               "otpauth://hotp/Z:carl?secret=JBSWY3DPEHPK3PXP&counter=1\n",
	}
}

func newVault(t testing.TB, rules string) *vault {
	t.Helper()
	program := os.Getenv("SPLITVAULT_TEST_GUARD") // one that is installed
	if program == "" {
		program = guard.Path(t)
	}
	v := &vault{Keyring: gpgtest.New(t), home: t.TempDir(), program: program}
	v.store, v.bin = filepath.Join(v.home, ".password-store"), filepath.Join(v.home, "bin")
	v.put(t, ".config/splitvault/rules.toml", rules)
	v.put(t, ".password-store/.gpg-id", "vault@example.invalid\n")
	v.put(t, "run/.keep", "")
	if err := os.Chmod(filepath.Join(v.home, "run"), 0o700); err != nil {
		t.Fatal(err)
	}
	v.script(t, "notify-send", `printf '%s\n' "$@" >>`+v.home+`/notices
case $* in *'`+"\xff"+`'*) kill -TRAP $$ ;; esac
`)
	v.script(t, "qubesdb-read", "echo vault\n")
	return v
}

// full is a vault with all the odd entries.
func full(t testing.TB, rules string) *vault {
	t.Helper()
	v := newVault(t, rules)
	for name, text := range entries() {
		v.entry(t, name, text)
	}
	return v
}

func (v *vault) put(t testing.TB, name, text string) {
	t.Helper()
	path := filepath.Join(v.home, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func (v *vault) script(t testing.TB, name, text string) {
	t.Helper()
	v.put(t, "bin/"+name, "#!/bin/sh\n"+text)
	if err := os.Chmod(filepath.Join(v.bin, name), 0o700); err != nil {
		t.Fatal(err)
	}
}

func (v *vault) entry(t testing.TB, name, text string) {
	t.Helper()
	v.file(t, name, v.Encrypt(t, text, "vault@example.invalid"))
}

func (v *vault) file(t testing.TB, name string, message []byte) {
	t.Helper()
	v.put(t, ".password-store/"+name+".gpg", string(message))
}

func (v *vault) link(t testing.TB, target, name string) {
	t.Helper()
	if err := os.Symlink(target, filepath.Join(v.store, name)); err != nil {
		t.Fatal(err)
	}
}

func (v *vault) environ(qube, service, argument string) []string {
	return []string{
		"HOME=" + v.home, "PATH=" + v.bin + ":/usr/bin:/bin", "XDG_RUNTIME_DIR=" + v.home + "/run", "GNUPGHOME=" + v.Home,
		"QREXEC_REMOTE_DOMAIN=" + qube, "QREXEC_SERVICE_FULL_NAME=" + service + "+" + argument, "QREXEC_SERVICE_ARGUMENT=" + argument,
	}
}

// call is one call, as qrexec makes it: two socket pairs, a pipe for standard
// error, and the caller in the environment.
type call struct {
	t       testing.TB
	cmd     *exec.Cmd
	in, out *net.UnixConn
	stderr  bytes.Buffer
	ended   chan struct{}
}

func (v *vault) start(t testing.TB, program string, environ []string, args ...string) *call {
	t.Helper()
	c := &call{t: t, ended: make(chan struct{})}
	var theirs [2]*os.File
	for i, ours := range []**net.UnixConn{&c.in, &c.out} {
		fds, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
		if err != nil {
			t.Fatal(err)
		}
		theirs[i] = os.NewFile(uintptr(fds[1]), "theirs")
		file := os.NewFile(uintptr(fds[0]), "ours")
		conn, err := net.FileConn(file)
		file.Close()
		if err != nil {
			t.Fatal(err)
		}
		*ours = conn.(*net.UnixConn)
	}
	c.cmd = exec.Command(program, args...)
	c.cmd.Env, c.cmd.Stdin, c.cmd.Stdout, c.cmd.Stderr = environ, theirs[0], theirs[1], &c.stderr
	c.cmd.WaitDelay = time.Second
	if err := c.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	theirs[0].Close()
	theirs[1].Close()
	go func() {
		_ = c.cmd.Wait() // its state is looked at
		close(c.ended)
	}()
	t.Cleanup(func() {
		_ = c.cmd.Process.Kill() // it may have ended
		<-c.ended
		c.in.Close()
		c.out.Close()
	})
	return c
}

func (v *vault) call(t testing.TB, qube, service, argument string) *call {
	t.Helper()
	return v.start(t, v.program, v.environ(qube, service, argument))
}

// finish sends the input and its end, and returns what came back.
func (c *call) finish(input string) (output string, code int) {
	c.t.Helper()
	go func() {
		_, _ = io.WriteString(c.in, input) // it may end without having read it
		_ = c.in.CloseWrite()
	}()
	b, err := io.ReadAll(c.out)
	if err != nil && !errors.Is(err, syscall.ECONNRESET) {
		c.t.Fatalf("reading: %v", err)
	}
	return string(b), c.exit(long)
}

func (c *call) exit(within time.Duration) int {
	c.t.Helper()
	select {
	case <-c.ended:
		return c.cmd.ProcessState.ExitCode()
	case <-time.After(within):
		c.t.Fatalf("still there after %v", within)
		return -1
	}
}

// ours makes a whole call of the qube work.
func (v *vault) ours(t testing.TB, service, argument, input string) (output string, code int) {
	t.Helper()
	return v.call(t, "work", "pass."+service, argument).finish(input)
}

// control makes a whole call of the published scripts.
func (v *vault) control(t testing.TB, service, argument, input string) (output string, code int) {
	t.Helper()
	return v.start(t, v.scriptPath(t, service), v.environ("work", "seed."+service, argument)).finish(input)
}

// scriptPath is where a published script is, in the sources, or where SPLITVAULT_TEST_CONTROL
// says that it is installed.
func (v *vault) scriptPath(t testing.TB, service string) string {
	t.Helper()
	dir := os.Getenv("SPLITVAULT_TEST_CONTROL")
	if dir == "" {
		dir = "../../test/baseline/pass-sh/etc/qubes-rpc"
	}
	path, err := filepath.Abs(filepath.Join(dir, "seed."+service))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := exec.LookPath("pass"); err != nil {
		t.Fatal("pass is missing, and with it the control")
	}
	return path
}

func (v *vault) wants(t testing.TB, service, argument, input, output string, code int) {
	t.Helper()
	if got, exit := v.ours(t, service, argument, input); got != output || exit != code {
		t.Errorf("%s+%s, %.40q: got %.60q and %d, want %.60q and %d", service, argument, input, got, exit, output, code)
	}
}
