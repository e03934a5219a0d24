package main_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// processes returns those with that name for which is holds.
func processes(name string, is func(stat []string, environ []byte) bool) (pids []int) {
	paths, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		return nil
	}
	for _, path := range paths {
		b, err := os.ReadFile(path)
		if err != nil {
			continue // it has ended
		}
		pid, rest, _ := strings.Cut(string(b), " (")
		comm, rest, _ := strings.Cut(rest, ") ")
		environ, err := os.ReadFile(filepath.Join(filepath.Dir(path), "environ"))
		if n, errPID := strconv.Atoi(pid); err == nil && errPID == nil && comm == name && is(strings.Fields(rest), environ) {
			pids = append(pids, n)
		}
	}
	return pids
}

// child waits for a program that a call runs, and stops the call then; 0 if the call
// was faster.
func (c *call) child(name string) int {
	c.t.Helper()
	tasks := fmt.Sprintf("/proc/%d/task", c.cmd.Process.Pid)
	for start := time.Now(); time.Since(start) < 2*time.Second; time.Sleep(200 * time.Microsecond) {
		threads, err := os.ReadDir(tasks)
		if err != nil {
			return 0
		}
		for _, thread := range threads {
			// Errors mean that it is gone already.
			children, _ := os.ReadFile(filepath.Join(tasks, thread.Name(), "children"))
			for child := range strings.FieldsSeq(string(children)) {
				comm, _ := os.ReadFile(filepath.Join("/proc", child, "comm"))
				if pid, err := strconv.Atoi(child); err == nil && string(comm) == name+"\n" {
					_ = c.cmd.Process.Signal(syscall.SIGSTOP)
					return pid
				}
			}
		}
	}
	return 0
}

// quiet waits until no gpg and no git works on the vault.
func (v *vault) quiet(t *testing.T) {
	t.Helper()
	var left []int
	for start := time.Now(); time.Since(start) < 5*time.Second; time.Sleep(5 * time.Millisecond) {
		left = nil
		for _, name := range []string{"gpg", "git"} {
			left = append(left, processes(name, func(stat []string, environ []byte) bool {
				return stat[0] != "Z" && (bytes.Contains(environ, []byte(v.Home)) || bytes.Contains(environ, []byte(v.store)))
			})...)
		}
		if left == nil {
			return
		}
	}
	t.Errorf("left behind: %v", left)
}

// killed kills a call, and wants it to end of that.
func (c *call) killed() bool {
	_ = c.cmd.Process.Kill() // it may have ended
	<-c.ended
	return c.cmd.ProcessState.Sys().(syscall.WaitStatus).Signaled()
}

// A guard that is killed in the middle of a decryption takes its gpg with it, and has
// given nothing; the next call is served.
func TestAGuardKilledInADecryption(t *testing.T) {
	t.Parallel()
	v := newVault(t, "[[pass.rule]]\nqube = \"work\"\nunlock = true\ndecision = \"allow\"\n")
	v.entry(t, "x", "hunter2\n")
	v.Locked(t)
	v.Pinentry(t, "pp")
	// One that waits for a person who does not come.
	v.put(t, "waits", "#!/bin/sh\necho OK\nwhile read -r line; do case $line in GETPIN*) sleep 30 ;; esac; echo OK; done\n")
	if err := os.Rename(filepath.Join(v.home, "waits"), filepath.Join(v.Home, "pinentry")); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(filepath.Join(v.Home, "pinentry"), 0o700); err != nil {
		t.Fatal(err)
	}
	v.file(t, "locked", v.Encrypt(t, "secret\n", "locked@example.invalid"))
	c := v.call(t, "work", "pass.GetPassword", "locked")
	if c.child("gpg") == 0 || !c.killed() {
		t.Fatal("the guard ended before it was killed")
	}
	v.quiet(t)
	if n, err := c.out.Read(make([]byte, 1)); n != 0 {
		t.Errorf("it gave something: %v", err)
	}
	v.wants(t, "GetPassword", "x", "", "hunter2\n", 0)
	v.wants(t, "ListPasswords", "", "", "locked\nx\n", 0)
}

// A guard that is killed when its client has a part of a list, or of an entry: qrexec tells the
// client that it was killed, and passcall takes nothing then (TestAttackHalfAnAnswerIsNoAnswer
// there). The next call is served.
func TestAGuardKilledWhileItAnswers(t *testing.T) {
	t.Parallel()
	v := newVault(t, allowAll)
	for i := range 2000 {
		v.file(t, fmt.Sprintf("%04d", i)+strings.Repeat("x", 200), nil)
	}
	v.entry(t, "large", strings.Repeat("secret ", 100_000))
	for _, row := range [][2]string{{"pass.ListPasswords", ""}, {"pass.GetPassword", "large"}, {"pass.GetField", "large__password"}} {
		c := v.call(t, "work", row[0], row[1])
		if n, err := c.out.Read(make([]byte, 100)); n == 0 {
			t.Fatal(err)
		}
		if !c.killed() {
			t.Errorf("%s: it was done already", row[0])
		}
		if got, code := v.ours(t, "ListPasswords", "", ""); strings.Count(got, "\n") != 2001 || code != 0 {
			t.Errorf("the next list: %d bytes, %d", len(got), code)
		}
	}
}

// halfway stops a call when its gpg runs, lets gpg write as much as fits into the
// pipe, and returns gpg's number; 0 if the call was faster.
func (c *call) halfway(t *testing.T) int {
	t.Helper()
	pid := c.child("gpg")
	if pid == 0 {
		return 0
	}
	for start := time.Now(); time.Since(start) < long; time.Sleep(time.Millisecond) {
		b, err := os.ReadFile(fmt.Sprintf("/proc/%d/io", pid))
		if err != nil || len(b) == 0 {
			return 0
		}
		_, after, _ := strings.Cut(string(b), "wchar: ")
		written, _, _ := strings.Cut(after, "\n")
		switch n, _ := strconv.Atoi(written); {
		case n >= 1<<20:
			return 0 // all of it
		case n >= 1<<16:
			return pid
		}
	}
	t.Fatal("gpg does not write")
	return 0
}

// A real gpg that is killed when the guard has a part of the plaintext: nothing of it is
// given. The entry is whole for the next.
func TestAGPGKilledHalfWay(t *testing.T) {
	t.Parallel()
	v := newVault(t, allowAll)
	text := strings.Repeat("0123456789abcde\n", 1<<16)
	v.entry(t, "large", text)
	for _, row := range [][2]string{{"GetPassword", "large"}, {"GetField", "large__password"}} {
		hit := false
		for range 20 {
			c := v.call(t, "work", "pass."+row[0], row[1])
			pid := c.halfway(t)
			if pid != 0 {
				hit = syscall.Kill(pid, syscall.SIGKILL) == nil
			}
			_ = c.cmd.Process.Signal(syscall.SIGCONT) // it may have ended
			if got, code := c.finish(""); hit && (got != "" || code != 14) {
				t.Errorf("%v: %d bytes, exit code %d", row, len(got), code)
			} else if hit {
				break
			}
		}
		if !hit {
			t.Errorf("%v: gpg was never met half-way", row)
		}
	}
	v.wants(t, "GetPassword", "large", "", text, 0)
	// The same while it encrypts.
	for range 20 {
		c := v.call(t, "work", "pass.InsertPassword", "new")
		go func() {
			_, _ = c.in.Write([]byte(text)) // what is read of it
			_ = c.in.CloseWrite()
		}()
		// It wants more input than fits into a pipe.
		if pid := c.child("gpg"); pid != 0 {
			_ = syscall.Kill(pid, syscall.SIGKILL) // it may have ended
		}
		_ = c.cmd.Process.Signal(syscall.SIGCONT)
		if code := c.exit(long); code == 0 {
			os.Remove(filepath.Join(v.store, "new.gpg"))
			continue // it was ready already
		} else if code != 1 {
			t.Errorf("exit code %d", code)
		}
		if _, err := os.Lstat(filepath.Join(v.store, "new.gpg")); err == nil {
			t.Error("something is written")
		}
		v.quiet(t)
		v.wants(t, "InsertPassword", "new", text, "", 0)
		v.wants(t, "GetPassword", "new", "", text, 0)
		return
	}
	t.Error("gpg was never met at its work")
}

// created calls act as soon as a file whose name begins with one of the prefixes comes
// to be in a directory.
func created(t *testing.T, dir string, act func(), prefixes ...string) (end func()) {
	t.Helper()
	fd, err := unix.InotifyInit1(unix.IN_CLOEXEC | unix.IN_NONBLOCK)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := unix.InotifyAddWatch(fd, dir, unix.IN_CREATE|unix.IN_MOVED_TO); err != nil {
		t.Fatal(err)
	}
	events := os.NewFile(uintptr(fd), "inotify")
	done := make(chan struct{})
	go func() {
		defer close(done)
		buf := make([]byte, 4096)
		for {
			n, err := events.Read(buf)
			if err != nil {
				return
			}
			for b := buf[:n]; len(b) >= unix.SizeofInotifyEvent; {
				size := unix.SizeofInotifyEvent + int(b[12]) | int(b[13])<<8 // of the name: the last field
				name := string(bytes.TrimRight(b[unix.SizeofInotifyEvent:size], "\x00"))
				if slices.ContainsFunc(prefixes, func(p string) bool { return strings.HasPrefix(name, p) }) {
					act()
					return
				}
				b = b[size:]
			}
		}
	}()
	return func() { events.Close(); <-done }
}

// A guard that is killed while it writes, at each step that shows in the file system: the
// entry is there, whole, or not at all, the repository is not locked and
// sound, and the next call is served.
func TestAGuardKilledWhileItWrites(t *testing.T) {
	t.Parallel()
	v := newVault(t, allowAll)
	v.git(t, "init", "-q")
	v.git(t, "add", ".gpg-id")
	v.git(t, "commit", "-q", "-m", "own")
	text := strings.Repeat("secret ", 20_000)
	n := 0
	for _, step := range []struct{ name, dir, prefix string }{
		{"before the rename", "", ".splitvault-"},
		{"after the rename", "", "entry"},
		{"the index", ".git", "index.lock"},
		{"the branch", ".git/refs/heads", "master.lock"},
	} {
		hit := false
		for range 20 {
			n++
			name := fmt.Sprintf("entry%d", n)
			c := v.call(t, "work", "pass.InsertPassword", name)
			end := created(t, filepath.Join(v.store, step.dir), func() { _ = c.cmd.Process.Kill() }, step.prefix)
			_, _ = c.in.Write([]byte(text)) // it may be killed
			_ = c.in.CloseWrite()
			<-c.ended
			end()
			hit = c.cmd.ProcessState.Sys().(syscall.WaitStatus).Signaled()
			v.quiet(t)
			_, err := os.Lstat(filepath.Join(v.store, name+".gpg"))
			if err == nil && v.pass(t, "show", name) != text {
				t.Fatalf("%s: the entry is not whole", step.name)
			}
			if step.name == "before the rename" && err == nil {
				hit = false // too late
			}
			if hit {
				break
			}
		}
		if !hit {
			t.Errorf("%s: the guard was never met there", step.name)
		}
		next := fmt.Sprintf("next%d", n)
		v.wants(t, "InsertPassword", next, "x", "", 0)
		if got := v.git(t, "log", "-1", "--format=%s"); got != "Add given password for "+next+" to store.\n" {
			t.Errorf("%s: the next entry is not committed: %q", step.name, got)
		}
	}
	v.git(t, "fsck", "--strict")
	v.sweeps(t)
}

// sweeps wants what a dead guard left to be cleared away once it is old.
func (v *vault) sweeps(t *testing.T) {
	t.Helper()
	pattern := filepath.Join(v.store, ".splitvault-*")
	left, err := filepath.Glob(pattern)
	if err != nil || left == nil {
		t.Fatalf("nothing was left, which proves nothing: %v", err)
	}
	old := time.Now().Add(-time.Hour)
	for _, path := range left {
		if err := os.Chtimes(path, old, old); err != nil {
			t.Fatal(err)
		}
	}
	v.wants(t, "InsertPassword", "last", "x", "", 0)
	if left, _ := filepath.Glob(pattern); left != nil {
		t.Errorf("left behind: %v", left)
	}
}
