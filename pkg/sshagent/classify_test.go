package sshagent_test

import (
	"bytes"
	"go/parser"
	"go/token"
	"path/filepath"
	"strings"
	"testing"

	"github.com/splitvault/splitvault/pkg/sshagent"
	"github.com/splitvault/splitvault/pkg/sshagent/agenttest"
)

// allowed is the whole table of what may reach anything, spelled out a second
// time and independently of the code.
func allowed(f sshagent.Frame) bool {
	m := f.Bytes()[4:]
	switch m[0] {
	case 11:
		return len(m) == 1
	case 13:
		return true // the body is for FuzzSignRequest
	case 27:
		return bytes.HasPrefix(m[1:], []byte("\x00\x00\x00\x18session-bind@openssh.com")) ||
			string(m[1:]) == "\x00\x00\x00\x05query" ||
			string(m[1:]) == "\x00\x00\x00\x10reset@splitvault"
	default:
		return false
	}
}

func acts(c sshagent.Class) bool {
	return c != sshagent.Refuse && c != sshagent.ProtocolError
}

func TestEveryOtherTypeIsRefused(t *testing.T) {
	t.Parallel()
	signBody := append(agenttest.Strings("key", "data"), 0, 0, 0, 0)
	bodies := map[string][]byte{
		"empty":           {},
		"short":           {0},
		"string":          agenttest.Strings("x"),
		"two strings":     agenttest.Strings("x", "y"),
		"sign request":    signBody,
		"sign + 1":        append(bytes.Clone(signBody), 0),
		"bind name":       agenttest.Strings(sshagent.ExtensionBind),
		"query":           agenttest.Strings(sshagent.ExtensionQuery),
		"reset":           agenttest.Strings(sshagent.ExtensionReset),
		"long of zeros":   make([]byte, sshagent.MaxRequest-1),
		"long of FF":      bytes.Repeat([]byte{0xff}, sshagent.MaxRequest-1),
		"length past end": {0, 0, 0, 200, 1},
	}
	pass := map[byte]map[string]sshagent.Class{
		11: {"empty": sshagent.List},
		13: {"sign request": sshagent.Sign},
		27: {"bind name": sshagent.Bind, "query": sshagent.Query, "reset": sshagent.Reset},
	}
	known := []byte{1, 3, 7, 8, 9, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26}
	for kind := range 256 {
		for name, body := range bodies {
			f := agenttest.Frame(t, append([]byte{byte(kind)}, body...))
			got := sshagent.Classify(f)
			want, ok := pass[byte(kind)][name]
			switch {
			case ok:
			case bytes.IndexByte(known, byte(kind)) >= 0:
				want = sshagent.Refuse
			case kind == 27 && (name == "string" || name == "two strings" || name == "long of zeros"):
				want = sshagent.Refuse // extensions of other names
			case kind == 27 && (name == "sign request" || name == "sign + 1"):
				want = sshagent.Refuse // an extension named "key"
			default:
				want = sshagent.ProtocolError
			}
			if got != want {
				t.Errorf("type %d, %s: got %v, want %v", kind, name, got, want)
			}
			if acts(got) && !allowed(f) {
				t.Errorf("type %d, %s: passes and is not in the table", kind, name)
			}
		}
	}
}

func TestNearMissesOfExtensionsAreRefused(t *testing.T) {
	t.Parallel()
	rest := bytes.Repeat([]byte{0}, 13)
	for _, name := range []string{
		"", "session-bind", "session-bind@openssh.org", "session-bind@openssh.com ", " session-bind@openssh.com",
		"session-bind@openssh.com\x00", "Session-Bind@openssh.com", "session-bind@OPENSSH.COM", "session-bind@openssh.com.",
		"session_bind@openssh.com", "session-bind@openssh.co", "session-bind@openssh.comm", "sessi\u043en-bind@openssh.com",
		"query@openssh.com", "Query", "query ", "quer", "query\x00", "reset", "reset@splitvaul", "reset@splitvault.org", "RESET@splitvault",
		"restrict-destination-v00@openssh.com", "sk-provider@openssh.com", "associated-certs-v00@openssh.com",
		"add-ppk@putty.projects.tartarus.org", "list-extended@putty.projects.tartarus.org", "ecdh-rebox@joyent.com", "attest@joyent.com",
	} {
		for what, body := range map[string][]byte{
			"alone":     agenttest.Strings(name),
			"with more": append(agenttest.Strings(name), rest...),
		} {
			f := agenttest.Frame(t, append([]byte{27}, body...))
			if got := sshagent.Classify(f); got != sshagent.Refuse {
				t.Errorf("extension %q %s: got %v", name, what, got)
			}
		}
	}
	for _, name := range []string{sshagent.ExtensionQuery, sshagent.ExtensionReset} {
		f := agenttest.Frame(t, append([]byte{27}, append(agenttest.Strings(name), 0)...))
		if got := sshagent.Classify(f); got != sshagent.ProtocolError {
			t.Errorf("extension %q with content: got %v", name, got)
		}
	}
}

func TestZeroValuesRefuse(t *testing.T) {
	t.Parallel()
	var f sshagent.Frame
	if got := sshagent.Classify(f); got != sshagent.ProtocolError {
		t.Errorf("zero frame: got %v", got)
	}
	if f.Type() != 0 || len(f.Body()) != 0 || len(f.Bytes()) != 0 {
		t.Errorf("zero frame: type %v, %d and %d bytes", f.Type(), len(f.Body()), len(f.Bytes()))
	}
	var c sshagent.Class
	if acts(c) {
		t.Errorf("zero class %v acts", c)
	}
	var d sshagent.SignData
	if d.Purpose(false) != sshagent.PurposeRaw || d.Encode() != nil {
		t.Errorf("zero data is %v", d.Purpose(false))
	}
}

func TestAnswersAreThoseOfTheRequest(t *testing.T) {
	t.Parallel()
	list, err := sshagent.IdentitiesReply(nil)
	if err != nil {
		t.Fatal(err)
	}
	replies := map[string]sshagent.Frame{
		"05": sshagent.Failure(), "06": sshagent.Success(), "1c": sshagent.ExtensionFailure(),
		"0c": list, "0e": agenttest.Frame(t, []byte{14, 0, 0, 0, 0}), "1d": sshagent.QueryReply(sshagent.ExtensionBind),
		"0b": sshagent.RequestIdentities(), "06 with content": agenttest.Frame(t, []byte{6, 0}), "05 with content": agenttest.Frame(t, []byte{5, 0}),
		"1c with content": agenttest.Frame(t, []byte{28, 0}), "nothing": {},
	}
	want := map[sshagent.Class]string{
		sshagent.Refuse: "05", sshagent.ProtocolError: "05", sshagent.List: "05 0c", sshagent.Sign: "05 0e",
		sshagent.Bind: "05 06 1c", sshagent.Query: "05 1c 1d", sshagent.Reset: "05 06 1c",
	}
	for class, ok := range want {
		for name, reply := range replies {
			should := len(name) == 2 && strings.Contains(ok, name)
			if got := sshagent.Answers(class, reply); got != should {
				t.Errorf("%v answered by %s: got %v, want %v", class, name, got, should)
			}
		}
	}
}

func TestBuiltAnswersAreTheirBytes(t *testing.T) {
	t.Parallel()
	empty, err := sshagent.IdentitiesReply(nil)
	if err != nil {
		t.Fatal(err)
	}
	for want, f := range map[string]sshagent.Frame{
		"\x00\x00\x00\x01\x05":                 sshagent.Failure(),
		"\x00\x00\x00\x01\x06":                 sshagent.Success(),
		"\x00\x00\x00\x01\x1c":                 sshagent.ExtensionFailure(),
		"\x00\x00\x00\x01\x0b":                 sshagent.RequestIdentities(),
		"\x00\x00\x00\x05\x0c\x00\x00\x00\x00": empty,
		"\x00\x00\x00\x26\x1d\x00\x00\x00\x05query\x00\x00\x00\x18session-bind@openssh.com": sshagent.QueryReply("session-bind@openssh.com"),
	} {
		if string(f.Bytes()) != want {
			t.Errorf("%v: got %q, want %q", f.Type(), f.Bytes(), want)
		}
	}
}

// The relay must not contain x/crypto/ssh, and this package no I/O library.
func TestOnlyTheStandardLibraryIsImported(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("*.go")
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	banned := map[string]string{"net": "no sockets here", "os/exec": "no programs here", "log": "no logging here"}
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.ImportsOnly)
		if err != nil {
			t.Fatal(err)
		}
		for _, imported := range file.Imports {
			path := strings.Trim(imported.Path.Value, `"`)
			if strings.Contains(path, ".") || banned[path] != "" {
				t.Errorf("%s imports %s: only std, and %s", name, path, banned[path])
			}
		}
	}
}
