package main

import "testing"

const clefRules = `[[clef.rule]]
qube = "work"
methods = ["account_signTransaction"]
accounts = ["0x9d8A62f656a8d1615C1294fd71e9CFb3E4855A4F"]
chains = [1]
max_value = "0.5 ether"
calls = ["none", "transfer"]
origins = ["https://app.example.org"]
decision = "ask"

[[clef.rule]]
qube = "work"
methods = ["account_signData"]
decision = "allow"
`

func TestExplainClef(t *testing.T) {
	path := home(t, clefRules, "")
	all := []string{"explain", "work", "clef", "--account", "0x9d8a62f656a8d1615c1294fd71e9cfb3e4855a4f", "--chain", "1", "--origin", "https://app.example.org"}
	out, _ := typed(t, 0, append(all, "--value", "0.5 ether", "--to", "0x1111111111111111111111111111111111111111")...)
	contains(t, out, "work, clef: account_signTransaction with 0x9d8A62f656a8d1615C1294fd71e9CFb3E4855A4F of 0.5 ether to 0x1111111111111111111111111111111111111111 on chain 1 for https://app.example.org: ask (a yes may last 5m)",
		"decided by "+path+":1:")
	out, _ = typed(t, 0, append(all, "--value", "0.500000000000000001 ether")...)
	contains(t, out, ": deny", "no rule matches", "line 1: it is for at most 0.5 ether", "line 11: it is for account_signData")
	out, _ = typed(t, 0, append(all, "--call", "transfer")...)
	contains(t, out, "calling transfer", ": ask")
	out, _ = typed(t, 0, append(all, "--call", "0xdeadbeef", "--json")...)
	contains(t, out, `"decision": "deny"`, `"missed": "calls"`)
	out, _ = typed(t, 0, "explain", "work", "clef")
	contains(t, out, ": deny", "no --origin was given")
	out, _ = typed(t, 0, "explain", "work", "clef", "--method", "account_signData")
	contains(t, out, "account_signData as text/plain: allow")
	out, _ = typed(t, 0, "rules", "check")
	contains(t, out, "2 rules for clef, no mistakes")
	home(t, "", "")
	out, _ = typed(t, 0, "explain", "work", "clef", "--method", "account_list")
	contains(t, out, "account_list: ask", "built-in default", `"account_sign*"`)
	home(t, "[clef]\nback = 1\n", "")
	out, _ = typed(t, 1, "explain", "work", "clef")
	contains(t, out, "the rules have a mistake", "[clef] has backend")
	out, _ = typed(t, 1, "rules", "check")
	contains(t, out, "is not in force for clef")
}

func TestExplainClefWrongUsage(t *testing.T) {
	home(t, clefRules, "")
	for _, row := range []struct {
		args []string
		want string
	}{
		{[]string{"--method", "eth_sign"}, "Clef has no"},
		{[]string{"--account", "0x12"}, "not an address"},
		{[]string{"--to", "everybody"}, "not an address"},
		{[]string{"--value", "5"}, "not an amount"},
		{[]string{"--call", "mint"}, "is no call"},
		{[]string{"--origin", "null"}, "not an origin"},
		{[]string{"--chain", "-1"}, "chains are numbers"},
		{[]string{"--method", "account_list", "--value", "1 wei"}, "account_list has no such thing"},
		{[]string{"--method", "account_signData", "--content-type", "text/html"}, "none that Clef knows"},
		{[]string{"--host", "a"}, "--host is for ssh, not for clef"},
	} {
		_, errOut := typed(t, 2, append([]string{"explain", "work", "clef"}, row.args...)...)
		contains(t, errOut, row.want)
	}
}
