package policy

import (
	"strings"
	"testing"
)

func TestLinesThatParse(t *testing.T) {
	for line, want := range map[string]string{ // want "" = the line itself
		"svc * work vault allow":                                   "",
		"  svc\t*  work vault\tallow  ":                            "svc * work vault allow",
		"svc\u00a0* work vault allow":                              "svc * work vault allow", // Python splits at any white space
		"svc\x1f*\x1cwork vault allow":                             "svc * work vault allow",
		"svc + work vault ask":                                     "",
		"svc +x+y.z_-0 work vault deny":                            "",
		"* * @anyvm @anyvm deny":                                   "",
		"* * * * deny":                                             "",
		"a.B_c-9 * work vault allow":                               "",
		"svc * dom0 dom0 deny":                                     "svc * @adminvm @adminvm deny",
		"svc * @adminvm @adminvm allow target=dom0":                "svc * @adminvm @adminvm allow target=@adminvm",
		"svc * uuid:x uuid:y allow target=uuid:z":                  "",
		"svc * @tag:a @tag:b ask":                                  "",
		"svc * @type:AppVM @type:DispVM ask":                       "",
		"svc * work @default allow target=vault":                   "",
		"svc * work @dispvm allow target=@dispvm":                  "",
		"svc * @dispvm:a @dispvm:b allow target=@dispvm:c":         "",
		"svc * @dispvm:@tag:a @dispvm:@tag:b deny":                 "",
		"svc * work vault allow user=root notify=yes autostart=no": "",
		"svc * work vault ask target=a default_target=b user=c notify=yes autostart=no": "",
		"svc * work vault deny notify=no":                                               "",
		"svc * work vault deny notify=yes":                                              "svc * work vault deny",
		"svc * work vault allow notify=no autostart=yes":                                "svc * work vault allow",
		"svc * work vault allow target=vault,user=root":                                 "",                       // a name with a comma
		"svc * $anyvm vault allow":                                                      "",                       // a name
		"svc * wörk VAULT!!name allow":                                                  "",                       // names
		"svc * work @default allow target=":                                             "",                       // counts as none when evaluated
		"svc * work vault allow user=":                                                  "svc * work vault allow", // the default user
		"svc * work vault allow target=a=b":                                             "",
	} {
		if want == "" {
			want = line
		}
		statements, findings := parseFile([]byte(line), nil)
		if len(findings) != 0 || len(statements) != 1 {
			t.Errorf("%q: got %d statements, findings %v", line, len(statements), findings)
			continue
		}
		if got := statements[0].rule.encode(); got != want {
			t.Errorf("%q: got %q, want %q", line, got, want)
		}
	}
}

func TestLinesThatDoNotParse(t *testing.T) {
	for name, line := range map[string]string{
		"one word":                         "svc",
		"too few columns":                  "svc * work vault",
		"old format":                       "work vault allow",
		"argument without +":               "svc x work vault allow",
		"argument with bad characters":     "svc +a/b work vault allow",
		"argument with a star":             "svc +a* work vault allow",
		"non-ASCII argument":               "svc +é work vault allow",
		"service with bad characters":      "svc/x * work vault allow",
		"service with +":                   "svc+x * work vault allow",
		"service with a byte order mark":   "\ufeffsvc * work vault allow",
		"* with an argument":               "* +x work vault allow",
		"* with the empty argument":        "* + work vault allow",
		"allow on @default without target": "svc * work @default allow",
		"unknown action":                   "svc * work vault permit",
		"action in capitals":               "svc * work vault Allow",
		"target= on deny":                  "svc * work vault deny target=vault",
		"user= on deny":                    "svc * work vault deny user=root",
		"autostart= on deny":               "svc * work vault deny autostart=no",
		"default_target= on allow":         "svc * work vault allow default_target=vault",
		"@anyvm as redirect":               "svc * work @default allow target=@anyvm",
		"@default as redirect":             "svc * work vault allow target=@default",
		"* as redirect":                    "svc * work vault allow target=*",
		"@tag as redirect":                 "svc * work vault ask default_target=@tag:x",
		"@dispvm:@tag as redirect":         "svc * work vault allow target=@dispvm:@tag:x",
		"@default as source":               "svc * @default vault allow",
		"@dispvm as source":                "svc * @dispvm vault allow",
		"unknown keyword":                  "svc * @all vault allow",
		"empty @tag:":                      "svc * @tag: vault allow",
		"empty @type:":                     "svc * work @type: deny",
		"empty @dispvm:":                   "svc * work @dispvm: deny",
		"empty @dispvm:@tag:":              "svc * work @dispvm:@tag: deny",
		"keyword in a keyword":             "svc * work @tag:@x deny",
		"@dispvm of a type":                "svc * work @dispvm:@type:AppVM deny",
		"parameter twice":                  "svc * work vault allow user=a user=b",
		"notify=true":                      "svc * work vault allow notify=true",
		"notify= empty":                    "svc * work vault deny notify=",
		"autostart=1":                      "svc * work vault ask autostart=1",
		"unknown parameter":                "svc * work vault allow color=red",
		"parameter without =":              "svc * work vault allow user",
		"comma after the action":           "svc * work vault ask,default_target=vault",
		"inline comment":                   "svc * work vault allow # mine",
		"unknown directive":                "!incude x",
		"lone !":                           "!",
		"!include without a path":          "!include",
		"!include with two paths":          "!include a b",
		"!include-dir without a path":      "!include-dir",
		"!include-service, two words":      "!include-service svc path",
		"!include-service, bad argument":   "!include-service svc x path",
		"!include-service, * and +x":       "!include-service * +x path",
		"!compat-4.0 with a word":          "!compat-4.0 x",
		"not UTF-8":                        "svc * w\xf6rk vault allow",
	} {
		statements, findings := parseFile([]byte("# first\n"+line+"\n"), nil)
		if len(findings) != 1 || len(statements) != 0 {
			t.Errorf("%s: %q: got %d statements, findings %v", name, line, len(statements), findings)
			continue
		}
		if name != "not UTF-8" && findings[0].Line != 2 {
			t.Errorf("%s: line %d, want 2", name, findings[0].Line)
		}
	}
}

func TestLineEndsAndComments(t *testing.T) {
	text := "# a\r\n\r\n  # b\rsvc * a b deny\r\n\tsvc * c d deny\nsvc * e f deny"
	statements, findings := parseFile([]byte(text), nil)
	if len(findings) != 0 || len(statements) != 3 {
		t.Fatalf("got %d statements, findings %v", len(statements), findings)
	}
	for i, line := range []int{4, 5, 6} {
		if statements[i].line != line {
			t.Errorf("statement %d: line %d, want %d", i, statements[i].line, line)
		}
	}
}

func TestOldFormatInsideIncludeService(t *testing.T) {
	ctx := &context{"svc", "+x"}
	for line, want := range map[string]string{
		"$anyvm $default allow,target=vault":            "svc +x @anyvm @default allow target=vault",
		"work vault ask,default_target=vault,user=root": "svc +x work vault ask default_target=vault user=root",
		"@tag:a dom0 deny":                              "svc +x @tag:a @adminvm deny",
		"work vault":                                    "",
		"$anyvm $anyvm deny # no":                       "",
		"!include-dir x":                                "",
		"!compat-4.0":                                   "",
	} {
		statements, findings := parseFile([]byte(line), ctx)
		switch {
		case want == "" && len(findings) != 1:
			t.Errorf("%q was accepted", line)
		case want != "" && (len(statements) != 1 || statements[0].rule.encode() != want):
			t.Errorf("%q: got %+v, %v; want %q", line, statements, findings, want)
		}
	}
	statements, _ := parseFile([]byte("$include:include/more"), ctx)
	if len(statements) != 1 || statements[0].directive != "!include" || strings.Join(statements[0].words, " ") != "include/more" {
		t.Errorf("$include: got %+v", statements)
	}
}
