package main_test

import (
	"bytes"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// marker is in every secret of these tests.
const marker = "xK7-splitvault-test-marker-9Qz"

// hits finds the marker in the arguments and environments of all processes.
func processHits(found map[string]bool) {
	processes, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		return
	}
	for _, process := range processes {
		for _, file := range []string{"cmdline", "environ"} {
			b, err := os.ReadFile(filepath.Join(process, file))
			if err == nil && bytes.Contains(b, []byte(marker)) {
				found[file] = true
			}
		}
	}
}

// fileHits finds files with the marker.
func fileHits(t *testing.T, dirs ...string) []string {
	t.Helper()
	var hits []string
	for _, dir := range dirs {
		err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
			if err != nil || !d.Type().IsRegular() {
				return nil //nolint:nilerr // what others have removed meanwhile
			}
			if b, err := os.ReadFile(path); err == nil && bytes.Contains(b, []byte(marker)) {
				hits = append(hits, path)
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return hits
}

// A secret is in no argument, environment, log, temporary or core file; and where
// there is one the search finds it.
func TestASecretLeavesNoTrace(t *testing.T) {
	t.Parallel()
	v := newVault(t, allowAll)
	v.git(t, "init", "-q")
	v.entry(t, "x", marker+"\nlogin: "+marker+"\n")
	stop := make(chan struct{})
	found := map[string]bool{}
	var watcher sync.WaitGroup
	watcher.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
				processHits(found)
			}
		}
	})
	for i := range 5 {
		v.wants(t, "GetPassword", "x", "", marker+"\nlogin: "+marker+"\n", 0)
		v.wants(t, "GetField", "x__login", "", marker+"\n", 0)
		v.wants(t, "InsertPassword", fmt.Sprintf("new%d", i), marker, "", 0)
		// Refused half-way.
		v.wants(t, "InsertPassword", "x", marker, "", 11)
	}
	close(stop)
	watcher.Wait()
	if len(found) > 0 {
		t.Errorf("it is in %v", found)
	}
	// Of TMPDIR only what these calls could have made.
	if hits := fileHits(t, v.home, v.Home, "/dev/shm", "/var/tmp"); hits != nil {
		t.Errorf("it is in %v", hits)
	}
	b, err := os.ReadFile(filepath.Join(v.home, ".local/state/splitvault/audit.jsonl"))
	if err != nil || !bytes.Contains(b, []byte("entry given")) || bytes.Contains(b, []byte(marker)) {
		t.Errorf("the audit file: %v", err)
	}
	controlsOfTheSearch(t, v)
}

func controlsOfTheSearch(t *testing.T, v *vault) {
	t.Helper()
	for file, cmd := range map[string]*exec.Cmd{"cmdline": exec.Command("sleep", "30", "#"+marker), "environ": exec.Command("sleep", "30")} {
		if file == "environ" {
			cmd.Env = []string{"X=" + marker}
		} else {
			cmd = exec.Command("sh", "-c", "sleep 30; :", marker)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(50 * time.Millisecond)
		found := map[string]bool{}
		processHits(found)
		_ = cmd.Process.Kill() // it runs until then
		_ = cmd.Wait()
		if !found[file] {
			t.Errorf("the search finds nothing in a %s that has it", file)
		}
	}
	v.put(t, "planted", "..."+marker)
	if fileHits(t, v.home) == nil {
		t.Error("the search finds no file that has it")
	}
}

// A guard that dies with a secret in its hands leaves no core file, and nobody of the same
// user can look into it.
func TestADyingGuardLeavesNoCore(t *testing.T) {
	t.Parallel()
	v := newVault(t, allowAll)
	v.entry(t, "x", strings.Repeat(marker, 30_000))
	dir := t.TempDir()
	die := func(program string, args ...string) (state *os.ProcessState, core bool) {
		c := v.environ("work", "pass.GetPassword", "x")
		cmd := exec.Command("sh", append([]string{"-c", `ulimit -c unlimited; cd "$0" && exec "$@"`, dir, program}, args...)...)
		cmd.Env = c
		fds, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
		if err != nil {
			t.Fatal(err)
		}
		theirs, ours := os.NewFile(uintptr(fds[1]), "theirs"), os.NewFile(uintptr(fds[0]), "ours")
		defer ours.Close()
		cmd.Stdin, cmd.Stdout = theirs, theirs
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		theirs.Close()
		conn, err := net.FileConn(ours)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		_ = conn.SetReadDeadline(time.Now().Add(long))
		if _, err := conn.Read(make([]byte, 1)); err != nil {
			t.Fatal(err)
		}
		// It is writing, as nobody reads on.
		if err := cmd.Process.Signal(syscall.SIGSEGV); err != nil {
			t.Fatal(err)
		}
		_ = cmd.Wait() // killed
		status := cmd.ProcessState.Sys().(syscall.WaitStatus)
		return cmd.ProcessState, status.CoreDump()
	}
	if state, core := die(v.program); core {
		t.Errorf("core dumped: %v", state)
	}
	// Where no program at all dumps core here, TestAGuardsMemoryIsItsOwn has the proof.
	if _, core := die("/bin/sh", "-c", "echo x; sleep 30 & wait"); !core {
		t.Log("no program dumps core here")
	}
}
