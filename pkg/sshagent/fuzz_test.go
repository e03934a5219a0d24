package sshagent_test

import (
	"bytes"
	"encoding/binary"
	"io"
	"slices"
	"testing"
	"testing/iotest"

	"github.com/splitvault/splitvault/pkg/sshagent"
	"github.com/splitvault/splitvault/pkg/sshagent/agenttest"
)

// seed adds the bodies of the recorded messages of one type.
func seed(f *testing.F, kind sshagent.MessageType) {
	f.Helper()
	for _, v := range agenttest.Vectors(f, vectors) {
		if v.Frame.Type() == kind {
			f.Add(v.Frame.Body())
		}
	}
}

// message makes a frame of fuzzed content, if one can be made.
func message(kind sshagent.MessageType, body []byte) (sshagent.Frame, bool) {
	n := len(body) + 1
	wire := append([]byte{byte(n >> 24), byte(n >> 16), byte(n >> 8), byte(n), byte(kind)}, body...)
	f, err := sshagent.ParseFrame(wire, sshagent.MaxReply)
	return f, err == nil
}

// A stream gives the same frames whole and byte by byte, they are its own bytes,
// and what is classified as passing is in the table.
func FuzzFrame(f *testing.F) {
	for _, v := range agenttest.Vectors(f, vectors) {
		f.Add(v.Frame.Bytes())
	}
	f.Add([]byte("\x00\x00\x00\x01\x0b\x00\x00\x00\x01\x0b\x00\x00"))
	f.Fuzz(func(t *testing.T, stream []byte) {
		whole, drip := newReader(bytes.NewReader(stream)), newReader(iotest.OneByteReader(bytes.NewReader(stream)))
		rest := stream
		for {
			a, errA := whole.Next()
			b, errB := drip.Next()
			if (errA == nil) != (errB == nil) || !bytes.Equal(a.Bytes(), b.Bytes()) {
				t.Fatalf("at once: %v, byte by byte: %v", errA, errB)
			}
			if errA != nil {
				if (errA == io.EOF) != (len(rest) == 0) { //nolint:errorlint // plain io.EOF is promised
					t.Fatalf("%d bytes are left: %v", len(rest), errA)
				}
				return
			}
			n := len(a.Bytes())
			if !bytes.Equal(a.Bytes(), rest[:n]) {
				t.Fatal("not the stream's bytes")
			}
			if one, err := sshagent.ParseFrame(rest[:n], sshagent.MaxRequest); err != nil || !bytes.Equal(one.Bytes(), a.Bytes()) {
				t.Fatalf("ParseFrame: %v", err)
			}
			rest = rest[n:]
			if c := sshagent.Classify(a); acts(c) && !allowed(a) {
				t.Fatalf("%v passes as %v", a.Type(), c)
			}
		}
	})
}

func FuzzSignRequest(f *testing.F) {
	seed(f, sshagent.TypeSignRequest)
	f.Fuzz(func(t *testing.T, body []byte) {
		frame, ok := message(sshagent.TypeSignRequest, body)
		if !ok {
			return
		}
		s, err := sshagent.ParseSignRequest(frame)
		if (err == nil) != (sshagent.Classify(frame) == sshagent.Sign) {
			t.Fatalf("classified as %v, parsed with %v", sshagent.Classify(frame), err)
		}
		if err != nil || len(body) >= sshagent.MaxRequest {
			return
		}
		if again, err := s.Frame(); err != nil || !bytes.Equal(again.Bytes(), frame.Bytes()) {
			t.Fatalf("not the same encoded again: %v", err)
		}
	})
}

func FuzzIdentities(f *testing.F) {
	seed(f, sshagent.TypeIdentitiesAnswer)
	f.Fuzz(func(t *testing.T, body []byte) {
		frame, ok := message(sshagent.TypeIdentitiesAnswer, body)
		if !ok {
			return
		}
		ids, err := sshagent.ParseIdentities(frame)
		if err != nil {
			return
		}
		if again, err := sshagent.IdentitiesReply(ids); err != nil || !bytes.Equal(again.Bytes(), frame.Bytes()) {
			t.Fatalf("not the same encoded again: %v", err)
		}
	})
}

func FuzzSignData(f *testing.F) {
	for _, s := range recordedSigns(f) {
		f.Add(s.request.Data, s.request.Key, s.request.Flags)
	}
	f.Fuzz(func(t *testing.T, data, blob []byte, flags uint32) {
		k, err := sshagent.ParseKey(blob)
		if err != nil {
			return
		}
		d := sshagent.ParseSignData(data, k, flags)
		parts := 0
		for kind, set := range map[sshagent.Kind]bool{
			sshagent.KindLogin: d.Login != nil, sshagent.KindSSHSIG: d.SSHSIG != nil,
			sshagent.KindCertificate: d.Certificate != nil, sshagent.KindHostKey: d.HostKeyProof != nil,
		} {
			if set {
				parts++
			}
			if set && d.Kind != kind {
				t.Fatalf("kind %v has the part of %v", d.Kind, kind)
			}
		}
		if parts > 1 || (parts == 0) != (d.Encode() == nil) {
			t.Fatalf("kind %v has %d parts", d.Kind, parts)
		}
		if parts == 0 && d.Kind != sshagent.KindRaw && d.Kind != sshagent.KindHostKey {
			t.Fatalf("kind %v has no part", d.Kind)
		}
		if parts == 1 && !bytes.Equal(d.Encode(), data) {
			t.Fatal("not the same encoded again")
		}
		if d.Login != nil && (k.CheckFlags(flags) != nil || d.Login.Service != "ssh-connection" || len(d.Login.SessionID) > sshagent.MaxSessionID) {
			t.Fatalf("login %+v with flags %d", d.Login, flags)
		}
	})
}

func FuzzBind(f *testing.F) {
	seed(f, sshagent.TypeExtension)
	f.Fuzz(func(t *testing.T, body []byte) {
		frame, ok := message(sshagent.TypeExtension, body)
		if !ok {
			return
		}
		b, err := sshagent.ParseBind(frame)
		if err != nil {
			return
		}
		if sshagent.Classify(frame) != sshagent.Bind {
			t.Fatalf("parses as a binding and is %v", sshagent.Classify(frame))
		}
		if len(body) >= sshagent.MaxRequest {
			return
		}
		if again, err := b.Frame(); err != nil || !bytes.Equal(again.Bytes(), frame.Bytes()) {
			t.Fatalf("not the same encoded again: %v", err)
		}
	})
}

func FuzzKey(f *testing.F) {
	for _, blob := range plainKeys() {
		f.Add(blob, []byte{})
		f.Add(certify(blob, plainKeys()[sshagent.FormatEd25519]), []byte{})
	}
	for _, s := range recordedSigns(f) {
		f.Add(s.request.Key, s.reply.Body())
	}
	f.Fuzz(func(t *testing.T, blob, reply []byte) {
		k, err := sshagent.ParseKey(blob)
		if err != nil {
			return
		}
		if !bytes.Equal(k.Blob, blob) || !k.Is(blob) {
			t.Fatal("the blob changed")
		}
		if frame, ok := message(sshagent.TypeSignResponse, reply); ok {
			for _, flags := range []uint32{0, 2, 4} {
				if sshagent.CheckSignReply(frame, k, flags) == nil && k.CheckFlags(flags) != nil {
					t.Fatalf("a signature with flags %d passes", flags)
				}
			}
		}
		if k.Cert == nil {
			if k.Known && k.Certificate {
				t.Fatalf("known %v, certificate %v, no content", k.Known, k.Certificate)
			}
			return
		}
		if again := append(k.Cert.Encode(), agenttest.Strings(k.Cert.Signature)...); !bytes.Equal(again, blob) {
			t.Fatal("not the same encoded again")
		}
		inner, err := sshagent.ParseKey(k.PlainBlob())
		if err != nil || !inner.Known || inner.Certificate || inner.Format != k.Plain {
			t.Fatalf("inner key %+v: %v", inner, err)
		}
	})
}

// What a reply to "query" offers is what it would be written with.
func FuzzOffers(f *testing.F) {
	f.Add(sshagent.QueryReply(sshagent.ExtensionBind, sshagent.ExtensionReset).Bytes())
	f.Add(sshagent.QueryReply().Bytes())
	f.Add(sshagent.Failure().Bytes())
	f.Fuzz(func(t *testing.T, untrusted []byte) {
		frame, err := sshagent.ParseFrame(untrusted, sshagent.MaxReply)
		if err != nil || !sshagent.Offers(frame, sshagent.ExtensionReset) {
			return
		}
		var names []string
		for rest := frame.Body(); len(rest) > 0; {
			end := 4 + binary.BigEndian.Uint32(rest)
			names = append(names, string(rest[4:end]))
			rest = rest[end:]
		}
		names = names[1:] // "query"
		if got := sshagent.QueryReply(names...).Bytes(); string(got) != string(untrusted) || !slices.Contains(names, sshagent.ExtensionReset) {
			t.Errorf("%q is taken for %q", untrusted, names)
		}
	})
}
