package crash

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// begin is a process that lives until its file is closed.
func begin(t *testing.T, dir string) (file *os.File, earlier []string) {
	t.Helper()
	file, earlier, err := Open(dir, "guard")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { file.Close() })
	return file, earlier
}

// leave has a process die, with these words.
func leave(t *testing.T, file *os.File, words string) {
	t.Helper()
	if _, err := file.WriteString(words); err != nil {
		t.Fatal(err)
	}
	file.Close()
}

// told returns what was told without the times.
func told(t *testing.T, earlier []string) []string {
	t.Helper()
	words := make([]string, 0, len(earlier))
	for _, text := range earlier {
		when, what, _ := strings.Cut(text, ": ")
		if died, err := time.Parse(time.RFC3339, when); err != nil || time.Since(died) > time.Minute {
			t.Errorf("died at %q: %v", when, err)
		}
		words = append(words, what)
	}
	return words
}

func files(t *testing.T, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		info, err := e.Info()
		if err != nil {
			t.Fatal(err)
		}
		if info.Mode() != 0o600 || info.Size() > 0 {
			t.Errorf("%s has mode %v and %d bytes", e.Name(), info.Mode(), info.Size())
		}
		names = append(names, e.Name())
	}
	return names
}

func TestACrashIsToldOnceByTheNext(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file, earlier := begin(t, dir)
	if len(earlier) > 0 {
		t.Errorf("nobody crashed: %q", earlier)
	}
	leave(t, file, "panic: what the vault knows\n\ngoroutine 1 [running]:\n")
	file, earlier = begin(t, dir)
	if want := []string{"panic: what the vault knows\n\ngoroutine 1 [running]:"}; !slices.Equal(told(t, earlier), want) {
		t.Errorf("told %q", earlier)
	}
	file.Close()
	if _, earlier = begin(t, dir); len(earlier) > 0 {
		t.Errorf("told again: %q", earlier)
	}
	if names := files(t, dir); !slices.Equal(names, []string{"guard.0"}) {
		t.Errorf("files %q", names)
	}
}

// The next call is told of all, also of those that crashed beside many others.
func TestAllThatCrashedAtOnceAreToldByTheNext(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	var living []*os.File
	for range 5 {
		file, _ := begin(t, dir)
		living = append(living, file)
	}
	leave(t, living[1], "panic: one")
	leave(t, living[3], "panic: three")
	leave(t, living[4], "panic: four")
	// This one lives, and has begun to say what it dies of.
	if _, err := living[2].WriteString("panic: tw"); err != nil {
		t.Fatal(err)
	}
	next, earlier := begin(t, dir)
	if want := []string{"panic: one", "panic: three", "panic: four"}; !slices.Equal(told(t, earlier), want) {
		t.Errorf("told %q", earlier)
	}
	if filepath.Base(next.Name()) != "guard.1" {
		t.Errorf("it has %s", next.Name())
	}
	leave(t, living[2], "o")
	if _, earlier = begin(t, dir); !slices.Equal(told(t, earlier), []string{"panic: two"}) {
		t.Errorf("told %q", earlier)
	}
}

// Each crash of many processes is told by one, and by one only.
func TestManyAtOnceLoseAndDoubleNothing(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	var mu sync.Mutex
	times := map[string]int{}
	count := func(earlier []string) {
		mu.Lock()
		defer mu.Unlock()
		for _, words := range told(t, earlier) {
			times[words]++
		}
	}
	const processes, calls = 8, 200
	var all sync.WaitGroup
	for p := range processes {
		all.Go(func() {
			for c := range calls {
				file, earlier, err := Open(dir, "guard")
				if err != nil {
					t.Error(err)
					return
				}
				count(earlier)
				if info, err := file.Stat(); err != nil || info.Size() > 0 {
					t.Errorf("begins with %d bytes: %v", info.Size(), err)
				}
				fmt.Fprintf(file, "panic: ")
				fmt.Fprintf(file, "%d of %d", c, p)
				file.Close()
			}
		})
	}
	all.Wait()
	_, earlier := begin(t, dir)
	count(earlier)
	if len(times) != processes*calls {
		t.Errorf("%d were told of %d", len(times), processes*calls)
	}
	for words, n := range times {
		if n != 1 || !strings.HasPrefix(words, "panic: ") {
			t.Errorf("%q was told %d times", words, n)
		}
	}
}

func TestATraceOfTenMegabytesIsBounded(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file, _ := begin(t, dir)
	leave(t, file, "panic: "+strings.Repeat("x", 10<<20))
	_, earlier := begin(t, dir)
	if len(earlier) != 1 || len(earlier[0]) > maxText+100 || !strings.HasSuffix(earlier[0], "\n(cut: there were 10469383 bytes more)") {
		t.Fatalf("told %d: %.300q", len(earlier), earlier)
	}
	if names := files(t, dir); len(names) != 1 {
		t.Errorf("files %q", names)
	}
}

// A panic may quote what a client sent.
func TestAttackATraceIsPrintable(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file, _ := begin(t, dir)
	leave(t, file, "panic: \x1b[2J\r\x00\u202e\x7f~ \n\tmain.go:1\n\n")
	_, earlier := begin(t, dir)
	if want := []string{"panic: ?[2J??????~ \n\tmain.go:1"}; !slices.Equal(told(t, earlier), want) {
		t.Errorf("told %q", earlier)
	}
}

func TestNamesHaveFilesOfTheirOwn(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file, _ := begin(t, dir)
	leave(t, file, "panic")
	if _, earlier, err := Open(dir, "other"); err != nil || len(earlier) > 0 {
		t.Errorf("%q, %v", earlier, err)
	}
	if _, earlier := begin(t, dir); len(earlier) != 1 {
		t.Errorf("told %q", earlier)
	}
}

// What is in the place of a file is neither followed, nor waited for, nor emptied.
func TestAttackWhatIsNoFileIsPassedOver(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	precious := filepath.Join(t.TempDir(), "precious")
	if err := os.WriteFile(precious, []byte("kept"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, n := range []int{0, 5} { // before its own file and behind it
		for i, err := range []error{
			os.Symlink(precious, Path(dir, "guard", n)),
			os.Symlink("/nonexistent/dir", Path(dir, "guard", n+1)),
			os.Mkdir(Path(dir, "guard", n+2), 0o700),
			syscall.Mkfifo(Path(dir, "guard", n+3), 0o600),
		} {
			if err != nil {
				t.Fatal(i, err)
			}
		}
	}
	if err := os.WriteFile(Path(dir, "guard", 9), []byte("panic: last"), 0o600); err != nil {
		t.Fatal(err)
	}
	file, earlier := begin(t, dir)
	if filepath.Base(file.Name()) != "guard.4" || !slices.Equal(told(t, earlier), []string{"panic: last"}) {
		t.Errorf("it has %s, and was told %q", file.Name(), earlier)
	}
	if b, err := os.ReadFile(precious); string(b) != "kept" {
		t.Errorf("%q, %v", b, err)
	}
	if _, err := os.Lstat("/nonexistent"); !errors.Is(err, fs.ErrNotExist) {
		t.Error("made what a link leads to")
	}
}

func TestOneMoreThanThereAreFilesHasNone(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for range Max {
		begin(t, dir)
	}
	if file, _, err := Open(dir, "guard"); file != nil || !errors.Is(err, ErrAllTaken) {
		t.Errorf("%v, %v", file, err)
	}
	if n := len(files(t, dir)); n != Max {
		t.Errorf("%d files", n)
	}
}

func TestWithoutADirectoryTheErrorSaysSo(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "none")
	if file, earlier, err := Open(dir, "guard"); file != nil || len(earlier) > 0 || !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("%v, %q, %v", file, earlier, err)
	}
}

func BenchmarkOpen(b *testing.B) {
	for _, n := range []int{1, 25, Max} {
		b.Run(strconv.Itoa(n)+" files", func(b *testing.B) {
			dir := b.TempDir()
			for i := range n {
				if err := os.WriteFile(Path(dir, "guard", i), nil, 0o600); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportAllocs()
			for b.Loop() {
				file, _, err := Open(dir, "guard")
				if err != nil {
					b.Fatal(err)
				}
				file.Close()
			}
		})
	}
}
