package main_test

import (
	"bytes"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/splitvault/splitvault/pkg/sshagent"
)

func TestListAndSign(t *testing.T) {
	t.Parallel()
	agent, key := realAgent(t)
	for name, rules := range map[string]string{
		"found by the environment": allowAll,
		"named in the rules":       allowAll + "[ssh.agents]\ndefault = \"" + agent.Socket + "\"\n",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			newVault(t, rules, agent.Socket).works(t, key)
		})
	}
}

func TestAgentNames(t *testing.T) {
	t.Parallel()
	agent, _ := realAgent(t)
	rules := "[ssh.agents]\ncard = \"" + agent.Socket + "\"\ndefault = \"" + agent.Socket + "\"\n" +
		"[[ssh.rule]]\nqube = \"work\"\nagent = \"\"\ndecision = \"deny\"\n" + allowAll
	for argument, want := range map[string]int{
		"card":                         1,
		"":                             0,
		"default":                      0, // the other name of ""
		"other":                        0,
		"--help":                       0,
		"--version":                    0,
		"..":                           0,
		"..+card":                      0,
		"card+":                        0,
		"-card":                        0,
		"a" + strings.Repeat("x", 200): 0,
	} {
		t.Run("+"+argument, func(t *testing.T) {
			t.Parallel()
			c := newVault(t, rules, agent.Socket).call(t, argument)
			// No keys are a failure, or an empty list.
			ids, err := sshagent.ParseIdentities(c.ask(sshagent.RequestIdentities()))
			if len(ids) != want {
				t.Errorf("%d keys are listed, %v", len(ids), err)
			}
			c.in.Close()
			c.hasEnded(5*time.Second, 0, "")
		})
	}
}

func TestExitCodes(t *testing.T) {
	t.Parallel()
	agent, _ := realAgent(t)
	v := newVault(t, allowAll, agent.Socket)
	list := string(sshagent.RequestIdentities().Bytes())
	for _, row := range []struct {
		name, input string
		code        int
		stderr      string
	}{
		{"echo | qrexec-client-vm vault qubes.Ssh", "\n", 0, ""},
		{"nothing", "", 0, ""},
		{"a request", list, 0, ""},
		{"a request, then nonsense", list + "\xff\xff\xff\xff", 0, ""},
		{"nonsense", "GET / HTTP/1.1\r\n", 2, "ssh-guard: bad request\n"},
		{"half a request", list[:4], 2, "ssh-guard: bad request\n"},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			c := v.call(t, "")
			c.send([]byte(row.input))
			if err := c.in.CloseWrite(); err != nil {
				t.Fatal(err)
			}
			c.hasEnded(5*time.Second, row.code, row.stderr)
		})
	}
}

func TestWrongEnvironment(t *testing.T) {
	t.Parallel()
	v := newVault(t, allowAll, "")
	for name, change := range map[string]string{
		"no caller":                   "QREXEC_REMOTE_DOMAIN=",
		"a caller with a slash":       "QREXEC_REMOTE_DOMAIN=../work",
		"a caller as pattern":         "QREXEC_REMOTE_DOMAIN=*",
		"no service":                  "QREXEC_SERVICE_FULL_NAME=",
		"argument that contradicts":   "QREXEC_SERVICE_ARGUMENT=other",
		"service with a line feed":    "QREXEC_SERVICE_FULL_NAME=qubes.Ssh+\n",
		"service of unbounded length": "QREXEC_SERVICE_FULL_NAME=" + strings.Repeat("x", 4000),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			environ := append(v.environ(""), change) // the last one counts
			if name == "no service" {
				environ = append(environ, "QREXEC_SERVICE_FULL_NAME=+")
			}
			v.start(t, "", environ).hasEnded(5*time.Second, 2, "ssh-guard: not started by qrexec\n")
		})
	}
}

// Rules that are broken or cannot be found allow nothing; the client learns no more.
func TestBrokenRulesDenyEverything(t *testing.T) {
	t.Parallel()
	agent, key := realAgent(t)
	for name, rules := range map[string]string{
		"no TOML":          "[[ssh.rule]",
		"misspelt key":     allowAll + "qubes = \"work\"\n",
		"another's qube":   strings.ReplaceAll(allowAll, "work", "other"),
		"empty":            "",
		"larger than 1 MB": allowAll + strings.Repeat("# comment\n", 110_000),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newVault(t, rules, agent.Socket).call(t, "")
			c.refused(sshagent.RequestIdentities())
			c.refused(signRequest(t, key, login(key)))
			c.in.Close()
			c.hasEnded(5*time.Second, 0, "")
		})
	}
	t.Run("no HOME", func(t *testing.T) {
		t.Parallel()
		v := newVault(t, allowAll, agent.Socket)
		c := v.start(t, "", append(v.environ(""), "HOME="))
		c.refused(sshagent.RequestIdentities())
	})
	t.Run("a named pipe for rules", func(t *testing.T) {
		t.Parallel()
		v := newVault(t, allowAll, agent.Socket)
		path := filepath.Join(v.home, ".config/splitvault/rules.toml")
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
		if err := syscall.Mkfifo(path, 0o600); err != nil {
			t.Fatal(err)
		}
		v.call(t, "").refused(sshagent.RequestIdentities())
	})
}

func TestWithoutAnAgentEverythingIsRefused(t *testing.T) {
	t.Parallel()
	c := newVault(t, allowAll, "/nonexistent").call(t, "")
	c.refused(sshagent.RequestIdentities())
	c.in.Close()
	c.hasEnded(5*time.Second, 0, "")
}

// noTouch is a key that waits for a finger, which does not come.
func noTouch(agent net.Conn) { _, _ = io.Copy(io.Discard, agent) }

// A guard waits for nobody: it is gone within a second of its client.
func TestAVanishedClientEndsTheGuard(t *testing.T) {
	t.Parallel()
	_, key := realAgent(t)
	for _, row := range []struct {
		name   string
		vanish func(*call)
		code   int
	}{
		{"all closed", func(c *call) { c.in.Close(); c.out.Close() }, 1},
		{"output closed, as when qrexec's connection breaks", func(c *call) { c.out.Close() }, 1},
		{"half-closed", func(c *call) { c.in.CloseWrite() }, 1},
	} {
		t.Run(row.name+", while a key waits for a touch", func(t *testing.T) {
			t.Parallel()
			socket, asked := fakeAgent(t, key, noTouch)
			c := newVault(t, allowAll, socket).call(t, "")
			c.send(signRequest(t, key, login(key)).Bytes())
			select {
			case <-asked:
			case <-time.After(10 * time.Second):
				t.Fatal("the agent was not asked")
			}
			row.vanish(c)
			c.hasEnded(1500*time.Millisecond, row.code, "ssh-guard: the client hung up\n")
		})
		t.Run(row.name+", idle", func(t *testing.T) {
			t.Parallel()
			socket, _ := fakeAgent(t, key, noTouch)
			c := newVault(t, allowAll, socket).call(t, "")
			c.ask(sshagent.RequestIdentities())
			row.vanish(c)
			c.hasEnded(1500*time.Millisecond, 0, "")
		})
	}
}

// A write to a client that is gone must not end the guard by SIGPIPE, whose exit
// code is above 125.
func TestAnAnswerToNobodyIsNoSignal(t *testing.T) {
	t.Parallel()
	agent, _ := realAgent(t)
	for range 10 {
		c := newVault(t, allowAll, agent.Socket).call(t, "")
		c.send(bytes.Repeat(sshagent.RequestIdentities().Bytes(), 1000))
		if _, err := c.reader.Next(); err != nil {
			t.Fatal(err)
		}
		c.out.Close() // in the middle of the answers
		if code := c.exit(5 * time.Second); code != 0 && code != 1 {
			t.Fatalf("exit code %d (%v)", code, c.cmd.ProcessState)
		}
	}
}

func TestAHangingAgentAtTheStartDoesNotHoldAVanishedClient(t *testing.T) {
	t.Parallel()
	// It is listened on, but nobody accepts.
	dir, err := os.MkdirTemp("", "hang")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	socket := filepath.Join(dir, "agent")
	listener, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	c := newVault(t, allowAll, socket).call(t, "")
	time.Sleep(100 * time.Millisecond)
	c.in.Close()
	c.out.Close()
	c.exit(time.Second)
}

func TestTheLargestFrame(t *testing.T) {
	t.Parallel()
	agent, key := realAgent(t)
	c := newVault(t, allowAll+"purpose = [\"raw\"]\n", agent.Socket).call(t, "")
	data := make([]byte, sshagent.MaxRequest-1-4-len(key)-4-4)
	if got := c.ask(signRequest(t, key, data)); got.Type() != sshagent.TypeSignResponse {
		t.Errorf("answered by %v", got.Type())
	}
	c.send([]byte("\x00\x01\x00\x01\x0d"))
	c.hasEnded(5*time.Second, 0, "")
}

func TestASlowLorisIsCutOff(t *testing.T) {
	t.Parallel()
	agent, _ := realAgent(t)
	c := newVault(t, allowAll, agent.Socket).call(t, "")
	start := time.Now()
	for range 100 {
		if _, err := c.in.Write([]byte("\x00")); err != nil {
			break
		}
		select {
		case <-c.ended:
		case <-time.After(4 * time.Second):
			continue
		}
		break
	}
	c.hasEnded(15*time.Second, 2, "ssh-guard: bad request\n")
	if took := time.Since(start); took < 9*time.Second {
		t.Errorf("cut off after %v", took)
	}
}

// After an agent's end the call ends, so that the next one finds its successor.
func TestADeadAgentEndsTheCall(t *testing.T) {
	t.Parallel()
	_, key := realAgent(t)
	socket, _ := fakeAgent(t, key, func(agent net.Conn) { agent.Close() })
	c := newVault(t, allowAll, socket).call(t, "")
	c.ask(sshagent.RequestIdentities())
	c.refused(signRequest(t, key, login(key)))
	c.hasEnded(5*time.Second, 0, "")
}

// As in package sshguard, but through the real process with all its confinement.
func TestDamagedMessages(t *testing.T) {
	t.Parallel()
	agent, key := realAgent(t)
	v := newVault(t, allowAll, agent.Socket)
	r := rand.New(rand.NewPCG(3, 4))
	before := agent.Dial(t).Ask(t, sshagent.RequestIdentities()).Bytes()
	sign := signRequest(t, key, login(key)).Bytes()
	for range 30 {
		c := v.call(t, "")
		for range 20 {
			b := bytes.Clone(sign)
			for range 1 + r.IntN(8) {
				b[4+r.IntN(len(b)-4)] = byte(r.Uint32())
			}
			if _, err := c.in.Write(b); err != nil {
				break // it has had its third protocol error
			}
		}
		_ = c.in.CloseWrite() // it may have closed
		if code := c.exit(5 * time.Second); code != 0 {
			t.Errorf("exit code %d, the client sees %q", code, c.stderr)
		}
	}
	v.works(t, key)
	if now := agent.Dial(t).Ask(t, sshagent.RequestIdentities()).Bytes(); !bytes.Equal(now, before) {
		t.Error("the agent's keys have changed")
	}
}
