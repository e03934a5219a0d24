package sshagent_test

import (
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"runtime"
	"slices"
	"sync"
	"testing"
	"testing/iotest"
	"testing/synctest"
	"time"

	"github.com/splitvault/splitvault/pkg/sshagent"
	"github.com/splitvault/splitvault/pkg/sshagent/agenttest"
)

// stream is a source that takes deadlines and never needs them.
type stream struct{ io.Reader }

func (stream) SetReadDeadline(time.Time) error { return nil }

func newReader(r io.Reader) *sshagent.Reader {
	return sshagent.NewReader(stream{r}, sshagent.MaxRequest, sshagent.FrameTime)
}

// feeds are the ways in which the same bytes may arrive.
func feeds(b []byte) map[string]io.Reader {
	return map[string]io.Reader{
		"at once":            bytes.NewReader(b),
		"a byte at a time":   iotest.OneByteReader(bytes.NewReader(b)),
		"half of what fits":  iotest.HalfReader(bytes.NewReader(b)),
		"data with the end":  iotest.DataErrReader(bytes.NewReader(b)),
		"a byte, end at end": iotest.DataErrReader(iotest.OneByteReader(bytes.NewReader(b))),
	}
}

func TestFramesArriveHoweverTheyAreFed(t *testing.T) {
	t.Parallel()
	var wire []byte
	var want []sshagent.Frame
	for _, v := range agenttest.Vectors(t, vectors) {
		want = append(want, v.Frame)
		wire = append(wire, v.Frame.Bytes()...)
	}
	large := agenttest.Frame(t, append([]byte{13}, make([]byte, sshagent.MaxRequest-1)...))
	want = append(want, large, sshagent.RequestIdentities())
	wire = append(append(wire, large.Bytes()...), sshagent.RequestIdentities().Bytes()...)
	for name, feed := range feeds(wire) {
		r := newReader(feed)
		for i := range want {
			f, err := r.Next()
			if err != nil {
				t.Fatalf("%s: frame %d: %v", name, i, err)
			}
			if !bytes.Equal(f.Bytes(), want[i].Bytes()) {
				t.Fatalf("%s: frame %d differs", name, i)
			}
		}
		for range 2 {
			if _, err := r.Next(); err != io.EOF { //nolint:errorlint // plain io.EOF is promised
				t.Errorf("%s: at the end: got %v, want io.EOF", name, err)
			}
		}
		if r.Buffered() != 0 {
			t.Errorf("%s: %d bytes left over", name, r.Buffered())
		}
	}
}

// Lengths that lie across the end of the reader's own buffer of 2 KiB.
func TestLengthsAcrossTheBuffersEnd(t *testing.T) {
	t.Parallel()
	second := agenttest.Frame(t, append([]byte{13}, bytes.Repeat([]byte{0xee}, 0x140)...)).Bytes()
	for size := 2040; size <= 2052; size++ {
		first := agenttest.Frame(t, append([]byte{13}, bytes.Repeat([]byte{0xdd}, size-5)...)).Bytes()
		for name, feed := range feeds(slices.Concat(first, second, first)) {
			r := newReader(feed)
			for i, want := range [][]byte{first, second, first} {
				if f, err := r.Next(); err != nil || !bytes.Equal(f.Bytes(), want) {
					t.Fatalf("%s, size %d, frame %d: %v", name, size, i, err)
				}
			}
			if _, err := r.Next(); !errors.Is(err, io.EOF) {
				t.Errorf("%s, size %d: got %v", name, size, err)
			}
		}
	}
}

// reads counts the calls of its reader.
type reads struct {
	io.Reader
	n int
}

func (r *reads) Read(b []byte) (int, error) {
	r.n++
	return r.Reader.Read(b)
}

func TestPipelinedRequestsCostFewReads(t *testing.T) {
	t.Parallel()
	const n = 400
	source := &reads{Reader: bytes.NewReader(bytes.Repeat(sshagent.RequestIdentities().Bytes(), n))}
	r := newReader(source)
	for i := range n {
		if f, err := r.Next(); err != nil || sshagent.Classify(f) != sshagent.List {
			t.Fatalf("frame %d: %v", i, err)
		}
	}
	if source.n != 1 {
		t.Errorf("%d reads for 2000 bytes", source.n)
	}
}

func TestBrokenStreams(t *testing.T) {
	t.Parallel()
	list := string(sshagent.RequestIdentities().Bytes())
	tests := []struct {
		name     string
		wire     string
		good     int // frames before the error
		want     error
		buffered int // checked for cut-off messages
	}{
		{"nothing", "", 0, io.EOF, 0},
		{"end inside the length, 1", "\x00", 0, io.ErrUnexpectedEOF, 1},
		{"end inside the length, 3", "\x00\x00\x00", 0, io.ErrUnexpectedEOF, 3},
		{"end after the length", "\x00\x00\x00\x01", 0, io.ErrUnexpectedEOF, 4},
		{"end inside the body", "\x00\x00\x00\x05\x0c\x00\x00", 0, io.ErrUnexpectedEOF, 7},
		{"end inside a large body", "\x00\x00\xff\xff" + string(make([]byte, 5000)), 0, io.ErrUnexpectedEOF, 5004},
		{"end inside the second", list + "\x00\x00", 1, io.ErrUnexpectedEOF, 2},
		{"length 0", "\x00\x00\x00\x00\x0b", 0, sshagent.ErrEmpty, -1},
		{"length 0 after a good one", list + "\x00\x00\x00\x00", 1, sshagent.ErrEmpty, -1},
		{"one above the cap", "\x00\x01\x00\x01", 0, sshagent.ErrTooLarge, -1},
		{"2 GiB, negative as int32", "\x80\x00\x00\x00", 0, sshagent.ErrTooLarge, -1},
		{"4 GiB", "\xff\xff\xff\xff\x0b", 0, sshagent.ErrTooLarge, -1},
		{"text of a profile file", "Welcome!\n", 0, sshagent.ErrTooLarge, -1},
	}
	for _, test := range tests {
		for feedName, feed := range feeds([]byte(test.wire)) {
			r := newReader(feed)
			for range test.good {
				if _, err := r.Next(); err != nil {
					t.Fatalf("%s, %s: %v", test.name, feedName, err)
				}
			}
			_, err := r.Next()
			if !errors.Is(err, test.want) {
				t.Errorf("%s, %s: got %v, want %v", test.name, feedName, err, test.want)
			}
			if test.buffered >= 0 && r.Buffered() != test.buffered {
				t.Errorf("%s, %s: %d bytes, want %d", test.name, feedName, r.Buffered(), test.buffered)
			}
			if _, again := r.Next(); !errors.Is(again, test.want) {
				t.Errorf("%s, %s: error is not final: %v", test.name, feedName, again)
			}
		}
	}
}

func TestReadErrorsComeThrough(t *testing.T) {
	t.Parallel()
	broken := errors.New("wire cut")
	for name, wire := range map[string]string{"before": "", "in the length": "\x00\x00", "in the body": "\x00\x00\x00\x09\x0b"} {
		r := newReader(io.MultiReader(bytes.NewReader([]byte(wire)), iotest.ErrReader(broken)))
		if _, err := r.Next(); !errors.Is(err, broken) {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

// Not parallel: it counts this process's memory.
func TestHugeLengthsAllocateNothing(t *testing.T) {
	wire := []byte("\xff\xff\xff\xff\x0b")
	readers := make([]*sshagent.Reader, 100)
	for i := range readers {
		readers[i] = newReader(bytes.NewReader(wire))
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for _, r := range readers {
		if _, err := r.Next(); !errors.Is(err, sshagent.ErrTooLarge) {
			t.Fatal(err)
		}
		if _, err := sshagent.ParseFrame(wire, sshagent.MaxReply); !errors.Is(err, sshagent.ErrTooLarge) {
			t.Fatal(err)
		}
	}
	runtime.ReadMemStats(&after)
	if used := (after.TotalAlloc - before.TotalAlloc) / uint64(len(readers)); used > 4<<10 {
		t.Errorf("%d bytes allocated for a message of 4 GiB", used)
	}
}

func TestManyKeysClaimedAllocateNothing(t *testing.T) {
	f := agenttest.Frame(t, []byte{12, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0})
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	if _, err := sshagent.ParseIdentities(f); !errors.Is(err, sshagent.ErrMalformed) {
		t.Errorf("got %v", err)
	}
	runtime.ReadMemStats(&after)
	if used := after.TotalAlloc - before.TotalAlloc; used > 4<<10 {
		t.Errorf("%d bytes allocated", used)
	}
}

func TestSlowSenderIsCutOff(t *testing.T) {
	t.Parallel()
	for name, wire := range map[string]string{
		"half a length":           "\x00\x00",
		"a length and silence":    "\x00\x00\x00\x05",
		"a body that drips":       "\x00\x00\x00\x20" + string(make([]byte, 31)),
		"large body, then nobody": "\x00\x00\xff\x00" + string(make([]byte, 4000)),
	} {
		synctest.Test(t, func(t *testing.T) {
			here, there := net.Pipe()
			done := make(chan struct{})
			var sender sync.WaitGroup
			sender.Go(func() {
				defer here.Close()
				for i := range len(wire) {
					if i < 8 || len(wire) < 100 {
						time.Sleep(time.Second)
					}
					if _, err := here.Write([]byte{wire[i]}); err != nil {
						return
					}
				}
				<-done // and then silence, not the end
			})
			begin := time.Now()
			_, err := sshagent.NewReader(there, sshagent.MaxRequest, sshagent.FrameTime).Next()
			if !errors.Is(err, sshagent.ErrSlow) {
				t.Errorf("%s: got %v", name, err)
			}
			// One second until the first byte, then the frame's own time.
			if took := time.Since(begin); took != time.Second+sshagent.FrameTime {
				t.Errorf("%s: cut off after %v", name, took)
			}
			there.Close()
			close(done)
			sender.Wait()
		})
	}
}

func TestIdleIsTheCallersBusiness(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		here, there := net.Pipe()
		defer here.Close()
		defer there.Close()
		r := sshagent.NewReader(there, sshagent.MaxRequest, sshagent.FrameTime)
		go func() {
			for range 2 {
				time.Sleep(24 * time.Hour)
				for _, b := range sshagent.RequestIdentities().Bytes() {
					time.Sleep(time.Second)
					if _, err := here.Write([]byte{b}); err != nil {
						t.Error(err)
					}
				}
			}
		}()
		for range 2 {
			if _, err := r.Next(); err != nil {
				t.Fatalf("after a day: %v", err)
			}
		}
		if err := there.SetReadDeadline(time.Now().Add(time.Minute)); err != nil {
			t.Fatal(err)
		}
		_, err := r.Next()
		if !errors.Is(err, os.ErrDeadlineExceeded) || errors.Is(err, sshagent.ErrSlow) {
			t.Errorf("own deadline: got %v", err)
		}
		// Nothing is lost: with a new deadline it goes on.
		if err := there.SetReadDeadline(time.Time{}); err != nil {
			t.Fatal(err)
		}
		go func() {
			if _, err := here.Write(sshagent.RequestIdentities().Bytes()); err != nil {
				t.Error(err)
			}
		}()
		if _, err := r.Next(); err != nil {
			t.Errorf("after an own deadline: %v", err)
		}
	})
}

func TestStreamWithoutDeadlinesIsRefused(t *testing.T) {
	t.Parallel()
	file, err := os.Open(vectors) // regular files take none
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if _, err := sshagent.NewReader(file, sshagent.MaxRequest, sshagent.FrameTime).Next(); !errors.Is(err, os.ErrNoDeadline) {
		t.Errorf("got %v", err)
	}
}

func TestParseFrameTakesExactlyOne(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name string
		wire string
		want error
	}{
		{"one", "\x00\x00\x00\x01\x0b", nil},
		{"at the cap", "\x00\x00\x00\x08" + string(make([]byte, 8)), nil},
		{"nothing", "", io.ErrUnexpectedEOF},
		{"half a length", "\x00\x00", io.ErrUnexpectedEOF},
		{"half a body", "\x00\x00\x00\x02\x0b", io.ErrUnexpectedEOF},
		{"one and a byte", "\x00\x00\x00\x01\x0b\x00", sshagent.ErrMalformed},
		{"two", "\x00\x00\x00\x01\x0b\x00\x00\x00\x01\x0b", sshagent.ErrMalformed},
		{"length 0", "\x00\x00\x00\x00", sshagent.ErrEmpty},
		{"above the cap", "\x00\x00\x00\x09" + string(make([]byte, 9)), sshagent.ErrTooLarge},
	} {
		wire := []byte(test.wire)
		f, err := sshagent.ParseFrame(wire, 8)
		if !errors.Is(err, test.want) {
			t.Errorf("%s: got %v, want %v", test.name, err, test.want)
		}
		if err != nil {
			continue
		}
		clear(wire)
		if string(f.Bytes()) != test.wire {
			t.Errorf("%s: the frame changed with the caller's bytes", test.name)
		}
	}
}
