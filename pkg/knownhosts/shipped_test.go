package knownhosts

import (
	"slices"
	"testing"

	"github.com/splitvault/splitvault/pkg/sshagent"
)

// The file that is shipped has the keys whose fingerprints the owners publish, on
// the pages that it names and for bitbucket.org on bitbucket.org/blog/ssh-host-key-changes
// and confluence.atlassian.com, and no other.
func TestShippedKeysHaveThePublishedFingerprints(t *testing.T) {
	t.Parallel()
	published := map[string]string{
		"SHA256:+DiY3wvvV6TuJJhbpZisF/zLDA0zPMSvHdkr4UvCOqU": "github.com",
		"SHA256:p2QAMXNIC1TJYWeIOttrVc98/R1BUFWu3/LiyKgUfQM": "github.com",
		"SHA256:uNiVztksCsDhcc0u9e8BujQXVUpKZIDTMczCvj3tD2s": "github.com",
		"SHA256:eUXGGm1YGsMAS7vkcx6JOJdOGHPem5gQp4taiCfCLB8": "gitlab.com",
		"SHA256:HbW3g8zUjNSksFbqTiUWPWg2Bq1x8xdGUrliXFzSnUw": "gitlab.com",
		"SHA256:ROQFvPThGrW4RuWLoL9tq9I9zJ42fK4XywyRtbOz/EQ": "gitlab.com",
		"SHA256:ybgmFkzwOSotHTHLJgHO0QN8L0xErw6vd0VhFA9m3SM": "bitbucket.org",
		"SHA256:FC73VB6C4OQLSCrjEayhMp9UMxS97caD/Yyi2bhW/J0": "bitbucket.org",
		"SHA256:46OSHA1Rmj8E8ERTC6xkNcmGOw9oFxYr0WF6zWW8l1E": "bitbucket.org",
		"SHA256:mIlxA9k46MmM6qdJOdMnAQpzGxF4WIVVL+fj+wZbw0g": "codeberg.org",
		"SHA256:T9FYDEHELhVkulEKKwge5aVhVTbqCW0MIRwAfpARs/E": "codeberg.org",
	}
	db, err := Load("../../templatevm" + Shipped)
	if err != nil {
		t.Fatal(err)
	}
	if count, first := db.Bad(); count != 0 || len(db.keys) != len(published) {
		t.Errorf("%d keys, and %d bad lines, the first at %s", len(db.keys), count, first)
	}
	for blob := range db.keys {
		name := published[sshagent.Fingerprint([]byte(blob))]
		if got := db.Names([]byte(blob), nil, now()); !slices.Equal(got.Names, []string{name}) {
			t.Errorf("%s: %+v, want %q", sshagent.Fingerprint([]byte(blob)), got, name)
		}
	}
}
