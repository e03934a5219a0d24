package main

import "testing"

const passRules = `[[pass.rule]]
qube = "work"
entries = ["work/bank"]
decision = "deny"

[[pass.rule]]
qube = "work"
entries = ["work/**"]
verbs = ["list", "field", "otp"]
fields = ["password"]
decision = "allow"
unlock = true
rate = "5/min"
`

func TestExplainPass(t *testing.T) {
	path := home(t, passRules, "")
	out, _ := typed(t, 0, "explain", "work", "pass", "--entry", "work/mail", "--field", "line.1")
	contains(t, out, `work, pass: field "password" of "work/mail": allow, up to 5/min, then ask (a yes may last 5m), may ask for the passphrase of the key`,
		"decided by "+path+":6:", "line 1: it is for the entries work/bank")
	out, _ = typed(t, 0, "explain", "work", "pass", "--entry", "work/mail")
	contains(t, out, `work, pass: show "work/mail": deny`, "no rule matches", "line 6: it is for list, field, otp")
	out, _ = typed(t, 0, "explain", "work", "pass", "--entry", "work/mail", "--field", "otp", "--json")
	contains(t, out, `"verb": "otp"`, `"decision": "allow"`, `"unlock": true`)
	home(t, "", "")
	out, _ = typed(t, 0, "explain", "work", "pass", "--entry", "x", "--verb", "list")
	contains(t, out, `list "x": deny`)
	home(t, "[pass]\nstor = 1\n", "")
	out, _ = typed(t, 1, "explain", "work", "pass", "--entry", "x")
	contains(t, out, "the rules have a mistake", "[pass] has store")
}

func TestExplainPassWrongUsage(t *testing.T) {
	home(t, passRules, "")
	for _, row := range []struct {
		args []string
		want string
	}{
		{[]string{"work", "pass"}, "--entry is missing"},
		{[]string{"work", "pass", "--entry", "../x"}, "not the name of an entry"},
		{[]string{"work", "pass", "--entry", "x", "--field", "a:b"}, "not the name of a field"},
		{[]string{"work", "pass", "--entry", "x", "--verb", "read"}, "is no verb"},
		{[]string{"work", "pass", "--entry", "x", "--verb", "show", "--field", "a"}, "--field is for --verb field"},
		{[]string{"work", "pass", "--entry", "x", "--host", "a"}, "--host is for ssh, not for pass"},
		{[]string{"work", "ssh", "--entry", "x"}, "--entry is for pass, not for ssh"},
		{[]string{"@tag", "pass", "--entry", "x"}, "not a valid name"},
	} {
		_, errOut := typed(t, 2, append([]string{"explain"}, row.args...)...)
		contains(t, errOut, row.want)
	}
}

func TestRulesCheckTellsTheServicesApart(t *testing.T) {
	path := home(t, "[[ssh.rule]]\nqube = \"a\"\ndecision = \"ask\"\n"+passRules, "")
	if out, _ := typed(t, 0, "rules", "check"); out != path+": 1 rule for ssh, 2 rules for pass, no mistakes\n" {
		t.Error(out)
	}
	path = home(t, "[[ssh.rule]]\nqube = \"a\"\ndecision = \"ask\"\n[[pass.rule]]\nqube = \"a\"\n", "")
	out, _ := typed(t, 1, "rules", "check")
	contains(t, out, path+":4: the rule decides nothing", path+" is not in force for pass: every request for that is denied")
}
