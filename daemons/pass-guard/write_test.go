package main_test

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

func (v *vault) git(t testing.TB, args ...string) string {
	t.Helper()
	cmd := exec.Command("git", append([]string{"-C", v.store, "-c", "user.name=t", "-c", "user.email=t@example.invalid"}, args...)...)
	cmd.Env = []string{"PATH=/usr/bin:/bin", "HOME=" + v.home, "GIT_CONFIG_NOSYSTEM=1"}
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("git %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return string(out)
}

// pass runs pass itself, in the vault.
func (v *vault) pass(t testing.TB, args ...string) string {
	t.Helper()
	cmd := exec.Command("pass", args...)
	cmd.Env = []string{"PATH=/usr/bin:/bin", "HOME=" + v.home, "GNUPGHOME=" + v.Home}
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("pass %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return string(out)
}

func TestWhatIsWrittenPassCanRead(t *testing.T) {
	t.Parallel()
	v := newVault(t, allowAll)
	v.wants(t, "InsertPassword", "new+a_20b", "s3cret\nlogin: x\n", "", 0)
	if got := v.pass(t, "show", "new/a b"); got != "s3cret\nlogin: x\n" {
		t.Errorf("pass shows %q", got)
	}
	v.wants(t, "InsertPassword", "", "by/stdin\nbody\nmore", "", 0)
	if got := v.pass(t, "show", "by/stdin"); got != "body\nmore" {
		t.Errorf("pass shows %q", got)
	}
	v.wants(t, "InsertPassword", "inbox+", "work/x\nbody", "", 10)
	v.wants(t, "InsertPassword", "inbox+", "inbox/x\nbody", "", 0)
	for options, want := range map[string]int{"": 25, "len=12\n": 12, "len=40\nnosym\n": 40, "nosym": 25} {
		name := strings.NewReplacer("=", "", "\n", "").Replace("gen" + options)
		got, code := v.ours(t, "GeneratePassword", name, options)
		if len(got) != want+1 || code != 0 || v.pass(t, "show", name) != got {
			t.Errorf("%q: %q, %d", options, got, code)
		}
		if strings.Contains(options, "nosym") && strings.Trim(got, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789\n") != "" {
			t.Errorf("%q: %q", options, got)
		}
	}
	for _, options := range []string{"len=0", "len=x", "len=012", "len=99999", "symbols", "len=12 nosym"} {
		v.wants(t, "GeneratePassword", "bad", options, "", 2)
	}
	v.wants(t, "InsertPassword", "empty", "", "", 2)
	v.wants(t, "InsertPassword", "large", strings.Repeat("x", 1<<20+1), "", 15)
	for _, name := range []string{"bad", "empty", "large"} {
		if _, err := os.Lstat(filepath.Join(v.store, name+".gpg")); err == nil {
			t.Errorf("%s is there", name)
		}
	}
}

func TestNothingIsOverwrittenWithoutTheRight(t *testing.T) {
	t.Parallel()
	v := newVault(t, "[[pass.rule]]\nqube = \"work\"\nentries = [\"mine/**\"]\nverbs = [\"insert\", \"generate\", \"replace\", \"show\"]\ndecision = \"allow\"\n"+
		"[[pass.rule]]\nqube = \"work\"\nentries = [\"inbox/**\"]\nverbs = [\"insert\", \"generate\"]\ndecision = \"allow\"\n")
	v.entry(t, "inbox/there", "old\n")
	v.entry(t, "mine/there", "old\n")
	v.entry(t, "private", "old\n")
	v.wants(t, "InsertPassword", "inbox+there", "new", "", 11)
	v.wants(t, "GeneratePassword", "inbox+there", "", "", 11)
	v.wants(t, "InsertPassword", "private", "new", "", 10)
	v.wants(t, "GetPassword", "inbox+there", "", "", 10)
	v.wants(t, "InsertPassword", "inbox+there.gpg+x", "new", "", 11)
	if got := v.pass(t, "show", "inbox/there"); got != "old\n" {
		t.Errorf("it is %q", got)
	}
	v.wants(t, "InsertPassword", "mine+there", "new", "", 0)
	v.wants(t, "GetPassword", "mine+there", "", "new", 0)
}

// What is encrypted is for whom the nearest .gpg-id names.
func TestRecipients(t *testing.T) {
	t.Parallel()
	v := newVault(t, allowAll)
	v.GPG(t, nil, "--passphrase", "", "--quick-generate-key", "Team <team@example.invalid>", "future-default", "default", "never")
	v.put(t, ".password-store/team/.gpg-id", "team@example.invalid # all of us\nvault@example.invalid\n")
	v.wants(t, "InsertPassword", "team+x", "secret", "", 0)
	b, err := os.ReadFile(filepath.Join(v.store, "team/x.gpg"))
	if err != nil {
		t.Fatal(err)
	}
	if packets := v.GPG(t, b, "--list-packets"); bytes.Count(packets, []byte("pubkey enc packet")) != 2 {
		t.Errorf("packets:\n%s", packets)
	}
	for name, ids := range map[string]string{"unknown": "nobody@example.invalid\n", "nobody": "# nobody\n", "an option": "--yes\n", "huge": strings.Repeat("a", 100_000)} {
		v.put(t, ".password-store/team/.gpg-id", ids)
		if got, code := v.ours(t, "InsertPassword", "team+y", "secret"); got != "" || code != 1 {
			t.Errorf("%s: %q, %d", name, got, code)
		}
	}
	for _, make := range []func(path string) error{
		func(path string) error { return os.Symlink("../.gpg-id", path) },
		func(path string) error { return syscall.Mkfifo(path, 0o600) },
		func(path string) error { return os.Mkdir(path, 0o700) },
	} {
		path := filepath.Join(v.store, "team/.gpg-id")
		os.Remove(path)
		if err := make(path); err != nil {
			t.Fatal(err)
		}
		v.wants(t, "InsertPassword", "team+y", "secret", "", 1)
	}
	if _, err := os.Lstat(filepath.Join(v.store, "team/y.gpg")); err == nil {
		t.Error("it is written")
	}
}

// A .gpg-id that another wrote, by way of the store's repository, is not believed.
func TestAttackASwappedGPGID(t *testing.T) {
	t.Parallel()
	v := newVault(t, allowAll)
	attacker := newVault(t, "")
	v.GPG(t, attacker.GPG(t, nil, "--export", attacker.Fingerprint), "--import")
	v.put(t, ".password-store/.gpg-id", attacker.Fingerprint+"\n")
	v.wants(t, "InsertPassword", "x", "secret", "", 1) // gpg does not trust that key
	// With signing keys not even one that it trusts.
	v.put(t, ".config/splitvault/rules.toml", "[pass]\nsigning_keys = [\""+v.Fingerprint+"\"]\n"+allowAll)
	v.GPG(t, nil, "--passphrase", "", "--quick-generate-key", "Second <second@example.invalid>", "future-default", "default", "never")
	v.put(t, ".password-store/.gpg-id", "second@example.invalid\n")
	v.wants(t, "InsertPassword", "x", "secret", "", 1)
	sign := func(by string) {
		data := []byte("second@example.invalid\n")
		v.put(t, ".password-store/.gpg-id.sig", string(v.GPG(t, data, "--local-user", by, "--detach-sign")))
	}
	sign("second@example.invalid")
	v.wants(t, "InsertPassword", "x", "secret", "", 1)
	sign(v.Fingerprint)
	v.wants(t, "InsertPassword", "x", "secret", "", 0)
	v.put(t, ".password-store/.gpg-id", "vault@example.invalid\n")
	v.wants(t, "InsertPassword", "y", "secret", "", 1)
}

func TestWritesAreCommitted(t *testing.T) {
	t.Parallel()
	v := newVault(t, allowAll)
	v.put(t, ".gitconfig", "[user]\nname = Owner\nemail = owner@example.invalid\n")
	v.git(t, "init", "-q")
	v.wants(t, "InsertPassword", "first_20one", "secret\n", "", 0)
	v.git(t, "add", ".gpg-id")
	v.git(t, "commit", "-q", "-m", "own")
	if _, code := v.ours(t, "GeneratePassword", "dir+second", ""); code != 0 {
		t.Fatal(code)
	}
	log := v.git(t, "log", "--format=%an <%ae> %s")
	want := "Owner <owner@example.invalid> Add generated password for dir/second.\nt <t@example.invalid> own\nOwner <owner@example.invalid> Add given password for first one to store.\n"
	if log != want {
		t.Errorf("the log is\n%s", log)
	}
	if status := v.git(t, "status", "--porcelain"); status != "" {
		t.Errorf("the status is %q", status)
	}
	if body := v.git(t, "log", "-1", "--format=%b"); !strings.Contains(body, "asked for by the qube work") {
		t.Errorf("the message is %q", body)
	}
	v.git(t, "fsck", "--strict")
	// A repository of its own in a directory, as pass has it.
	v.put(t, ".password-store/inner/.keep", "")
	if out, err := exec.Command("git", "init", "-q", filepath.Join(v.store, "inner")).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	v.wants(t, "InsertPassword", "inner+x", "secret\n", "", 0)
	if got := v.git(t, "-C", "inner", "log", "--format=%s"); got != "Add given password for inner/x to store.\n" {
		t.Errorf("the inner log is %q", got)
	}
}

// A repository that came from elsewhere names programs in many places; none runs.
func TestAttackARepositoryThatRunsPrograms(t *testing.T) {
	t.Parallel()
	v := newVault(t, allowAll)
	v.git(t, "init", "-q")
	ran := filepath.Join(v.store, "ran")
	evil := "touch " + ran + "; false"
	hooks := []string{"pre-commit", "post-commit", "commit-msg", "prepare-commit-msg", "reference-transaction", "post-index-change", "fsmonitor-watchman", "pre-auto-gc", "post-rewrite"}
	for _, hook := range hooks {
		v.put(t, ".password-store/.git/hooks/"+hook, "#!/bin/sh\ntouch "+ran+"\n")
		if err := os.Chmod(filepath.Join(v.store, ".git/hooks", hook), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	v.put(t, ".password-store/.gitattributes", "* filter=evil diff=evil merge=evil\n")
	for key, value := range map[string]string{
		"filter.evil.clean": evil, "filter.evil.smudge": evil, "filter.evil.process": evil, "filter.evil.required": "true",
		"core.fsmonitor": "touch " + ran, "core.editor": evil, "core.pager": evil, "gpg.program": "/bin/touch", "commit.gpgsign": "true",
		"diff.external": evil, "diff.evil.textconv": evil, "core.sshCommand": evil, "credential.helper": "!" + evil, "core.alternateRefsCommand": evil,
		"core.hooksPath": ".git/hooks", "user.signingkey": "x",
	} {
		v.git(t, "config", key, value)
	}
	v.wants(t, "InsertPassword", "x", "secret\n", "", 0)
	if _, err := os.Stat(ran); err == nil {
		t.Error("a program of the repository ran")
	}
	// The control: git's own commands do run them.
	cmd := exec.Command("git", "-C", v.store, "add", ".gitattributes")
	cmd.Env = []string{"PATH=/usr/bin:/bin", "HOME=" + v.home}
	_ = cmd.Run() // the filter fails
	if _, err := os.Stat(ran); err != nil {
		t.Error("git runs none of them either, which proves nothing")
	}
	os.Remove(ran)
	if log := (&vault{home: v.home, store: v.store}).log(t); !strings.Contains(log, "Add given password for x to store.") {
		t.Errorf("the log is %q", log)
	}
}

func (v *vault) log(t testing.TB) string {
	t.Helper()
	cmd := exec.Command("git", "-C", v.store, "--no-pager", "-c", "core.fsmonitor=false", "log", "--format=%s")
	cmd.Env = []string{"PATH=/usr/bin:/bin", "HOME=" + v.home}
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}

// A repository elsewhere, to which a file or link .git leads, is left alone.
func TestAttackARepositoryElsewhere(t *testing.T) {
	t.Parallel()
	v := newVault(t, allowAll)
	v.put(t, "elsewhere/.keep", "")
	if out, err := exec.Command("git", "init", "-q", filepath.Join(v.home, "elsewhere")).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	v.put(t, ".password-store/.git", "gitdir: "+filepath.Join(v.home, "elsewhere/.git")+"\n")
	v.wants(t, "InsertPassword", "x", "secret\n", "", 0)
	os.Remove(filepath.Join(v.store, ".git"))
	v.link(t, filepath.Join(v.home, "elsewhere/.git"), ".git")
	v.wants(t, "InsertPassword", "y", "secret\n", "", 0)
	if refs, _ := filepath.Glob(filepath.Join(v.home, "elsewhere/.git/refs/heads/*")); refs != nil {
		t.Errorf("committed to %v", refs)
	}
}
