package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"path/filepath"
	"strings"
	"time"
)

const picture = `
   work                          dom0           vault
   ssh, git ─► ssh-relay ─┐                 ┌─► ssh-guard ──► ssh-agent with the key
                          ├─ qrexec, policy ┤
   qpass ───► pass-relay ─┘                 └─► pass-guard ─► gpg and the store of pass

Both "qubes" are directories of this machine, and qrexec is an emulator of it. The
relays and guards, OpenSSH, git, pass, gpg and systemd's socket activation are real.
`

// story is the telling: commands that are really run, and what they printed.
type story struct {
	*world
	ctx context.Context
	out io.Writer
	env []string // of the client qube
}

// tell builds the world and walks through it; the first step that does not come
// out as told is an error.
func tell(ctx context.Context, w *world, out io.Writer) error {
	fmt.Fprint(out, "splitvault demo: SSH keys and passwords in one qube, their use in another\n", picture)
	if err := w.build(ctx); err != nil {
		return err
	}
	s := &story{world: w, ctx: ctx, out: out, env: w.env("work", "SSH_AUTH_SOCK="+w.agentSocket())}
	fmt.Fprintf(out, "\nThe policy in dom0 says:\n%sThe rules in the vault say:\n%s", indented(policyText), indented(rulesText))
	for _, step := range []func() error{s.list, s.login, s.sign, s.passwordsStep, s.attack} {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}

func indented(text string) string {
	var b strings.Builder
	for line := range strings.Lines(text) {
		b.WriteString(strings.TrimRight("    "+line, " \n") + "\n")
	}
	return b.String()
}

func (s *story) title(format string, args ...any) {
	fmt.Fprintf(s.out, "\n%s\n", fmt.Sprintf(format, args...))
}

// show runs a command as the client qube, prints both it and its words, and
// fails unless it exits with code and its words contain want.
func (s *story) show(code int, want string, argv ...string) error {
	fmt.Fprintf(s.out, "[work] $ %s\n", typed(argv))
	return s.run(s.env, code, want, argv...)
}

func (s *story) run(env []string, code int, want string, argv ...string) error {
	text, got, err := s.try(s.ctx, env, argv...)
	if err != nil {
		return err
	}
	for line := range strings.Lines(text) {
		fmt.Fprintf(s.out, "    %s\n", strings.TrimRight(line, "\r\n"))
	}
	if got != code || !strings.Contains(text, want) {
		return fmt.Errorf("running %s: exit %d and %q, but the demo promises exit %d and %q", typed(argv), got, text, code, want)
	}
	return nil
}

// typed is the command as a person would type it in the client qube.
func typed(argv []string) string {
	words := []string{filepath.Base(argv[0])}
	for _, arg := range argv[1:] {
		if strings.ContainsAny(arg, " $") {
			arg = "'" + arg + "'"
		}
		words = append(words, arg)
	}
	return strings.Join(words, " ")
}

func (s *story) list() error {
	s.title("1. The client sees which keys there are.")
	key, err := s.publicKey()
	if err != nil {
		return err
	}
	blob := strings.Fields(key)[1]
	return s.show(0, blob, s.sshAdd, "-L")
}

func (s *story) login() error {
	s.title("2. It logs in to a real sshd (127.0.0.1:%d); the vault signs.", s.port)
	return s.show(0, "logged in as ", s.ssh, "-F", "ssh_config", "server", "echo logged in as $(id -un)")
}

func (s *story) sign() error {
	s.title("3. It signs a git commit, and git verifies it.")
	key, err := s.publicKey()
	if err != nil {
		return err
	}
	fields := strings.Fields(key)
	if err := s.write("work/allowed_signers", "demo@example.org "+fields[0]+" "+fields[1]+"\n"); err != nil {
		return err
	}
	if err := s.write("work/home/.gitconfig", fmt.Sprintf(gitConfig, "key::"+fields[0]+" "+fields[1], s.path("work/allowed_signers"))); err != nil {
		return err
	}
	if err := s.do(s.ctx, s.env, s.git, "init", "-q", "project"); err != nil {
		return err
	}
	if err := s.show(0, "signed by the vault",
		s.git, "-C", "project", "commit", "-S", "--allow-empty", "-m", "signed by the vault"); err != nil {
		return err
	}
	return s.show(0, `Good "git" signature for demo@example.org`, s.git, "-C", "project", "log", "--show-signature")
}

const gitConfig = `[user]
	name = Demo
	email = demo@example.org
	signingkey = %s
[gpg]
	format = ssh
[gpg "ssh"]
	allowedSignersFile = %s
[init]
	defaultBranch = main
`

func (s *story) attack() error {
	s.title("5. It turns hostile: it tries to remove the keys, then sends the five bytes that\n   kill an ssh-agent behind a raw forwarder (a lock request without a body).")
	if err := s.show(1, "", s.sshAdd, "-D"); err != nil {
		return err
	}
	fmt.Fprint(s.out, "[work] $ (send 00 00 00 01 16 to $SSH_AUTH_SOCK)\n")
	answer, err := s.send([]byte{0, 0, 0, 1, 22})
	if err != nil {
		return err
	}
	fmt.Fprintf(s.out, "    answer: % x\n", answer)
	s.title("   The agent in the vault does not even learn of it, and still has its key:")
	fmt.Fprint(s.out, "[vault] $ ssh-add -l\n")
	return s.run(s.world.env("vault", "SSH_AUTH_SOCK="+s.path("vault/run/agent")), 0, "demo key", s.sshAdd, "-l")
}

// send writes bytes to the client qube's agent socket and returns the answer,
// at most one failure message; none where the connection was closed.
func (s *story) send(frame []byte) ([]byte, error) {
	conn, err := (&net.Dialer{Timeout: 5 * time.Second}).DialContext(s.ctx, "unix", s.agentSocket())
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(5 * time.Second)); err != nil {
		return nil, err
	}
	if _, err := conn.Write(frame); err != nil {
		return nil, fmt.Errorf("sending the attack: %w", err)
	}
	answer := make([]byte, 5)
	n, err := io.ReadFull(conn, answer)
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		return nil, fmt.Errorf("waiting for the answer to the attack: %w", err)
	}
	return answer[:n], nil
}
