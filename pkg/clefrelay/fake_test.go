package clefrelay

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sirupsen/logrus"

	"github.com/splitvault/splitvault/pkg/clefcall"
	"github.com/splitvault/splitvault/pkg/join"
	"github.com/splitvault/splitvault/pkg/qrexec"
	"github.com/splitvault/splitvault/test/stub"
)

// vault is a script in the place of qrexec-client-vm and the vault behind it. It
// notes each call as a line "SERVICE" in the file calls, and what it got in got.
type vault struct {
	dir    string
	relay  *Relay
	told   []string // notifications
	toldMu sync.Mutex
	log    *bytes.Buffer
}

// answering answers every request with this JSON, and the id it came with.
func answering(member string) string {
	return `printf '{"jsonrpc":"2.0","id":"relay",%s}\n' '` + member + `'`
}

// newVault makes a relay whose calls run a line of shell.
func newVault(t *testing.T, script string) *vault {
	t.Helper()
	dir, err := os.MkdirTemp("", "clef") // a short path: sockets are made in it
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	v := &vault{dir: dir, log: &bytes.Buffer{}}
	text := fmt.Sprintf("cd %s\n[ \"$1\" = -- ] || exit 2\nprintf '%%s %%s\\n' \"$2\" \"$3\" >>calls\ncat >got.$$\nmv got.$$ got\n%s", dir, script)
	client := filepath.Join(dir, "client")
	stub.Script(t, client, text)
	config := &Config{Dialer: &Dialer{Client: client, Target: qrexec.Default}, Base: dir, Self: "work"}
	config.Join = &join.Group{Dir: dir}
	t.Cleanup(config.Dialer.Wait)
	log := logrus.New()
	log.SetOutput(v)
	log.SetFormatter(&logrus.TextFormatter{DisableColors: true, DisableTimestamp: true})
	v.relay = &Relay{
		Config: config,
		Client: userOf(os.Getuid(), os.Getpid),
		Report: &Reporter{Log: log, Config: config, Notify: v.tell, LetPage: InClientFile},
		Call:   config.Dialer.Call,
	}
	return v
}

func (v *vault) Write(b []byte) (int, error) {
	v.toldMu.Lock()
	defer v.toldMu.Unlock()
	return v.log.Write(b)
}

func (v *vault) logged() string {
	v.toldMu.Lock()
	defer v.toldMu.Unlock()
	return v.log.String()
}

func (v *vault) tell(summary, body string) error {
	v.toldMu.Lock()
	defer v.toldMu.Unlock()
	v.told = append(v.told, summary+": "+body)
	return nil
}

// file returns what the script wrote, "" if nothing.
func (v *vault) file(name string) string {
	b, _ := os.ReadFile(filepath.Join(v.dir, name))
	return string(b)
}

func (v *vault) calls() int { return strings.Count(v.file("calls"), "\n") }

// ask answers a body as for a native client that stays.
func (v *vault) ask(t *testing.T, body string) string {
	t.Helper()
	reply, _ := v.relay.Answer(t.Context(), t.Context(), Sender{UserAgent: `curl/8 "%22<b>`}, []byte(body))
	return string(reply)
}

func until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); !ok(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("never: %s", what)
		}
	}
}

func request(id, method, params string) string {
	return fmt.Sprintf(`{"jsonrpc":"2.0","id":%s,"method":%q,"params":%s}`, id, method, params)
}

var _ io.Writer = (*vault)(nil)

func split(t *testing.T, got string) (clefcall.Preamble, string) {
	t.Helper()
	p, rest, err := clefcall.Split([]byte(got))
	if err != nil {
		t.Fatal(err)
	}
	return p, string(rest)
}
