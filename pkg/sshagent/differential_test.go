package sshagent_test

import (
	"bytes"
	"errors"
	"io"
	"testing"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/agent"

	"github.com/splitvault/splitvault/pkg/sshagent"
	"github.com/splitvault/splitvault/pkg/sshagent/agenttest"
)

// recorder is an agent of x/crypto's server, which notes what it understood.
type recorder struct {
	agent.ExtendedAgent // nil: what is not named here must not be asked for
	listed, signed      int
	key, data           []byte
	flags               agent.SignatureFlags
	extension           string
	contents            []byte
}

var errRecorded = errors.New("recorded")

func (r *recorder) List() ([]*agent.Key, error) {
	r.listed++
	return nil, nil
}

func (r *recorder) SignWithFlags(key ssh.PublicKey, data []byte, flags agent.SignatureFlags) (*ssh.Signature, error) {
	r.signed++
	r.key, r.data, r.flags = key.Marshal(), data, flags
	return nil, errRecorded
}

func (r *recorder) Extension(name string, contents []byte) ([]byte, error) {
	r.extension, r.contents = name, contents
	return nil, errRecorded
}

type served struct {
	io.Reader
	bytes.Buffer
}

func (s *served) Read(b []byte) (int, error) { return s.Reader.Read(b) }

// What the firewall lets through, another agent's parser understands as the same,
// or refuses:
// there is no message that is a harmless one here and another one there.
func FuzzAnotherAgentUnderstandsTheSame(f *testing.F) {
	for _, v := range agenttest.Vectors(f, vectors) {
		f.Add(v.Frame.Bytes())
	}
	f.Add(sshagent.QueryRequest().Bytes())
	f.Fuzz(func(t *testing.T, untrusted []byte) {
		frame, err := sshagent.ParseFrame(untrusted, sshagent.MaxRequest)
		if err != nil {
			return
		}
		class := sshagent.Classify(frame)
		request, signErr := sshagent.ParseSignRequest(frame)
		bind, bindErr := sshagent.ParseBind(frame)
		switch {
		case class == sshagent.List, class == sshagent.Query, class == sshagent.Reset:
		case class == sshagent.Sign && signErr == nil, class == sshagent.Bind && bindErr == nil:
		default:
			return // refused, and passed on to nobody
		}
		r := &recorder{}
		if err := agent.ServeAgent(r, &served{Reader: bytes.NewReader(frame.Bytes())}); !errors.Is(err, io.EOF) {
			t.Fatalf("%v: x/crypto's agent: %v", class, err)
		}
		switch class {
		case sshagent.List:
			if r.listed != 1 || r.signed != 0 || r.extension != "" {
				t.Errorf("a list is %+v", r)
			}
		case sshagent.Sign:
			if r.signed+r.listed == 0 && r.extension == "" {
				return // a key without a format: the guard refuses it in the next step
			}
			if r.signed != 1 || r.listed != 0 || !bytes.Equal(r.key, request.Key) || !bytes.Equal(r.data, request.Data) || uint32(r.flags) != request.Flags {
				t.Errorf("%+v is understood as %+v", request, r)
			}
		case sshagent.Bind:
			again, err := bind.Frame()
			if r.extension != sshagent.ExtensionBind || err != nil || !bytes.HasSuffix(again.Bytes(), r.contents) || r.signed+r.listed != 0 {
				t.Errorf("%+v is understood as %q with %q, %v", bind, r.extension, r.contents, err)
			}
		default:
			if r.extension != sshagent.ExtensionQuery && r.extension != sshagent.ExtensionReset || len(r.contents) != 0 {
				t.Errorf("%v is understood as %q with %q", class, r.extension, r.contents)
			}
		}
	})
}
