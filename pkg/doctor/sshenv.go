package doctor

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"
)

// environment compares SSH_AUTH_SOCK here, and that of the user's services and
// of programs started over D-Bus, with our socket.
func (d *diagnosis) environment(ctx context.Context) (Result, bool) {
	want := d.socketPath()
	out, err := d.run(ctx, "systemctl", "--user", "show-environment")
	if err != nil || out.Exit != 0 {
		return unknown("environment", "the user's systemd does not tell its environment", d.here("systemctl --user show-environment")), true
	}
	d.manager = pairs(out.Stdout)
	if theirs := d.manager["SSH_AUTH_SOCK"]; theirs != want {
		return problem("environment", "services of the user get SSH_AUTH_SOCK from "+culprit(theirs),
			d.here("systemctl --user restart %s", socketUnit)), true
	}
	ours := d.env.Getenv("SSH_AUTH_SOCK")
	if ours == want {
		return ok("environment", "SSH_AUTH_SOCK is %s", want), true
	}
	if where := d.startupLine(); where != "" {
		return problem("environment", where+" sets SSH_AUTH_SOCK: this shell uses "+culprit(ours),
			d.here("remove that line, then open a new terminal")), true
	}
	return problem("environment", "this shell has SSH_AUTH_SOCK from "+culprit(ours),
		d.here("open a new terminal; if that does not help, restart %s", d.self())), true
}

// culprit says who made an agent socket, by its path.
func culprit(untrustedPath string) string {
	for _, known := range []struct{ part, who string }{
		{"/openssh_agent", "OpenSSH's own agent (ssh-agent.socket)"},
		{"/gcr/ssh", "GNOME's agent (gcr-ssh-agent.socket)"},
		{"/keyring/ssh", "GNOME's keyring (gnome-keyring-ssh)"},
		{"/gnupg/S.gpg-agent.ssh", "gpg-agent (enable-ssh-support in ~/.gnupg/gpg-agent.conf)"},
		{"/.split-ssh/", "Qubes' own split-ssh"},
		{"/ssh-", "an ssh-agent started by hand, or forwarded by ssh"},
		{"/.ssh/agent/", "an ssh-agent started by hand, or forwarded by ssh"},
	} {
		if strings.Contains(untrustedPath, known.part) {
			return fmt.Sprintf("%s: %.100q", known.who, untrustedPath)
		}
	}
	if untrustedPath == "" {
		return "nobody: it is empty"
	}
	return fmt.Sprintf("another program: %.100q", untrustedPath)
}

// startupLine finds a line of the user that sets the variable.
func (d *diagnosis) startupLine() string {
	home := d.env.Getenv("HOME")
	for _, name := range []string{
		".bashrc", ".bash_profile", ".bash_login", ".profile", ".zshenv", ".zprofile", ".zshrc",
		".xsessionrc", ".pam_environment", ".config/fish/config.fish",
	} {
		text, err := d.env.ReadFile(filepath.Join(home, name))
		if err != nil {
			continue
		}
		number := 0
		for line := range strings.Lines(string(text)) {
			number++
			if line = strings.TrimSpace(line); strings.Contains(line, "SSH_AUTH_SOCK") && !strings.HasPrefix(line, "#") {
				return fmt.Sprintf("~/%s, line %d,", name, number)
			}
		}
	}
	return ""
}

// sshConfig knows the settings of ssh that ignore SSH_AUTH_SOCK.
func (d *diagnosis) sshConfig(ctx context.Context) (Result, bool) {
	out, err := d.run(ctx, "ssh", "-G", "localhost")
	if err != nil || out.Exit != 0 {
		return warning("ssh", "`ssh -G localhost` does not work: no ssh here, or a mistake in its configuration",
			d.here("ssh -G localhost")), true
	}
	for line := range strings.Lines(out.Stdout) {
		key, value, _ := strings.Cut(strings.TrimSpace(line), " ")
		switch {
		case key == "identityagent" && value != "SSH_AUTH_SOCK" && value != "$SSH_AUTH_SOCK" && value != d.socketPath():
			return warning("ssh", fmt.Sprintf("ssh's configuration has IdentityAgent %.100q for all hosts: ssh does not use SSH_AUTH_SOCK", value),
				d.here("remove IdentityAgent from ~/.ssh/config, or keep it for single hosts")), true
		case key == "identitiesonly" && value == "yes":
			return warning("ssh", "ssh's configuration has IdentitiesOnly yes: only keys whose .pub file is named by IdentityFile are used",
				d.here("ssh-add -L   (save the line you want as ~/.ssh/NAME.pub and name it: IdentityFile ~/.ssh/NAME.pub)")), true
		}
	}
	return Result{}, true
}
