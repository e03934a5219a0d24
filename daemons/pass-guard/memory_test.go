package main_test

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// peekVariable has this test's program look for the marker in the memory of a process, as
// any program of the user could.
const peekVariable = "SPLITVAULT_TEST_PEEK"

// peek prints how many bytes of a process's memory it could read, and whether the marker
// is in them.
func peek(pid string) {
	maps, err := os.Open("/proc/" + pid + "/maps")
	if err != nil {
		fmt.Println(0, false, err)
		return
	}
	defer maps.Close()
	memory, err := os.Open("/proc/" + pid + "/mem")
	if err != nil {
		fmt.Println(0, false, err)
		return
	}
	defer memory.Close()
	n, found := 0, false
	for lines := bufio.NewScanner(maps); lines.Scan(); {
		var from, to int64
		var mode string
		if _, err := fmt.Sscanf(lines.Text(), "%x-%x %s", &from, &to, &mode); err != nil || !strings.HasPrefix(mode, "rw") || to-from > 64<<20 {
			continue
		}
		b := make([]byte, to-from)
		got, _ := memory.ReadAt(b, from) // as far as it can be
		n += got
		found = found || bytes.Contains(b[:got], []byte(marker))
	}
	fmt.Println(n, found, nil)
}

// unprivileged are words before a command that leave root no right that other users have
// not: to look into any process.
func unprivileged() []string {
	if os.Geteuid() != 0 {
		return nil
	}
	return []string{"setpriv", "--bounding-set=-sys_ptrace", "--inh-caps=-sys_ptrace"}
}

// readable tells how much of a process and those that it started a program of the
// same user can read, and whether the marker is in it.
func readable(t *testing.T, pid int) (n int, found bool) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for _, one := range append(descendants(pid), pid) {
		args := append(unprivileged(), self)
		cmd := exec.Command(args[0], args[1:]...)
		cmd.Env = append(os.Environ(), peekVariable+"="+strconv.Itoa(one))
		out, err := cmd.Output()
		if err != nil {
			t.Fatalf("looking into %d: %v", one, err)
		}
		var got int
		var has bool
		if _, err := fmt.Sscan(string(out), &got, &has); err != nil {
			t.Fatalf("looking into %d: %q", one, out)
		}
		n, found = n+got, found || has
	}
	return n, found
}

// descendants returns the processes that a process started, and theirs.
func descendants(pid int) (all []int) {
	paths, _ := filepath.Glob("/proc/[0-9]*/stat") // the pattern is good
	for _, path := range paths {
		b, err := os.ReadFile(path)
		if err != nil {
			continue // it has ended
		}
		_, rest, _ := strings.Cut(string(b), ") ")
		fields := strings.Fields(rest)
		n, err := strconv.Atoi(filepath.Base(filepath.Dir(path)))
		if err == nil && len(fields) > 1 && fields[1] == strconv.Itoa(pid) {
			all = append(append(all, n), descendants(n)...)
		}
	}
	return all
}

// While a secret is in a guard's hands no other program of the user can read it there, and
// no core could be written; of the published scripts both can.
func TestAGuardsMemoryIsItsOwn(t *testing.T) {
	t.Parallel()
	v := newVault(t, allowAll)
	v.entry(t, "x", strings.Repeat(marker, 30_000))
	// holds starts a program that writes the entry to somebody who does not read.
	holds := func(program, service, input string) *call {
		c := v.start(t, "/bin/sh", append(v.environ("work", service, ""), "COMMAND="+strings.Join(append(unprivileged(), program), " ")),
			"-c", "ulimit -c unlimited && exec $COMMAND")
		if _, err := io.WriteString(c.in, input); err != nil {
			t.Fatal(err)
		}
		if err := c.out.SetReadDeadline(time.Now().Add(long)); err != nil {
			t.Fatal(err)
		}
		if _, err := c.out.Read(make([]byte, 1)); err != nil {
			t.Fatal(err)
		}
		return c
	}
	limit := func(c *call) string {
		b, err := os.ReadFile(fmt.Sprintf("/proc/%d/limits", c.cmd.Process.Pid))
		if err != nil {
			t.Fatal(err)
		}
		_, after, _ := strings.Cut(string(b), "Max core file size")
		return strings.Fields(after)[0]
	}
	control := holds(v.scriptPath(t, "GetPassword"), "seed.GetPassword", "x\n")
	if n, found := readable(t, control.cmd.Process.Pid); !found || limit(control) != "unlimited" {
		t.Errorf("of the control %d bytes can be read, with the secret: %v (is kernel.yama.ptrace_scope set?); its core may have %s bytes: this proves nothing", n, found, limit(control))
	}
	guard := holds(v.program, "pass.GetPassword", "x\n")
	if n, found := readable(t, guard.cmd.Process.Pid); n != 0 || found || limit(guard) != "0" {
		t.Errorf("%d bytes of the guard can be read, with the secret: %v; its core may have %s bytes", n, found, limit(guard))
	}
}
