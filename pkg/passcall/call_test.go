package passcall_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/splitvault/splitvault/pkg/passcall"
	"github.com/splitvault/splitvault/pkg/passcall/passtest"
	"github.com/splitvault/splitvault/pkg/passcode"
	"github.com/splitvault/splitvault/pkg/passproto"
	"github.com/splitvault/splitvault/pkg/qrexec"
	"github.com/splitvault/splitvault/pkg/secret"
)

// long bounds what must happen at once, on a busy machine under the race detector.
const long = 10 * time.Second

func TestMain(m *testing.M) { passtest.Main(m) }

func caller(t *testing.T, v *passtest.Vault) *passcall.Caller {
	t.Helper()
	t.Cleanup(func() { v.KillChildren(t) })
	return &passcall.Caller{Client: passtest.Program(t), Target: qrexec.Target(v.Target), Self: "work"}
}

// do returns the answer, or the no.
func do(ctx context.Context, t *testing.T, c *passcall.Caller, line, body string) (string, error) {
	t.Helper()
	r, err := passproto.ParseRequest(line)
	if err != nil {
		t.Fatal(err)
	}
	var out secret.Buffer
	defer out.Wipe()
	err = c.Do(ctx, r, []byte(body), &out)
	return string(out.Bytes()), err
}

func TestEachVerbIsACallOfItsOwn(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("n", 250)
	entries := map[string]string{
		"github.com":     "hunter2\nlogin: alice\n",
		"work/a b":       "x\notpauth://totp/x\n",
		"binary":         "a\x00b\xff\n",
		long:             "long\n",
		"example.com/me": "pw\nlogin: me\n",
	}
	for _, tt := range []struct{ line, body, want, call string }{
		{"LIST work/", "", "work/a b\n", "pass.ListPasswords+work+"},
		{"GET github.com", "", "hunter2\nlogin: alice\n", "pass.GetPassword+github.com"},
		{"GET binary", "", "a\x00b\xff\n", "pass.GetPassword+binary"},
		{"GET work/a%20b", "", "x\notpauth://totp/x\n", "pass.GetPassword+work+a_20b"},
		{"GET " + long, "", "long\n", `pass.GetPassword ` + long + `\n`},
		{"FIELD github.com login", "", "alice\n", "pass.GetField+github.com__login"},
		{"FIELD work/a%20b otp", "", "123456\n", "pass.GetField+work+a_20b__otp"},
		{"FIELD " + long + " password", "", "long\n", `pass.GetField ` + long + `\npassword\n`},
		{"FIND example.com", "", "example.com/me\tme\n", "pass.FindLogin+example.com"},
		{"INSERT new 8", "pw\nmore\n", "", `pass.InsertPassword+new \x00split-pass/1 8\npw\nmore\n`},
		{"GENERATE gen len=12 nosym", "", "generated:len=12;nosym;\n", `pass.GeneratePassword+gen len=12\nnosym\n`},
		{"GENERATE gen2", "", "generated:\n", `pass.GeneratePassword+gen2`},
	} {
		t.Run(tt.line, func(t *testing.T) {
			t.Parallel()
			v := passtest.New(t, entries)
			got, err := do(t.Context(), t, caller(t, v), tt.line, tt.body)
			if got != tt.want || err != nil {
				t.Errorf("got %q, %v, want %q", got, err, tt.want)
			}
			if calls := v.Calls(t); len(calls) != 1 || calls[0] != tt.call {
				t.Errorf("called %q, want %q", calls, tt.call)
			}
		})
	}
}

func TestScopeSparesALinePerEntry(t *testing.T) {
	t.Parallel()
	v := passtest.New(t, map[string]string{"work/x": "pw\n", "other": "o\n"})
	c := caller(t, v)
	c.Scope = "work/"
	for _, line := range []string{"GET work/x", "FIELD work/x password", "GET other"} {
		if _, err := do(t.Context(), t, c, line, ""); err != nil {
			t.Errorf("%s: %v", line, err)
		}
	}
	want := []string{`pass.GetPassword+work+ work/x\n`, `pass.GetField+work+ work/x\npassword\n`, "pass.GetPassword+other"}
	if got := v.Calls(t); strings.Join(got, "|") != strings.Join(want, "|") {
		t.Errorf("called %q, want %q", got, want)
	}
}

func TestANameThatNoCallCanCarryIsRefusedWithoutOne(t *testing.T) {
	t.Parallel()
	v := passtest.New(t, nil)
	for _, line := range []string{"INSERT " + strings.Repeat("n", 250) + " 0", "GENERATE " + strings.Repeat("%20", 100) + "x", "FIND " + strings.Repeat("a", 250)} {
		_, err := do(t.Context(), t, caller(t, v), line, "")
		if no, ok := errors.AsType[*passproto.Error](err); !ok || no.Code != passcode.TooLarge {
			t.Errorf("%.20s: %v", line, err)
		}
	}
	if calls := v.Calls(t); len(calls) != 0 {
		t.Errorf("called %q", calls)
	}
}

// Every way a call can end but with code 0 is a no, and nothing of half an answer
// is given out.
func TestAttackHalfAnAnswerIsNoAnswer(t *testing.T) {
	t.Parallel()
	for entry, want := range map[string]struct {
		code passcode.Code
		says string
	}{
		"exit/1":   {passcode.Internal, "journalctl -b -t splitvault-pass-guard"},
		"exit/2":   {passcode.BadRequest, "request bad"},
		"exit/10":  {passcode.NotFound, "no such entry"},
		"exit/11":  {passcode.Refused, "splitvault log"},
		"exit/12":  {passcode.Locked, "unlock"},
		"exit/13":  {passcode.Decrypt, "decrypted"},
		"exit/14":  {passcode.Busy, "try again"},
		"exit/15":  {passcode.TooLarge, "too large"},
		"exit/16":  {passcode.NoField, "no such field"},
		"exit/17":  {passcode.Internal, "exit code 17"},
		"exit/125": {passcode.Qrexec, "qrexec could not start"},
		"exit/126": {passcode.Denied, "pass.GetPassword +exit+126 work @anyvm ask target="},
		"exit/127": {passcode.NoService, "has no service pass.GetPassword"},
		"exit/137": {passcode.Internal, "137"},
		"exit/255": {passcode.Qrexec, "the connection broke"},
		"killed/x": {passcode.Qrexec, "signal 9"},
		"huge/x":   {passcode.TooLarge, "1 MiB"},
		"nothing":  {passcode.NotFound, "no such entry"},
	} {
		t.Run(entry, func(t *testing.T) {
			t.Parallel()
			v := passtest.New(t, nil)
			got, err := do(t.Context(), t, caller(t, v), "GET "+entry, "")
			no, ok := errors.AsType[*passproto.Error](err)
			if !ok || no.Code != want.code || !strings.Contains(no.Text, want.says) || got != "" {
				t.Errorf("got %q, %v, want %v with %q", got, err, want.code, want.says)
			}
			if no != nil && (no.Text != passproto.Printable(no.Text) || strings.Contains(no.Text, "half")) {
				t.Errorf("the text is %q", no.Text)
			}
			v.Gone(t, long)
		})
	}
}

func TestOddButWholeAnswers(t *testing.T) {
	t.Parallel()
	for entry, want := range map[string]string{"large/x": strings.Repeat("x", 1<<20), "flood/x": "flood"} {
		t.Run(entry, func(t *testing.T) {
			t.Parallel()
			v := passtest.New(t, nil)
			if got, err := do(t.Context(), t, caller(t, v), "GET "+entry, ""); got != want || err != nil {
				t.Errorf("got %d bytes, %v", len(got), err)
			}
			v.Gone(t, long)
		})
	}
}

// A service that keeps its output open, or itself, does not keep the client.
func TestAttackACallThatDoesNotEnd(t *testing.T) {
	t.Parallel()
	for _, entry := range []string{"orphan/x", "mute/x"} {
		t.Run(entry, func(t *testing.T) {
			t.Parallel()
			v := passtest.New(t, nil)
			start := time.Now()
			got, err := do(t.Context(), t, caller(t, v), "GET "+entry, "")
			if err == nil || got != "" || time.Since(start) > 3*long {
				t.Errorf("got %q, %v after %v", got, err, time.Since(start))
			}
		})
	}
}

func TestWhoGivesUpLeavesNothingBehind(t *testing.T) {
	t.Parallel()
	for _, entry := range []string{"hang/x", "deaf/x"} {
		t.Run(entry, func(t *testing.T) {
			t.Parallel()
			v := passtest.New(t, nil)
			c := caller(t, v)
			ctx, cancel := context.WithCancel(t.Context())
			ended := make(chan error, 1)
			go func() {
				_, err := do(ctx, t, c, "INSERT "+entry+" 6", "secret")
				ended <- err
			}()
			v.Await(t, 1)
			cancel()
			select {
			case err := <-ended:
				if !errors.Is(err, context.Canceled) {
					t.Error(err)
				}
			case <-time.After(long):
				t.Error("it did not end")
			}
			v.Gone(t, long)
		})
	}
}

func TestNoQrexecClient(t *testing.T) {
	t.Parallel()
	c := &passcall.Caller{Client: "/nonexistent", Target: qrexec.Default}
	_, err := do(t.Context(), t, c, "GET x", "")
	no, ok := errors.AsType[*passproto.Error](err)
	if !ok || no.Code != passcode.Qrexec || !strings.Contains(no.Text, "is this a qube?") {
		t.Errorf("got %v", err)
	}
}

func TestEnvironment(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	env := map[string]string{
		"XDG_RUNTIME_DIR": dir, "QUBES_GPG_DOMAIN": "gpg-vault", "SPLITVAULT_PASS_SCOPE": "work/", "SPLITVAULT_QREXEC_CLIENT": "/x",
	}
	getenv := func(name string) string { return env[name] }
	c, noPool, err := passcall.From(getenv, "work", "QUBES_PASS_DOMAIN", "QUBES_GPG_DOMAIN")
	if err != nil || noPool != nil || c.Target != "gpg-vault" || c.Scope != "work/" || c.Client != "/x" || c.Pool == nil || c.Self != "work" {
		t.Errorf("got %+v, %v, %v", c, noPool, err)
	}
	if c, _, err := passcall.From(getenv, "work", "QUBES_PASS_DOMAIN"); err != nil || c.Target != qrexec.Default {
		t.Errorf("a relay takes the vault of split-gpg: %+v, %v", c, err)
	}
	env["QUBES_PASS_DOMAIN"] = "pass-vault"
	if c, _, err := passcall.From(getenv, "work", "QUBES_PASS_DOMAIN", "QUBES_GPG_DOMAIN"); err != nil || c.Target != "pass-vault" {
		t.Errorf("got %+v, %v", c, err)
	}
	for name, wrong := range map[string]string{"QUBES_PASS_DOMAIN": "@anyvm", "SPLITVAULT_PASS_SCOPE": "work"} {
		old := env[name]
		env[name] = wrong
		if c, _, err := passcall.From(getenv, "work", "QUBES_PASS_DOMAIN"); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s=%s: %+v, %v", name, wrong, c, err)
		}
		env[name] = old
	}
}
