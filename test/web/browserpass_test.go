package web

import (
	"context"
	_ "embed" // for the files below
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/splitvault/splitvault/test/qubes/bench"
	"github.com/splitvault/splitvault/test/qubes/bench/machine"
)

//go:embed store.sh
var storeScript []byte

//go:embed firefox.sh
var firefoxScript []byte

const (
	passwordRules = "[[pass.rule]]\nqube = \"work\"\nentries = [\"web/**\"]\nverbs = [\"list\", \"field\"]\ndecision = \"allow\"\n"
	// Without a first page, and every name of the tests is this machine.
	firefoxPrefs = `user_pref("browser.shell.checkDefaultBrowser", false);
user_pref("datareporting.policy.dataSubmissionEnabled", false);
user_pref("browser.aboutwelcome.enabled", false);
user_pref("network.dns.localDomains", "shop.example.com,shop.example.com.evil.example.net");
`
	loginPage = `<!doctype html><title>log in</title>
<form action="/done"><input name="username"><input name="password" type="password"><button>log in</button></form>`
	// filled is what the page has of the person's.
	filled = `return [...document.querySelectorAll("input")].map((i) => i.value).join(" ")`
)

// surfer is a person with a browser, and the vault that has the passwords.
type surfer struct {
	*Marionette
	t    *testing.T
	work *bench.Qube
}

// passwords is the published Browserpass 3.7.2 in a real Firefox, as Debian packages
// both, with the vault behind it: the extension is installed for the whole system, with
// its own host, before which the user's takes place.
//
// Chromium is no choice: the packaged extension has version 2 of the manifest, and
// Chromium 156 "cannot install extension because it uses an unsupported manifest
// version", with every feature that refuses it turned off.
func passwords(t *testing.T, kit *bench.Kit) {
	b := kit.New(t, "trixie")
	vault, work := b.Boot("vault"), b.Boot("work", "splitvault-pass")
	b.Policy("pass.ListPasswords * work @anyvm allow target=vault", "pass.GetField * work @anyvm allow target=vault")
	put(t, vault, ".config/splitvault/rules.toml", passwordRules)
	put(t, vault, "store.sh", string(storeScript))
	put(t, work, "profile/user.js", firefoxPrefs)
	put(t, work, "pages/index.html", loginPage)
	put(t, work, "firefox.sh", string(firefoxScript))
	do(t, vault, "./store.sh")
	do(t, work, "./firefox.sh")
	s := surf(t, work)
	calls := func() []string {
		all, err := b.Calls()
		if err != nil {
			t.Fatal(err)
		}
		var fields []string
		for _, c := range all.Calls {
			if c.Service == "pass.GetField" {
				fields = append(fields, c.Argument)
			}
		}
		return fields
	}

	// A page whose name only begins like the right one: no entry is offered, neither to
	// a person nor to the key that fills what fits best.
	const evil = "shop.example.com.evil.example.net:8000"
	s.open("http://" + evil + "/")
	s.press("key ctrl+shift+f")
	s.popup(func(text string) bool { return text == evil+" typed: " })
	s.press("type bob")
	s.popup(func(text string) bool { return text == evil+" typed: bob" })
	s.press("key Return key Escape")
	s.closed()
	if got := s.filled(); strings.TrimSpace(got) != "" || len(calls()) != 0 {
		t.Errorf("the wrong page has %q, by the calls %q", got, calls())
	}

	// The right page: the person looks for bob, and the page has bob's password. Nobody
	// is offered what the vault keeps back, and no note has left the vault.
	s.open("http://shop.example.com:8000/")
	text := s.popup(func(text string) bool { return strings.Contains(text, "alice") && strings.Contains(text, "bob") })
	if strings.Contains(text, "root") {
		t.Errorf("the popup offers what is not for this qube: %q", text)
	}
	s.press("type bo")
	s.popup(func(text string) bool {
		return strings.Index(text, "bob") < strings.Index(text, "alice") && strings.HasSuffix(text, "typed: bo")
	})
	s.press("key Return")
	s.closed()
	until(t, "the page is filled in", func() bool { return s.filled() == "bob hunter2-bob" })
	const entry = "web+shop.example.com+bob__"
	if got, want := calls(), []string{entry + "password", entry + "login", entry + "url"}; !slices.Equal(got, want) {
		t.Errorf("the vault was asked for %q, want %q", got, want)
	}
}

// surf connects to the browser in a qube.
func surf(t *testing.T, work *bench.Qube) *surfer {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	t.Cleanup(cancel)
	cmd := work.Command(ctx, machine.AsUser, "socat", "-", "TCP:127.0.0.1:2828")
	w, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	r, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cancel(); _ = cmd.Wait() })
	m, err := Connect(r, w)
	if err != nil {
		t.Fatal(err)
	}
	return &surfer{m, t, work}
}

func (s *surfer) open(url string) {
	s.t.Helper()
	if err := s.Open(url); err != nil {
		s.t.Fatal(err)
	}
}

// press does what xdotool can, as the person at the screen.
func (s *surfer) press(what ...string) {
	s.t.Helper()
	do(s.t, s.work, "DISPLAY=:7 xdotool "+strings.Join(what, " "))
}

// popup opens the extension's popup by its key and a click into its line, where it is
// not open yet, and returns what is in it when it is as wanted.
func (s *surfer) popup(as func(text string) bool) (text string) {
	s.t.Helper()
	defer func() { s.t.Logf("the popup: %q", text) }()
	read := func() string {
		var err error
		if text, err = s.Popup(); err != nil {
			s.t.Fatal(err)
		}
		return text
	}
	if read() == "" {
		s.press("key ctrl+shift+l")
		until(s.t, "the popup is as wanted", func() bool { return as(read()) })
		do(s.t, s.work, `export DISPLAY=:7; xdotool mousemove --window "$(xdotool search --onlyvisible --class firefox | tail -n 1)" 330 22 click 1`)
	}
	until(s.t, "the popup is as wanted", func() bool { return as(read()) })
	return text
}

// closed waits until there is no popup any more.
func (s *surfer) closed() {
	s.t.Helper()
	until(s.t, "the popup is closed", func() bool {
		text, err := s.Popup()
		return err == nil && text == ""
	})
}

func (s *surfer) filled() (values string) {
	s.t.Helper()
	if err := s.Page(filled, &values); err != nil {
		s.t.Fatal(err)
	}
	return values
}

func put(t *testing.T, q *bench.Qube, path, text string) {
	t.Helper()
	if err := q.Put(t.Context(), path, []byte(text)); err != nil {
		t.Fatal(err)
	}
}

func do(t *testing.T, q *bench.Qube, command string) {
	t.Helper()
	if out, err := q.User(t.Context(), command); err != nil {
		t.Fatal(fmt.Errorf("%w\n%s", err, out))
	}
}

func until(t *testing.T, what string, is func() bool) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); !is(); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("never: %s", what)
		}
	}
}
