package doctor

import (
	"context"
	"crypto/ed25519"
	"io"
	"io/fs"
	"net"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh/agent"

	"github.com/splitvault/splitvault/pkg/consent"
	"github.com/splitvault/splitvault/pkg/knownhosts"
	"github.com/splitvault/splitvault/pkg/prompt"
	"github.com/splitvault/splitvault/pkg/qrexec"
	"github.com/splitvault/splitvault/pkg/rules"
)

const (
	runtimeDir = "/run/user/1000"
	ourSocket  = runtimeDir + "/ssh/S.ssh-agent"
	debian13   = runtimeDir + "/openssh_agent"
)

// fake is a qube in which everything can go wrong.
type fake struct {
	env    map[string]string
	uid    int
	files  map[string]file
	runs   map[string]Output // by command line; others do not exist
	agents map[string]func(net.Conn)
	called []string // qrexec calls that were made
	answer qrexec.Outcome
	lines  int            // of that answer
	rules  string         // text of rules.toml, "" for none
	known  string         // path of a known_hosts, "" for none
	screen consent.Screen // what there is of any screen that is named
	holds  []consent.Hold
	broken error // of the file with the holds
}

type file struct {
	mode fs.FileMode
	text string
	link string
}

func (f file) Name() string       { return "" }
func (f file) Size() int64        { return int64(len(f.text)) }
func (f file) Mode() fs.FileMode  { return f.mode }
func (f file) ModTime() time.Time { return time.Time{} }
func (f file) IsDir() bool        { return f.mode.IsDir() }
func (f file) Sys() any           { return nil }

func (f *fake) Getenv(key string) string { return f.env[key] }
func (f *fake) UID() int                 { return f.uid }

func (f *fake) Lstat(path string) (fs.FileInfo, error) {
	if got, ok := f.files[path]; ok {
		return got, nil
	}
	return nil, fs.ErrNotExist
}

func (f *fake) Readlink(path string) (string, error) {
	if link := f.files[path].link; link != "" {
		return link, nil
	}
	return "", fs.ErrInvalid
}

func (f *fake) ReadFile(path string) ([]byte, error) {
	if got, ok := f.files[path]; ok {
		return []byte(got.text), nil
	}
	return nil, fs.ErrNotExist
}

func (f *fake) Run(_ context.Context, argv ...string) (Output, error) {
	if out, ok := f.runs[strings.Join(argv, " ")]; ok {
		return out, nil
	}
	return Output{}, fs.ErrNotExist
}

func (f *fake) Dial(_ context.Context, path string) (net.Conn, error) {
	serve, ok := f.agents[path]
	if !ok {
		return nil, fs.ErrNotExist
	}
	ours, theirs := net.Pipe()
	go func() {
		defer theirs.Close()
		serve(theirs)
	}()
	return ours, nil
}

func (f *fake) Call(_ context.Context, client string, target qrexec.Target, service qrexec.Service) (int, qrexec.Outcome) {
	f.called = append(f.called, strings.Join([]string{client, string(target), string(service)}, " "))
	return f.lines, f.answer
}

func (f *fake) Rules() (*rules.File, error) { return parsed(f, rules.Parse) }

func (f *fake) ClefRules() (*rules.ClefFile, error) { return parsed(f, rules.ParseClef) }

func (f *fake) PassRules() (*rules.PassFile, error) { return parsed(f, rules.ParsePass) }

func parsed[T any](f *fake, parse func(string, []byte) (*T, error)) (*T, error) {
	if f.rules == "" {
		return nil, rules.ErrNoFile
	}
	return parse("/home/user/.config/splitvault/rules.toml", []byte(f.rules))
}

func (f *fake) KnownHosts(bool) (*knownhosts.DB, error) {
	if f.known == "" {
		return knownhosts.Load()
	}
	return knownhosts.Load(f.known)
}

func (f *fake) Screen(s consent.Screen) (consent.Screen, error) {
	if s == (consent.Screen{}) || f.screen == (consent.Screen{}) {
		return consent.Screen{}, prompt.ErrNoDisplay
	}
	return f.screen, nil
}

func (f *fake) Holds() ([]consent.Hold, error) { return f.holds, f.broken }

const (
	showConsent = "systemctl --user show -p LoadState splitvault-consent.service"
	auditFile   = "/home/user/.local/state/splitvault/audit.jsonl"
	showUnit    = "systemctl --user show -p LoadState,ActiveState,Result,ConditionResult,NRefused splitvault-ssh.socket"
	showEnv     = "systemctl --user show-environment"
	showName    = "qubesdb-read /name"
)

// healthyClient is "work", in which all is well.
func healthyClient(t *testing.T) *fake {
	return &fake{
		uid: 1000,
		env: map[string]string{"HOME": "/home/user", "XDG_RUNTIME_DIR": runtimeDir, "SSH_AUTH_SOCK": ourSocket},
		files: map[string]file{
			markerFile:                          {},
			serviceFile:                         {},
			runtimeDir + "/systemd/private":     {mode: fs.ModeSocket},
			"/usr/lib/splitvault/ssh-relay":     {mode: 0o755},
			"/usr/bin/qrexec-client-vm":         {mode: 0o755},
			ourSocket:                           {mode: fs.ModeSocket | 0o600},
			"/home/user/.bashrc":                {text: "# export SSH_AUTH_SOCK=old\nalias ls='ls -l'\n"},
			runtimeDir + "/splitvault/env":      {},
			"/etc/qubes/rpc-config/qubes.Other": {text: "wait-for-session=1\n"},
		},
		runs: map[string]Output{
			showName:           {Stdout: "work\n"},
			showUnit:           {Stdout: "Result=success\nNRefused=0\nLoadState=loaded\nActiveState=active\nConditionResult=yes\n"},
			showEnv:            {Stdout: "HOME=/home/user\nSSH_AUTH_SOCK=" + ourSocket + "\n"},
			"ssh -G localhost": {Stdout: "user user\nidentitiesonly no\nidentityagent SSH_AUTH_SOCK\n"},
		},
		agents: map[string]func(net.Conn){ourSocket: serving(t, 2)},
	}
}

// healthyVault is "vault", in which all is well, on Debian 13.
func healthyVault(t *testing.T) *fake {
	f := &fake{
		uid: 1000,
		env: map[string]string{"HOME": "/home/user", "XDG_RUNTIME_DIR": runtimeDir},
		files: map[string]file{
			markerFile:                      {},
			runtimeDir + "/systemd/private": {mode: fs.ModeSocket},
			"/etc/qubes-rpc/qubes.Ssh":      {mode: fs.ModeSymlink | 0o777, link: guard},
			guard:                           {mode: 0o755},
			consentProgram:                  {mode: 0o755},
			"/usr/bin/zenity":               {mode: 0o755},
			filepath.Dir(auditFile):         {mode: fs.ModeDir | 0o700},
			auditFile:                       {mode: 0o600, text: "{}\n"},
		},
		runs: map[string]Output{
			showName:        {Stdout: "vault\n"},
			showEnv:         {Stdout: "SSH_AUTH_SOCK=" + debian13 + "\nDISPLAY=:0\n"},
			showConsent:     {Stdout: "LoadState=loaded\n"},
			"/bin/sh -lc :": {},
		},
		agents: map[string]func(net.Conn){debian13: serving(t, 1)},
		screen: consent.Screen{Display: ":0"},
		rules:  "[[ssh.rule]]\nqube = \"work\"\ndecision = \"allow\"\n",
	}
	for _, name := range passServices {
		f.files["/etc/qubes-rpc/pass."+name] = file{mode: fs.ModeSymlink | 0o777, link: passGuard}
	}
	f.files[passGuard], f.files["/usr/bin/gpg"] = file{mode: 0o755}, file{mode: 0o755}
	f.files["/home/user/.password-store"] = file{mode: fs.ModeDir | 0o700}
	f.files["/home/user/.password-store/.gpg-id"] = file{}
	return f
}

// serving is an agent with so many keys.
func serving(t *testing.T, keys int) func(net.Conn) {
	t.Helper()
	ring := agent.NewKeyring()
	for range keys {
		_, private, err := ed25519.GenerateKey(nil)
		if err != nil {
			t.Fatal(err)
		}
		if err := ring.Add(agent.AddedKey{PrivateKey: private, Comment: "mail\x1b[2J"}); err != nil {
			t.Fatal(err)
		}
	}
	return func(conn net.Conn) { _ = agent.ServeAgent(ring, conn) }
}

// refusing answers every request with SSH_AGENT_FAILURE, as the relay does.
func refusing(conn net.Conn) {
	var request [5]byte
	if _, err := io.ReadFull(conn, request[:]); err == nil {
		_, _ = conn.Write([]byte{0, 0, 0, 1, 5})
	}
}

// silent takes the request and never answers.
func silent(conn net.Conn) { _, _ = io.Copy(io.Discard, conn) }

// find returns the result of one check.
func find(t *testing.T, r Report, check string) Result {
	t.Helper()
	for _, c := range r.Checks {
		if c.Check == check {
			return c
		}
	}
	t.Fatalf("no result of check %q in %+v", check, r)
	return Result{}
}

// saysAll fails unless the text of a result and its fixes have all parts.
func saysAll(t *testing.T, r Result, parts ...string) {
	t.Helper()
	all := r.Text
	for _, step := range r.Fix {
		all += "\n[" + step.Where + "] " + step.Do
	}
	for _, part := range parts {
		if !strings.Contains(all, part) {
			t.Errorf("check %q does not say %q:\n%s", r.Check, part, all)
		}
	}
}

// failure is something that is broken, and what the doctor says of it.
type failure struct {
	name   string
	broken func(*fake)
	check  string
	want   Status
	says   []string
}

// found breaks it in what is healthy, and fails unless the doctor sees it.
func (row failure) found(t *testing.T, f *fake, o Options) Report {
	t.Helper()
	row.broken(f)
	report := Run(t.Context(), f, o)
	got := find(t, report, row.check)
	if got.Status != row.want {
		t.Errorf("got %v, want %v: %+v", got.Status, row.want, got)
	}
	saysAll(t, got, row.says...)
	return report
}

// alone fails unless the rest is healthy, and the exit code tells of this alone.
func (row failure) alone(t *testing.T, report Report) {
	t.Helper()
	exit := map[Status]int{Warning: 0, Problem: 1, Unknown: 2}[row.want]
	if report.Exit() != exit {
		t.Errorf("got exit code %d, want %d: %+v", report.Exit(), exit, report)
	}
	for _, c := range report.Checks {
		if c.Check != row.check && c.Status != OK {
			t.Errorf("another check complains too: %+v", c)
		}
	}
}
