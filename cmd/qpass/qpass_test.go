package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

func TestVerbs(t *testing.T) {
	t.Parallel()
	both(t, entries, func(t *testing.T, w *world) {
		for _, tt := range []struct {
			args   []string
			stdout string
		}{
			{[]string{"show", "github.com"}, "hunter2\nlogin: alice\nurl: https://github.com\n"},
			{[]string{"show", "binary"}, "a\x00b\xff\n"},
			{[]string{"show", "esc"}, "a\x1b]0;PWNED\x07b\nc\n"}, // not a terminal
			{[]string{"show", "spaces/a  b c"}, "x\n"},
			{[]string{"show", "--", "odd/-dash"}, "-n\n"},
			{[]string{"show", "odd/$(id)`id`"}, "x\n"},
			{[]string{"show", "--json", "github.com"}, "{\n  \"name\": \"github.com\",\n  \"contents\": \"hunter2\\nlogin: alice\\nurl: https://github.com\\n\"\n}\n"},
			{[]string{"show", "--json", "binary"}, "{\n  \"name\": \"binary\",\n  \"contents_base64\": \"YQBi/wo=\"\n}\n"},
			{[]string{"field", "github.com", "login"}, "alice\n"},
			{[]string{"field", "github.com", "Username"}, "alice\n"},
			{[]string{"field", "odd/-dash", "password"}, "-n\n"},
			{[]string{"field", "--json", "github.com", "user"}, "{\n  \"name\": \"github.com\",\n  \"field\": \"login\",\n  \"contents\": \"alice\"\n}\n"},
			{[]string{"otp", "work/example.com/bob"}, "123456\n"},
			{[]string{"find", "example.com"}, "work/example.com/bob\tbob\n"},
			{[]string{"find", "--json", "github.com"}, "[\n  {\n    \"name\": \"github.com\",\n    \"login\": \"alice\"\n  }\n]\n"},
			{[]string{"ls", "work"}, "work\n└── example.com\n    └── bob\n"},
			{[]string{"ls", "--json", "spaces/"}, "[\n  \"spaces/a  b c\"\n]\n"},
			{[]string{"ls", "--flat", "work"}, "work/example.com/bob\n"},
			{[]string{"generate", "new/a", "20", "-n"}, "generated:len=20;nosym;\n"},
		} {
			w.want("", result{stdout: tt.stdout}, append([]string{"qpass"}, tt.args...)...)
		}
		w.want("new\nlines\n", result{}, "qpass", "insert", "new/b")
		w.want("", result{stdout: "new\nlines\n"}, "qpass", "show", "new/b")
		w.want("", result{}, "qpass", "insert", "new/empty")
		w.want("again\n", result{stderr: "refused", code: 11}, "qpass", "insert", "new/b")
		if got := w.vault.Entries(t)["new/b"]; got != "new\nlines\n" {
			t.Errorf("the vault has %q", got)
		}
	})
}

func TestExitCodes(t *testing.T) {
	t.Parallel()
	both(t, entries, func(t *testing.T, w *world) {
		for _, tt := range []struct {
			code int
			says string
			args []string
		}{
			{2, `unknown command "shwo"`, []string{"shwo"}},
			{2, "accepts between 1 and 1", []string{"show"}},
			{2, "not the name of an entry", []string{"show", "../x"}},
			{2, "not the name of an entry", []string{"show", ""}},
			{2, "not the name of a field", []string{"field", "github.com", "a:b"}},
			{1, "want 8 to 1024", []string{"generate", "x", "7"}},
			{10, "no such entry", []string{"show", "nothing"}},
			{16, "no such field", []string{"field", "github.com", "pin"}},
			{11, "refused", []string{"show", "exit/11"}},
			{12, "unlock", []string{"show", "exit/12"}},
			{13, "decrypted", []string{"otp", "exit/13"}},
			{14, "try again", []string{"show", "exit/14"}},
			{15, "1 MiB", []string{"show", "huge/x"}},
			{125, "the connection broke", []string{"show", "exit/255"}},
			{126, "pass.GetField +exit+126__otp", []string{"otp", "exit/126"}},
			{127, "has no service", []string{"insert", "exit/127"}},
		} {
			w.want("", result{code: tt.code, stderr: tt.says}, append([]string{"qpass"}, tt.args...)...)
		}
	})
}

// Without a socket and without qrexec, it says so.
func TestNoQube(t *testing.T) {
	t.Parallel()
	w := direct(t, nil)
	w.env = append(w.env, "SPLITVAULT_QREXEC_CLIENT=/nonexistent")
	w.want("", result{code: 125, stderr: "is this a qube?"}, "qpass", "ls")
	w.env = append(w.env, "SPLITVAULT_PASS_SOCKET=/nonexistent/S.pass")
	w.want("", result{code: 1, stderr: "SPLITVAULT_PASS_SOCKET"}, "qpass", "ls")
}

// A relay that ends in the middle is no answer.
func TestAttackHalfAnAnswer(t *testing.T) {
	t.Parallel()
	both(t, entries, func(t *testing.T, w *world) {
		w.want("", result{code: 125, stderr: "signal 9"}, "qpass", "show", "killed/x")
	})
}

func TestTheListHasNothingThatATerminalWouldObey(t *testing.T) {
	t.Parallel()
	both(t, entries, func(t *testing.T, w *world) {
		got := w.run("", "qpass")
		if got.code != 0 || strings.ContainsAny(got.stdout+got.stderr, "\x1b\x07") || !strings.HasPrefix(got.stdout, "Password Store\n├── ") ||
			!strings.Contains(got.stdout, "münchen 東京") || !strings.Contains(got.stderr, "left out") {
			t.Errorf("got %+v", got)
		}
	})
}

func TestPolicyIsPrintedForDom0(t *testing.T) {
	t.Parallel()
	w := direct(t, nil)
	got := w.run("", "qpass", "policy", "--verb", "otp,show", "--allow", "--target", "pv", "work", "work/a@b")
	if got.code != 0 || !strings.HasSuffix(got.stdout, "\npass.GetField +work+a_40b__otp work @anyvm allow target=pv\npass.GetPassword +work+a_40b work @anyvm allow target=pv\n") {
		t.Errorf("got %+v", got)
	}
	if calls := w.vault.Calls(t); len(calls) != 0 {
		t.Errorf("called %q", calls)
	}
}

// TestCompletion: what the shells ask, answered; names are whole words for them.
func TestCompletion(t *testing.T) {
	t.Parallel()
	both(t, entries, func(t *testing.T, w *world) {
		got := w.run("", "qpass", "__complete", "show", "")
		for _, want := range []string{"github.com\n", "spaces/a  b c\n", "work/example.com/bob\n"} {
			if !strings.Contains(got.stdout, want) {
				t.Errorf("%q is missing in %q", want, got.stdout)
			}
		}
		if strings.ContainsAny(got.stdout, "\x1b\x07") {
			t.Errorf("got %q", got.stdout)
		}
		if got := w.run("", "qpass", "__complete", "field", "github.com", ""); !strings.Contains(got.stdout, "otp\n") {
			t.Errorf("got %+v", got)
		}
		w.env = append(w.env, "SPLITVAULT_PASS_COMPLETE=0")
		calls := len(w.vault.Calls(t))
		if got := w.run("", "qpass", "__complete", "show", ""); strings.Contains(got.stdout, "github") || len(w.vault.Calls(t)) != calls {
			t.Errorf("got %+v", got)
		}
	})
}

// TestShippedCompletions keeps the files that are installed the same as what
// this version of cobra writes. To renew them: UPDATE=1 go test ./cmd/qpass
func TestShippedCompletions(t *testing.T) {
	t.Parallel()
	for name, root := range map[string]*cobra.Command{"qpass": newRoot(&app{}), menuName: newMenu(&app{})} {
		for path, write := range map[string]func(*bytes.Buffer) error{
			"bash-completion/completions/" + name:         func(b *bytes.Buffer) error { return root.GenBashCompletionV2(b, true) },
			"zsh/site-functions/_" + name:                 func(b *bytes.Buffer) error { return root.GenZshCompletion(b) },
			"fish/vendor_completions.d/" + name + ".fish": func(b *bytes.Buffer) error { return root.GenFishCompletion(b, true) },
		} {
			var want bytes.Buffer
			if err := write(&want); err != nil {
				t.Fatal(err)
			}
			path = filepath.Join("../../templatevm/usr/share", path)
			if os.Getenv("UPDATE") != "" {
				if err := os.WriteFile(path, want.Bytes(), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			got, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(got, want.Bytes()) {
				t.Errorf("%s is not what cobra writes: UPDATE=1 go test ./cmd/qpass", path)
			}
		}
	}
}

// The names under which packages install the program are links to it.
func TestLinks(t *testing.T) {
	t.Parallel()
	for _, name := range []string{menuName, gitName, dockerName} {
		if to, err := os.Readlink("../../templatevm/usr/bin/" + name); to != "qpass" || err != nil {
			t.Errorf("%s leads to %q, %v", name, to, err)
		}
	}
}

func TestHelpOfEveryName(t *testing.T) {
	t.Parallel()
	w := direct(t, nil)
	for _, name := range []string{"qpass", menuName, gitName, dockerName} {
		for _, option := range []string{"--help", "-h", "--version"} {
			if got := w.run("", name, option); got.code != 0 || got.stderr != "" || !strings.Contains(got.stdout, name) {
				t.Errorf("%s %s: got %+v", name, option, got)
			}
		}
	}
}

// Who presses Ctrl-C at a prompt leaves no call behind.
func TestInterrupted(t *testing.T) {
	t.Parallel()
	both(t, entries, func(t *testing.T, w *world) {
		cmd := w.command("qpass", "show", "hang/x")
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		w.vault.Await(t, 1)
		if err := cmd.Process.Signal(os.Interrupt); err != nil {
			t.Fatal(err)
		}
		_ = cmd.Wait()
		if code := cmd.ProcessState.ExitCode(); code != exitInterrupted {
			t.Errorf("exit code %d", code)
		}
		w.vault.Gone(t, long)
	})
}
