package secret

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"
	"testing/iotest"
)

func TestABufferGivesBackWhatItGot(t *testing.T) {
	t.Parallel()
	for _, size := range []int{0, 1, first - 1, first, first + 1, 5 * first, 1 << 20} {
		want := bytes.Repeat([]byte("secret!"), size/7+1)[:size]
		for name, r := range map[string]io.Reader{
			"at once":     bytes.NewReader(want),
			"byte by one": iotest.OneByteReader(bytes.NewReader(want)),
			"with EOF":    iotest.DataErrReader(bytes.NewReader(want)),
		} {
			var b Buffer
			if err := b.ReadAll(r, size); err != nil || !bytes.Equal(b.Bytes(), want) {
				t.Errorf("%d bytes %s: %v", size, name, err)
			}
			b.Wipe()
			if b.Len() != 0 || len(b.Bytes()) != 0 {
				t.Error("something is left")
			}
		}
	}
}

func TestMoreThanAllowedIsRefused(t *testing.T) {
	t.Parallel()
	var b Buffer
	defer b.Wipe()
	if err := b.ReadAll(strings.NewReader("12345"), 4); !errors.Is(err, ErrTooLarge) {
		t.Errorf("got %v", err)
	}
}

func TestReadN(t *testing.T) {
	t.Parallel()
	var b Buffer
	defer b.Wipe()
	r := strings.NewReader("abcdef")
	if err := b.ReadN(r, 4); err != nil || string(b.Bytes()) != "abcd" {
		t.Errorf("got %q, %v", b.Bytes(), err)
	}
	if err := b.ReadN(r, 4); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("cut short: %v", err)
	}
	if err := b.ReadN(r, 1); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("nothing there: %v", err)
	}
	if err := b.ReadN(r, 0); err != nil {
		t.Errorf("nothing wanted: %v", err)
	}
}

// What is wiped, cut or left behind by growth is zero in memory.
func TestNothingStaysInMemory(t *testing.T) {
	t.Parallel()
	var b Buffer
	if _, err := b.Write([]byte("secret")); err != nil {
		t.Fatal(err)
	}
	mem := b.mem
	b.Cut(2)
	if string(b.Bytes()) != "se" || !bytes.Equal(mem[2:6], make([]byte, 4)) {
		t.Errorf("after Cut there is %q", mem[:6])
	}
	b.Wipe()
}

// Locked, and not in a core dump: as the kernel tells it.
func TestTheMemoryIsLockedAndNotDumped(t *testing.T) {
	var b Buffer
	defer b.Wipe()
	if _, err := b.Write([]byte("secret")); err != nil {
		t.Fatal(err)
	}
	smaps, err := os.ReadFile("/proc/self/smaps")
	if err != nil {
		t.Fatal(err)
	}
	at := fmt.Sprintf("%x-", addressOf(b.mem))
	_, area, found := strings.Cut("\n"+string(smaps), "\n"+at)
	if !found {
		t.Skip("the kernel has merged the mapping with another")
	}
	_, flags, _ := strings.Cut(area, "VmFlags:")
	flags, _, _ = strings.Cut(flags, "\n")
	if !strings.Contains(flags, " lo") || !strings.Contains(flags, " dd") {
		t.Errorf("flags are %q", flags)
	}
}
