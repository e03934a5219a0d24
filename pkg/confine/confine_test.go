package confine_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/splitvault/splitvault/pkg/confine"
)

// nobody is the user as whom the tests run the probe, if they run as root: to
// root, some things are allowed in spite of everything.
const nobody = 65534

var build = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "confine")
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, "probe")
	cmd := exec.Command("go", "build", "-o", path, "./internal/probe")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return dir, &buildError{err, string(out)}
	}
	return path, os.Chmod(dir, 0o755)
})

type buildError struct {
	error
	output string
}

func (e *buildError) Error() string { return e.error.Error() + "\n" + e.output }

const landlockOnly = "SPLITVAULT_TEST_LANDLOCK"

func TestMain(m *testing.M) {
	if dir := os.Getenv(landlockOnly); dir != "" {
		os.Exit(filesBehindLandlock(dir))
	}
	code := m.Run()
	if path, _ := build(); path != "" {
		os.RemoveAll(filepath.Dir(path))
	}
	os.Exit(code)
}

// probe returns the command that does something, confined or not.
func probe(t *testing.T, procs int, confined bool, args ...string) *exec.Cmd {
	t.Helper()
	state := "free"
	if confined {
		state = "confined"
	}
	return probeIn(t, procs, state, args...)
}

func probeIn(t *testing.T, procs int, state string, args ...string) *exec.Cmd {
	t.Helper()
	path, err := build()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), path, append([]string{state}, args...)...)
	cmd.Env = []string{"GOMAXPROCS=" + strconv.Itoa(procs)}
	cmd.Dir = "/"
	if os.Getuid() == 0 {
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
	}
	return cmd
}

// world makes a directory with the sockets that the probe uses.
func world(t *testing.T) (dir string, journal *net.UnixConn) {
	t.Helper()
	dir, err := os.MkdirTemp("", "world") // t.TempDir is closed to other users
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	agent, err := net.Listen("unix", filepath.Join(dir, "agent"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { agent.Close() })
	go echo(agent)
	journal, err = net.ListenUnixgram("unixgram", &net.UnixAddr{Net: "unixgram", Name: filepath.Join(dir, "journal")})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { journal.Close() })
	if err := os.WriteFile(filepath.Join(dir, "victim"), nil, 0o666); err != nil {
		t.Fatal(err)
	}
	networked(t, dir)
	for _, path := range []string{"", "agent", "journal", "shared", "shared/kept", "victim"} {
		if err := os.Chmod(filepath.Join(dir, path), 0o777); err != nil {
			t.Fatal(err)
		}
	}
	return dir, journal
}

// networked adds two ports, an abstract socket and a directory that a server shares.
func networked(t *testing.T, dir string) {
	t.Helper()
	var ports []any
	for _, at := range []struct{ network, address string }{{"tcp", "127.0.0.1:0"}, {"tcp", "127.0.0.1:0"}, {"unix", "@" + dir}} {
		listener, err := net.Listen(at.network, at.address)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { listener.Close() })
		go echo(listener)
		if tcp, ok := listener.Addr().(*net.TCPAddr); ok {
			ports = append(ports, tcp.Port)
		}
	}
	shared := filepath.Join(dir, "shared")
	err := errors.Join(
		os.WriteFile(filepath.Join(dir, "ports"), fmt.Appendln(nil, ports...), 0o644),
		os.Mkdir(shared, 0o700),
		os.WriteFile(filepath.Join(shared, "kept"), nil, 0o600),
		os.Symlink("/etc/passwd", filepath.Join(shared, "link")))
	if err != nil {
		t.Fatal(err)
	}
}

func echo(listener net.Listener) {
	for {
		conn, err := listener.Accept()
		if err != nil {
			return
		}
		go func() {
			defer conn.Close()
			_, _ = io.Copy(conn, conn) // until the probe ends
		}()
	}
}

// waiting starts a process that waits, and returns when it does.
func waiting(t *testing.T, confined bool) *os.Process {
	t.Helper()
	return begin(t, probe(t, 1, confined, "wait"))
}

// begin starts a probe that waits.
func begin(t *testing.T, cmd *exec.Cmd) *os.Process {
	t.Helper()
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		stdin.Close()
		_ = cmd.Wait() // it reports the end of its input
	})
	if line, err := bufio.NewReader(stdout).ReadString('\n'); err != nil {
		t.Fatalf("probe said %q, %v", line, err)
	}
	return cmd.Process
}

func try(t *testing.T, procs int, confined bool) map[string]string {
	t.Helper()
	state := "free"
	if confined {
		state = "confined"
	}
	return tryIn(t, procs, state)
}

func tryIn(t *testing.T, procs int, state string) map[string]string {
	t.Helper()
	results, _ := tryWithGaps(t, procs, state)
	return results
}

// tryWithGaps also returns the layers that the confinement said to be missing.
func tryWithGaps(t *testing.T, procs int, state string) (results map[string]string, gaps []string) {
	t.Helper()
	dir, _ := world(t)
	victim := waiting(t, false)
	cmd := probeIn(t, procs, state, "try", dir, strconv.Itoa(victim.Pid))
	cmd.Stdin = os.Stdin
	// A file that is only to be appended to, as the audit file is.
	stderr, err := os.OpenFile(filepath.Join(dir, "log"), os.O_RDWR|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer stderr.Close()
	cmd.Stderr = stderr
	out, err := cmd.Output()
	if err != nil {
		said, _ := os.ReadFile(stderr.Name())
		t.Fatalf("probe: %v\n%s", err, said)
	}
	var outcome struct {
		Results map[string]string
		Gaps    []string
	}
	if err := json.Unmarshal(out, &outcome); err != nil {
		t.Fatal(err)
	}
	return outcome.Results, outcome.Gaps
}

// Every attempt succeeds without the confinement, so that its failure within
// proves something.
func TestWhatAGuardCannotDo(t *testing.T) {
	t.Parallel()
	free := try(t, 2, false)
	for _, procs := range []int{1, 8} {
		t.Run("GOMAXPROCS="+strconv.Itoa(procs), func(t *testing.T) {
			t.Parallel()
			confined := try(t, procs, true)
			for _, name := range slices.Sorted(maps.Keys(free)) {
				t.Run(name, func(t *testing.T) {
					if free[name] != "" {
						t.Fatalf("fails without confinement too, which proves nothing: %s", free[name])
					}
					if confined[name] == "" {
						t.Error("is possible")
					}
				})
			}
		})
	}
}

func TestAGuardBecomesNoOtherProgram(t *testing.T) {
	t.Parallel()
	if out, err := probe(t, 2, false, "exec").CombinedOutput(); err != nil {
		t.Fatalf("without confinement: %v\n%s", err, out)
	}
	if out, err := probe(t, 2, true, "exec").CombinedOutput(); err == nil || !strings.Contains(string(out), "not permitted") {
		t.Errorf("confined: %v\n%s", err, out)
	}
}

func TestAGuardTakesNoUnboundedMemory(t *testing.T) {
	t.Parallel()
	if out, err := probe(t, 2, false, "memory").CombinedOutput(); err != nil || string(out) != "allocated\n" {
		t.Fatalf("without confinement: %v\n%s", err, out)
	}
	// Go's runtime has many ways to end when it gets no memory.
	out, err := probe(t, 2, true, "memory").CombinedOutput()
	if err == nil || strings.Contains(string(out), "allocated") {
		t.Errorf("confined: %v\n%s", err, out)
	}
}

// The files of a process that must not be dumped or traced belong to root.
func TestAGuardIsNotOpenToItsUser(t *testing.T) {
	t.Parallel()
	owner := func(p *os.Process) uint32 {
		info, err := os.Stat("/proc/" + strconv.Itoa(p.Pid) + "/mem")
		if err != nil {
			t.Fatal(err)
		}
		return info.Sys().(*syscall.Stat_t).Uid
	}
	if owner(waiting(t, false)) == 0 {
		t.Fatal("without confinement root owns the process's files, which proves nothing")
	}
	if got := owner(waiting(t, true)); got != 0 {
		t.Errorf("user %d owns the confined process's memory", got)
	}
}

// As the kernel tells it.
func TestStateOfAConfinedProcess(t *testing.T) {
	t.Parallel()
	state := func(p *os.Process) string {
		var all []byte
		for _, name := range []string{"status", "limits"} {
			text, err := os.ReadFile("/proc/" + strconv.Itoa(p.Pid) + "/" + name)
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, text...)
		}
		return strings.Join(strings.Fields(string(all)), " ")
	}
	free, confined := state(waiting(t, false)), state(waiting(t, true))
	for _, want := range []string{
		"NoNewPrivs: 1", "Seccomp: 2", "Max core file size 0 0 bytes", "Max open files 64 64 files",
		"Max data size 536870912 536870912 bytes",
	} {
		if strings.Contains(free, want) {
			t.Errorf("%q holds without confinement too, which proves nothing", want)
		}
		if !strings.Contains(confined, want) {
			t.Errorf("no %q", want)
		}
	}
}

func TestWhatAGuardNeedsStillWorks(t *testing.T) {
	t.Parallel()
	for _, procs := range []int{1, 8} {
		t.Run("GOMAXPROCS="+strconv.Itoa(procs), func(t *testing.T) {
			t.Parallel()
			serves(t, procs, "confined")
		})
	}
}

// serves has the probe do all that a guard needs, and wants nothing said beside it.
func serves(t *testing.T, procs int, state string) {
	t.Helper()
	dir, journal := world(t)
	out, err := probeIn(t, procs, state, "serve", dir).CombinedOutput()
	if err != nil || string(out) != "served\n" {
		t.Fatalf("probe: %v\n%s", err, out)
	}
	line := make([]byte, 64)
	n, err := journal.Read(line)
	if err != nil || string(line[:n]) != "MESSAGE=hello\n" {
		t.Errorf("the journal got %q, %v", line[:n], err)
	}
}

// Landlock stands behind the filter of system calls, so it is tried alone.
func TestLandlockAloneClosesTheFiles(t *testing.T) {
	t.Parallel()
	dir, _ := world(t)
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), landlockOnly+"="+dir)
	out, err := cmd.CombinedOutput()
	if cmd.ProcessState.ExitCode() == noLandlock && os.Getenv("CI") == "" {
		t.Skip("this kernel has no Landlock")
	}
	if err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

const noLandlock = 3

func filesBehindLandlock(dir string) (code int) {
	attempts := map[string]func() error{
		"read a file":    func() error { return closing(os.Open("/etc/passwd")) },
		"write a file":   func() error { return closing(os.Create(dir + "/written")) },
		"list":           func() error { _, err := os.ReadDir(dir); return err },
		"run a program":  exec.Command("/bin/true").Run,
		"bind a port":    bindTCP,
		"remove a file":  func() error { return os.Remove(dir + "/victim") },
		"make directory": func() error { return os.Mkdir(dir+"/made", 0o700) },
	}
	for name, try := range attempts {
		if name == "remove a file" || name == "run a program" {
			continue // once only
		}
		if err := try(); err != nil {
			fmt.Println("without Landlock:", name, err)
			return 1
		}
	}
	landlocked, err := confine.NoFiles()
	if err != nil {
		fmt.Println(err)
		return 1
	}
	if !landlocked {
		return noLandlock
	}
	// On many threads: the restriction holds for each.
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			runtime.LockOSThread()
			time.Sleep(5 * time.Millisecond)
			if _, err := os.ReadFile("/etc/passwd"); err == nil {
				fmt.Println("a thread reads files")
				code = 1
			}
		})
	}
	all.Wait()
	for name, try := range attempts {
		if err := try(); err == nil {
			fmt.Println("with Landlock it is possible to", name)
			code = 1
		}
	}
	return code
}

// bindTCP asks for plain TCP: Landlock knows nothing of multipath TCP, Go's default.
func bindTCP() error {
	var config net.ListenConfig
	config.SetMultipathTCP(false)
	return closing(config.Listen(context.Background(), "tcp", "127.0.0.1:0"))
}

func closing[T io.Closer](v T, err error) error {
	if err != nil {
		return err
	}
	return v.Close()
}

// A guard that runs programs keeps what these need, and nothing else.
func TestWhatARunnerCannotDo(t *testing.T) {
	t.Parallel()
	free, confined := tryIn(t, 2, "free"), tryIn(t, 2, "runner")
	for _, name := range []string{
		"new inet socket", "new netlink socket", "trace another process", "read another process's memory", "namespace of its own",
		"many open files", "be dumped", "open a file for writing", "list a directory", "remove a file", "read its own memory's map",
	} {
		if result, known := free[name]; !known || result != "" {
			t.Errorf("%s: known: %v, fails without confinement too, which proves nothing: %s", name, known, result)
		}
		if confined[name] == "" {
			t.Errorf("%s is possible", name)
		}
	}
	for _, name := range []string{"open a file for reading", "start a program", "new unix socket", "new socket pair", "connect to an agent"} {
		if confined[name] != "" {
			t.Errorf("%s, which gpg and git need: %s", name, confined[name])
		}
	}
}
