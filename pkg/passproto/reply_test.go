package passproto

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/splitvault/splitvault/pkg/passcode"
	"github.com/splitvault/splitvault/pkg/secret"
)

// reply reads one reply of a stream.
func reply(stream io.Reader) (string, *Error, error) {
	r := NewReader(stream)
	defer r.Close()
	var b secret.Buffer
	defer b.Wipe()
	err := ReadReply(r, &b)
	if no, ok := errors.AsType[*Error](err); ok {
		return "", no, nil
	}
	return string(b.Bytes()), nil, err
}

func TestReplies(t *testing.T) {
	t.Parallel()
	binary := string([]byte{0, 0xff, '\n', 'O', 'K', ' ', '\r'})
	for _, body := range []string{"", "x", binary, "ERR 10 not-found no such entry\n", strings.Repeat("a", MaxBody)} {
		wire := OKLine(len(body)) + body
		got, no, err := reply(iotest.HalfReader(strings.NewReader(wire)))
		if got != body || no != nil || err != nil {
			t.Errorf("got %.40q, %v, %v, want %.40q", got, no, err, body)
		}
	}
	for _, code := range passcode.All()[1:] {
		want := &Error{Code: code, Text: "because"}
		_, no, err := reply(iotest.OneByteReader(strings.NewReader(ErrLine(want))))
		if no == nil || *no != *want || err != nil {
			t.Errorf("got %v, %v, want %v", no, err, want)
		}
	}
}

// A reply that is cut short, or no reply, is never taken for one.
func TestAttackHalfAReplyIsNone(t *testing.T) {
	t.Parallel()
	whole := OKLine(7) + "hunter2"
	for n := range len(whole) {
		if got, no, err := reply(strings.NewReader(whole[:n])); err == nil || no != nil {
			t.Errorf("%q gave %q, %v", whole[:n], got, no)
		} else if !errors.Is(err, ErrReply) || !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("%q: %v", whole[:n], err)
		}
	}
	for _, wire := range []string{
		"OK\n", "OK -1\n", "OK 01\nx", "OK 1048577\n", "OK 99999999999999999999\n", "ok 1\nx", "OK 1 \nx", "OK  1\nx",
		"ERR 10 not-found\n", "ERR 0 ok done\n", "ERR 10 locked text\n", "ERR 3 internal text\n", "ERR 010 not-found text\n",
		"ERR 10 not-found \x1b[31m\n", "ERR x y z\n", "\n", "HELLO\n", "ERR 10 not-found " + strings.Repeat("x", 2000) + "\n",
	} {
		if got, no, err := reply(strings.NewReader(wire)); err == nil || no != nil {
			t.Errorf("%.40q gave %q, %v", wire, got, no)
		}
	}
}

func TestTextsForPeopleArePrintable(t *testing.T) {
	t.Parallel()
	line := ErrLine(&Error{Code: passcode.Denied, Text: "a\nOK 3\n\x1b]0;\u202e" + strings.Repeat("x", 5000)})
	if strings.Count(line, "\n") != 1 || len(line) > 1200 || !strings.HasPrefix(line, "ERR 126 denied a?OK 3??]0;") {
		t.Errorf("got %.100q of %d bytes", line, len(line))
	}
}

func TestLinesAndBodiesOfAStream(t *testing.T) {
	t.Parallel()
	stream := "INSERT a 5\nab\nde" + "PING\n" + "HELLO"
	for name, in := range map[string]io.Reader{
		"at once":     strings.NewReader(stream),
		"byte by one": iotest.OneByteReader(strings.NewReader(stream)),
	} {
		r := NewReader(in)
		var b secret.Buffer
		line, err := r.Line(MaxLine)
		if line != "INSERT a 5" || err != nil {
			t.Fatalf("%s: got %q, %v", name, line, err)
		}
		if err := r.Body(&b, 5); err != nil || !bytes.Equal(b.Bytes(), []byte("ab\nde")) {
			t.Errorf("%s: got %q, %v", name, b.Bytes(), err)
		}
		if line, err := r.Line(MaxLine); line != "PING" || err != nil {
			t.Errorf("%s: got %q, %v", name, line, err)
		}
		if line, err := r.Line(MaxLine); line != "" || !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("%s: half a line: %q, %v", name, line, err)
		}
		b.Wipe()
		r.Close()
	}
}

// However much a client sends without end, no more than a few lines are kept.
func TestAttackALineWithoutEndIsNotKept(t *testing.T) {
	t.Parallel()
	r := NewReader(endless{})
	defer r.Close()
	if _, err := r.Line(MaxLine); !errors.Is(err, ErrLineTooLong) {
		t.Errorf("got %v", err)
	}
	if n := r.ahead.Len(); n > 2*MaxLine {
		t.Errorf("%d bytes are kept", n)
	}
	short := NewReader(strings.NewReader(strings.Repeat("PING\nPI", 100000)))
	defer short.Close()
	for range 1000 {
		if _, err := short.Line(MaxLine); err != nil {
			t.Fatal(err)
		}
	}
	if n := short.ahead.Len(); n > 2*MaxLine {
		t.Errorf("%d bytes are kept", n)
	}
}

type endless struct{}

func (endless) Read(p []byte) (int, error) { return copy(p, bytes.Repeat([]byte("a"), len(p))), nil }

// What a server says is taken only as it would be written.
func FuzzReply(f *testing.F) {
	for _, wire := range []string{"OK 0\n", "OK 3\nabc", "ERR 10 not-found no such entry\n", "OK 3\nab", "ERR 0 ok x\n", "OK 1048577\n"} {
		f.Add([]byte(wire))
	}
	f.Fuzz(func(t *testing.T, untrusted []byte) {
		body, no, err := reply(bytes.NewReader(untrusted))
		if err != nil {
			return
		}
		wire := OKLine(len(body)) + body
		if no != nil {
			wire = ErrLine(no)
		}
		if !bytes.HasPrefix(untrusted, []byte(wire)) {
			t.Errorf("%q became %q", untrusted, wire)
		}
	})
}
