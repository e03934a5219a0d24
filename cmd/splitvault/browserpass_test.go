package main

import (
	"bytes"
	"encoding/binary"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/splitvault/splitvault/pkg/passcall/passtest"
)

// The test binary is the host as a browser starts it, and the qrexec client.
func TestMain(m *testing.M) {
	if os.Getenv("SPLITVAULT_TEST") != "" && !passtest.IsClient() {
		main()
	}
	passtest.Main(m)
}

// host asks the host as a browser does, and returns what it said.
func host(t *testing.T, v *passtest.Vault, request string) (string, int) {
	t.Helper()
	cmd := exec.Command(passtest.Program(t))
	cmd.Args = []string{hostPath, "chrome-extension://naepdomgkenhinolocfifgehidddafch/"}
	cmd.Env = append(v.Env(t), "SPLITVAULT_TEST=1", "XDG_RUNTIME_DIR="+t.TempDir())
	cmd.Stdin = bytes.NewReader(append(binary.LittleEndian.AppendUint32(nil, uint32(len(request))), request...))
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if exit, ok := errors.AsType[*exec.ExitError](err); err != nil && !ok {
		t.Fatal(exit, err)
	}
	if len(out) < 4 || int(binary.LittleEndian.Uint32(out)) != len(out)-4 || stderr.Len() > 0 {
		t.Fatalf("%s: got %q, %q", request, out, stderr.String())
	}
	return string(out[4:]), cmd.ProcessState.ExitCode()
}

func TestBrowserpassThroughTheVault(t *testing.T) {
	t.Parallel()
	v := passtest.New(t, map[string]string{"example.com/alice": "hunter2\nlogin: alice\nnotes: private\notpauth://totp/x?secret=JBSWY3DPEHPK3PXP\n"})
	for _, tt := range []struct {
		request, want string
		code          int
	}{
		{`{"action":"list","settings":{"gpgPath":"/bin/false"}}`, `{"data":{"files":{"default":["example.com/alice.gpg"]}},"status":"ok","version":3001002}`, 0},
		{`{"action":"fetch","storeId":"default","file":"example.com/alice.gpg"}`, `{"data":{"contents":"hunter2\nlogin: alice\n"},"status":"ok","version":3001002}`, 0},
		{`{"action":"save","file":"new.org.gpg","contents":"p\nlogin: x\n"}`, `{"status":"ok","version":3001002}`, 0},
	} {
		if got, code := host(t, v, tt.request); got != tt.want || code != tt.code {
			t.Errorf("%s:\ngot  %s, %d\nwant %s", tt.request, got, code, tt.want)
		}
	}
	if got := v.Entries(t)["new.org"]; got != "p\nlogin: x\n" {
		t.Errorf("saved as %q", got)
	}
	if got, code := host(t, v, `{"action":"fetch","file":"exit/126.gpg"}`); code != 24 || !strings.Contains(got, "dom0 refused") {
		t.Errorf("got %s, %d", got, code)
	}
	for _, call := range v.Calls(t) {
		if strings.HasPrefix(call, "pass.GetPassword") || strings.Contains(call, "otp") {
			t.Errorf("called %s", call)
		}
	}
	if to, err := os.Readlink("../../templatevm" + hostPath); err != nil || to != "../../bin/splitvault" {
		t.Errorf("%s leads to %q, %v", hostPath, to, err)
	}
}

func TestBrowserpassInstall(t *testing.T) {
	home := t.TempDir()
	t.Setenv("HOME", home)
	var stdout, stderr bytes.Buffer
	if code := run([]string{"browserpass", "--install", "firefox", "chromium"}, &stdout, &stderr); code != 0 || strings.Count(stdout.String(), home) != 2 {
		t.Errorf("exit code %d, %s%s", code, &stdout, &stderr)
	}
	if _, err := os.Stat(filepath.Join(home, ".config/chromium/NativeMessagingHosts/com.github.browserpass.native.json")); err != nil {
		t.Error(err)
	}
	for _, args := range [][]string{{"--install", "netscape"}, {"firefox"}, {"--install", "--remove"}} {
		if code := run(append([]string{"browserpass"}, args...), &stdout, &stderr); code != 2 {
			t.Errorf("%q: exit code %d", args, code)
		}
	}
	stdout.Reset()
	if code := run([]string{"browserpass", "--remove"}, &stdout, &stderr); code != 0 || strings.Count(stdout.String(), home) != 2 {
		t.Errorf("exit code %d, %s", code, &stdout)
	}
}

func TestPolicyLines(t *testing.T) {
	t.Parallel()
	for args, want := range map[string]string{
		"work ssh":                              "qubes.Ssh * work @anyvm ask target=vault default_target=vault\n",
		"--allow --target v work ssh card":      "qubes.Ssh +card work @anyvm allow target=v\n",
		"@tag:dapp clef account_list":           "qubes.Clefsign +account_list @tag:dapp @anyvm ask target=vault default_target=vault\n",
		"--verb otp work pass work/aws":         "pass.GetField +work+aws__otp work @anyvm ask target=vault default_target=vault\n",
		"--verb list,show work pass":            "pass.ListPasswords * work @anyvm ask target=vault default_target=vault\npass.GetPassword * work @anyvm ask target=vault default_target=vault\n",
		"work nonsense":                         "",
		"@anyvm ssh":                            "",
		"work ssh a/b":                          "",
		"--target @default work clef":           "",
		"--verb list work pass not-a-directory": "",
	} {
		var stdout, stderr bytes.Buffer
		code := run(append([]string{"policy"}, strings.Fields(args)...), &stdout, &stderr)
		_, lines, _ := strings.Cut(stdout.String(), "\n")
		if lines != want || (code == 0) != (want != "") {
			t.Errorf("%s: exit code %d, got %q, want %q\n%s", args, code, lines, want, &stderr)
		}
	}
}
