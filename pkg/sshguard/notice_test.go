package sshguard_test

import (
	"errors"
	"testing"

	"github.com/sirupsen/logrus"
	logtest "github.com/sirupsen/logrus/hooks/test"

	"github.com/splitvault/splitvault/pkg/consent"
	"github.com/splitvault/splitvault/pkg/sshguard"
)

// notices takes notices, and fails if it is told to.
type notices struct {
	told []consent.Notice
	err  error
}

func (n *notices) Notify(notice consent.Notice) error {
	n.told = append(n.told, notice)
	return n.err
}

const tellAll = `
[[ssh.rule]]
qube = "work"
purpose = ["sshsig:*"]
decision = "deny"
notify = true
[[ssh.rule]]
qube = "work"
users = ["quiet"]
decision = "allow"
[[ssh.rule]]
qube = "work"
decision = "allow"
notify = true
`

// The owner hears of what a rule with notify decided, and of nothing else; a
// desktop that is not there keeps no client waiting.
func TestTheOwnerIsToldWhereTheRuleSaysSo(t *testing.T) {
	t.Parallel()
	for name, failure := range map[string]error{"told": nil, "nobody to tell": errors.New("no desktop")} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			k, n := ed25519Key(t, "laptop\nkey"), &notices{err: failure}
			log, hook := logtest.NewNullLogger()
			log.SetLevel(logrus.DebugLevel)
			c := serve(t, &sshguard.Guard{
				Qube: "work", Rules: parseRules(t, tellAll), Agents: []sshguard.Agent{newVault(t, k.AddedKey)}, Log: log, Notices: n,
			}, hook)
			data := k.login("session", nil)
			if err := k.verified(c.ask(k.ask(t, data)), data); err != nil {
				t.Error(err)
			}
			c.ask(k.ask(t, sshsig("file")))
			want := []consent.Notice{
				{Service: "ssh", Qube: "work", Allowed: true, Text: `log in at an UNVERIFIED host as "git", key laptop\x0akey`},
				{Service: "ssh", Qube: "work", Text: `sign for the namespace "file", key laptop\x0akey`},
			}
			if len(n.told) != len(want) {
				t.Fatalf("told %+v", n.told)
			}
			for i := range want {
				if n.told[i] != want[i] || n.told[i].Check() != nil {
					t.Errorf("told %+v, want %+v", n.told[i], want[i])
				}
			}
		})
	}
}
