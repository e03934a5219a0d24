package sshguard_test

import (
	"bytes"
	"encoding/binary"
	"math/rand/v2"
	"net"
	"testing"

	logtest "github.com/sirupsen/logrus/hooks/test"
	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/agent"

	"github.com/splitvault/splitvault/pkg/rules"
	"github.com/splitvault/splitvault/pkg/sshagent"
	"github.com/splitvault/splitvault/pkg/sshagent/agenttest"
	"github.com/splitvault/splitvault/pkg/sshguard"
	"github.com/splitvault/splitvault/pkg/upstream"
)

// realVault is a real ssh-agent with two keys, and the guard's connection to it.
type realVault struct {
	tb     testing.TB
	direct *agenttest.Conn
	agent  *upstream.Agent
	rules  rules.SSH
	key    []byte // blob of the Ed25519 key
	before []byte // the agent's own list
}

func newRealVault(tb testing.TB) *realVault {
	tb.Helper()
	a := agenttest.Start(tb)
	a.AddKey(tb, "ed", "ed25519", "", "")
	a.AddKey(tb, "rsa", "rsa", "2048", "")
	connected, err := upstream.Dial(tb.Context(), a.Socket)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(connected.Close)
	v := &realVault{tb: tb, direct: a.Dial(tb), agent: connected, rules: parseRules(tb, allowAll)}
	v.before = v.direct.Ask(tb, sshagent.RequestIdentities()).Bytes()
	ids, err := sshagent.ParseIdentities(v.direct.Ask(tb, sshagent.RequestIdentities()))
	if err != nil || len(ids) != 2 {
		tb.Fatalf("the agent lists %d keys, %v", len(ids), err)
	}
	v.key = ids[0].Blob
	return v
}

// call begins a call. There is one at a time, as they share the connection.
func (v *realVault) call() *client {
	log, hook := logtest.NewNullLogger()
	return serve(v.tb, &sshguard.Guard{Qube: "work", Rules: v.rules, Agents: []sshguard.Agent{v.agent}, Log: log}, hook)
}

// check asks what honest clients ask, and whether the agent is as it was.
func (v *realVault) check() {
	v.tb.Helper()
	c := v.call()
	defer c.hangUp()
	if n := len(c.list()); n != 2 {
		v.tb.Fatalf("%d keys are listed", n)
	}
	data := v.login("session")
	public, err := ssh.ParsePublicKey(v.key)
	if err != nil {
		v.tb.Fatal(err)
	}
	request, err := sshagent.SignRequest{Key: v.key, Data: data}.Frame()
	if err != nil {
		v.tb.Fatal(err)
	}
	if err := verified(public, c.ask(request), data); err != nil {
		v.tb.Fatal(err)
	}
	if now := v.direct.Ask(v.tb, sshagent.RequestIdentities()).Bytes(); !bytes.Equal(now, v.before) {
		v.tb.Fatal("the agent's keys have changed")
	}
}

func (v *realVault) login(session string) []byte {
	return (&sshagent.Login{
		SessionID: []byte(session), User: "git", Service: "ssh-connection", Method: sshagent.MethodPublicKey, Algorithm: "ssh-ed25519", Key: v.key,
	}).Encode()
}

// seeds are what clients send, also hostile ones.
func (v *realVault) seeds() [][]byte {
	host := ed25519Key(v.tb, "host")
	var all [][]byte
	for _, data := range [][]byte{v.login("session"), sshsig("git"), []byte("raw"), bytes.Repeat([]byte("h"), 32)} {
		f, err := sshagent.SignRequest{Key: v.key, Data: data}.Frame()
		if err != nil {
			v.tb.Fatal(err)
		}
		all = append(all, f.Bytes())
	}
	all = append(all, sshagent.RequestIdentities().Bytes(), host.binding(v.tb, "session", false).Bytes(), host.binding(v.tb, "first", true).Bytes())
	for _, body := range []string{"\x16\x00\x00\x00\x01x", "\x17\x00\x00\x00\x01x", "\x13", "\x09", "\x14\x00\x00\x00\x0e/usr/lib/x.so\x00\x00\x00\x00\x00"} {
		all = append(all, framed([]byte(body)))
	}
	// The agent's own client adds a key: what A6 and A7 would do.
	added := recordAdd(v.tb, host)
	return append(all, added)
}

func framed(body []byte) []byte {
	return append(binary.BigEndian.AppendUint32(nil, uint32(len(body))), body...)
}

// recordAdd is the message by which a client adds a key.
func recordAdd(tb testing.TB, k key) []byte {
	tb.Helper()
	ours, theirs := net.Pipe()
	defer theirs.Close()
	go func() {
		_ = agent.NewClient(ours).Add(k.AddedKey) // it gets no answer
		ours.Close()
	}()
	f, err := sshagent.NewReader(theirs, sshagent.MaxRequest, sshagent.FrameTime).Next()
	if err != nil {
		tb.Fatal(err)
	}
	return f.Bytes()
}

// mutate changes a message a little; if framed, its length is still true.
func mutate(r *rand.Rand, seeds [][]byte) (message []byte, whole bool) {
	b := bytes.Clone(seeds[r.IntN(len(seeds))])
	for range 1 + r.IntN(3) {
		switch at := 4 + r.IntN(max(1, len(b)-4)); r.IntN(7) {
		case 0:
			b[min(at, len(b)-1)] ^= 1 << r.IntN(8)
		case 1:
			b[min(at, len(b)-1)] = byte(r.Uint32())
		case 2:
			b = b[:max(5, min(at, len(b)))]
		case 3: // another message's middle
			other := seeds[r.IntN(len(seeds))]
			b = append(b[:min(at, len(b))], other[min(len(other), 4+r.IntN(len(other))):]...)
		case 4: // a length inside
			if at+4 <= len(b) {
				binary.BigEndian.PutUint32(b[at:], r.Uint32()>>r.IntN(32))
			}
		case 5:
			b = append(b, make([]byte, r.IntN(300))...)
		case 6:
			b[4] = byte(r.Uint32())
		}
		if len(b) < 5 {
			b = append(b, make([]byte, 5-len(b))...)
		}
	}
	binary.BigEndian.PutUint32(b, uint32(len(b)-4))
	if whole = r.IntN(20) > 0; !whole {
		binary.BigEndian.PutUint32(b, r.Uint32()>>r.IntN(32))
	}
	return b, whole
}

// However 10 000 messages are damaged: the guard and the agent serve honest
// clients as before, the agent's keys stay, and only logins and file signatures
// are signed.
func TestMutatedMessagesHarmNeitherGuardNorAgent(t *testing.T) {
	t.Parallel()
	v := newRealVault(t)
	r := rand.New(rand.NewPCG(1, 2))
	seeds := v.seeds()
	c := v.call()
	signed, wrong := 0, 0
	for i := range 10_000 {
		if i%100 == 0 {
			c.hangUp()
			v.check()
			c, wrong = v.call(), 0
		}
		b, whole := mutate(r, seeds)
		c.send(b)
		if !whole {
			if err := c.conn.CloseWrite(); err != nil {
				t.Fatal(err)
			}
			c.rest()
		} else {
			f, reply := parsed(t, b), c.next()
			if reply.Type() == sshagent.TypeSignResponse {
				signed++
				mustBeAllowed(t, f)
			}
			if sshagent.Classify(f) == sshagent.ProtocolError {
				wrong++
			}
		}
		if !whole || wrong == 3 { // the guard has ended the call
			c.hangUp()
			c, wrong = v.call(), 0
		}
	}
	c.hangUp()
	v.check()
	if signed == 0 {
		t.Error("no mutation was allowed, which makes the test weak")
	}
}

func parsed(tb testing.TB, wire []byte) sshagent.Frame {
	tb.Helper()
	f, err := sshagent.ParseFrame(wire, sshagent.MaxRequest)
	if err != nil {
		tb.Fatal(err)
	}
	return f
}

// mustBeAllowed fails the test if the rules do not allow what was signed.
func mustBeAllowed(tb testing.TB, signed sshagent.Frame) {
	tb.Helper()
	request, err := sshagent.ParseSignRequest(signed)
	if err != nil {
		tb.Fatal(err)
	}
	k, err := sshagent.ParseKey(request.Key)
	if err != nil {
		tb.Fatal(err)
	}
	data := sshagent.ParseSignData(request.Data, k, request.Flags)
	if data.Kind != sshagent.KindLogin && data.Kind != sshagent.KindSSHSIG {
		tb.Fatalf("signed %q", request.Data)
	}
}
