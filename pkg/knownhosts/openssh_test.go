package knownhosts

import (
	"crypto/hmac"
	"crypto/sha1"
	"encoding/base64"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/splitvault/splitvault/pkg/sshagent/agenttest"
)

// knownHash is a hashed name with a salt of its own; TestHashesOfOpenSSH compares
// the form with the real one.
func knownHash(name string) string {
	salt := []byte("twenty bytes of salt")
	mac := hmac.New(sha1.New, salt)
	mac.Write([]byte(name))
	return "|1|" + base64.StdEncoding.EncodeToString(salt) + "|" + base64.StdEncoding.EncodeToString(mac.Sum(nil))
}

func run(t *testing.T, name string, args ...string) string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), name, args...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v\n%s", name, err, out)
	}
	return string(out)
}

func write(t *testing.T, path, text string) string {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// What ssh-keygen -H hashes is found by name, and ssh-keygen -F finds the same.
func TestHashesOfOpenSSH(t *testing.T) {
	t.Parallel()
	agenttest.Need(t, "ssh-keygen")
	names := []string{"github.com", "[git.example]:2222", "10.0.0.1", "2001:db8::1", "[fe80::1%eth0]:23"}
	var keys []host
	var lines []string
	for _, name := range names {
		k := newHost(t)
		keys, lines = append(keys, k), append(lines, name+" "+k.key()+" comment")
	}
	path := write(t, filepath.Join(t.TempDir(), "known_hosts"), strings.Join(lines, "\n")+"\n")
	run(t, "ssh-keygen", "-H", "-f", path)
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(text), "github.com") || strings.Count(string(text), "|1|") != len(names) {
		t.Fatalf("not hashed:\n%s", text)
	}
	db, err := Load(path)
	if err != nil {
		t.Fatal(err)
	}
	for i, name := range names {
		if got := db.Names(keys[i].blob, names, now()); !slices.Equal(got.Names, []string{name}) {
			t.Errorf("%s: got %+v", name, got)
		}
		if got := db.Names(keys[i].blob, nil, now()); !got.Hashed || got.Line != fmt.Sprintf("%s:%d", path, i+1) {
			t.Errorf("%s without candidates: %+v", name, got)
		}
		if out := run(t, "ssh-keygen", "-F", name, "-f", path); !strings.Contains(out, keys[i].key()) {
			t.Errorf("ssh-keygen does not find %s: %s", name, out)
		}
	}
}

// server is a real sshd.
type server struct {
	port string
	dir  string
}

// serve starts sshd with one host key, and a certificate for it if there is one.
func serve(t *testing.T, certificate []byte, dir string) server {
	t.Helper()
	sshd := "/usr/sbin/sshd"
	if _, err := os.Stat(sshd); err != nil {
		if os.Getenv("CI") != "" {
			t.Fatalf("sshd is not installed: %v; install openssh-server", err)
		}
		t.Skipf("sshd is not installed: %v", err)
	}
	if os.Getuid() == 0 { // sshd wants it for its unprivileged half
		if err := os.MkdirAll("/run/sshd", 0o755); err != nil {
			t.Fatal(err)
		}
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := server{port: strconv.Itoa(listener.Addr().(*net.TCPAddr).Port), dir: dir}
	listener.Close()
	config := "ListenAddress 127.0.0.1\nPort " + s.port + "\nHostKey " + dir + "/host\nPidFile none\nPasswordAuthentication no\nKbdInteractiveAuthentication no\n"
	if certificate != nil {
		config += "HostCertificate " + write(t, dir+"/host-cert.pub", "ssh-ed25519-cert-v01@openssh.com "+base64.StdEncoding.EncodeToString(certificate)+"\n") + "\n"
	}
	cmd := exec.Command(sshd, "-D", "-e", "-f", write(t, dir+"/sshd_config", config))
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait() // it reports the kill
	})
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		conn, err := net.DialTimeout("tcp", "127.0.0.1:"+s.port, time.Second)
		if err == nil {
			conn.Close()
			return s
		}
		if time.Now().After(deadline) {
			t.Fatalf("sshd does not answer: %v", err)
		}
	}
}

// hostKey makes the key of a server.
func hostKey(t *testing.T, dir string) host {
	t.Helper()
	run(t, "ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "", "-f", dir+"/host")
	private, err := os.ReadFile(dir + "/host")
	if err != nil {
		t.Fatal(err)
	}
	signer, err := ssh.ParsePrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	return host{signer, signer.PublicKey().Marshal()}
}

// accepts tells whether the real ssh takes the server for the host of that name.
func (s server) accepts(t *testing.T, knownHosts, name string) bool {
	t.Helper()
	out, err := s.ssh(t, "-o", "StrictHostKeyChecking=yes", "-o", "HostKeyAlias="+name, "-o", "UserKnownHostsFile="+knownHosts)
	switch {
	case err == nil:
		t.Fatal("logged in without a key")
	case strings.Contains(out, "Permission denied"):
		return true
	case strings.Contains(out, "Host key verification failed") || strings.Contains(out, "host key is known"):
		return false
	}
	t.Fatalf("ssh: %v\n%s", err, out)
	return false
}

func (s server) ssh(t *testing.T, options ...string) (string, error) {
	t.Helper()
	args := append([]string{"-F", "none", "-p", s.port, "-o", "BatchMode=yes", "-o", "IdentityFile=none", "-o", "GlobalKnownHostsFile=none", "-o", "UpdateHostKeys=no"}, options...)
	cmd := exec.CommandContext(t.Context(), "ssh", append(args, "nobody@127.0.0.1", "true")...)
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + s.dir}
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// What ssh itself and ssh-keyscan write is read.
func TestWhatSSHWritesIsRead(t *testing.T) {
	t.Parallel()
	agenttest.Need(t, "ssh", "ssh-keygen", "ssh-keyscan")
	dir := t.TempDir()
	k := hostKey(t, dir)
	s := serve(t, nil, dir)
	name := "[127.0.0.1]:" + s.port
	for _, hash := range []string{"yes", "no"} {
		path := filepath.Join(dir, "written-"+hash)
		if out, err := s.ssh(t, "-o", "StrictHostKeyChecking=accept-new", "-o", "HashKnownHosts="+hash, "-o", "UserKnownHostsFile="+path); err == nil || !strings.Contains(out, "Permission denied") {
			t.Fatalf("%v\n%s", err, out)
		}
		db, err := Load(path)
		if err != nil {
			t.Fatal(err)
		}
		if got := db.Names(k.blob, []string{name}, now()); !slices.Equal(got.Names, []string{name}) {
			t.Errorf("hashed %s: %+v", hash, got)
		}
		if got := db.Names(k.blob, nil, now()); got.Hashed != (hash == "yes") {
			t.Errorf("hashed %s without candidates: %+v", hash, got)
		}
	}
	scanned, err := exec.CommandContext(t.Context(), "ssh-keyscan", "-p", s.port, "127.0.0.1").Output()
	if err != nil {
		t.Fatal(err)
	}
	db, err := Load(write(t, filepath.Join(dir, "scanned"), string(scanned)))
	if err != nil {
		t.Fatal(err)
	}
	if count, first := db.Bad(); count != 0 {
		t.Errorf("%d bad lines, the first at %s:\n%s", count, first, scanned)
	}
	if got := db.Names(k.blob, nil, now()); !slices.Equal(got.Names, []string{name}) {
		t.Errorf("scanned: %+v\n%s", got, scanned)
	}
}

// The real ssh takes the server for a host if and only if it is named so here, or
// fits a pattern.
func TestNamesAreThoseThatSSHAccepts(t *testing.T) {
	t.Parallel()
	agenttest.Need(t, "ssh", "ssh-keygen")
	dir := t.TempDir()
	k, ca, other := hostKey(t, dir), newHost(t), newHost(t)
	signed := func(change func(*ssh.Certificate), principals ...string) []byte {
		return k.certificate(t, ca, func(c *ssh.Certificate) {
			c.ValidAfter, c.ValidBefore = 0, ssh.CertTimeInfinity
			if change != nil {
				change(c)
			}
		}, principals...)
	}
	candidates := []string{"a.corp", "b.corp", "c", "*"}
	for i, row := range []struct {
		name        string
		certificate []byte
		lines       []string
		less        string // names that ssh accepts and that are not told here
	}{
		{"plain", nil, []string{"a.corp,c " + k.key(), "b.corp " + other.key()}, ""},
		{"hashed", nil, []string{knownHash("b.corp") + " " + k.key()}, ""},
		{"pattern", nil, []string{"*.corp,!b.* " + k.key()}, "a.corp"},
		{"taken back", nil, []string{"a.corp,b.corp,!a.* " + k.key()}, ""},
		{"bad lines before", nil, []string{"a.corp ssh-ed25519 AAAA", "a.corp", "c " + k.key()}, ""},
		{"capitals", nil, []string{"A.Corp " + k.key()}, ""},
		{"key of the authority alone", nil, []string{"@cert-authority a.corp " + k.key()}, ""},
		{"certificate", signed(nil, "a.corp", "c"), []string{"@cert-authority *.corp " + ca.key()}, ""},
		{"certificate, negated", signed(nil, "a.corp", "b.corp"), []string{"@cert-authority *.corp,!a.corp " + ca.key()}, ""},
		{"certificate by another authority", signed(nil, "a.corp"), []string{"@cert-authority *.corp " + other.key()}, ""},
		{"certificate, expired", signed(func(c *ssh.Certificate) { c.ValidBefore = 1 }, "a.corp"), []string{"@cert-authority *.corp " + ca.key()}, ""},
		{"certificate and plain key", signed(nil, "x"), []string{"@cert-authority *.corp " + other.key(), "c " + k.key()}, ""},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			own := t.TempDir()
			private, err := os.ReadFile(dir + "/host")
			if err != nil {
				t.Fatal(err)
			}
			write(t, own+"/host", string(private))
			s := serve(t, row.certificate, own)
			path := write(t, filepath.Join(own, fmt.Sprint("known_hosts", i)), strings.Join(row.lines, "\n")+"\n")
			db, err := Load(path)
			if err != nil {
				t.Fatal(err)
			}
			blob := k.blob
			if row.certificate != nil {
				blob = row.certificate
			}
			names := db.Names(blob, candidates, time.Now()).Names
			for _, name := range candidates[:3] {
				accepted, named := s.accepts(t, path, name), slices.Contains(names, name)
				if accepted != (named || name == row.less) {
					t.Errorf("%s: ssh accepts it: %v, named %v", name, accepted, names)
				}
			}
		})
	}
}
