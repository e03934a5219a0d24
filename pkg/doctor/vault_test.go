package doctor

import (
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/splitvault/splitvault/pkg/consent"
)

func TestHealthyVaultIsWell(t *testing.T) {
	report := Run(t.Context(), healthyVault(t), Options{})
	if report.Exit() != 0 || report.Status != OK {
		t.Fatalf("got exit %d, %+v", report.Exit(), report)
	}
	saysAll(t, find(t, report, "rules"), "1 rule for ssh")
	saysAll(t, find(t, report, "agent"), debian13+": 1")
}

func TestVaultFailures(t *testing.T) {
	for _, row := range []failure{
		{
			"switched on as client, too", func(f *fake) { f.files[vaultFile], f.files[serviceFile] = file{}, file{} },
			"service", Warning,
			[]string{"[dom0] qvm-service vault splitvault-ssh off"},
		},
		{
			"no service file", func(f *fake) { delete(f.files, "/etc/qubes-rpc/qubes.Ssh") },
			"handler", Problem,
			[]string{"127", "[template] install splitvault"},
		},
		{
			"an older script answers in the guard's place",
			func(f *fake) { f.files["/usr/local/etc/qubes-rpc/qubes.Ssh"] = file{mode: 0o755, text: "#!/bin/sh\n"} },
			"handler", Problem,
			[]string{"[vault] sudo rm /usr/local/etc/qubes-rpc/qubes.Ssh"},
		},
		{
			"the template has an older script",
			func(f *fake) { f.files["/etc/qubes-rpc/qubes.Ssh"] = file{mode: 0o755, text: "#!/bin/sh\n"} },
			"handler", Problem,
			[]string{"[template] sudo rm /etc/qubes-rpc/qubes.Ssh"},
		},
		{
			"guard missing", func(f *fake) { delete(f.files, guard) },
			"handler", Problem,
			[]string{"[template] install splitvault"},
		},
		{
			"wait-for-session hangs calls",
			func(f *fake) { f.files["/etc/qubes/rpc-config/qubes.Ssh"] = file{text: "wait-for-session = true\n"} },
			"rpc-config", Warning,
			[]string{"for ever", "remove that line"},
		},
		{
			"wait-for-session hangs calls for passwords as well",
			func(f *fake) {
				f.files["/usr/local/etc/qubes/rpc-config/pass.GetField"] = file{text: "wait-for-session=1\n"}
			},
			"rpc-config", Warning,
			[]string{"pass.GetField has wait-for-session", "[vault] remove that line"},
		},
		{
			"client of passwords and vault", func(f *fake) { f.files[vaultFile], f.files["/run/qubes-service/splitvault-pass"] = file{}, file{} },
			"service", Warning,
			[]string{"both splitvault-vault and splitvault-pass", "[dom0] qvm-service vault splitvault-pass off"},
		},
		{
			"a profile file prints a greeting", func(f *fake) { f.runs["/bin/sh -lc :"] = Output{Stdout: "Hello\x1b[2J\n"} },
			"profile", Problem,
			[]string{`Hello\x1b`, ">&2"},
		},
		{
			"a profile file hangs", func(f *fake) { delete(f.runs, "/bin/sh -lc :") },
			"profile", Problem,
			[]string{"sh -lxc :"},
		},
		{
			"a typing error in the rules", func(f *fake) { f.rules = "[[ssh.rule]]\nqube = \"work\"\ndecison = \"allow\"\n" },
			"rules", Problem,
			[]string{"rules.toml:3", "decison"},
		},
		{
			"rules that only deny", func(f *fake) { f.rules = "[[ssh.rule]]\nqube = \"*\"\ndecision = \"deny\"\n" },
			"rules", Problem,
			[]string{"none of them allows"},
		},
		{
			"a rule that is never reached", func(f *fake) { f.rules += f.rules },
			"rules", Warning,
			[]string{"2 rules", "rules.toml:4", "never reached", "[vault] splitvault rules check"},
		},
		{
			"notifications that nobody shows", func(f *fake) {
				f.rules += "notify = true\n"
				f.runs[listNames] = Output{Stdout: "org.freedesktop.NotificationsX - - -\n:1.2 12 x user\n"}
			},
			"notify", Warning,
			[]string{"nothing in this session shows notifications", "[template] sudo apt install dunst", "splitvault log -f"},
		},
		{
			"a mistake in the rules for Clef", func(f *fake) { f.rules += "[[clef.rule]]\nqube = \"work\"\n" },
			"rules", Problem,
			[]string{"1 rule for ssh", "every request of that service is refused", "[vault] splitvault rules check"},
		},
		{
			"rules for pass ask, and there is no display", func(f *fake) {
				f.rules = "[[pass.rule]]\nqube = \"work\"\nentries = [\"work/**\"]\nverbs = [\"show\"]\ndecision = \"ask\"\n"
				f.screen = consent.Screen{}
			},
			"prompts", Problem,
			[]string{"no display to ask on"},
		},
		{
			"notifications without a bus", func(f *fake) { f.rules += "notify = true\n" },
			"notify", Unknown,
			[]string{"does not answer"},
		},
		{
			"a host that the vault does not know", func(f *fake) { f.rules += "hosts = [\"git.example\"]\n" },
			"hosts", Warning,
			[]string{"git.example", "~/.ssh/known_hosts"},
		},
		{
			"known hosts that cannot be read", func(f *fake) { f.known = t.TempDir() },
			"hosts", Problem,
			[]string{"no destination is believed"},
		},
		{
			"a bad line in known_hosts", func(f *fake) { f.known = written(t, "# fine\nnonsense\n") },
			"hosts", Warning,
			[]string{"known_hosts:2"},
		},
		{
			"nobody to ask: no unit", func(f *fake) { asking(f); f.runs[showConsent] = Output{Stdout: "LoadState=not-found\n"} },
			"prompts", Problem,
			[]string{"splitvault-consent.service", "[template] install splitvault"},
		},
		{
			"nobody to ask: the unit is masked", func(f *fake) { asking(f); f.runs[showConsent] = Output{Stdout: "LoadState=masked\n"} },
			"prompts", Problem,
			[]string{"[vault] systemctl --user unmask splitvault-consent.service"},
		},
		{
			"nobody to ask: no program of ours", func(f *fake) { asking(f); delete(f.files, consentProgram) },
			"prompts", Problem,
			[]string{consentProgram, "[template] install splitvault"},
		},
		{
			"nobody to ask: systemd is silent", func(f *fake) { asking(f); delete(f.runs, showConsent) },
			"prompts", Unknown,
			[]string{"[vault] systemctl --user status"},
		},
		{
			"nobody to ask: no display", func(f *fake) { asking(f); f.screen = consent.Screen{} },
			"prompts", Problem,
			[]string{"no display", "[dom0] qvm-features vault gui 1"},
		},
		{
			"nobody to ask: no zenity", func(f *fake) { asking(f); delete(f.files, "/usr/bin/zenity") },
			"prompts", Problem,
			[]string{"[template] sudo apt install zenity"},
		},
		{
			"a pinentry for a terminal does not help on a display",
			func(f *fake) {
				asking(f)
				delete(f.files, "/usr/bin/zenity")
				f.files["/usr/bin/pinentry-curses"] = file{mode: 0o755}
			},
			"prompts", Problem,
			[]string{"no program to ask with"},
		},
		{
			"nobody to ask beyond the rate",
			func(f *fake) { f.rules += "rate = \"3/min\"\n"; delete(f.files, "/usr/bin/zenity") },
			"prompts", Warning,
			[]string{"the rate of a rule is used up", "zenity"},
		},
		{
			"a forgotten pause",
			func(f *fake) { asking(f); f.holds = []consent.Hold{{Kind: consent.KindPause}} },
			"prompts", Warning,
			[]string{"paused for every qube", "[vault] splitvault pause --end"},
		},
		{
			"a silence",
			func(f *fake) { asking(f); f.holds = []consent.Hold{{Kind: consent.KindSilence, Qube: "work"}} },
			"prompts", Warning,
			[]string{"silenced for work", "[vault] splitvault grants", "[vault] splitvault pause --end"},
		},
		{
			"pauses that cannot be read", func(f *fake) { asking(f); f.broken = consent.ErrProtocol },
			"prompts", Problem,
			[]string{"[vault] splitvault pause --end"},
		},
		{
			"an audit file that others may read", func(f *fake) { f.files[auditFile] = file{mode: 0o644} },
			"audit", Warning,
			[]string{"[vault] chmod 600 " + auditFile},
		},
		{
			"a guard that crashed",
			func(f *fake) {
				f.files[runtimeDir+"/splitvault/crash/pass-guard.0"] = file{mode: 0o600}
				f.files[runtimeDir+"/splitvault/crash/pass-guard.1"] = file{mode: 0o600, text: "panic: gone\n"}
				f.files[runtimeDir+"/splitvault/crash/pass-guard.2"] = file{mode: fs.ModeSymlink | 0o777, text: "x"}
			},
			"crash", Warning,
			[]string{"not in the journal yet: " + runtimeDir + "/splitvault/crash/pass-guard.1", "[vault] less " + runtimeDir + "/splitvault/crash/pass-guard.1", "report it"},
		},
		{
			"an audit file that is a link", func(f *fake) { f.files[auditFile] = file{mode: fs.ModeSymlink | 0o777} },
			"audit", Warning,
			[]string{"[vault] mv " + auditFile},
		},
		{
			"an audit directory that others may write to",
			func(f *fake) { f.files[filepath.Dir(auditFile)] = file{mode: fs.ModeDir | 0o777} },
			"audit", Warning,
			[]string{"[vault] chmod 700 " + filepath.Dir(auditFile)},
		},
		{
			"no agent", func(f *fake) { clear(f.agents) },
			"agent", Problem,
			[]string{debian13, "ssh-agent.socket"},
		},
		{
			"agent without keys", func(f *fake) { f.agents[debian13] = serving(t, 0) },
			"agent", Problem,
			[]string{"SSH_AUTH_SOCK=" + debian13 + " ssh-add"},
		},
		{
			"only agent is our own socket",
			func(f *fake) {
				clear(f.agents)
				f.files[ourSocket] = file{mode: fs.ModeSocket | 0o600}
				f.runs[showEnv] = Output{Stdout: "SSH_AUTH_SOCK=" + ourSocket + "\n"}
			},
			"agent", Problem,
			[]string{"client and vault at once", "[dom0] qvm-service vault splitvault-ssh off"},
		},
		{
			"a named agent is our own socket",
			func(f *fake) { f.rules += "[ssh.agents]\nloop = \"%t/ssh/S.ssh-agent\"\n" },
			"agent", Problem,
			[]string{`"loop"`, "[ssh.agents]"},
		},
		{
			"a named agent is gone", func(f *fake) { f.rules += "[ssh.agents]\ncard = \"%t/gnupg/S.gpg-agent.ssh\"\n" },
			"agent", Problem,
			[]string{`"card"`, "start it"},
		},
		{
			"vault with a network", func(f *fake) { f.runs["qubesdb-read /qubes-gateway"] = Output{Stdout: "10.137.0.1\n"} },
			"network", Warning,
			[]string{"[dom0] qvm-prefs vault netvm ''"},
		},
	} {
		t.Run(row.name, func(t *testing.T) { row.alone(t, row.found(t, healthyVault(t), Options{})) })
	}
}

// asking has the vault's one rule ask.
func asking(f *fake) { f.rules = strings.Replace(f.rules, `"allow"`, `"ask"`, 1) }

// written returns the path of a known_hosts with this text.
func written(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "known_hosts")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// TestVaultWithoutRules: it asks. It is known as a vault by its mark, or by the
// audit file of earlier calls.
func TestVaultWithoutRules(t *testing.T) {
	for _, mark := range []string{vaultFile, auditFile} {
		f := healthyVault(t)
		f.rules = ""
		delete(f.files, auditFile)
		f.files[mark] = file{mode: 0o600}
		report := Run(t.Context(), f, Options{})
		if report.Status != OK {
			t.Errorf("%s: got %+v", mark, report)
		}
		saysAll(t, find(t, report, "rules"), "no rules.toml", "asked about")
		saysAll(t, find(t, report, "prompts"), "zenity")
		f.screen = consent.Screen{}
		if report := Run(t.Context(), f, Options{}); find(t, report, "prompts").Status != Problem {
			t.Errorf("%s, without display: got %+v", mark, report)
		}
	}
}

// TestPrompterThatFitsTheScreen: the same order and needs as package prompt.
func TestPrompterThatFitsTheScreen(t *testing.T) {
	all := []string{"zenity", "pinentry-gtk-2", "pinentry-qt", "pinentry-curses"}
	for _, row := range []struct {
		name      string
		screen    consent.Screen
		installed []string
		want      string
	}{
		{"zenity first", consent.Screen{Display: ":0", TTY: "/dev/tty1"}, all, "zenity"},
		{"gtk2 before qt", consent.Screen{Display: ":0"}, all[1:], "pinentry-gtk-2"},
		{"qt", consent.Screen{Display: ":0"}, all[2:], "pinentry-qt"},
		{"zenity on Wayland", consent.Screen{Wayland: "wayland-0"}, all, "zenity"},
		{"no pinentry on Wayland", consent.Screen{Wayland: "wayland-0"}, all[1:], ""},
		{"a terminal", consent.Screen{TTY: "/dev/tty1"}, all, "pinentry-curses"},
	} {
		f := &fake{files: map[string]file{}}
		for _, name := range row.installed {
			f.files["/usr/bin/"+name] = file{mode: 0o755}
		}
		if got := (&diagnosis{env: f}).prompter(row.screen); got != row.want {
			t.Errorf("%s: got %q, want %q", row.name, got, row.want)
		}
	}
}

// TestTemplateWideSwitchSparesTheVault: the qubes of one template are clients,
// but for the one that is marked.
func TestTemplateWideSwitchSparesTheVault(t *testing.T) {
	f := healthyVault(t)
	f.files[globalFile], f.files[vaultFile] = file{}, file{}
	if report := Run(t.Context(), f, Options{}); report.Status != OK {
		t.Errorf("got %+v", report)
	}
}

// TestFirstAgentThatAnswersCounts: a dead socket in the environment does not
// hide the living agent.
func TestFirstAgentThatAnswersCounts(t *testing.T) {
	f := healthyVault(t)
	f.env["SSH_AUTH_SOCK"] = "/tmp/ssh-gone/agent.1"
	f.runs[showEnv] = Output{Stdout: "PATH=/bin\n"}
	saysAll(t, find(t, Run(t.Context(), f, Options{}), "agent"), debian13)
}

// TestAgentThatHangs: the guard would use it, so it is the problem.
func TestAgentThatHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := healthyVault(t)
		f.env["SSH_AUTH_SOCK"] = "/tmp/stuck"
		f.agents["/tmp/stuck"] = func(conn net.Conn) { silent(conn) }
		got := find(t, Run(t.Context(), f, Options{}), "agent")
		if got.Status != Problem {
			t.Errorf("got %+v", got)
		}
		saysAll(t, got, "no answer", "SSH_AUTH_SOCK=/tmp/stuck ssh-add -l")
	})
}

// TestDefaultAgentOfTheRules takes the place of the search.
func TestDefaultAgentOfTheRules(t *testing.T) {
	f := healthyVault(t)
	f.rules += "[ssh.agents]\ndefault = [\"/a\", \"/b\"]\n"
	f.agents["/a"], f.agents["/b"] = serving(t, 2), serving(t, 1)
	saysAll(t, find(t, Run(t.Context(), f, Options{}), "agent"), "/a and /b: 3")
}

const listNames = "busctl --user --no-pager --no-legend --acquired --activatable list"

func TestADesktopShowsNotifications(t *testing.T) {
	t.Parallel()
	f := healthyVault(t)
	f.rules += "notify = true\n"
	f.runs[listNames] = Output{Stdout: "org.freedesktop.Notifications - - (activatable) -\n"}
	if r := find(t, Run(t.Context(), f, Options{}), "notify"); r.Status != OK {
		t.Errorf("%+v", r)
	}
}
