package knownhosts

import (
	"crypto/ed25519"
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"
)

// host is a server, or an authority.
type host struct {
	ssh.Signer
	blob []byte
}

func newHost(tb testing.TB) host {
	tb.Helper()
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		tb.Fatal(err)
	}
	signer, err := ssh.NewSignerFromSigner(private)
	if err != nil {
		tb.Fatal(err)
	}
	return host{signer, signer.PublicKey().Marshal()}
}

// key is what follows the names on a line.
func (h host) key() string { return line(h.blob) }

func line(blob []byte) string {
	return "ssh-ed25519 " + base64.StdEncoding.EncodeToString(blob)
}

// certificate makes a certificate for h; change may alter it before it is signed.
func (h host) certificate(tb testing.TB, ca host, change func(*ssh.Certificate), principals ...string) []byte {
	tb.Helper()
	c := &ssh.Certificate{
		Key: h.PublicKey(), CertType: ssh.HostCert, KeyId: "host", ValidPrincipals: principals,
		ValidAfter: uint64(now().Unix()) - 60, ValidBefore: uint64(now().Unix()) + 60,
	}
	if change != nil {
		change(c)
	}
	if err := c.SignCert(rand.Reader, ca.Signer); err != nil {
		tb.Fatal(err)
	}
	return c.Marshal()
}

func now() time.Time { return time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC) }

// load reads lines as a file.
func load(tb testing.TB, lines ...string) *DB {
	tb.Helper()
	path := filepath.Join(tb.TempDir(), "known_hosts")
	if err := os.WriteFile(path, []byte(strings.Join(lines, "\n")+"\n"), 0o600); err != nil {
		tb.Fatal(err)
	}
	db, err := Load(path)
	if err != nil {
		tb.Fatal(err)
	}
	return db
}

// found tells the names, and of the rest what is set.
func found(r Result) string {
	s := strings.Join(r.Names, " ")
	for word, set := range map[string]bool{" hashed": r.Hashed, " revoked": r.Revoked, " ca:" + r.Principal: r.CA} {
		if set {
			s += word
		}
	}
	if number := r.Line[strings.LastIndexByte(r.Line, ':')+1:]; number != "" {
		s += " at " + number
	}
	return strings.TrimSpace(s)
}

func TestNamesOfAKey(t *testing.T) {
	t.Parallel()
	k, other := newHost(t), newHost(t)
	hashed := func(name string) string { return knownHash(name) + " " }
	for _, row := range []struct {
		name       string
		lines      []string
		candidates []string
		want       string
	}{
		{"nothing", nil, nil, ""},
		{"plain name", []string{"github.com " + k.key()}, nil, "github.com at 1"},
		{"name and address", []string{"github.com,140.82.112.3 " + k.key() + " comment here"}, nil, "github.com 140.82.112.3 at 1"},
		{"several lines", []string{"# note", "", "a " + other.key(), "b " + k.key(), "c " + k.key()}, nil, "b c at 4"},
		{"twice the same", []string{"b " + k.key(), "b,c " + k.key()}, nil, "b c at 1"},
		{"another key", []string{"a " + other.key()}, nil, ""},
		{"port", []string{"[Host.Example]:2222 " + k.key()}, nil, "[host.example]:2222 at 1"},
		{"port 22", []string{"[host]:22 " + k.key()}, nil, "host at 1"},
		{"address of version 6", []string{"[2001:db8::1]:2222,fe80::1%eth0 " + k.key()}, nil, "[2001:db8::1]:2222 fe80::1%eth0 at 1"},
		{"pattern names nobody", []string{"*.corp.example " + k.key()}, []string{"db.corp.example"}, "hashed at 1"},
		{"pattern beside a name", []string{"*.corp.example,db.corp.example " + k.key()}, nil, "db.corp.example at 1"},
		{"name that is taken back", []string{"db.corp.example,!db.* " + k.key()}, nil, "hashed at 1"},
		{"hashed, of a candidate", []string{hashed("secret.example") + k.key()}, []string{"x", "secret.example"}, "secret.example at 1"},
		{"hashed, of no candidate", []string{"", hashed("secret.example") + k.key()}, []string{"x"}, "hashed at 2"},
		{"hashed, of a name elsewhere in the files", []string{hashed("a") + k.key(), "a " + other.key()}, nil, "a at 1"},
		{"plain comes first", []string{hashed("a") + k.key(), "b " + k.key()}, []string{"a"}, "b a at 1"},
		{"hashed with port", []string{hashed("[a]:2222") + k.key()}, []string{"a", "[a]:2222"}, "[a]:2222 at 1"},
		{"candidate that is no name", []string{hashed("A b") + k.key()}, []string{"A b"}, "hashed at 1"},
		{"candidate for another key", []string{hashed("bank") + other.key(), "b " + k.key()}, []string{"bank"}, "b at 2"},
		{"blanks and tabs", []string{"  \t a \t " + strings.ReplaceAll(k.key(), " ", "\t \t") + " \r"}, nil, "a at 1"},
		{"authority, not the host", []string{"@cert-authority a " + k.key()}, nil, ""},
		{"revoked", []string{"a " + k.key(), "@revoked * " + k.key()}, nil, "revoked at 2"},
		{"revoked for another name", []string{"a " + k.key(), "@revoked b " + k.key()}, nil, "revoked at 2"},
		{"revoked under a name that is none", []string{"@revoked <> " + k.key()}, nil, "revoked at 1"},
		{"other key revoked", []string{"a " + k.key(), "@revoked * " + other.key()}, nil, "a at 1"},
		{"name with markup", []string{"<b>a</b>,a " + k.key()}, nil, "a at 1"},
		{"negated name that is none", []string{"*,a,!<x> " + k.key()}, nil, ""},
		{"unknown marker", []string{"@trusted a " + k.key()}, nil, ""},
		{"two markers", []string{"@cert-authority @revoked a " + k.key()}, nil, ""},
		{"type is another one", []string{strings.Replace("a "+k.key(), "ed25519", "rsa", 1)}, nil, ""},
		{"key cut short", []string{"a ssh-ed25519 " + base64.StdEncoding.EncodeToString(k.blob[:40])}, nil, ""},
		{"key with more", []string{"a ssh-ed25519 " + base64.StdEncoding.EncodeToString(append(slices.Clone(k.blob), 0))}, nil, ""},
		{"no key", []string{"a", "a ssh-ed25519", "@revoked", "a ssh-ed25519 !"}, nil, ""},
		{"bad lines do not end the file", []string{"x", "a 1024 35 1234", strings.Repeat("y", 2*maxLine), "a " + k.key()}, nil, "a at 4"},
		{"line that is too long for its own good", []string{strings.Repeat("y,", maxLine/2) + " " + k.key()}, nil, ""},
		{"hash that is none", []string{"|1|xx|yy " + k.key(), "|2|" + knownHash("a")[3:] + " " + k.key(), "|1|" + base64.StdEncoding.EncodeToString([]byte("short")) + "|" + strings.Split(knownHash("a"), "|")[3] + " " + k.key()}, []string{"a"}, ""},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			if got := found(load(t, row.lines...).Names(k.blob, row.candidates, now())); got != row.want {
				t.Errorf("got %q, want %q", got, row.want)
			}
		})
	}
}

func TestNamesOfACertificate(t *testing.T) {
	t.Parallel()
	k, ca, other := newHost(t), newHost(t), newHost(t)
	both := "db.corp.example"
	for _, row := range []struct {
		name  string
		blob  []byte
		lines []string
		want  string
	}{
		{"principal within the pattern", k.certificate(t, ca, nil, both), []string{"@cert-authority *.corp.example " + ca.key()}, "db.corp.example ca:db.corp.example at 1"},
		{"several principals", k.certificate(t, ca, nil, "x.other", both, "A.Corp.Example"), []string{"@cert-authority *.corp.example " + ca.key()}, "db.corp.example a.corp.example ca:db.corp.example at 1"},
		{"principal beyond the pattern", k.certificate(t, ca, nil, "github.com"), []string{"@cert-authority *.corp.example " + ca.key()}, ""},
		{"principal that is taken back", k.certificate(t, ca, nil, both), []string{"@cert-authority *.corp.example,!db.* " + ca.key()}, ""},
		{"principal on a port", k.certificate(t, ca, nil, both), []string{"@cert-authority [*.corp.example]:2222 " + ca.key()}, "[db.corp.example]:2222 ca:db.corp.example at 1"},
		{"principal on any port", k.certificate(t, ca, nil, both), []string{"@cert-authority [*]:* " + ca.key()}, ""},
		{"hashed pattern", k.certificate(t, ca, nil, both), []string{"@cert-authority " + knownHash(both) + " " + ca.key()}, "db.corp.example ca:db.corp.example at 1"},
		{"no principals", k.certificate(t, ca, nil), []string{"@cert-authority * " + ca.key()}, ""},
		{"pattern as principal", k.certificate(t, ca, nil, "*", "*.corp.example"), []string{"@cert-authority * " + ca.key()}, ""},
		{"principal that is no name", k.certificate(t, ca, nil, "<b>", "[a]:22", ""), []string{"@cert-authority * " + ca.key()}, ""},
		{"another authority", k.certificate(t, other, nil, both), []string{"@cert-authority * " + ca.key()}, ""},
		{"authority that is only a host", k.certificate(t, ca, nil, both), []string{"* " + ca.key()}, ""},
		{"expired", k.certificate(t, ca, func(c *ssh.Certificate) { c.ValidBefore = uint64(now().Unix()) }, both), []string{"@cert-authority * " + ca.key()}, ""},
		{"not yet valid", k.certificate(t, ca, func(c *ssh.Certificate) { c.ValidAfter = uint64(now().Unix()) + 1 }, both), []string{"@cert-authority * " + ca.key()}, ""},
		{"for ever", k.certificate(t, ca, func(c *ssh.Certificate) { c.ValidAfter, c.ValidBefore = 0, ssh.CertTimeInfinity }, both), []string{"@cert-authority * " + ca.key()}, "db.corp.example ca:db.corp.example at 1"},
		{"of a user", k.certificate(t, ca, func(c *ssh.Certificate) { c.CertType = ssh.UserCert }, both), []string{"@cert-authority * " + ca.key()}, ""},
		{"with a critical option", k.certificate(t, ca, func(c *ssh.Certificate) { c.CriticalOptions = map[string]string{"x": ""} }, both), []string{"@cert-authority * " + ca.key()}, ""},
		{"signature forged", forged(k.certificate(t, ca, nil, both)), []string{"@cert-authority * " + ca.key()}, ""},
		{"plain key of the host", k.certificate(t, other, nil, both), []string{"plain.example " + k.key()}, "plain.example at 1"},
		{"plain key and authority", k.certificate(t, ca, nil, both), []string{"@cert-authority * " + ca.key(), "plain.example " + k.key()}, "plain.example db.corp.example ca:db.corp.example at 2"},
		{"authority revoked", k.certificate(t, ca, nil, both), []string{"@cert-authority * " + ca.key(), "@revoked * " + ca.key(), "a " + k.key()}, "revoked at 2"},
		{"key inside revoked", k.certificate(t, ca, nil, both), []string{"@cert-authority * " + ca.key(), "@revoked * " + k.key()}, "revoked at 2"},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			if got := found(load(t, row.lines...).Names(row.blob, nil, now())); got != row.want {
				t.Errorf("got %q, want %q", got, row.want)
			}
		})
	}
}

// forged changes the last byte of the signature.
func forged(blob []byte) []byte {
	blob = slices.Clone(blob)
	blob[len(blob)-1] ^= 1
	return blob
}

func TestBadLinesAreCounted(t *testing.T) {
	t.Parallel()
	k := newHost(t)
	db := load(t, "# fine", "a "+k.key(), "bad", "", "also bad", strings.Repeat("z", 3*maxLine))
	count, first := db.Bad()
	if count != 3 || !strings.HasSuffix(first, "known_hosts:3") {
		t.Errorf("%d, the first at %s", count, first)
	}
}

func TestFilesThatCannotBeReadKnowNobody(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	k := newHost(t)
	good := filepath.Join(dir, "good")
	if err := os.WriteFile(good, []byte("a "+k.key()), 0o600); err != nil {
		t.Fatal(err)
	}
	big := filepath.Join(dir, "big")
	if err := os.WriteFile(big, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(big, maxFile+1); err != nil {
		t.Fatal(err)
	}
	pipe := filepath.Join(dir, "pipe")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, bad := range []string{big, pipe, dir, "/dev/zero"} {
		db, err := Load(good, bad)
		if err == nil || db != nil {
			t.Errorf("%s is read", bad)
		}
		if r := db.Names(k.blob, []string{"a"}, now()); r.Known() || r.Revoked || db.Has("a") {
			t.Errorf("nothing known names %+v", r)
		}
	}
	db, err := Load(good, filepath.Join(dir, "gone"))
	if err != nil || !db.Names(k.blob, nil, now()).Known() {
		t.Errorf("a file that is not there: %v", err)
	}
	for _, blob := range [][]byte{nil, {}, []byte("x"), k.blob[:10]} {
		if r := db.Names(blob, nil, now()); r.Known() {
			t.Errorf("%x is %+v", blob, r)
		}
	}
}

func TestHas(t *testing.T) {
	t.Parallel()
	k := newHost(t)
	db := load(t, "a,[b]:2 "+k.key(), knownHash("c")+" "+k.key(), "@cert-authority *.d,!x.d "+k.key(), "@revoked e "+k.key())
	for name, want := range map[string]bool{
		"a": true, "[b]:2": true, "b": false, "c": true, "y.d": true, "x.d": false, "d": false, "e": false,
	} {
		if got := db.Has(name); got != want {
			t.Errorf("%s: %v", name, got)
		}
	}
}

func TestNormalise(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]string{
		"github.com": "github.com", "GitHub.COM": "github.com", "[a]:22": "a", "[a]": "a", "[a]:2222": "[a]:2222", "::1": "::1",
		"[::1]:22": "::1", "*.x": "*.x", "[*]:?": "[*]:?", "a_b": "a_b",
		"": "", "[": "", "[]": "", "[]:1": "", "[a]:": "", "[a]:x": "", "[a]x": "", "a b": "", "a\x00": "", "a\u202eb": "", "a/b": "", "a,b": "", "!a": "", "@a": "",
		strings.Repeat("a", 256): "",
	} {
		if got, ok := Normalise(name); got != want || ok != (want != "") {
			t.Errorf("%q: %q, %v", name, got, ok)
		}
	}
}

func TestCandidatesOfTheVaultsOwnConfiguration(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	ssh := filepath.Join(dir, ".ssh")
	for path, text := range map[string]string{
		"config": "# c\nHost git *.pattern !no\n  HostName=GitHub.com\n\tPort 22\nhost \"db\"\nhostname %h.corp.example\nport = 2222\n" +
			"Match user x\nHostName matched\nInclude more.d/*\nInclude ~/.ssh/home\nInclude config\nPort\nHost <x>\n",
		"more.d/1": "Host included\n", "more.d/2": "HostName 10.0.0.1\nPort 23\n", "home": "Host athome\n",
	} {
		path = filepath.Join(ssh, path)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	got := Candidates(filepath.Join(ssh, "config"), filepath.Join(ssh, "gone"))
	want := []string{"git", "github.com", "db", "[db]:2222", "db.corp.example", "[db.corp.example]:2222", "included", "10.0.0.1", "[10.0.0.1]:23", "athome", "matched"}
	if !slices.Equal(got, want) {
		t.Errorf("got  %v\nwant %v", got, want)
	}
}

func TestPaths(t *testing.T) {
	t.Parallel()
	home := func(key string) string { return map[string]string{"HOME": "/h"}[key] }
	if got := Paths(home, true); len(got) != 5 || got[0] != "/h/.ssh/known_hosts" || got[4] != Shipped {
		t.Errorf("got %v", got)
	}
	if got := Paths(home, false); slices.Contains(got, Shipped) {
		t.Errorf("got %v", got)
	}
	if got := append(Paths(func(string) string { return "" }, false), ConfigPaths(func(string) string { return "" })...); slices.ContainsFunc(got, func(p string) bool { return !strings.HasPrefix(p, "/etc/") }) {
		t.Errorf("without HOME: %v", got)
	}
}

// Whatever is in a file: reading ends without harm, and what is named is a name
// that the file has for this key, or a candidate.
func FuzzNames(f *testing.F) {
	k, ca := newHost(f), newHost(f)
	certificate := k.certificate(f, ca, nil, "db.corp.example")
	f.Add("github.com,[a]:2 "+k.key()+"\n@revoked * "+ca.key(), "a", k.blob)
	f.Add("@cert-authority *.corp.example,!x "+ca.key(), "a", certificate)
	f.Add(knownHash("a")+" "+k.key()+"\nb\n", "a", k.blob)
	f.Fuzz(func(t *testing.T, text, candidate string, blob []byte) {
		db := &DB{unread: []unread{{"f", []byte(text)}}}
		r := db.Names(blob, []string{candidate}, now())
		for _, name := range r.Names {
			normal, ok := Normalise(name)
			if !ok || normal != name || !isPlain(name) || !db.Has(name) {
				t.Fatalf("%q is named", name)
			}
			lower := strings.ToLower(text)
			host, _, port := cutPort(name)
			spelt := strings.Contains(lower, name) || port && strings.Contains(lower, host)
			if !spelt && name != candidate && !strings.Contains(string(blob), name) && !strings.Contains(lower, "["+name+"]") && r.Principal == "" {
				t.Fatalf("%q comes from nowhere", name)
			}
		}
		if r.Revoked && r.Known() || r.Hashed && len(r.Names) > 0 || r.Known() && r.Line == "" {
			t.Fatalf("%+v", r)
		}
		if (r.Known() || r.Revoked) && !strings.Contains(text, fmt.Sprint(base64.StdEncoding.EncodeToString(blob)[:8])) && !r.CA && len(db.keys) == 0 {
			t.Fatalf("%+v of an empty file", r)
		}
	})
}
