package main_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// row is one of the known attacks on the published scripts, and where it is tried on them
// and on what is here: "DIRECTORY TEST", or a file.
type row struct {
	attack string
	tests  []string
}

// attackTable is the whole table. A row that says "no control" has nothing in the scripts to
// compare with: they write nothing and remember nothing.
func attackTable() []row {
	const here = "daemons/pass-guard "
	return []row{
		{"options and directories as names give the tree", []string{here + "TestAttackOptionsDirectoriesAndAliasesAsNames"}},
		{"a byte that kills the notification dumps it silently", []string{here + "TestAttackOptionsDirectoriesAndAliasesAsNames"}},
		{"many paths for one entry", []string{here + "TestAttackOptionsDirectoriesAndAliasesAsNames", "pkg/entryname TestOnlyTheOneNameOfAFileIsAName"}},
		{"out of the store by ..; no control: pass refuses it", []string{here + "TestAttackOptionsDirectoriesAndAliasesAsNames"}},
		{"links in the store", []string{here + "TestAttackLinksInTheStore", "pkg/passstore TestAttackSwappedForALink"}},
		{"files that are no encrypted message", []string{here + "TestAttackMessagesThatAreNone", "pkg/gpg TestWholeOrNothing"}},
		{"everybody lists everything", []string{here + "TestAttackEnumeration"}},
		{"one yes is for all entries", []string{here + "TestAttackTheArgumentIsNoMereDecoration", here + "TestAttackEnumeration"}},
		{"names that read changes", []string{here + "TestAttackOptionsDirectoriesAndAliasesAsNames", here + "TestEveryListedNameCanBeRead"}},
		{"line feeds in names", []string{here + "TestEveryListedNameCanBeRead"}},
		{"markup and escapes in the notice", []string{"test/qubes/scenarios/pass-notice.txtar", "pkg/notify TestSendShowsTextAndNoMarkup"}},
		{"a notice is no consent, and can be missing", []string{here + "TestAttackANoticeThatNobodySees", "test/qubes/scenarios/pass-notice.txtar"}},
		{"the whole entry for one line of it", []string{here + "TestOnlyThePartThatIsAskedFor"}},
		{"a menu that is cancelled copies the tree", []string{here + "TestAttackOptionsDirectoriesAndAliasesAsNames", "cmd/qpass TestAttackAMenuThatIsNotChosenFrom"}},
		{"a password that echo takes for an option", []string{here + "TestAttackAPasswordThatIsAnOption", "cmd/qpass TestClip"}},
		{"arguments, environment, files", []string{here + "TestASecretLeavesNoTrace", "cmd/qpass TestTheSecretIsInNoArgumentAndNoEnvironment", "test/qubes/scenarios/pass-traces.txtar"}},
		{"cores, memory, swap", []string{here + "TestAGuardsMemoryIsItsOwn", here + "TestADyingGuardLeavesNoCore", "pkg/secret TestWhatAnEntryTakesCanBeLocked"}},
		{"escape sequences in a list", []string{here + "TestAttackEnumeration", here + "TestEveryListedNameCanBeRead", "test/qubes/scenarios/pass-client.txtar"}},
		{"a flood of pinentries", []string{here + "TestAttackAFloodOfPinentries", here + "TestALockedKeyRaisesNoPinentry"}},
		{"slow clients", []string{here + "TestAttackSlowClients", here + "TestAVanishedClientEndsTheGuard"}},
		{"all errors look alike", []string{here + "TestAttackErrorsThatSayNothing"}},
		{"a call with the name behind it runs a program", []string{"test/qubes/scenarios/pass-notice.txtar"}},
		{"policy where nobody reads it", []string{"pkg/dom0policy TestLines", "cmd/qpass TestPrintedLinesAllowTheCallsThatAreMade"}},
		{"a swapped .gpg-id", []string{here + "TestAttackASwappedGPGID"}},
		{"grants for a disposable that is another now; no control", []string{"pkg/rules TestNothingLastsForADisposableUnlessARuleNamesItsLike", "pkg/consentd TestDisposablesGetNoGrant"}},
		{"what one client writes for another; no control", []string{here + "TestNothingIsOverwrittenWithoutTheRight", "pkg/entryname TestOnlyTheOneNameOfAFileIsAName"}},
	}
}

// Each row has its tests, and they exist.
func TestTheAttackTableIsWhole(t *testing.T) {
	t.Parallel()
	const root = "../.."
	if _, err := os.Stat(filepath.Join(root, "go.mod")); err != nil {
		t.Skip("only where the sources are") // the program of the tests runs alone in qubes, too
	}
	if n := len(attackTable()); n != 26 {
		t.Errorf("%d rows, want 26", n)
	}
	for i, r := range attackTable() {
		if len(r.tests) == 0 {
			t.Errorf("row %d has no test", i+1)
		}
		for _, test := range r.tests {
			dir, name, isTest := strings.Cut(test, " ")
			if !isTest {
				if _, err := os.Stat(filepath.Join(root, dir)); err != nil {
					t.Errorf("row %d: %v", i+1, err)
				}
				continue
			}
			paths, err := filepath.Glob(filepath.Join(root, dir, "*_test.go"))
			found := false
			for _, path := range paths {
				b, errRead := os.ReadFile(path)
				found = found || errRead == nil && regexp.MustCompile(`(?m)^func `+name+`\(`).Match(b)
			}
			if err != nil || !found {
				t.Errorf("row %d: there is no %s in %s", i+1, name, dir)
			}
		}
	}
}

// The scripts tell of a use, and give the entry whether or not anybody could be told.
// Here it is a person's word that counts, where the rules want it.
func TestAttackANoticeThatNobodySees(t *testing.T) {
	t.Parallel()
	v := newVault(t, "[[pass.rule]]\nqube = \"work\"\nverbs = [\"show\"]\nnotify = true\ndecision = \"ask\"\n"+allowAll)
	v.entry(t, "x", "secret\n")
	for what, script := range map[string]string{"crashes": "kill -SEGV $$\n", "fails": "exit 1\n", "is killed": "kill -KILL $$\n"} {
		v.script(t, "notify-send", script)
		if got, _ := v.control(t, "GetPassword", "", "x\n"); got != "secret\n" {
			t.Errorf("notify-send %s: the control gives %q, which proves nothing", what, got)
		}
	}
	if err := os.Remove(filepath.Join(v.bin, "notify-send")); err != nil {
		t.Fatal(err)
	}
	// The program of that name elsewhere, if there is one, has no bus to talk to.
	if got, _ := v.control(t, "GetPassword", "", "x\n"); got != "secret\n" {
		t.Errorf("no notify-send: the control gives %q, which proves nothing", got)
	}
	v.wants(t, "GetPassword", "", "x\n", "", 11)
	v.wants(t, "GetPassword", "x", "", "", 11)
	// So long that no program can be started with it: the notice fails first.
	v.wants(t, "GetPassword", "", strings.Repeat("./", 150_000)+"x\n", "", 2)
}

// A password that is "-n" is a password.
func TestAttackAPasswordThatIsAnOption(t *testing.T) {
	t.Parallel()
	v := newVault(t, allowAll)
	v.entry(t, "x", "-n\n")
	// As pass and the scripts have it on the way to the clipboard.
	if got := v.bash(t, `echo -n "$(head -n 1)"`, "-n\n"); got != "" {
		t.Errorf("the control gives %q, which proves nothing", got)
	}
	v.wants(t, "GetField", "x__password", "", "-n\n", 0)
	v.wants(t, "GetPassword", "x", "", "-n\n", 0)
}

// A qube that makes calls and says nothing keeps its own calls waiting, for some seconds,
// and nobody else's. The scripts wait for ever.
func TestAttackSlowClients(t *testing.T) {
	t.Parallel()
	v := newVault(t, "[[pass.rule]]\nqube = \"*\"\ndecision = \"allow\"\n")
	v.entry(t, "x", "secret\n")
	var controls, guards []*call
	for range 8 { // all places of a qube
		controls = append(controls, v.start(t, v.scriptPath(t, "GetPassword"), v.environ("work", "seed.GetPassword", "")))
		guards = append(guards, v.call(t, "work", "pass.GetPassword", ""))
	}
	begin := time.Now()
	if got, code := v.call(t, "other", "pass.GetPassword", "x").finish(""); got != "secret\n" || code != 0 {
		t.Errorf("another qube: %q, %d", got, code)
	}
	if took := time.Since(begin); took > 8*time.Second {
		t.Errorf("another qube waited for %v", took)
	}
	v.wants(t, "GetPassword", "x", "", "secret\n", 0)
	for _, c := range guards {
		if code := c.exit(long); code != 2 {
			t.Errorf("exit code %d", code)
		}
	}
	if n := running(controls); n != len(controls) {
		t.Errorf("%d of the controls wait, which proves nothing", n)
	}
}

func running(calls []*call) (n int) {
	for _, c := range calls {
		select {
		case <-c.ended:
		default:
			n++
		}
	}
	return n
}

// What is wrong has a code of its own and a line for the person, without a byte of the
// vault's.
func TestAttackErrorsThatSayNothing(t *testing.T) {
	t.Parallel()
	v := newVault(t, allowAll)
	v.Locked(t)
	v.entry(t, "x", "secret\n")
	v.file(t, "two", v.Encrypt(t, "secret\n", "locked@example.invalid"))
	v.file(t, "three", []byte("damaged"))
	seen := map[int]bool{}
	for name, code := range map[string]int{"one": 10, "two": 12, "three": 13} {
		control := v.start(t, v.scriptPath(t, "GetPassword"), v.environ("work", "seed.GetPassword", ""))
		if got, exit := control.finish(name + "\n"); got != "" || control.stderr.String() != "" {
			t.Errorf("%s: the control says %q and %q", name, got, control.stderr.String())
		} else {
			seen[exit] = true
		}
		c := v.call(t, "work", "pass.GetPassword", name)
		if got, exit := c.finish(""); got != "" || exit != code || !strings.HasPrefix(c.stderr.String(), "pass-guard: ") || strings.Contains(c.stderr.String(), name) {
			t.Errorf("%s: %q, %d, %q", name, got, exit, c.stderr.String())
		}
	}
	if len(seen) > 2 {
		t.Errorf("the control tells %d cases apart, which proves nothing", len(seen))
	}
}

// bash runs a line of bash, which pass and the scripts are written in.
func (v *vault) bash(t testing.TB, line, input string) string {
	t.Helper()
	cmd := exec.Command("bash", "-c", line)
	cmd.Stdin = strings.NewReader(input)
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}
