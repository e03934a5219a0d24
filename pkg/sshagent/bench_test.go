package sshagent_test

import (
	"bytes"
	"testing"

	"github.com/splitvault/splitvault/pkg/sshagent"
	"github.com/splitvault/splitvault/pkg/sshagent/agenttest"
)

// One connection as ssh makes it, a binding, a list and a sign request, read and
// classified: what the relay does.
func BenchmarkReader(b *testing.B) {
	var wire []byte
	for _, v := range agenttest.Vectors(b, vectors) {
		if v.Case == "openssh92-hostbound-rsa512" && !v.Reply {
			wire = append(wire, v.Frame.Bytes()...)
		}
	}
	source := bytes.NewReader(wire)
	r := newReader(source)
	b.SetBytes(int64(len(wire)))
	b.ReportAllocs()
	for b.Loop() {
		source.Reset(wire)
		for range 3 {
			f, err := r.Next()
			if err != nil || !acts(sshagent.Classify(f)) {
				b.Fatal(err)
			}
		}
	}
}

// A reply of the largest size.
func BenchmarkReaderLarge(b *testing.B) {
	wire := agenttest.Frame(b, append([]byte{12}, make([]byte, sshagent.MaxReply-1)...)).Bytes()
	source := bytes.NewReader(wire)
	r := sshagent.NewReader(stream{source}, sshagent.MaxReply, sshagent.FrameTime)
	b.SetBytes(int64(len(wire)))
	b.ReportAllocs()
	for b.Loop() {
		source.Reset(wire)
		if _, err := r.Next(); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkParseSignData(b *testing.B) {
	for _, s := range recordedSigns(b) {
		b.Run(s.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if d := sshagent.ParseSignData(s.request.Data, s.key, s.request.Flags); d.Kind != s.data.Kind {
					b.Fatal(d.Kind)
				}
			}
		})
	}
}

func BenchmarkParseKey(b *testing.B) {
	for _, s := range recordedSigns(b)[:3] {
		b.Run(s.key.Format, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := sshagent.ParseKey(s.request.Key); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
