package doctor

import (
	"io/fs"
	"net"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"

	"github.com/splitvault/splitvault/pkg/qrexec"
)

func TestHealthyClientIsWell(t *testing.T) {
	report := Run(t.Context(), healthyClient(t), Options{})
	if report.Exit() != 0 || report.Status != OK {
		t.Fatalf("got exit %d, %+v", report.Exit(), report)
	}
	if report.Qube != "work" {
		t.Errorf("got qube %q", report.Qube)
	}
	saysAll(t, find(t, report, "call"), "keys for this qube: 2")
	for _, c := range report.Checks {
		if len(c.Fix) != 0 {
			t.Errorf("check %q is well, and has a fix: %+v", c.Check, c.Fix)
		}
	}
}

func TestVerboseNamesKeysWithoutTheirControlCharacters(t *testing.T) {
	text := find(t, Run(t.Context(), healthyClient(t), Options{Verbose: true}), "call").Text
	if strings.Count(text, "SHA256:") != 2 || strings.Contains(text, "\x1b") {
		t.Errorf("got %q", text)
	}
}

// TestClientFailures breaks one thing at a time: the check that is meant for it
// finds it, and says what to type where.
func TestClientFailures(t *testing.T) {
	unit := func(text string) func(*fake) { return func(f *fake) { f.runs[showUnit] = Output{Stdout: text} } }
	refused := func(o qrexec.Outcome) func(*fake) {
		return func(f *fake) { f.agents[ourSocket], f.answer = refusing, o }
	}
	for _, row := range []failure{
		{
			"not a qube", func(f *fake) { delete(f.files, markerFile); delete(f.runs, showName) },
			"qube", Unknown,
			[]string{"no qube of Qubes OS"},
		},
		{
			"run by root", func(f *fake) { f.uid = 0 },
			"user", Unknown,
			[]string{"as user"},
		},
		{
			"no systemd of the user", func(f *fake) { delete(f.files, runtimeDir+"/systemd/private") },
			"user", Problem,
			[]string{"enable-linger"},
		},
		{
			"nothing switched on", func(f *fake) { delete(f.files, serviceFile) },
			"role", Unknown,
			[]string{"[dom0] qvm-service work splitvault-ssh on", "splitvault doctor --vault"},
		},
		{
			"switched on in dom0, not restarted",
			func(f *fake) {
				delete(f.files, serviceFile)
				f.runs["qubesdb-read /qubes-service/splitvault-ssh"] = Output{Stdout: "1\n"}
			},
			"service", Problem,
			[]string{"[dom0] qvm-shutdown --wait work && qvm-start work"},
		},
		{
			"no relay", func(f *fake) { delete(f.files, "/usr/lib/splitvault/ssh-relay") },
			"programs", Problem,
			[]string{"[template] install splitvault"},
		},
		{
			"no qrexec client", func(f *fake) { delete(f.files, "/usr/bin/qrexec-client-vm") },
			"programs", Problem,
			[]string{"/usr/bin/qrexec-client-vm"},
		},
		{
			"systemd does not answer", func(f *fake) { delete(f.runs, showUnit) },
			"socket", Unknown,
			[]string{"systemctl --user status"},
		},
		{
			"no unit", unit("LoadState=not-found\nActiveState=inactive\n"),
			"socket", Problem,
			[]string{"[template] install splitvault"},
		},
		{
			"unit masked", unit("LoadState=masked\nActiveState=inactive\n"),
			"socket", Problem,
			[]string{"systemctl --user unmask splitvault-ssh.socket"},
		},
		{
			"too many connections killed the socket", unit("LoadState=loaded\nActiveState=failed\nResult=trigger-limit-hit\n"),
			"socket", Problem,
			[]string{"trigger-limit-hit", "reset-failed splitvault-ssh.socket"},
		},
		{
			"condition failed", unit("LoadState=loaded\nActiveState=inactive\nConditionResult=no\n"),
			"socket", Problem,
			[]string{"systemctl --user restart splitvault-ssh.socket"},
		},
		{
			"stopped", unit("LoadState=loaded\nActiveState=inactive\nConditionResult=yes\n"),
			"socket", Problem,
			[]string{"systemctl --user restart splitvault-ssh.socket"},
		},
		{
			"connections turned away", unit("LoadState=loaded\nActiveState=active\nNRefused=7\n"),
			"socket", Warning,
			[]string{"7", "512"},
		},
		{
			"node removed", func(f *fake) { delete(f.files, ourSocket) },
			"node", Problem,
			[]string{"systemctl --user restart"},
		},
		{
			"node replaced by a file", func(f *fake) { f.files[ourSocket] = file{mode: 0o600} },
			"node", Problem,
			[]string{"rm " + ourSocket},
		},
		{
			"node open to others", func(f *fake) { f.files[ourSocket] = file{mode: fs.ModeSocket | 0o666} },
			"node", Problem,
			[]string{"0666", "systemctl --user cat"},
		},
		{
			"target not told yet", func(f *fake) { f.runs["qubesdb-read /vm-config/splitvault-ssh-domain"] = Output{Stdout: "vault2\n"} },
			"target", Problem,
			[]string{"vault2", "systemctl --user restart splitvault-ssh.socket"},
		},
		{
			"target is no name", func(f *fake) { f.runs["qubesdb-read /vm-config/splitvault-ssh-domain"] = Output{Stdout: "a b\n"} },
			"target", Problem,
			[]string{"[dom0] qvm-features work vm-config.splitvault-ssh-domain VAULT"},
		},
		{
			"services use Debian's agent", func(f *fake) { f.runs[showEnv] = Output{Stdout: "SSH_AUTH_SOCK=" + debian13 + "\n"} },
			"environment", Problem,
			[]string{"OpenSSH's own agent", "systemctl --user restart splitvault-ssh.socket"},
		},
		{
			"shell older than the install", func(f *fake) { f.env["SSH_AUTH_SOCK"] = "" },
			"environment", Problem,
			[]string{"it is empty", "open a new terminal"},
		},
		{
			"gpg-agent took over", func(f *fake) { f.env["SSH_AUTH_SOCK"] = runtimeDir + "/gnupg/S.gpg-agent.ssh" },
			"environment", Problem,
			[]string{"enable-ssh-support"},
		},
		{
			"official split-ssh took over", func(f *fake) { f.env["SSH_AUTH_SOCK"] = "/home/user/.split-ssh/work.sock" },
			"environment", Problem,
			[]string{"Qubes' own split-ssh"},
		},
		{
			".bashrc sets another agent",
			func(f *fake) {
				f.env["SSH_AUTH_SOCK"] = "/tmp/ssh-XX/agent.1"
				f.files["/home/user/.bashrc"] = file{text: "# my shell\n  export SSH_AUTH_SOCK=/tmp/ssh-XX/agent.1\n"}
			},
			"environment", Problem,
			[]string{"~/.bashrc, line 2", "remove that line"},
		},
		{
			"IdentityAgent for all hosts", func(f *fake) { f.runs["ssh -G localhost"] = Output{Stdout: "identityagent none\n"} },
			"ssh", Warning,
			[]string{"IdentityAgent"},
		},
		{
			"IdentitiesOnly", func(f *fake) { f.runs["ssh -G localhost"] = Output{Stdout: "identitiesonly yes\n"} },
			"ssh", Warning,
			[]string{"ssh-add -L"},
		},
		{
			"mistake in ssh_config", func(f *fake) { f.runs["ssh -G localhost"] = Output{Exit: 255} },
			"ssh", Warning,
			[]string{"ssh -G localhost"},
		},
		{
			"official split-ssh set up too", func(f *fake) { f.files["/rw/config/split-ssh-vault"] = file{} },
			"split-ssh", Warning,
			[]string{"sudo rm /rw/config/split-ssh-vault"},
		},
		{
			"no keys for this qube", func(f *fake) { f.agents[ourSocket] = serving(t, 0) },
			"call", Problem,
			[]string{"[vault] ssh-add -l", "[vault] splitvault explain work ssh"},
		},
		{
			"dom0 refuses", refused(qrexec.Outcome{Code: 126}),
			"call", Problem,
			[]string{"look alike", "[dom0] qubes-policy-editor 30-splitvault", "qubes.Ssh * work @anyvm ask target=VAULT", "qubes-qrexec-policy-daemon"},
		},
		{
			"no splitvault in the vault", refused(qrexec.Outcome{Code: 127}),
			"call", Problem,
			[]string{"[template] install splitvault in the vault's template"},
		},
		{
			"qrexec fails", refused(qrexec.Outcome{Code: 125}),
			"call", Problem,
			[]string{"try again"},
		},
		{
			"the client program is killed", refused(qrexec.Outcome{Code: -1, Signal: syscall.SIGKILL}),
			"call", Problem,
			[]string{"signal 9"},
		},
		{
			"the vault's rules refuse", refused(qrexec.Outcome{Code: 0}),
			"call", Problem,
			[]string{"[vault] splitvault doctor"},
		},
		{
			"nobody listens", func(f *fake) { delete(f.agents, ourSocket); f.answer = qrexec.Outcome{Code: 126} },
			"call", Problem,
			[]string{"dom0"},
		},
	} {
		t.Run(row.name, func(t *testing.T) { row.alone(t, row.found(t, healthyClient(t), Options{})) })
	}
}

// TestNoSecondCallWhereTheFirstWorks: with an ask policy each call is a question.
func TestNoSecondCallWhereTheFirstWorks(t *testing.T) {
	f := healthyClient(t)
	Run(t.Context(), f, Options{})
	if len(f.called) != 0 {
		t.Errorf("got calls %q", f.called)
	}
}

// TestReasonUsesTheRelaysSettings: a drop-in and dom0's wish reach the call that
// finds the reason, the latter wins.
func TestReasonUsesTheRelaysSettings(t *testing.T) {
	f := healthyClient(t)
	f.agents[ourSocket], f.answer = refusing, qrexec.Outcome{Code: 126}
	f.runs["systemctl --user show -P Environment splitvault-ssh@doctor.service"] = Output{
		Stdout: "QUBES_SSH_DOMAIN=other QUBES_SSH_SERVICE=qubes.SshAgent+work SPLITVAULT_QREXEC_CLIENT=/opt/client\n",
	}
	f.files[runtimeDir+"/splitvault/env"] = file{text: "QUBES_SSH_DOMAIN=vault2\n"}
	f.runs["qubesdb-read /vm-config/splitvault-ssh-domain"] = Output{Stdout: "vault2\n"}
	report := Run(t.Context(), f, Options{})
	if want := "/opt/client vault2 qubes.SshAgent+work"; len(f.called) != 1 || f.called[0] != want {
		t.Errorf("got calls %q, want %q", f.called, want)
	}
	saysAll(t, find(t, report, "call"), "qubes.SshAgent * work @anyvm")
}

func TestCallGivesUpAfterAMinute(t *testing.T) {
	for name, serve := range map[string]func(net.Conn){"silent vault": silent, "half an answer": func(conn net.Conn) {
		var request [5]byte
		_, _ = conn.Read(request[:])
		_, _ = conn.Write([]byte{0, 0, 1})
		silent(conn)
	}} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := healthyClient(t)
				f.agents[ourSocket] = serve
				report := Run(t.Context(), f, Options{})
				got := find(t, report, "call")
				if got.Status != Problem || len(f.called) != 0 {
					t.Errorf("got %+v, calls %q", got, f.called)
				}
				saysAll(t, got, "question is open in dom0")
			})
		})
	}
}

func TestMarkedAsVaultAndMeantAsClient(t *testing.T) {
	f := healthyClient(t)
	f.files[vaultFile] = file{}
	got := find(t, Run(t.Context(), f, Options{Client: true}), "service")
	if got.Status != Problem {
		t.Errorf("got %+v", got)
	}
	saysAll(t, got, "[dom0] qvm-service work splitvault-vault off")
}

func TestTemplateHasNothingToExamine(t *testing.T) {
	f := healthyClient(t)
	f.files[templateFile] = file{}
	report := Run(t.Context(), f, Options{})
	if report.Exit() != 0 || len(report.Checks) != 1 {
		t.Errorf("got %+v", report)
	}
	saysAll(t, report.Checks[0], "is a template")
}
