package qrexec_test

import (
	"os"
	"os/user"
	"path/filepath"
	"strings"
	"testing"
)

func TestContract02NamesAreSanitisedByteByByte(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	tests := []struct{ target, descriptor, wantTarget, wantService, wantArgument string }{
		{"vault", "x+a/b", "vault", "x", "a_b"},
		{"vault", "x+é", "vault", "x", "__"},
		{"vault", "x+\xff", "vault", "x", "_"},
		{"vault", "x+a%20b", "vault", "x", "a_20b"},
		{"vault", "x y:@\nz", "vault", "x_y___z", ""},
		{"vault", "x", "vault", "x", ""},
		{"vault", "x+", "vault", "x", ""},
		{"vault", "x+a+b", "vault", "x", "a+b"},
		{"vault", "x+--help", "vault", "x", "--help"},
		{"@dispvm:a+b c", "x", "@dispvm:a_b_c", "x", ""},
		{"uuid:1-2", "x", "uuid:1-2", "x", ""},
		{"", "x", "", "x", ""},
	}
	for _, tt := range tests {
		t.Run(tt.descriptor, func(t *testing.T) {
			b.call("", "--", tt.target, tt.descriptor)
			c := b.settled()
			if c.Requested != tt.wantTarget || c.Service != tt.wantService || c.Argument != tt.wantArgument {
				t.Errorf("dom0 saw target %q service %q argument %q, want %q %q %q",
					c.Requested, c.Service, c.Argument, tt.wantTarget, tt.wantService, tt.wantArgument)
			}
		})
	}
}

func TestContract02OversizedDescriptorBreaksTheAgent(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.serve("x", `printf %s "$1" | wc -c`)
	longest := "x+" + strings.Repeat("a", 3933)
	b.call("", "vault", longest).want(t, 0, "3933\n", "")
	b.call("", "vault", longest+"a").want(t, 126, "", "Request refused\n")
	eventually(t, "the agent is gone", func() bool { return b.call("", "vault", "x").code == 1 })
}

func TestContract02OversizedDescriptorCanWedgeTheAgentUntilItIsRestarted(t *testing.T) {
	t.Parallel()
	b := startBench(t, nil, []string{"--oversize", "wedge"}, nil)
	b.serve("x", `echo ok`)
	for _, descriptor := range []string{"x+" + strings.Repeat("a", 3934), "x"} {
		cmd := b.Command(t.Context(), "work", "vault", descriptor)
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		done := make(chan struct{})
		go func() { _ = cmd.Wait(); close(done) }()
		never(t, "a wedged agent answered", func() bool {
			select {
			case <-done:
				return true
			default:
				return false
			}
		})
		_ = cmd.Process.Kill()
		<-done
	}
	b.restartAgent("work")
	b.call("", "vault", "x").want(t, 0, "ok\n", "")
}

func TestContract04PolicyDecides(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.serve("x", `echo "$QREXEC_SERVICE_FULL_NAME"`)
	tests := []struct {
		name, rules, target, service string
		code                         int
		reason                       string
	}{
		{"redirect of no target", "x * work @default allow target=vault", "", "x+k", 0, ""},
		{"an unknown name is no target", "x * work @default allow target=vault", "nosuch", "x+k", 0, ""},
		{"empty argument rule", "x + work vault allow", "vault", "x+k", 126, "no matching rule"},
		{"argument rule", "x +k work vault allow", "vault", "x+k", 0, ""},
		{"first match wins", "x * work vault deny\nx * work vault allow", "vault", "x", 126, "denied"},
		{"self by way of a redirect", "x * work work allow target=vault", "work", "x+k", 0, ""},
		{"one bad line breaks everything", "x * work vault allow\ny * work vault permit", "vault", "x", 126, "did not load"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			b.policy(tt.rules)
			b.call("", tt.target, tt.service).wantCode(t, tt.code)
			if c := b.settled(); !strings.Contains(c.Reason, tt.reason) {
				t.Errorf("reason %q, want it to contain %q", c.Reason, tt.reason)
			}
		})
	}
	text, err := os.ReadFile(b.Log())
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range []string{
		"qrexec: x+k: work -> @default: allowed to vault\n",
		"qrexec: x+k: work -> vault: denied: no matching rule found\n",
	} {
		if !strings.Contains(string(text), line) {
			t.Errorf("dom0.log lacks %q:\n%s", line, text)
		}
	}
}

func TestContract06LookUpOrder(t *testing.T) {
	t.Parallel()
	base := t.TempDir()
	first, second := filepath.Join(base, "run"), filepath.Join(base, "etc")
	b := newBench(t, "--session", "gui", "--service-path", first+":"+second)
	put := func(dir, name, says string) {
		b.write(filepath.Join(dir, name), "#!/bin/sh\necho "+says+"\n", 0o755)
	}
	link := func(target, name string) {
		if err := os.Symlink(target, name); err != nil {
			t.Fatal(err)
		}
	}
	put(first, "both", "run")
	put(second, "both", "etc")
	put(first, "arg", "bare")
	put(second, "arg+k", "specific")
	put(second, "plus", "bare")
	put(second, "plus+", "plus")
	link("/nonexistent", filepath.Join(first, "dangling"))
	put(second, "dangling", "etc")
	link("/nonexistent", filepath.Join(first, "nowhere"))
	link(filepath.Join(second, "both"), filepath.Join(first, "linked"))
	b.write(filepath.Join(first, "plain"), "text", 0o644)
	b.write(filepath.Join(first, "noshell"), "#!/nonexistent\n", 0o755)
	link("loop", filepath.Join(first, "loop"))
	put(first, "long", "bare")

	tests := []struct {
		name, descriptor string
		code             int
		out              string
	}{
		{"first directory wins", "both", 0, "run\n"},
		{"the argument's file in a later directory beats the bare name in an earlier", "arg+k", 0, "specific\n"},
		{"another argument", "arg+j", 0, "bare\n"},
		{"NAME+ beats NAME without an argument", "plus", 0, "plus\n"},
		{"NAME for an argument", "plus+x", 0, "bare\n"},
		{"dangling link is skipped", "dangling", 0, "etc\n"},
		{"dangling link alone", "nowhere", 127, ""},
		{"link to a file", "linked", 0, "etc\n"},
		{"nothing there", "missing", 127, ""},
		{"not executable", "plain", 125, ""},
		{"interpreter missing", "noshell", 127, ""},
		{"other errors end the search", "loop", 125, ""},
		{"descriptor too long for a file", "long+" + strings.Repeat("a", 300), 0, "bare\n"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			b.call("", "vault", tt.descriptor).want(t, tt.code, tt.out, "")
		})
	}
}

func TestContract07RPCConfig(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	me, err := user.Current()
	if err != nil {
		t.Fatal(err)
	}
	b.serve("x", `echo ran`)
	tests := []struct {
		name, config string
		code         int
	}{
		{"empty", "", 0},
		{"comment, blanks, no final newline", "# c\n\nwait-for-session = false # c", 0},
		{"carriage returns", "wait-for-session=0\r\n", 0},
		{"unknown key with a good value", "brand-new-key='x'\n", 0},
		{"unknown key with a bad value", "brand-new-key=x\n", 125},
		{"socket keys on an executable", "skip-service-descriptor=true\nexit-on-client-eof=true\nexit-on-service-eof=true\n", 0},
		{"wait-for-session where there is one", "wait-for-session=true\n", 0},
		{"force-user", "force-user='" + me.Username + "'\n", 0},
		{"force-user without quotes", "force-user=root\n", 125},
		{"force-user double quoted", "force-user=\"root\"\n", 125},
		{"force-user of nobody known", "force-user='nosuchuser'\n", 125},
		{"force-user with a socket key", "force-user='" + me.Username + "'\nskip-service-descriptor=true\n", 125},
		{"twice", "wait-for-session=0\nwait-for-session=0\n", 125},
		{"section", "[x]\n", 125},
		{"leading blank", " wait-for-session=0\n", 125},
		{"no value", "wait-for-session=\n", 125},
		{"leading zero", "wait-for-session=01\n", 125},
		{"number out of range", "wait-for-session=2\n", 125},
		{"number for a boolean", "skip-service-descriptor=1\n", 125},
		{"junk", "wait-for-session=true x\n", 125},
		{"triple quotes", "force-user='''x'''\n", 125},
		{"NUL", "wait-for-session=0\n#\x00\n", 125},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			b.configure("x", tt.config)
			b.call("", "vault", "x").wantCode(t, tt.code)
		})
	}
	t.Run("the argument's file cancels the bare one's", func(t *testing.T) {
		b.configure("x", "[broken]")
		b.configure("x+", "")
		b.call("", "vault", "x").wantCode(t, 0)
	})
}
