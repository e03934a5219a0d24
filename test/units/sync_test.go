package units

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/splitvault/splitvault/test/stub"
)

// TestSyncCommands types what docs/pass-sync.md says, in three make-believe qubes.
func TestSyncCommands(t *testing.T) {
	page, err := os.ReadFile("../../docs/pass-sync.md")
	if err != nil {
		t.Fatal(err)
	}
	top := t.TempDir()
	remote := filepath.Join(top, "remote.git")
	run := func(qube, line string) {
		t.Helper()
		other := map[string]string{"vault": "sync", "sync": "vault"}[qube]
		cmd := exec.Command("sh", "-euc", line)
		cmd.Dir = filepath.Join(top, qube)
		cmd.Env = []string{
			"PATH=" + filepath.Join(top, "bin") + ":/usr/bin:/bin", "HOME=" + cmd.Dir, "REMOTE=" + remote, "GIT_CONFIG_NOSYSTEM=1",
			"INCOMING=" + filepath.Join(top, other, "QubesIncoming", qube),
			"GIT_AUTHOR_NAME=t", "GIT_AUTHOR_EMAIL=t@example.invalid", "GIT_COMMITTER_NAME=t", "GIT_COMMITTER_EMAIL=t@example.invalid",
		}
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("[user@%s] $ %s\n%v\n%s", qube, line, err, out)
		}
	}
	for _, dir := range []string{"bin", "vault", "sync", "server"} {
		if err := os.Mkdir(filepath.Join(top, dir), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	copyTool := "mkdir -p \"$INCOMING\"\nmv \"$1\" \"$INCOMING\"\n"
	stub.Script(t, filepath.Join(top, "bin/qvm-copy"), copyTool)
	commit := "git add -A && git commit -qm"
	run("vault", "git init -q -b main ~/.password-store && cd ~/.password-store && echo x >a.gpg && "+commit+" first")
	run("server", "git init -q -b main --bare \"$REMOTE\"")
	blocks := regexp.MustCompile("(?s)```\n(.*?)```").FindAllStringSubmatch(string(page), -1)
	typed := regexp.MustCompile(`(?m)^\[user@(vault|sync)\] \$ (.*)$`)
	if len(blocks) != 4 {
		t.Fatalf("%d blocks of commands", len(blocks))
	}
	before := []string{
		"",
		"git clone -q \"$REMOTE\" ~/work && cd ~/work && echo y >b.gpg && " + commit + " second && git push -q origin HEAD:main",
		"",
	}
	for i, prepare := range before {
		if prepare != "" {
			run("server", prepare)
		}
		if i == 2 {
			run("vault", "cd ~/.password-store && echo z >c.gpg && "+commit+" third")
		}
		lines := typed.FindAllStringSubmatch(blocks[i][1], -1)
		if len(lines) < 4 {
			t.Fatalf("block %d has %d lines", i, len(lines))
		}
		for _, line := range lines {
			run(line[1], line[2])
		}
	}
	out, err := exec.Command("git", "-C", remote, "log", "--format=%s", "main").Output()
	if got := strings.Fields(string(out)); err != nil || strings.Join(got, " ") != "third second first" {
		t.Errorf("the server has %q, %v", got, err)
	}
	run("vault", "cd ~/.password-store && test -e b.gpg && git status --porcelain | grep . && exit 1 || true")
	if left, _ := filepath.Glob(filepath.Join(top, "*/QubesIncoming/*/*")); left != nil {
		t.Errorf("left behind: %v", left)
	}
}
