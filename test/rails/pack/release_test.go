package pack

import (
	"os/exec"
	"regexp"
	"testing"
	"time"
)

// checkout makes one with a commit of 2026-11-27T01:02:03Z.
func checkout(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	cmd := exec.CommandContext(t.Context(), "sh", "-euc", `cd "$1"
git init -q
echo 1.2.3 >version
git add version
GIT_COMMITTER_DATE='2026-11-27T01:02:03Z' git -c user.name=x -c user.email=x@example.org commit -q -m x`, "sh", dir)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return dir
}

func TestAReleaseIsATagAndEverythingElseIsBeforeIt(t *testing.T) {
	t.Setenv("SPLITVAULT_VERSION", "")
	t.Setenv("SOURCE_DATE_EPOCH", "")
	dir := checkout(t)
	at := time.Date(2026, 11, 27, 1, 2, 3, 0, time.UTC)
	got, err := ReleaseOf(dir)
	if err != nil || !regexp.MustCompile(`^1\.2\.3~git20261127010203\.[0-9a-f]+$`).MatchString(got.Version) || !got.Time.Equal(at) {
		t.Errorf("without a tag: %v, %v", got, err)
	}
	for _, tag := range []string{"v1.2.2", "v1.2.3"} {
		if out, err := exec.CommandContext(t.Context(), "git", "-C", dir, "tag", tag).CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		got, err := ReleaseOf(dir)
		if released := got.Version == "1.2.3"; err != nil || released != (tag == "v1.2.3") {
			t.Errorf("with %s: %v, %v", tag, got, err)
		}
	}
	t.Setenv("SPLITVAULT_VERSION", "2.0~rc1")
	t.Setenv("SOURCE_DATE_EPOCH", "86400")
	if got, err := ReleaseOf(dir); err != nil || got != (Release{"2.0~rc1", time.Unix(86400, 0).UTC()}) {
		t.Errorf("told: %v, %v", got, err)
	}
}

func TestAVersionThatAPackageManagerWouldMisreadIsRefused(t *testing.T) {
	dir := checkout(t)
	t.Setenv("SOURCE_DATE_EPOCH", "1")
	for _, version := range []string{"v1", "1-2", "1 2", "1:2", "../1"} {
		t.Setenv("SPLITVAULT_VERSION", version)
		if got, err := ReleaseOf(dir); err == nil {
			t.Errorf("%q: got %v", version, got)
		}
	}
	t.Setenv("SPLITVAULT_VERSION", "1")
	t.Setenv("SOURCE_DATE_EPOCH", "today")
	if got, err := ReleaseOf(dir); err == nil {
		t.Errorf("got %v", got)
	}
}
