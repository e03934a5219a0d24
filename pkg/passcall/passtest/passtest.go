// Package passtest is a stand-in for qrexec-client-vm and the vault behind it, for
// tests: the test binary starts itself as the client program, and answers from a
// file of entries, or misbehaves where an entry's name says so.
package passtest

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// Entries whose name begins so make the call misbehave.
const (
	Exit   = "exit/"   // exit/N: ends with code N, after half an answer
	Hang   = "hang/"   // reads nothing, says nothing, as while dom0 asks
	Deaf   = "deaf/"   // Hang that ignores SIGTERM
	Huge   = "huge/"   // an answer of 1 MiB and a byte
	Large  = "large/"  // an answer of 1 MiB
	Flood  = "flood/"  // 2 MB of standard error, then "flood"
	Killed = "killed/" // half an answer, then killed
	Orphan = "orphan/" // an answer, and a process that holds the output
	Mute   = "mute/"   // closes its output and stays
)

// dirVariable names the directory of all vaults of a test binary.
const dirVariable = "PASSTEST_DIR"

// Main is a TestMain: it runs the tests, or is the client program, if the binary
// was started as that.
func Main(m *testing.M) {
	if IsClient() {
		os.Exit(client(os.Args[2], os.Args[3]))
	}
	dir, err := os.MkdirTemp("", "passtest")
	if err == nil {
		err = os.Setenv(dirVariable, dir)
	}
	if err == nil && os.Getenv("GORACE") == "" {
		// Under the race detector a process takes a second to end otherwise.
		err = os.Setenv("GORACE", "atexit_sleep_ms=0")
	}
	if err != nil {
		panic(err)
	}
	code := m.Run()
	os.RemoveAll(dir)
	os.Exit(code)
}

// IsClient tells whether this process was started as the client program.
func IsClient() bool { return len(os.Args) == 4 && os.Args[1] == "--" }

// Program is the client program to start.
func Program(tb testing.TB) string {
	tb.Helper()
	path, err := os.Executable()
	if err != nil {
		tb.Fatal(err)
	}
	return path
}

// Vault is a vault of one test.
type Vault struct {
	// Target is the name to call.
	Target string
	dir    string
}

// New makes a vault with these entries.
func New(tb testing.TB, entries map[string]string) *Vault {
	tb.Helper()
	dir, err := os.MkdirTemp(os.Getenv(dirVariable), "v")
	if err != nil {
		tb.Fatal(err)
	}
	v := &Vault{Target: filepath.Base(dir), dir: dir}
	if err := store(dir, entries); err != nil {
		tb.Fatal(err)
	}
	return v
}

// Env is what a program's environment must have to call the vault.
func (v *Vault) Env(tb testing.TB) []string {
	tb.Helper()
	return []string{
		"QUBES_PASS_DOMAIN=" + v.Target, "SPLITVAULT_QREXEC_CLIENT=" + Program(tb),
		dirVariable + "=" + os.Getenv(dirVariable),
	}
}

// Entries are what the vault has now.
func (v *Vault) Entries(tb testing.TB) map[string]string {
	tb.Helper()
	entries, err := load(v.dir)
	if err != nil {
		tb.Fatal(err)
	}
	return entries
}

// Calls returns SERVICE+ARG of each call that did not misbehave, with its input after
// a space if it had any.
func (v *Vault) Calls(tb testing.TB) []string { return v.notes(tb, "call") }

// Started is the number of calls that were placed.
func (v *Vault) Started(tb testing.TB) int { return len(v.locks(tb)) }

// Await waits until there were n calls that are answered by nothing.
func (v *Vault) Await(tb testing.TB, n int) {
	tb.Helper()
	for deadline := time.Now().Add(10 * time.Second); len(v.notes(tb, "hang")) < n; time.Sleep(2 * time.Millisecond) {
		if time.Now().After(deadline) {
			tb.Fatalf("never saw %d calls hang", n)
		}
	}
}

// Gone fails the test unless every process of every call ends within that time.
func (v *Vault) Gone(tb testing.TB, within time.Duration) {
	tb.Helper()
	deadline := time.Now().Add(within)
	for _, path := range v.locks(tb) {
		f, err := os.Open(path)
		if err != nil {
			tb.Fatal(err)
		}
		for unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB) != nil {
			if time.Now().After(deadline) {
				tb.Errorf("a client program is still there after %v", within)
				break
			}
			time.Sleep(2 * time.Millisecond)
		}
		f.Close()
	}
}

func (v *Vault) locks(tb testing.TB) []string {
	tb.Helper()
	paths, err := filepath.Glob(filepath.Join(v.dir, "lock.*"))
	if err != nil {
		tb.Fatal(err)
	}
	return paths
}

func (v *Vault) notes(tb testing.TB, kind string) []string {
	tb.Helper()
	text, err := os.ReadFile(filepath.Join(v.dir, "notes"))
	if err != nil && !os.IsNotExist(err) { //nolint:forbidigo // not wrapped
		tb.Fatal(err)
	}
	var found []string
	for line := range strings.Lines(string(text)) {
		if what, note, _ := strings.Cut(strings.TrimSuffix(line, "\n"), " "); what == kind {
			found = append(found, note)
		}
	}
	return found
}

func store(dir string, entries map[string]string) error {
	raw := make(map[string][]byte) // in JSON a string would be made UTF-8
	for name, content := range entries {
		raw[name] = []byte(content)
	}
	text, err := json.Marshal(raw)
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, "entries"), text, 0o600)
}

func load(dir string) (map[string]string, error) {
	text, err := os.ReadFile(filepath.Join(dir, "entries"))
	if err != nil {
		return nil, err
	}
	raw, entries := make(map[string][]byte), make(map[string]string)
	if err := json.Unmarshal(text, &raw); err != nil {
		return nil, err
	}
	for name, content := range raw {
		entries[name] = string(content)
	}
	return entries, nil
}
