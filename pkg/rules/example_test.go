package rules

import (
	"os"
	"regexp"
	"testing"
	"time"
)

// The shipped example does what its comments say, once it is taken out of them.
func TestTheExampleDoesWhatItSays(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../templatevm/usr/share/doc/splitvault/examples/rules.toml")
	if err != nil {
		t.Fatal(err)
	}
	if asItIs := parse(t, string(text)); len(asItIs.SSH.Rules) != 0 || len(asItIs.Warnings) != 0 {
		t.Errorf("as it is: %+v", asItIs)
	}
	// "#" and a blank begin prose, "#" alone a setting.
	f := parse(t, regexp.MustCompile(`(?m)^#([^ \n])`).ReplaceAllString(string(text), "$1"))
	if len(f.Warnings) != 0 {
		t.Errorf("warned: %v", f.Warnings)
	}
	const adminKey = "SHA256:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU"
	for _, row := range []struct {
		name string
		req  SSHRequest
		want Decision
	}{
		{"git at github.com", SSHRequest{Qube: "work", Purpose: login, User: "git", Hosts: []string{"github.com"}}, Allow},
		{"git at a host that is not believed", SSHRequest{Qube: "work", Purpose: login, User: "git"}, Ask},
		{"another user at github.com", SSHRequest{Qube: "work", Purpose: login, User: "root", Hosts: []string{"github.com"}}, Ask},
		{"a commit of work", SSHRequest{Qube: "work", Purpose: "sshsig:git"}, Ask},
		{"a forwarded login of work", SSHRequest{Qube: "work", Purpose: forwardedLogin, User: "git", Hosts: []string{"github.com"}}, Deny},
		{"a commit of dev-web", SSHRequest{Qube: "dev-web", Purpose: "sshsig:git", Comment: "git@laptop"}, Allow},
		{"with another key", SSHRequest{Qube: "dev-web", Purpose: "sshsig:git", Comment: "work"}, Deny},
		{"a login of dev-web", SSHRequest{Qube: "dev-web", Purpose: login, Comment: "git@laptop"}, Deny},
		{"the one that is left out", SSHRequest{Qube: "dev-untrusted", Purpose: "sshsig:git", Comment: "git@laptop"}, Deny},
		{"an onward login of admin", SSHRequest{Qube: "admin", Agent: "card", Fingerprints: []string{adminKey}, Purpose: forwardedLogin, Hosts: []string{"db.corp.example"}}, Ask},
		{"on the port that is named", SSHRequest{Qube: "admin", Agent: "card", Fingerprints: []string{adminKey}, Purpose: login, Hosts: []string{"[gate.corp.example]:2222"}}, Ask},
		{"elsewhere", SSHRequest{Qube: "admin", Agent: "card", Fingerprints: []string{adminKey}, Purpose: login}, Deny},
		{"by the default agent", SSHRequest{Qube: "admin", Fingerprints: []string{adminKey}, Purpose: login, Hosts: []string{"db.corp.example"}}, Deny},
		{"any other qube", SSHRequest{Qube: "personal", Purpose: login}, Deny},
	} {
		if got := f.SSH.Judge(row.req); got.Decision != row.want {
			t.Errorf("%s: %v by %s", row.name, got.Decision, got.Rule)
		}
	}
	git := f.SSH.Judge(SSHRequest{Qube: "work", Purpose: login, User: "git", Hosts: []string{"gitlab.com"}})
	if git.Rate.String() != "30/min" || git.Remember != time.Hour {
		t.Errorf("got %+v", git)
	}
	if v := f.SSH.Judge(SSHRequest{Qube: "dev-web", Purpose: "sshsig:git", Comment: "git@laptop"}); !v.Notify {
		t.Error("nobody is told")
	}
}
