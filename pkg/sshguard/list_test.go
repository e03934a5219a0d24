package sshguard_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/splitvault/splitvault/pkg/sshagent"
)

func TestKeysAreListedInTheOrderOfTheRules(t *testing.T) {
	t.Parallel()
	a, b, c := ed25519Key(t, "a"), ed25519Key(t, "b"), ed25519Key(t, "work@c")
	v := newVault(t, a.AddedKey, b.AddedKey, c.AddedKey)
	r := parseRules(t, fmt.Sprintf(`
[[ssh.rule]]
qube = "work"
keys = ["comment:work@*", %q]
decision = "allow"
[[ssh.rule]]
qube = "work"
keys = [%q]
decision = "ask"
`, b.fingerprint(), a.fingerprint()))
	ids := call(t, r, v).list()
	if len(ids) != 3 {
		t.Fatalf("%d keys are listed", len(ids))
	}
	for i, want := range []key{c, b, a} {
		if string(ids[i].Blob) != string(want.blob) {
			t.Errorf("key %d is another one", i)
		}
	}
}

func TestCommentsTieQubesTogetherUnlessTheOwnerShowsThem(t *testing.T) {
	t.Parallel()
	long := "alice@laptop \x1b[2J\u202e" + strings.Repeat("é", 100)
	k := ed25519Key(t, long)
	v := newVault(t, k.AddedKey)
	hidden := call(t, parseRules(t, allowAll), v).list()[0]
	if want := "vault:" + k.fingerprint()[7:15]; string(hidden.Comment) != want {
		t.Errorf("comment is %q, want %q", hidden.Comment, want)
	}
	shown := string(call(t, parseRules(t, "[ssh]\ncomments = true\n"+allowAll), v).list()[0].Comment)
	if !strings.HasPrefix(shown, `alice@laptop \x1b[2J\u202e`) || len(shown) > 64*6 {
		t.Errorf("comment is %q", shown)
	}
	if strings.ContainsFunc(shown, func(r rune) bool { return r < ' ' || r > '~' }) {
		t.Errorf("comment with raw bytes: %q", shown)
	}
}

// A faulty or hostile list from an agent makes a failure, never half a list.
func TestListsOfTheAgent(t *testing.T) {
	t.Parallel()
	good := ed25519Key(t, "good")
	id := sshagent.Identity{Blob: good.blob, Comment: []byte("good")}
	huge := make([]sshagent.Identity, 4000)
	for i := range huge {
		blob := append([]byte{0, 0, 0, 8}, fmt.Sprintf("key-%04d", i)...)
		huge[i] = sshagent.Identity{Blob: append(blob, make([]byte, 60)...)}
	}
	for _, row := range []struct {
		name  string
		ids   []sshagent.Identity
		err   error
		shown int // -1: the client gets a failure
	}{
		{"nothing", nil, nil, 0},
		{"the same key twice", []sshagent.Identity{id, id}, nil, 1},
		{"a blob that is none", []sshagent.Identity{{Blob: []byte("x")}, id, {}}, nil, 1},
		{"an error", nil, errors.New("lost"), -1},
		{"more than fits a reply", huge, nil, -1},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			v := newVault(t)
			v.onList = func() ([]sshagent.Identity, error) { return row.ids, row.err }
			c := call(t, parseRules(t, allowAll), v)
			if row.shown < 0 {
				c.refused(sshagent.RequestIdentities())
				return
			}
			if got := c.list(); len(got) != row.shown {
				t.Errorf("%d keys are listed, want %d", len(got), row.shown)
			}
		})
	}
}

func TestAMessageWithRequestIdentitiesAndMoreIsRefused(t *testing.T) {
	t.Parallel()
	v := newVault(t, ed25519Key(t, "key").AddedKey)
	c := call(t, parseRules(t, allowAll), v)
	c.refused(frame(t, sshagent.TypeRequestIdentities, []byte{0}))
	if v.reached() != 0 {
		t.Error("the agent was asked")
	}
}
