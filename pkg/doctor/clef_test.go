package doctor

import (
	"io"
	"io/fs"
	"net"
	"strings"
	"testing"
)

const (
	showClef = "systemctl --user show -p LoadState,ActiveState,Result,ConditionResult,NRefused splitvault-clef.socket"
	showIPC  = "systemctl --user show -p LoadState,ActiveState,Result,ConditionResult,NRefused splitvault-clef-ipc.socket"
	ipcPath  = "/home/user/.clef/clef.ipc"
)

// clefSays is a relay that answers one request so.
func clefSays(answer string) func(net.Conn) {
	return func(conn net.Conn) {
		if _, err := conn.Read(make([]byte, 4096)); err == nil {
			_, _ = io.WriteString(conn, answer)
		}
	}
}

// clefClient is "work", which uses accounts alone, and in which all is well.
func clefClient(t *testing.T) *fake {
	f := healthyClient(t)
	delete(f.files, serviceFile)
	f.files["/run/qubes-service/splitvault-clef"] = file{}
	f.files[clefRelay] = file{mode: 0o755}
	f.files[ipcPath] = file{mode: fs.ModeSocket | 0o600}
	f.files["/home/user/.config/splitvault/client.toml"] = file{text: "[clef]\norigins = [\"https://app.example.org\"]\n"}
	f.runs[showClef], f.runs[showIPC] = f.runs[showUnit], f.runs[showUnit]
	f.agents[ipcPath] = clefSays(`{"jsonrpc":"2.0","id":"doctor","result":"6.1.0"}` + "\n")
	return f
}

func TestHealthyClientOfClefIsWell(t *testing.T) {
	report := Run(t.Context(), clefClient(t), Options{})
	if report.Exit() != 0 || report.Status != OK {
		t.Fatalf("got exit %d, %+v", report.Exit(), report)
	}
	saysAll(t, find(t, report, "clef-call"), "the vault's Clef answers")
	saysAll(t, find(t, report, "clef-pages"), "1 web pages")
	for _, c := range report.Checks {
		if c.Check == "service" || c.Check == "call" || c.Check == "pass" {
			t.Errorf("what is off here is examined: %+v", c)
		}
	}
}

func TestFailuresOfClef(t *testing.T) {
	says := func(answer string) func(*fake) {
		return func(f *fake) { f.agents[ipcPath] = clefSays(answer) }
	}
	for _, row := range []failure{
		{
			"switched on after the start", func(f *fake) {
				delete(f.files, "/run/qubes-service/splitvault-clef")
				f.runs["qubesdb-read /qubes-service/splitvault-clef"] = Output{Stdout: "1\n"}
			},
			"clef", Problem,
			[]string{"[dom0] qvm-shutdown --wait work"},
		},
		{"no relay", func(f *fake) { delete(f.files, clefRelay) }, "clef-programs", Problem, []string{"[template] install splitvault"}},
		{
			"a Clef of this qube's own has the port", func(f *fake) {
				f.runs[showClef] = Output{Stdout: "LoadState=loaded\nActiveState=failed\nResult=resources\n"}
			},
			"clef-port", Problem,
			[]string{"something else listens on port 8550", "[work] ss -ltnp", "[work] systemctl --user restart splitvault-clef.socket"},
		},
		{
			"another program has the port of IPv6", func(f *fake) {
				f.runs[strings.Replace(showClef, "clef.", "clef6.", 1)] = Output{Stdout: "LoadState=loaded\nActiveState=failed\nResult=resources\n"}
			},
			"clef-port6", Problem,
			[]string{"[::1]", "[work] ss -ltnp", "[work] systemctl --user restart splitvault-clef6.socket"},
		},
		{"the node is gone", func(f *fake) { delete(f.files, ipcPath) }, "clef-node", Problem, []string{"[work] systemctl --user restart splitvault-clef-ipc.socket"}},
		{
			"a mistake in client.toml", func(f *fake) {
				f.files["/home/user/.config/splitvault/client.toml"] = file{text: "[clef]\norigins = [\"*\"]\n"}
			},
			"clef-pages", Problem,
			[]string{"no web page", "[work] correct /home/user/.config/splitvault/client.toml"},
		},
		{
			"dom0 names a vault, the relays do not know it", func(f *fake) { f.runs["qubesdb-read /vm-config/splitvault-clef-domain"] = Output{Stdout: "cv\n"} },
			"clef-target", Problem,
			[]string{"names cv", "[work] systemctl --user restart splitvault-clef.socket"},
		},
		{
			"dom0 refuses", says(`{"jsonrpc":"2.0","id":"doctor","error":{"code":4001,"message":"User denied: Qubes policy refused qubes.Clefsign+account_version to the vault"}}`),
			"clef-call", Problem,
			[]string{"dom0 refused", "[dom0]", "qubes.Clefsign * work @anyvm ask"},
		},
		{
			"the rules refuse", says(`{"jsonrpc":"2.0","id":"doctor","error":{"code":4100,"message":"account_version is not allowed for qube work"}}`),
			"clef-call", Warning,
			[]string{"[vault] splitvault explain work clef"},
		},
		{
			"Clef is locked", says(`{"jsonrpc":"2.0","id":"doctor","error":{"code":4900,"message":"signer not ready: unlock Clef in vault"}}`),
			"clef-call", Problem,
			[]string{"unlock Clef in vault"},
		},
		{"no answer", says(""), "clef-call", Problem, []string{"does not answer", "[work] journalctl"}},
	} {
		t.Run(row.name, func(t *testing.T) { row.found(t, clefClient(t), Options{}) })
	}
}
