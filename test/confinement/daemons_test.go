package confinement

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/splitvault/splitvault/test/baseline"
	"github.com/splitvault/splitvault/test/qubes/bench"
	"github.com/splitvault/splitvault/test/qubes/bench/machine"
)

const vaultRules = `
[ssh.agents]
default = "%t/agent.sock"

[[ssh.rule]]
qube = "work"
decision = "allow"

[[clef.rule]]
qube = "work"
decision = "allow"

[[pass.rule]]
qube = "work"
entries = ["**"]
verbs = ["list", "show"]
decision = "allow"
`

// startVault has an agent, and a password store with an entry that does not fit into
// any pipe. There is no Clef: the guard is looked at before it needs one.
const startVault = `set -e
systemd-run --user --quiet --collect --unit=agent ssh-agent -D -a $XDG_RUNTIME_DIR/agent.sock
systemctl --user start splitvault-consent.service
gpg --batch --quiet --passphrase '' --quick-gen-key store default default never
mkdir -p -m 0700 .password-store
echo store >.password-store/.gpg-id
head -c 600000 /dev/urandom | base64 | gpg --batch --quiet --trust-model always -r store -e -o .password-store/big.gpg
until test -S $XDG_RUNTIME_DIR/agent.sock; do sleep 0.01; done`

// look tells of each process of ours what the kernel knows of it.
const look = `for p in /proc/[0-9]*; do
	exe=$(readlink $p/exe 2>/dev/null) || continue
	case $exe in /usr/lib/splitvault/*|/usr/bin/qpass) ;; *) continue ;; esac
	echo "process $(basename $exe)"
	grep -E '^(CapEff|CapPrm|CapInh|CapAmb|CapBnd|NoNewPrivs|Seccomp):' $p/status
	sed -n 's/^Max core file size */&:/p' $p/limits
	echo "owner: $(stat -c %u $p/mem)"
	echo "locked and not dumped: $(grep '^VmFlags:.* lo.* dd' $p/smaps | wc -l)"
	for fd in $p/fd/*; do echo "fd $(readlink $fd | sed 's/:\[.*\]$//; s/[0-9a-f]\{32,\}/HASH/; s#^/run/user/1000/##; s#^/home/user/##')"; done
done`

// process is one of ours that runs.
type process struct {
	status map[string]string
	files  []string // what is open, sorted
}

// runningDaemons looks at each while it works.
func runningDaemons(t *testing.T, kit *bench.Kit, suite string) {
	t.Helper()
	b := kit.New(t, suite)
	b.Policy("qubes.Ssh * work @anyvm allow target=vault", "qubes.Clefsign * work @anyvm allow target=vault", "pass.GetPassword * work @anyvm allow target=vault")
	vault, work := b.Boot("vault"), b.Boot("work", "splitvault-ssh", "splitvault-clef", "splitvault-pass")
	furnishDaemons(t, vault, work)
	for _, stall := range [][]string{
		{"--service", "pass.*", "--direction", "to-client", "--after", "5000"}, // while the guard still has the secret
		{"--service", "qubes.Clefsign*", "--direction", "to-service"},          // before the guard needs a Clef
	} {
		if _, err := b.Ctl(t.Context(), append([]string{"fault", "stall"}, stall...)...); err != nil {
			t.Fatal(err)
		}
	}
	end := hold(t, vault, work)
	found := processes(t, vault, work)
	for name, want := range expected() {
		p := found[name]
		if p == nil {
			t.Errorf("%s does not run", name)
			continue
		}
		for _, fault := range want.faults(p) {
			t.Errorf("%s: %s", name, fault)
		}
	}
	end()
}

func furnishDaemons(t *testing.T, vault, work *bench.Qube) {
	t.Helper()
	program, err := baseline.Program(t.Context(), "test/figures/agentload")
	if err != nil {
		t.Fatal(err)
	}
	const account = `getent passwd splitvault >/dev/null || useradd --system --home-dir /var/lib/splitvault --shell /usr/sbin/nologin splitvault
mkdir -p /run/splitvault /var/lib/splitvault && chown splitvault: /run/splitvault /var/lib/splitvault && systemctl start splitvault-clef-net.socket`
	const netRules = "[[clef.rule]]\nqube = \"dapp\"\ndecision = \"allow\"\n[[clef.peer]]\naddress = \"127.0.0.1\"\nname = \"dapp\"\n"
	if err := vault.Put(t.Context(), "/etc/splitvault/rules.toml", []byte(netRules)); err != nil {
		t.Fatal(err)
	}
	if err := baseline.Put(t.Context(), work, map[string][]byte{"/usr/local/bin/agentload": program}); err != nil {
		t.Fatal(err)
	}
	if err := vault.Put(t.Context(), ".config/splitvault/rules.toml", []byte(vaultRules)); err != nil {
		t.Fatal(err)
	}
	if _, err := vault.User(t.Context(), startVault); err != nil {
		t.Fatal(err)
	}
	if _, err := vault.Root(t.Context(), account); err != nil {
		t.Fatal(err)
	}
}

// hold has each daemon at work; what it returns ends that.
func hold(t *testing.T, vault, work *bench.Qube) (end func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	var all sync.WaitGroup
	for _, c := range []struct {
		q       *bench.Qube
		command string
	}{
		{work, "sleep 600 | agentload -socket /run/user/1000/ssh/S.ssh-agent -n 1 -hold"},
		{work, `curl -s -d '{"jsonrpc":"2.0","id":1,"method":"account_list","params":[]}' http://127.0.0.1:8550`},
		{work, "qpass show big | sleep 600"},
		{vault, "sleep 600 | socat - TCP:127.0.0.1:8551"},
	} {
		cmd := c.q.Command(ctx, machine.AsUser, c.command)
		all.Go(func() { _ = cmd.Run() }) // it is ended
	}
	return func() {
		cancel()
		all.Wait()
		// What was held would not end by itself.
		if err := errors.Join(work.Kill(), vault.Kill()); err != nil {
			t.Error(err)
		}
	}
}

// processes looks until each has been seen as it should be, or for long enough; then
// the others are as they were last.
func processes(t *testing.T, qubes ...*bench.Qube) map[string]*process {
	t.Helper()
	seen := map[string]*process{}
	for deadline := time.Now().Add(30 * time.Second); time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
		found := map[string]*process{}
		for _, q := range qubes {
			out, err := q.Root(t.Context(), "sh", "-c", look)
			if err != nil {
				t.Fatal(err)
			}
			read(found, out)
		}
		left := len(expected())
		for name, want := range expected() {
			if p := seen[name]; p == nil || len(want.faults(p)) > 0 {
				p = found[name]
				if p != nil {
					seen[name] = p
				}
				if p == nil || len(want.faults(p)) > 0 {
					continue
				}
			}
			left--
		}
		if left == 0 {
			break
		}
	}
	return seen
}

func read(found map[string]*process, out string) {
	var p *process
	for line := range strings.Lines(out) {
		key, value, _ := strings.Cut(strings.TrimSpace(line), ":")
		if name, ok := strings.CutPrefix(key, "process "); ok {
			p = &process{status: map[string]string{}}
			found[name] = p
			continue
		}
		if file, ok := strings.CutPrefix(key, "fd "); ok {
			p.files = append(p.files, file)
			continue
		}
		p.status[strings.TrimSpace(key)] = strings.TrimSpace(value)
	}
	for _, p := range found {
		slices.Sort(p.files)
	}
}

// want is what a daemon may have.
type want struct {
	files   string // each as often as it is open
	bounded bool   // no capability can be had again either
	secrets bool   // they pass through it
	guard   bool   // it has confined itself
	command bool   // started by a person: nothing confines it
}

func expected() map[string]want {
	return map[string]want{
		"ssh-relay":  {files: "/dev/null anon_inode anon_inode anon_inode pipe pipe pipe socket socket socket socket socket splitvault/slots/ssh.0"},
		"clef-relay": {files: "/dev/null anon_inode anon_inode anon_inode pipe pipe socket socket socket socket socket socket splitvault/clef/HASH.lock splitvault/slots/clef.0"},
		"pass-relay": {files: "/dev/null anon_inode anon_inode anon_inode pipe pipe socket socket socket socket socket splitvault/slots/pass.0", secrets: true},
		"qpass":      {files: "/dev/null /dev/null anon_inode anon_inode pipe socket", secrets: true, command: true},
		"ssh-guard":  {files: ".config/splitvault .config/splitvault/rules.toml .local/state/splitvault/audit.jsonl /etc/splitvault /etc/splitvault/rules.toml /etc/ssh /home/user /usr/share/splitvault /usr/share/splitvault/known_hosts anon_inode anon_inode pipe socket socket socket socket socket socket splitvault/crash/ssh-guard.0 splitvault/guards/ssh+work.0 splitvault/log/work splitvault/turns/HASH splitvault/turns/HASH.turn", guard: true},
		"clef-guard": {files: ".local/state/splitvault/audit.jsonl anon_inode anon_inode pipe socket socket socket socket splitvault/crash/clef-guard.0 splitvault/guards/clef+work.0 splitvault/log/work splitvault/refused/clef+work", guard: true},
		"pass-guard": {files: ".local/state/splitvault/audit.jsonl .password-store anon_inode anon_inode pipe socket socket socket socket splitvault/crash/pass-guard.0 splitvault/guards/pass+work.0 splitvault/log/work splitvault/turns/HASH splitvault/turns/HASH.turn", guard: true, secrets: true},
		"consentd":   {files: "/dev/null anon_inode anon_inode socket socket socket socket splitvault/consent.lock", bounded: true},
		"clef-net":   {files: "/dev/null /var/lib/splitvault/audit.jsonl anon_inode anon_inode socket socket socket socket socket", bounded: true, guard: true},
	}
}

func (w want) faults(p *process) (all []string) {
	must := map[string]string{
		"CapEff": "0000000000000000", "CapPrm": "0000000000000000", "CapAmb": "0000000000000000",
		"NoNewPrivs": "1", "Seccomp": "2", "Max core file size": "0 0 bytes",
	}
	if w.bounded {
		must["CapBnd"] = "0000000000000000"
	}
	if w.secrets || w.guard {
		must["owner"] = "0" // nobody but root reads or traces it
	}
	for key, value := range must {
		if w.command && (key == "NoNewPrivs" || key == "Seccomp") {
			continue
		}
		if got := strings.Join(strings.Fields(p.status[key]), " "); got != value {
			all = append(all, fmt.Sprintf("%s is %q, want %q", key, got, value))
		}
	}
	if w.secrets && p.status["locked and not dumped"] == "0" {
		all = append(all, "no memory is locked and left out of dumps")
	}
	if files := strings.Join(p.files, " "); files != w.files {
		all = append(all, fmt.Sprintf("open are\n\t%s\nwant\n\t%s", files, w.files))
	}
	return all
}
