package main_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/splitvault/splitvault/pkg/entryname"
	"github.com/splitvault/splitvault/test/stub"
)

// Each attack succeeds on the published scripts and comes to nothing here.

func TestAttackOptionsDirectoriesAndAliasesAsNames(t *testing.T) {
	t.Parallel()
	v := full(t, allowAll)
	for name, leaks := range map[string]string{
		"":                 "example.com", // the tree of all names
		"-c":               "example.com",
		"-q":               "example.com",
		"--clip=2":         "example.com",
		"-c\xff":           "example.com", // and the notification dies of it
		"work":             "alice",
		"work/":            "alice",
		"/github.com":      "hunter2",
		"./././github.com": "hunter2",
		"work//x":          "work-secret",
		"git\x00hub.com":   "hunter2",
		strings.Repeat("./", 1000) + "github.com": "hunter2",
		" github.com ": "hunter2",
	} {
		if got, _ := v.control(t, "GetPassword", "", name+"\n"); !strings.Contains(got, leaks) {
			t.Errorf("the control does not give %q for %.40q, which proves nothing: %.60q", leaks, name, got)
		}
		v.wants(t, "GetPassword", "", name+"\n", "", 10)
	}
	for _, name := range []string{"..", "../x", "work/../github.com", "github.com.gpg", "github.com/", ".gpg-id", "github.com\r", strings.Repeat("a", 4000)} {
		v.wants(t, "GetPassword", "", name+"\n", "", 10)
	}
	v.wants(t, "GetPassword", "", strings.Repeat("a", 5000), "", 2)
	notices, err := os.ReadFile(filepath.Join(v.home, "notices"))
	if err != nil || !strings.Contains(string(notices), "Entry: ") {
		t.Errorf("the control tells nobody: %v", err)
	}
}

func TestAttackTheArgumentIsNoMereDecoration(t *testing.T) {
	t.Parallel()
	v := full(t, allowAll)
	if got, _ := v.control(t, "GetPassword", "work+x", "github.com\n"); got != "hunter2\n" {
		t.Fatalf("the control gives %q", got)
	}
	v.wants(t, "GetPassword", "work+x", "github.com\n", "work-secret\n", 0)
	v.wants(t, "GetPassword", "work+", "github.com\n", "", 10)
	v.wants(t, "GetPassword", "work+", "work/x\n", "work-secret\n", 0)
	v.wants(t, "GetField", "work+x__password", "github.com\npassword\n", "work-secret\n", 0)
	v.wants(t, "GetField", "work+", "github.com\npassword\n", "", 10)
	// A second spelling would get past dom0's rule for the first.
	for _, spelling := range []string{"work_2Fx", "_77ork+x", "work+x__PASSWORD", "work+x__line.1", "work++x", "+work+x", "work+.+x"} {
		if got, code := v.ours(t, "GetPassword", spelling, "github.com\n"); got != "" || code != 2 && code != 10 {
			t.Errorf("%s: %q, %d", spelling, got, code)
		}
	}
}

func TestAttackLinksInTheStore(t *testing.T) {
	t.Parallel()
	v := full(t, allowAll)
	v.put(t, "outside/secret.gpg", string(v.Encrypt(t, "outside-secret\n", "vault@example.invalid")))
	v.link(t, "../outside/secret.gpg", "out.gpg")
	v.link(t, "../outside", "linked")
	for _, name := range []string{"out", "linked/secret"} {
		if got, _ := v.control(t, "GetPassword", "", name+"\n"); got != "outside-secret\n" {
			t.Fatalf("the control gives %q", got)
		}
		v.wants(t, "GetPassword", "", name+"\n", "", 10)
	}
	if got, _ := v.control(t, "GetPassword", "", "linked\n"); !strings.Contains(got, "secret") {
		t.Errorf("the control lists %q", got)
	}
	v.wants(t, "GetPassword", "", "linked\n", "", 10)
	if got, _ := v.ours(t, "ListPasswords", "", ""); strings.Contains(got, "out") || strings.Contains(got, "linked") {
		t.Errorf("links are listed: %q", got)
	}
	// A directory where an entry's file would be, a pipe, and a link to a device.
	v.put(t, ".password-store/dir.gpg/x", "")
	v.link(t, "/dev/zero", "device.gpg")
	for _, name := range []string{"dir", "device"} {
		v.wants(t, "GetPassword", "", name+"\n", "", 10)
	}
}

func TestAttackMessagesThatAreNone(t *testing.T) {
	t.Parallel()
	v := newVault(t, allowAll)
	good := v.Encrypt(t, strings.Repeat("secret ", 9000), "vault@example.invalid")
	damaged := bytes.Clone(good)
	damaged[len(damaged)-5] ^= 1
	v.file(t, "planted", v.GPG(t, []byte("planted\n"), "--store"))
	v.file(t, "damaged", damaged)
	v.file(t, "short", good[:len(good)-10])
	v.file(t, "symmetric", v.GPG(t, []byte("x\n"), "--pinentry-mode", "loopback", "--passphrase", "x", "-c"))
	v.file(t, "empty", nil)
	for _, name := range []string{"planted", "damaged", "short"} {
		if got, _ := v.control(t, "GetPassword", "", name+"\n"); got == "" && name == "planted" {
			t.Errorf("the control gives nothing of %s, which proves nothing", name)
		}
		v.wants(t, "GetPassword", name, "", "", 13)
	}
	asked := v.Pinentry(t, "x")
	v.wants(t, "GetPassword", "symmetric", "", "", 13)
	if got, _ := v.control(t, "GetPassword", "", "symmetric\n"); got != "x\n" || asked() != 1 {
		t.Errorf("symmetric: the control gives %q and asks %d times, which proves nothing", got, asked())
	}
	v.wants(t, "GetPassword", "empty", "", "", 13)
	v.wants(t, "GetField", "damaged__password", "", "", 13)
	// 1 GiB is not even opened for reading.
	v.file(t, "huge", nil)
	if err := os.Truncate(filepath.Join(v.store, "huge.gpg"), 1<<30); err != nil {
		t.Fatal(err)
	}
	v.wants(t, "GetPassword", "huge", "", "", 15)
	v.entry(t, "large", strings.Repeat("x", 1<<20+1))
	v.wants(t, "GetPassword", "large", "", "", 15)
	v.file(t, "others", (&vault{Keyring: newVault(t, "").Keyring}).Encrypt(t, "x", "vault@example.invalid"))
	v.wants(t, "GetPassword", "others", "", "", 13)
}

// Whoever has no rule learns nothing: not what is there, nor that there are rules.
func TestAttackEnumeration(t *testing.T) {
	t.Parallel()
	v := full(t, "[[pass.rule]]\nqube = \"work\"\nentries = [\"work/**\"]\nverbs = [\"list\", \"field\"]\nfields = [\"password\"]\ndecision = \"allow\"\n")
	if got, _ := v.control(t, "ListPasswords", "", ""); !strings.Contains(got, "github.com") || !strings.Contains(got, "\x1b]0;PWNED") {
		t.Errorf("the control lists %q", got)
	}
	v.wants(t, "ListPasswords", "", "", "work/example.com/alice\nwork/x\n", 0)
	v.wants(t, "ListPasswords", "work+", "", "work/example.com/alice\nwork/x\n", 0)
	v.wants(t, "ListPasswords", "misc+", "", "", 0)
	v.wants(t, "ListPasswords", "none+", "", "", 0)
	for _, name := range []string{"github.com", "nothing"} {
		v.wants(t, "GetPassword", name, "", "", 10)
		v.wants(t, "GetField", name+"__password", "", "", 10)
		v.wants(t, "GetField", name+"__otp", "", "", 10)
		v.wants(t, "FindLogin", name+".example", "", "", 10)
		v.wants(t, "InsertPassword", name, "x", "", 10)
		v.wants(t, "GeneratePassword", name, "", "", 10)
	}
	v.wants(t, "GetPassword", "work+x", "", "", 10)
	v.wants(t, "GetField", "work+x__login", "", "", 10)
	v.wants(t, "GetField", "work+x__password", "", "work-secret\n", 0)
	for _, row := range [][3]string{{"ListPasswords", "", ""}, {"GetPassword", "work+x", ""}, {"GetPassword", "", "github.com\n"}, {"FindLogin", "example.com", ""}} {
		c := v.call(t, "sys-net", "pass."+row[0], row[1])
		got, code := c.finish(row[2])
		if got != "" || (row[0] == "ListPasswords") != (code == 0) || (row[0] != "ListPasswords") != (code == 10) {
			t.Errorf("sys-net, %v: %q, %d", row, got, code)
		}
		if code == 10 && c.stderr.String() != "pass-guard: no such entry\n" {
			t.Errorf("sys-net, %v: it is told %q", row, c.stderr.String())
		}
	}
}

// What is listed can be read, byte by byte; the script lists three names that it
// cannot give.
func TestEveryListedNameCanBeRead(t *testing.T) {
	t.Parallel()
	v := full(t, allowAll)
	list, _ := v.control(t, "ListPasswords", "", "")
	failed := 0
	for name := range strings.Lines(list) {
		if want, known := entries()[strings.TrimSuffix(name, "\n")]; !known {
			failed++
		} else if got, _ := v.control(t, "GetPassword", "", name); got != want {
			failed++
		}
	}
	if failed < 3 {
		t.Errorf("the control fails for %d names, not 3", failed)
	}
	list, code := v.ours(t, "ListPasswords", "", "")
	names := strings.Split(strings.TrimSuffix(list, "\n"), "\n")
	if code != 0 || len(names) != len(entries())-2 || !slices.IsSorted(names) || strings.ContainsFunc(strings.Join(names, ""), func(r rune) bool { return r < ' ' }) {
		t.Errorf("%d, %q", code, names)
	}
	for _, name := range names {
		want, known := entries()[name]
		if !known {
			t.Errorf("%q is listed", name)
		}
		v.wants(t, "GetPassword", "", name+"\n", want, 0)
		v.wants(t, "GetPassword", entryname.Argument{Name: entryname.Name(name)}.String(), "", want, 0)
	}
	// As the script: without a line feed, and whatever else is on the input.
	v.wants(t, "GetPassword", "", "github.com", "hunter2\n", 0)
	v.wants(t, "GetPassword", "", "github.com\nwork/x\n", "hunter2\n", 0)
}

func TestOnlyThePartThatIsAskedFor(t *testing.T) {
	t.Parallel()
	v := full(t, allowAll)
	if got, _ := v.control(t, "GetPassword", "", "otp/ex\n"); !strings.Contains(got, "JBSWY3DPEHPK3PXP") {
		t.Error("the control gives no seed")
	}
	for argument, want := range map[string]string{
		"work+example.com+alice__password": "pw-multi\n", "work+example.com+alice__login": "alice\n", "work+example.com+alice__url": "https://example.com/login\n",
		"work+example.com+alice__line.5": "  indented \ttab\n", "misc+nonl__password": "no-trailing-newline\n", "odd+pw-dash-n__password": "-n\n",
	} {
		v.wants(t, "GetField", argument, "", want, 0)
	}
	for _, argument := range []string{"otp+ex__line.2", "otp+ex__login", "misc+empty__password", "misc+blank-first__password", "otp+hotp__otp", "otp+hotp__password", "github.com__otp", "github.com__pin"} {
		v.wants(t, "GetField", argument, "", "", 16)
	}
	code, exit := v.ours(t, "GetField", "otp+ex__otp", "")
	if len(code) != 7 || strings.Trim(code, "0123456789\n") != "" || exit != 0 {
		t.Errorf("%q, %d", code, exit)
	}
	v.wants(t, "GetField", "", "github.com\npassword\n", "hunter2\n", 0)
	v.wants(t, "GetField", "github.com", "", "", 2)
	v.wants(t, "GetField", "", "github.com\n", "", 2)
}

func TestBlindLookup(t *testing.T) {
	t.Parallel()
	v := full(t, "[[pass.rule]]\nqube = \"work\"\nentries = [\"work/**\", \"shop/**\", \"github.com\"]\ndecision = \"allow\"\n")
	v.entry(t, "shop/a", "pw\nuser: bob\nurl: https://shop.example:8443/\n")
	v.entry(t, "shop/b", "pw\nurl: https://*.corp.example\n")
	v.entry(t, "hidden/shop.example", "pw\nurl: https://hidden.example\n")
	v.entry(t, "work/tab.example", "pw\nlogin: a\tb\n")
	for host, want := range map[string]string{
		"example.com": "work/example.com/alice\talice\n", "github.com": "github.com\t\n", "shop.example_3A8443": "shop/a\tbob\n",
		"x.y.corp.example": "shop/b\t\n", "example.com_3A443": "work/example.com/alice\talice\n", "tab.example": "work/tab.example\t\n",
	} {
		v.wants(t, "FindLogin", host, "", want, 0)
	}
	for _, host := range []string{"www.example.com", "com", "shop.example", "hidden.example", "evilexample.com", "corp.example", "gist.github.com"} {
		v.wants(t, "FindLogin", host, "", "", 10)
	}
	for _, host := range []string{"EXAMPLE.com", "_2A.example.com", "a+b", "example.com_3A0443", "-"} {
		v.wants(t, "FindLogin", host, "", "", 2)
	}
	v.wants(t, "FindLogin", "", "example.com\n", "work/example.com/alice\talice\n", 0)
}

func TestALockedKeyRaisesNoPinentry(t *testing.T) {
	t.Parallel()
	v := newVault(t, "[[pass.rule]]\nqube = \"trusted\"\nunlock = true\ndecision = \"allow\"\n"+allowAll)
	v.Locked(t)
	asked := v.Pinentry(t, "pp")
	v.file(t, "locked", v.Encrypt(t, "secret\n", "locked@example.invalid"))
	v.wants(t, "GetPassword", "locked", "", "", 12)
	v.wants(t, "GetField", "locked__password", "", "", 12)
	v.wants(t, "FindLogin", "nowhere.example", "", "", 10)
	if asked() != 0 {
		t.Fatalf("asked %d times", asked())
	}
	if got, code := v.call(t, "trusted", "pass.GetPassword", "locked").finish(""); got != "secret\n" || code != 0 || asked() != 1 {
		t.Errorf("%q, %d, asked %d times", got, code, asked())
	}
	v.Lock(t)
	if got, _ := v.control(t, "GetPassword", "", "locked\n"); got != "secret\n" || asked() != 2 {
		t.Errorf("the control: %q, asked %d times", got, asked())
	}
}

// A passphrase that is not given three times is not asked for again.
func TestAttackAFloodOfPinentries(t *testing.T) {
	t.Parallel()
	v := newVault(t, "[[pass.rule]]\nqube = \"work\"\nunlock = true\ndecision = \"allow\"\n")
	v.Locked(t)
	asked := v.Pinentry(t, "wrong") // one call asks three times
	v.file(t, "locked", v.Encrypt(t, "secret\n", "locked@example.invalid"))
	for range 6 {
		v.wants(t, "GetPassword", "locked", "", "", 12)
	}
	n := asked()
	if n == 0 || n > 9 {
		t.Errorf("asked %d times", n)
	}
	for range 6 {
		v.control(t, "GetPassword", "", "locked\n")
	}
	if more := asked() - n; more < 18 {
		t.Errorf("the control asks %d times, which proves nothing", more)
	}
}

func TestAskWithoutAPersonIsRefused(t *testing.T) {
	t.Parallel()
	v := full(t, "[[pass.rule]]\nqube = \"work\"\ndecision = \"ask\"\n")
	v.wants(t, "GetPassword", "github.com", "", "", 11)
	v.wants(t, "GetField", "github.com__password", "", "", 11)
	v.wants(t, "ListPasswords", "", "", "", 11)
	v.wants(t, "InsertPassword", "new", "x\n", "", 11)
	v.wants(t, "GetPassword", "nothing", "", "", 10)
	if _, err := os.Stat(filepath.Join(v.store, "new.gpg")); err == nil {
		t.Error("it is written")
	}
}

func TestARateIsKept(t *testing.T) {
	t.Parallel()
	v := full(t, allowAll+"rate = \"2/h\"\n")
	for _, want := range []int{0, 0, 11, 11} {
		if _, code := v.ours(t, "GetPassword", "github.com", ""); code != want {
			t.Errorf("exit code %d, want %d", code, want)
		}
	}
}

func TestBrokenRulesDenyEverything(t *testing.T) {
	t.Parallel()
	for _, rules := range []string{"", "[[pass.rule]", allowAll + "qubes = \"work\"\n", "[[ssh.rule]]\nqube = \"work\"\ndecision = \"allow\"\n"} {
		v := newVault(t, rules)
		v.entry(t, "x", "secret\n")
		v.wants(t, "GetPassword", "x", "", "", 10)
		v.wants(t, "ListPasswords", "", "", "", 0)
	}
	v := newVault(t, allowAll)
	os.RemoveAll(v.store)
	v.wants(t, "GetPassword", "x", "", "", 10)
}

// Twenty qubes at once on one store, which is a repository, and one more that asks as
// often as it can: each gets what it asked for, nothing of what they write is lost, and of what
// all of them write at the same time one is there.
func TestTwentyQubesAtOnce(t *testing.T) {
	t.Parallel()
	v := full(t, "[[pass.rule]]\nqube = \"q*\"\ndecision = \"allow\"\n")
	v.git(t, "init", "-q")
	const qubes = 20
	stop := make(chan struct{})
	var greedy, all sync.WaitGroup
	for range 8 {
		greedy.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				if got, code := v.call(t, "q-greedy", "pass.GetPassword", "misc+big").finish(""); code != 0 && code != 14 || code == 14 && got != "" {
					t.Errorf("the greedy qube: %d bytes, %d", len(got), code)
				}
			}
		})
	}
	var wins atomic.Int32
	for i := range qubes {
		qube := fmt.Sprintf("q%d", i)
		all.Go(func() {
			if got, code := v.call(t, qube, "pass.GetPassword", "github.com").finish(""); got != "hunter2\n" || code != 0 {
				t.Errorf("%s: %q, %d", qube, got, code)
			}
			if got, code := v.call(t, qube, "pass.InsertPassword", "inbox+"+qube).finish("by " + qube); got != "" || code != 0 {
				t.Errorf("%s: %q, %d", qube, got, code)
			}
			switch _, code := v.call(t, qube, "pass.InsertPassword", "inbox+one").finish("by " + qube); code {
			case 0:
				wins.Add(1)
			case 11:
			default:
				t.Errorf("%s: %d", qube, code)
			}
		})
	}
	all.Wait()
	close(stop)
	greedy.Wait()
	if wins.Load() != 1 {
		t.Errorf("%d wrote the entry that one can write", wins.Load())
	}
	for i := range qubes {
		qube := fmt.Sprintf("q%d", i)
		if got, _ := v.call(t, qube, "pass.GetPassword", "inbox+"+qube).finish(""); got != "by "+qube {
			t.Errorf("%s: %q", qube, got)
		}
	}
	log := v.git(t, "log", "--format=%s")
	if n := strings.Count(log, "Add given password for inbox/"); n != qubes+1 {
		t.Errorf("%d of %d are committed:\n%s", n, qubes+1, log)
	}
	if changed := v.git(t, "status", "--porcelain", "inbox"); changed != "" {
		t.Errorf("the repository and the store differ:\n%s", changed)
	}
	v.git(t, "fsck", "--strict")
}

// The end of input is not the end of the client; that of its output is.
func TestAVanishedClientEndsTheGuard(t *testing.T) {
	t.Parallel()
	v := newVault(t, "[[pass.rule]]\nqube = \"work\"\nunlock = true\ndecision = \"allow\"\n")
	v.Locked(t)
	v.Pinentry(t, "pp")
	// A pinentry that waits for a person who does not come.
	stub.Script(t, filepath.Join(v.Home, "pinentry"), "echo OK\nwhile read -r line; do case $line in GETPIN*) touch "+v.home+"/asked; sleep 30 ;; esac; echo OK; done")
	v.file(t, "locked", v.Encrypt(t, "secret\n", "locked@example.invalid"))
	c := v.call(t, "work", "pass.GetPassword", "locked")
	if err := c.in.CloseWrite(); err != nil {
		t.Fatal(err)
	}
	for start := time.Now(); ; time.Sleep(20 * time.Millisecond) {
		if _, err := os.Stat(filepath.Join(v.home, "asked")); err == nil {
			break
		}
		if time.Since(start) > long {
			t.Fatal("no pinentry")
		}
	}
	select {
	case <-c.ended:
		t.Fatal("the end of input ended it")
	case <-time.After(500 * time.Millisecond):
	}
	c.out.Close()
	if code := c.exit(3 * time.Second); code != 1 {
		t.Errorf("exit code %d", code)
	}
	// One that sends nothing, and one that is gone before it has said anything.
	silent := v.call(t, "work", "pass.GetPassword", "")
	silent.out.Close()
	silent.exit(3 * time.Second)
	slow := v.call(t, "work", "pass.GetPassword", "")
	if code := slow.exit(long); code != 2 {
		t.Errorf("a silent client: exit code %d", code)
	}
}
