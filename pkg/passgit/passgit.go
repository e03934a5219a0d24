// Package passgit commits an entry to the git repository that a password store can
// be, without giving the store a way to run anything.
//
// A repository can name programs in many places: hooks, filters by .gitattributes,
// a file system monitor, pagers, editors, signing programs, transports. So only
// plumbing is used, which knows no filters, with hooks and monitor switched off, no
// configuration but the repository's own, and no transport. No name of an entry is
// an argument.
package passgit

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/splitvault/splitvault/pkg/child"
	"github.com/splitvault/splitvault/pkg/entryname"
)

const (
	program   = "/usr/bin/git"
	patience  = 20 * time.Second
	maxOutput = 64 << 10
)

// Author is who commits.
type Author struct{ Name, Email string }

// AuthorFrom asks git's own configuration of the user, outside of any repository.
// A guard calls it before it confines itself.
func AuthorFrom(ctx context.Context, getenv func(string) string) Author {
	ask := func(key, otherwise string) string {
		cmd := exec.CommandContext(ctx, program, "config", "--global", "--get", key)
		cmd.Env, cmd.Dir = []string{"PATH=/usr/bin:/bin", "HOME=" + getenv("HOME"), "XDG_CONFIG_HOME=" + getenv("XDG_CONFIG_HOME")}, "/"
		out, err := cmd.Output()
		text := strings.TrimSpace(string(out))
		if err != nil || text == "" || len(text) > 200 || strings.ContainsAny(text, "<>\n\x00") {
			return otherwise
		}
		return text
	}
	return Author{ask("user.name", "splitvault"), ask("user.email", "splitvault@localhost")}
}

// Has tells whether the store, or a directory of the entry in it, is a repository.
func Has(store string, name entryname.Name) bool {
	_, _, found := find(store, name)
	return found
}

// find returns the nearest repository above an entry in the store, as pass does,
// and the entry's file in it.
func find(store string, name entryname.Name) (tree, file string, found bool) {
	parts := strings.Split(string(name)+".gpg", "/")
	for n := range slices.Backward(parts) {
		tree := filepath.Join(append([]string{store}, parts[:n]...)...)
		// A file .git leads to a repository elsewhere, a link anywhere.
		if info, err := os.Lstat(filepath.Join(tree, ".git")); err == nil && info.IsDir() {
			return tree, strings.Join(parts[n:], "/"), true
		}
	}
	return "", "", false
}

// Commit commits the message that an entry's file holds now. It does nothing where
// there is no repository.
func Commit(ctx context.Context, store string, name entryname.Name, message []byte, subject string, by Author) error {
	tree, file, found := find(store, name)
	if !found {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	r := repository{ctx, tree, by}
	blob, err := r.id(message, "hash-object", "-w", "--no-filters", "--stdin")
	if err != nil {
		return err
	}
	if _, err := r.run([]byte("100644 "+blob+"\t"+file+"\x00"), "update-index", "--add", "-z", "--index-info"); err != nil {
		return err
	}
	root, err := r.id(nil, "write-tree")
	if err != nil {
		return err
	}
	args := []string{"commit-tree", root, "-F", "-"}
	head, err := r.id(nil, "rev-parse", "--verify", "--quiet", "HEAD^{commit}")
	if err == nil {
		args = append(args, "-p", head)
	} else {
		head = strings.Repeat("0", len(root)) // none yet
	}
	commit, err := r.id([]byte(subject+"\n"), args...)
	if err != nil {
		return err
	}
	_, err = r.run(nil, "update-ref", "-m", "splitvault", "HEAD", commit, head)
	return err
}

type repository struct {
	ctx  context.Context
	tree string
	by   Author
}

// id runs git for the name of an object.
func (r repository) id(stdin []byte, args ...string) (string, error) {
	out, err := r.run(stdin, args...)
	id := strings.TrimSpace(string(out))
	if err == nil && ((len(id) != 40 && len(id) != 64) || strings.Trim(id, "0123456789abcdef") != "") {
		err = fmt.Errorf("git %s: no object's name", args[0])
	}
	return id, err
}

func (r repository) run(stdin []byte, args ...string) ([]byte, error) {
	cmd := exec.CommandContext(r.ctx, program, append([]string{
		"-c", "core.hooksPath=/dev/null", "-c", "core.fsmonitor=false", "-c", "core.untrackedCache=false",
		"-c", "core.alternateRefsCommand=false", "-c", "gc.auto=0", "-c", "maintenance.auto=false", "-c", "protocol.allow=never", "-c", "safe.directory=*",
	}, args...)...)
	cmd.Dir = r.tree
	cmd.Env = []string{
		"PATH=/usr/bin:/bin", "LC_ALL=C.UTF-8", "HOME=/nonexistent", "GIT_CONFIG_NOSYSTEM=1", "GIT_CONFIG_GLOBAL=/dev/null", "GIT_ATTR_NOSYSTEM=1",
		"GIT_DIR=" + filepath.Join(r.tree, ".git"), "GIT_WORK_TREE=" + r.tree, "GIT_TERMINAL_PROMPT=0", "GIT_NO_LAZY_FETCH=1", "GIT_ALLOW_PROTOCOL=none",
		"GIT_PAGER=cat", "GIT_EDITOR=false", "GIT_AUTHOR_NAME=" + r.by.Name, "GIT_AUTHOR_EMAIL=" + r.by.Email,
		"GIT_COMMITTER_NAME=" + r.by.Name, "GIT_COMMITTER_EMAIL=" + r.by.Email,
	}
	cmd.Stdin = bytes.NewReader(stdin)
	var out, errOut head
	cmd.Stdout, cmd.Stderr = &out, &errOut
	cmd.WaitDelay = time.Second
	// A git that is killed leaves its lock behind, and nobody can commit any more until it is
	// removed by hand. So it is asked to end, and ends its step, which takes milliseconds,
	// should this process be killed.
	if err := child.Run(cmd, syscall.SIGTERM); err != nil {
		if r.ctx.Err() != nil {
			err = errors.Join(err, context.Cause(r.ctx))
		}
		return nil, fmt.Errorf("git %s: %w: %q", args[0], err, errOut.kept)
	}
	return out.kept, nil
}

// head keeps the first bytes of what is written, and takes all.
type head struct{ kept []byte }

var _ io.Writer = (*head)(nil)

func (h *head) Write(p []byte) (int, error) {
	h.kept = append(h.kept, p[:min(len(p), maxOutput-len(h.kept))]...)
	return len(p), nil
}
