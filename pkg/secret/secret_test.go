package secret

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"strings"
	"testing"
	"testing/iotest"

	"golang.org/x/sys/unix"
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

// A megabyte, the most that an entry has, must be locked even while it is copied
// to a larger place, beside another such buffer: together less than the 8 MiB that a
// user may lock.
func TestWhatAnEntryTakesCanBeLocked(t *testing.T) {
	t.Parallel()
	const most = 1 << 20
	var b Buffer
	defer b.Wipe()
	before := 0
	for r := bytes.NewReader(make([]byte, most)); ; {
		err := b.ReadOnce(r, 4096)
		if err == nil && before != len(b.mem) {
			if together := before + len(b.mem) + 2*most; together > 6<<20 {
				t.Fatalf("%d bytes are locked to hold %d", together, b.Len())
			}
			before = len(b.mem)
		}
		if err != nil {
			break
		}
	}
	if b.Len() != most {
		t.Errorf("%d bytes", b.Len())
	}
}

// This one is not parallel: it sets a limit of the process.
func TestMemoryThatCannotBeLockedIsNoticed(t *testing.T) {
	runtime.LockOSThread() // and never unlock it: the thread has lost a capability
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var caps [2]unix.CapUserData
	if err := unix.Capget(&header, &caps[0]); err != nil {
		t.Fatal(err)
	}
	caps[0].Effective &^= 1 << unix.CAP_IPC_LOCK
	if err := unix.Capset(&header, &caps[0]); err != nil {
		t.Fatal(err)
	}
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_MEMLOCK, &limit); err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := unix.Setrlimit(unix.RLIMIT_MEMLOCK, &limit); err != nil {
			t.Error(err)
		}
	}()
	if err := unix.Setrlimit(unix.RLIMIT_MEMLOCK, &unix.Rlimit{Cur: 256 << 10, Max: limit.Max}); err != nil {
		t.Fatal(err)
	}
	if err := Lockable(64 << 10); err != nil {
		t.Errorf("within the limit: %v", err)
	}
	if err := Lockable(1 << 20); !errors.Is(err, unix.ENOMEM) {
		t.Errorf("beyond the limit: %v", err)
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
	area := areaOf(string(smaps), addressOf(b.mem))
	_, flags, _ := strings.Cut(area, "VmFlags:")
	flags, _, _ = strings.Cut(flags, "\n")
	if !strings.Contains(flags, " lo") || !strings.Contains(flags, " dd") {
		t.Errorf("flags are %q", flags)
	}
}

// areaOf is what smaps says of the mapping that holds an address: the kernel may have
// made one of several.
func areaOf(smaps string, address uintptr) (area string) {
	found := false
	for line := range strings.Lines(smaps) {
		var from, to uintptr
		if n, _ := fmt.Sscanf(line, "%x-%x ", &from, &to); n == 2 {
			found = from <= address && address < to
		}
		if found {
			area += line
		}
	}
	return area
}
