package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// passServices are the qrexec services of pass that the demo's policy lets through.
var passServices = [...]string{"pass.ListPasswords", "pass.GetField", "pass.GetPassword"}

// seed is that of RFC 6238's own examples.
const seed = "otpauth://totp/demo?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"

// passwords gives the vault a store, made by the real pass and gpg, and pass-guard as the
// qrexec services for it.
func (w *world) passwords(ctx context.Context) error {
	if err := w.gpgAgentRuns(ctx); err != nil {
		return err
	}
	env := w.gpgEnv()
	if err := w.do(ctx, env, w.gpg, "--batch", "--quiet", "--pinentry-mode", "loopback", "--passphrase", "",
		"--quick-generate-key", "demo@example.org", "future-default", "default", "never"); err != nil {
		return err
	}
	if err := w.do(ctx, env, w.pass, "init", "demo@example.org"); err != nil {
		return err
	}
	for name, text := range map[string]string{
		"work/email":   "correct-horse\nlogin: alice\n" + seed,
		"private/bank": "battery-staple",
	} {
		if err := w.do(ctx, env, "sh", "-euc", `printf '%s\n' "$2" | "$0" insert --multiline "$1"`, w.pass, name, text); err != nil {
			return err
		}
	}
	for _, service := range passServices {
		if err := os.Symlink(w.passGuard, w.path("vault/rpc", service)); err != nil {
			return err
		}
	}
	return nil
}

func (w *world) gpgEnv() []string { return w.env("vault", "GNUPGHOME="+w.path("vault/gnupg")) }

// gpgAgentRuns starts gpg-agent as a part of the world. gpg would leave one behind that
// nobody ends. Where there is a /run/user, gpg wants the socket there.
func (w *world) gpgAgentRuns(ctx context.Context) error {
	socket, code, err := w.try(ctx, w.gpgEnv(), w.gpgconf, "--list-dirs", "agent-socket")
	if err != nil || code != 0 {
		return fmt.Errorf("asking for gpg-agent's socket: exit %d: %w", code, err)
	}
	socket = strings.TrimSpace(socket)
	if !strings.HasPrefix(socket, w.dir+"/") {
		w.gpgDir = filepath.Dir(socket)
		if err := w.gpgconfDo("--create-socketdir"); err != nil {
			return err
		}
	}
	argv := []string{w.activate, "--listen=" + socket, "--fdname=std"}
	for _, pair := range w.gpgEnv() {
		argv = append(argv, "-E", pair)
	}
	if err := w.start("gpg-agent", w.gpgEnv(), append(argv, w.gpgAgent, "--supervised")...); err != nil {
		return err
	}
	// A socket that is bound may not listen yet, and gpg would start an agent of its own. A
	// connection for nothing could end gpg-agent, by SIGPIPE.
	return w.says(ctx, "gpg-agent", "Listening on ")
}

// gpgconfDo works also when the demo was interrupted.
func (w *world) gpgconfDo(what string) error {
	cmd := exec.Command(w.gpgconf, what)
	cmd.Env = w.gpgEnv()
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("gpgconf %s: %w: %s", what, err, out)
	}
	return nil
}

// passwordsStep is the story's part of it.
func (s *story) passwordsStep() error {
	s.title("4. It reads a field of a password entry, and a code that the vault computes. The whole\n   entry, with the code's seed, and what no rule names do not exist for it.")
	for _, c := range []struct {
		code int
		want string
		argv []string
	}{
		{0, "email", []string{"ls"}},
		{0, "correct-horse", []string{"field", "work/email", "password"}},
		{0, "", []string{"otp", "work/email"}},
		{10, "no such entry", []string{"show", "work/email"}},
		{10, "no such entry", []string{"field", "private/bank", "password"}},
	} {
		if err := s.show(c.code, c.want, append([]string{s.qpass}, c.argv...)...); err != nil {
			return err
		}
	}
	return nil
}
