package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/splitvault/splitvault/pkg/passcall/passtest"
)

func TestGitHelper(t *testing.T) {
	t.Parallel()
	both(t, entries, func(t *testing.T, w *world) {
		for _, tt := range []struct {
			name, stdin, stdout, stderr string
			code                        int
			args                        []string
		}{
			{"get", "protocol=https\nhost=github.com\n\n", "username=alice\npassword=hunter2\n", "", 0, []string{"get"}},
			{"get for the user", "protocol=https\nhost=github.com\nusername=alice\n", "username=alice\npassword=hunter2\n", "", 0, []string{"get"}},
			{"get for another user", "protocol=https\nhost=github.com\nusername=mallory\n", "", "", 0, []string{"get"}},
			{"get for an unknown host", "protocol=https\nhost=unknown.example\n", "", "", 0, []string{"get"}},
			{"attack: another site in the path", "protocol=https\nhost=unknown.example\npath=github.com\n", "", "", 0, []string{"get"}},
			{"attack: in the clear", "protocol=http\nhost=github.com\n", "", "not encrypted", 1, []string{"get"}},
			{"in the clear, as wished", "protocol=http\nhost=github.com\n", "username=alice\npassword=hunter2\n", "", 0, []string{"--http", "get"}},
			{"nothing said", "", "", "", 0, []string{"get"}},
			{"store is off", "protocol=https\nhost=new.example\nusername=u\npassword=p\n", "", "", 0, []string{"store"}},
			{"attack: a server's erase", "protocol=https\nhost=github.com\nusername=alice\npassword=hunter2\n", "", "", 0, []string{"erase"}},
			{"an operation of later versions", "capability[]=state\n", "", "", 0, []string{"capability"}},
			{"no operation", "", "", "usage:", 2, nil},
		} {
			calls := len(w.vault.Calls(t))
			w.want(tt.stdin, result{stdout: tt.stdout, stderr: tt.stderr, code: tt.code}, append([]string{gitName}, tt.args...)...)
			if tt.stdout == "" && len(tt.args) > 0 && tt.args[0] != "get" && len(w.vault.Calls(t)) != calls {
				t.Errorf("%s: called %q", tt.name, w.vault.Calls(t)[calls:])
			}
		}
	})
}

func TestGitHelperStoresWhatIsNew(t *testing.T) {
	t.Parallel()
	both(t, entries, func(t *testing.T, w *world) {
		const login = "protocol=https\nhost=new.example:8443\nusername=u\npassword=p=w\n"
		for range 2 { // git says it after each success
			w.want(login, result{}, gitName, "--store", "store")
		}
		if got := w.vault.Entries(t)["new.example:8443/u"]; got != "p=w\nlogin: u\nurl: https://new.example:8443\n" {
			t.Errorf("the vault has %q", got)
		}
		inserted := 0
		for _, call := range w.vault.Calls(t) {
			if strings.HasPrefix(call, "pass.Insert") {
				inserted++
			}
		}
		if inserted != 1 {
			t.Errorf("inserted %d times", inserted)
		}
	})
}

// With git's own program.
func TestRealGitFindsTheHelper(t *testing.T) {
	t.Parallel()
	git, err := exec.LookPath("git")
	if err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal(err)
		}
		t.Skip(err)
	}
	w := direct(t, entries())
	bin := t.TempDir()
	if err := os.Symlink(passtest.Program(t), filepath.Join(bin, gitName)); err != nil {
		t.Fatal(err)
	}
	w.env = append(w.env, "PATH="+bin+":"+os.Getenv("PATH"), "GIT_TERMINAL_PROMPT=0", "GIT_CONFIG_NOSYSTEM=1")
	fill := func(stdin string) (string, error) {
		cmd := exec.Command(git, "-c", "credential.helper=", "-c", "credential.helper=qpass", "credential", "fill")
		cmd.Env, cmd.Dir, cmd.Stdin = w.env, bin, strings.NewReader(stdin)
		out, err := cmd.Output()
		return string(out), err
	}
	if got, err := fill("protocol=https\nhost=github.com\n\n"); err != nil || !strings.Contains(got, "username=alice\npassword=hunter2\n") {
		t.Errorf("got %q, %v", got, err)
	}
	if got, err := fill("protocol=https\nhost=unknown.example\n\n"); err == nil {
		t.Errorf("for an unknown host: got %q", got)
	}
}

func TestDockerHelper(t *testing.T) {
	t.Parallel()
	const hub, hubEntry = "https://index.docker.io/v1/", "docker-credential-helpers/aHR0cHM6Ly9pbmRleC5kb2NrZXIuaW8vdjEv/carol"
	stock := func() map[string]string {
		e := entries()
		e[hubEntry] = "token\n"
		return e
	}
	both(t, stock, func(t *testing.T, w *world) {
		missing := "credentials not found in native keychain\n"
		for _, tt := range []struct {
			stdin, stdout string
			code          int
			verb          string
		}{
			{hub, `{"ServerURL":"` + hub + `","Username":"carol","Secret":"token"}` + "\n", 0, "get"},
			{"https://github.com", `{"ServerURL":"https://github.com","Username":"alice","Secret":"hunter2"}` + "\n", 0, "get"},
			{"unknown.example", missing, 1, "get"},
			{" \n", "no credentials server URL\n", 1, "get"},
			{"", `{"` + hub + `":"carol"}` + "\n", 0, "list"},
			{`{"ServerURL":"r.example:5000","Username":"u","Secret":"s\"\n"}`, "", 0, "store"},
			{"r.example:5000", `{"ServerURL":"r.example:5000","Username":"u","Secret":"s\""}` + "\n", 0, "get"},
			{`{"ServerURL":"r.example","Secret":"s"}`, "no credentials username\n", 1, "store"},
			{hub, "the vault's entries are removed in the vault, not from this qube\n", 1, "erase"},
			{"", `unknown verb "nonsense"` + "\n", 1, "nonsense"},
			// Google's registries: the password is a file of many lines, and comes whole.
			{`{"ServerURL":"gcr.example","Username":"_json_key","Secret":"{\n  \"type\": 1\n}\n"}`, "", 0, "store"},
			{"gcr.example", `{"ServerURL":"gcr.example","Username":"_json_key","Secret":"{\n  \"type\": 1\n}"}` + "\n", 0, "get"},
			{`{"ServerURL":"n.example","Username":"u","Secret":"a\nb"}`, "the secret has more than one line, of which the vault would give back the first\n", 1, "store"},
			{`{"ServerURL":"s.example","Username":"team/u","Secret":"s"}`, "", 0, "store"},
			{"s.example", `{"ServerURL":"s.example","Username":"team/u","Secret":"s"}` + "\n", 0, "get"},
		} {
			w.want(tt.stdin, result{stdout: tt.stdout, code: tt.code}, dockerName, tt.verb)
		}
		again := w.run(`{"ServerURL":"r.example:5000","Username":"u","Secret":"other"}`, dockerName, "store")
		if again.code != 1 || !strings.Contains(again.stdout, "changed there") || w.vault.Entries(t)["docker-credential-helpers/ci5leGFtcGxlOjUwMDA=/u"] != "s\"\n" {
			t.Errorf("got %+v, %q", again, w.vault.Entries(t))
		}
	})
}
