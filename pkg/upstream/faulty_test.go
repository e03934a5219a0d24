package upstream_test

import (
	"context"
	"errors"
	"io"
	"net"
	"path/filepath"
	"testing"
	"time"

	"github.com/splitvault/splitvault/pkg/sshagent"
	"github.com/splitvault/splitvault/pkg/sshagent/bind"
	"github.com/splitvault/splitvault/pkg/upstream"
)

func TestAHangingAgentIsGivenUp(t *testing.T) {
	t.Parallel()
	path := filepath.Join(shortDir(t), "agent")
	listen(t, path, hang)
	start := time.Now()
	if _, err := upstream.Dial(t.Context(), path); err == nil {
		t.Error("connected")
	}
	if took := time.Since(start); took > 7*time.Second {
		t.Errorf("it took %v", took)
	}
}

func TestAHangingAgentIsGivenUpWithItsClient(t *testing.T) {
	t.Parallel()
	path := filepath.Join(shortDir(t), "agent")
	listen(t, path, hang)
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	start := time.Now()
	if _, err := upstream.Dial(ctx, path); err == nil {
		t.Error("connected")
	}
	if took := time.Since(start); took > time.Second {
		t.Errorf("it took %v", took)
	}
}

// answering is an agent that answers each message by the next of these bytes,
// and then hangs up.
func answering(answers ...string) func(net.Conn) {
	return func(c net.Conn) {
		reader := sshagent.NewReader(c, sshagent.MaxRequest, sshagent.FrameTime)
		for _, answer := range answers {
			if _, err := reader.Next(); err != nil {
				return
			}
			if _, err := io.WriteString(c, answer); err != nil {
				return
			}
		}
		_, _ = reader.Next()
	}
}

const (
	// Of each kind of binding, one is tried.
	noBindings = 2
	failure    = "\x00\x00\x00\x01\x05"
	empty      = "\x00\x00\x00\x05\x0c\x00\x00\x00\x00"
)

func TestGarbageFromAnAgent(t *testing.T) {
	t.Parallel()
	for name, garbage := range map[string]string{
		"text":                   "HTTP/1.1 400 Bad Request\r\n\r\n",
		"length 0":               "\x00\x00\x00\x00",
		"length of 4 GiB":        "\xff\xff\xff\xff\x0c",
		"one byte over 256 KiB":  "\x00\x04\x00\x01\x0c",
		"a failure":              failure,
		"success":                "\x00\x00\x00\x01\x06",
		"a list cut short":       "\x00\x00\x00\x05\x0c\x00\x00\x00\x01",
		"a list of 2^32 keys":    "\x00\x00\x00\x05\x0c\xff\xff\xff\xff",
		"a list and a byte more": "\x00\x00\x00\x06\x0c\x00\x00\x00\x00\x00",
		"a hang-up":              "",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(shortDir(t), "agent")
			answers := []string{failure, failure, garbage}
			if garbage == "" {
				answers = answers[:noBindings]
			}
			listen(t, path, func(c net.Conn) {
				answering(answers...)(c)
				c.Close()
			})
			a := dial(t, path)
			ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
			defer cancel()
			var none bind.List
			ids, err := a.List(ctx, &none)
			if err == nil || ids != nil {
				t.Errorf("listed %d keys, %v", len(ids), err)
			}
			if name != "a failure" && !a.Broken() {
				t.Error("the agent does not count as broken")
			}
		})
	}
}

// An answer too many would be taken for the next request's.
func TestAnAnswerTooManyBreaksTheConnection(t *testing.T) {
	t.Parallel()
	path := filepath.Join(shortDir(t), "agent")
	listen(t, path, answering(failure, failure, empty+failure, failure))
	a := dial(t, path)
	var none bind.List
	if got := comments(t, a, &none); len(got) != 0 {
		t.Fatalf("listed %q", got)
	}
	if reply, err := a.Sign(t.Context(), &none, true, request(t, []byte("key"), []byte("data"))); err == nil || !a.Broken() {
		t.Errorf("the second answer: %v, broken %v", reply.Type(), a.Broken())
	}
}

// So would one that comes too late.
func TestAnAnswerThatDidNotComeInTimeIsNotTakenForTheNext(t *testing.T) {
	t.Parallel()
	path := filepath.Join(shortDir(t), "agent")
	listen(t, path, func(c net.Conn) {
		answering(failure, failure)(c)
		time.Sleep(300 * time.Millisecond)
		_, _ = io.WriteString(c, empty)
		hang(c)
	})
	a := dial(t, path)
	var none bind.List
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := a.List(ctx, &none); err == nil {
		t.Fatal("listed")
	}
	time.Sleep(400 * time.Millisecond)
	if _, err := a.List(t.Context(), &none); err == nil || !a.Broken() {
		t.Errorf("the late answer was taken: %v, broken %v", err, a.Broken())
	}
}

// gpg-agent reads requests into its small secure memory, and assumes that its
// clients are trusted.
func TestLargeRequestsDoNotReachSmallAgents(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"S.gpg-agent.ssh", "unknown"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(shortDir(t), name)
			got := make(chan int, 10)
			listen(t, path, func(c net.Conn) {
				reader := sshagent.NewReader(c, sshagent.MaxRequest, sshagent.FrameTime)
				for {
					f, err := reader.Next()
					if err != nil {
						return
					}
					if f.Type() == sshagent.TypeSignRequest {
						got <- 1 + len(f.Body())
					}
					if _, err := io.WriteString(c, failure); err != nil {
						return
					}
				}
			})
			a := dial(t, path)
			var none bind.List
			fits := request(t, []byte("key"), make([]byte, sshagent.MaxGPGRequest-1-4-3-4-4))
			if _, err := a.Sign(t.Context(), &none, true, fits); err != nil {
				t.Error(err)
			}
			large := request(t, []byte("key"), make([]byte, sshagent.MaxGPGRequest-1-4-3-4-4+1))
			if _, err := a.Sign(t.Context(), &none, true, large); !errors.Is(err, upstream.ErrTooLarge) || a.Broken() {
				t.Errorf("the large request: %v, broken %v", err, a.Broken())
			}
			if n := <-got; n != sshagent.MaxGPGRequest || len(got) != 0 {
				t.Errorf("%d bytes reached the agent, and %d requests more", n, len(got))
			}
		})
	}
}

// OpenSSH can be built without OpenSSL; its agent then knows Ed25519 alone, and
// must be marked all the same.
func TestAnAgentWithoutRSAIsMarkedByEd25519(t *testing.T) {
	t.Parallel()
	path := filepath.Join(shortDir(t), "agent")
	formats := make(chan string, 10)
	listen(t, path, func(c net.Conn) {
		reader := sshagent.NewReader(c, sshagent.MaxRequest, sshagent.FrameTime)
		for {
			f, err := reader.Next()
			if err != nil {
				return
			}
			reply := empty
			if b, err := sshagent.ParseBind(f); err == nil {
				reply = failure
				key, err := sshagent.ParseKey(b.HostKey)
				if formats <- key.Format; err == nil && key.Format == "ssh-ed25519" {
					reply = string(sshagent.Success().Bytes())
				}
			}
			if _, err := io.WriteString(c, reply); err != nil {
				return
			}
		}
	})
	dial(t, path)
	if first, second := <-formats, <-formats; first != sshagent.FormatRSA || second != "ssh-ed25519" || len(formats) != 0 {
		t.Errorf("marked by %q, %q and %d more", first, second, len(formats))
	}
}
