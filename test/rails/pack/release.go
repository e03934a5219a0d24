package pack

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Release is what a package is called, and how old its files are.
type Release struct {
	Version string
	Time    time.Time
}

// ReleaseOf returns the release of a checkout: $SPLITVAULT_VERSION and
// $SOURCE_DATE_EPOCH where they are set; else the file `version`, followed by
// ~git and time and name of the commit where that commit has no tag of the
// version. So a build between two releases is newer than one before it, and
// older than the release it becomes. Where git knows nothing of the checkout,
// ~devel stands for the commit, and the list of changes tells the time.
func ReleaseOf(source string) (Release, error) {
	text, err := os.ReadFile(filepath.Join(source, "version"))
	if err != nil {
		return Release{}, fmt.Errorf("reading the version: %w", err)
	}
	version := strings.TrimSpace(string(text))
	release, err := fromCommit(source, version)
	if err != nil {
		changes, err := os.Stat(filepath.Join(source, "CHANGELOG.md"))
		if err != nil {
			return Release{}, err
		}
		release = Release{version + "~devel", changes.ModTime().UTC().Truncate(time.Second)}
	}
	if v := os.Getenv("SPLITVAULT_VERSION"); v != "" {
		release.Version = v
	}
	if s := os.Getenv("SOURCE_DATE_EPOCH"); s != "" {
		seconds, errTime := strconv.ParseInt(s, 10, 64)
		if errTime != nil {
			return Release{}, fmt.Errorf("SOURCE_DATE_EPOCH %q is not a number of seconds", s)
		}
		release.Time = time.Unix(seconds, 0).UTC()
	}
	if !regexp.MustCompile(`^[0-9][0-9A-Za-z.~+]*$`).MatchString(release.Version) {
		return Release{}, fmt.Errorf("version %q: want a digit, then digits, letters and . ~ +", release.Version)
	}
	return release, nil
}

func fromCommit(source, version string) (Release, error) {
	out, err := git(source, "log", "-1", "--format=%ct %h")
	if err != nil {
		return Release{}, err
	}
	seconds, hash, _ := strings.Cut(strings.TrimSpace(out), " ")
	at, err := strconv.ParseInt(seconds, 10, 64)
	if err != nil {
		return Release{}, fmt.Errorf("asking git for the commit: it says %q", out)
	}
	t := time.Unix(at, 0).UTC()
	tags, err := git(source, "tag", "--points-at", "HEAD")
	if err != nil {
		return Release{}, err
	}
	if slices.Contains(strings.Fields(tags), "v"+version) {
		return Release{version, t}, nil
	}
	return Release{fmt.Sprintf("%s~git%s.%s", version, t.Format("20060102150405"), hash), t}, nil
}

// git asks about a checkout, which may belong to another user.
func git(source string, args ...string) (string, error) {
	abs, err := filepath.Abs(source)
	if err != nil {
		return "", err
	}
	args = append([]string{"--no-optional-locks", "-c", "safe.directory=" + abs, "-C", abs}, args...)
	out, err := exec.Command("git", args...).Output()
	if err != nil {
		return "", fmt.Errorf("asking git about %q: %w", source, err)
	}
	return string(out), nil
}
