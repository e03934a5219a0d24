package qrexec_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/splitvault/splitvault/test/qubes/qrexec/dom0"
)

func TestContract11BytesArriveWholeWhateverTheChunks(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.serve("x", `cat`)
	random := rand.NewChaCha8([32]byte{1})
	for _, tt := range []struct{ size, chunk int }{{1, 1}, {2000, 1}, {300_000, 977}, {3_000_000, 0}} {
		t.Run(fmt.Sprintf("%d bytes, %d at a time", tt.size, tt.chunk), func(t *testing.T) {
			if tt.chunk > 0 {
				for _, direction := range []string{dom0.ToService, dom0.ToClient} {
					b.ctl(dom0.Command{Verb: "clear"})
					b.fault(dom0.Fault{Kind: dom0.FaultSlow, Chunk: tt.chunk, Direction: direction})
				}
			}
			data := make([]byte, tt.size)
			_, _ = random.Read(data)
			r := b.call(string(data), "vault", "x")
			r.wantCode(t, 0)
			if sha256.Sum256([]byte(r.stdout)) != sha256.Sum256(data) {
				t.Errorf("%d bytes went, %d other ones came back", len(data), len(r.stdout))
			}
		})
	}
}

func TestContract11ChunksAreSplitAnywhere(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.serve("x", `cat`)
	b.fault(dom0.Fault{Kind: dom0.FaultSlow, Chunk: 1, Delay: dom0.Duration{Duration: 2 * time.Millisecond}})
	c := b.talk(modeB, "vault", "x")
	c.say("0123456789")
	buf := make([]byte, 100)
	_ = c.out.SetReadDeadline(time.Now().Add(patience))
	if n, err := c.out.Read(buf); err != nil || n == 10 {
		t.Errorf("the first read gave %d bytes, %v; want a part", n, err)
	}
}

func TestContract11BackPressureReachesTheWriter(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	gate := filepath.Join(t.TempDir(), "gate")
	defer b.write(gate, "", 0o644)
	b.serve("x", `echo ready; `+until(gate))
	c := b.talk(modeB, "vault", "x")
	c.hear("ready\n")
	_ = c.in.SetWriteDeadline(time.Now().Add(time.Second))
	n, err := io.CopyN(c.in, zeros{}, 64<<20)
	t.Logf("%d bytes were taken", n)
	if !errors.Is(err, os.ErrDeadlineExceeded) || n < 64<<10 || n > 8<<20 {
		t.Errorf("%d bytes were taken, %v; want a stop within 64 KiB to 8 MiB", n, err)
	}
	before := cpuTicks(t, c.cmd.Process.Pid)
	time.Sleep(300 * time.Millisecond)
	if used := cpuTicks(t, c.cmd.Process.Pid) - before; used > 10 {
		t.Errorf("the waiting client used %d of 30 ticks of processor time", used)
	}
}

// cpuTicks is the processor time of a process, in hundredths of a second.
func cpuTicks(t *testing.T, pid int) int {
	t.Helper()
	text, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(text), ") ")
	fields := strings.Fields(rest)
	user, err1 := strconv.Atoi(fields[11])
	system, err2 := strconv.Atoi(fields[12])
	if err := errors.Join(err1, err2); err != nil {
		t.Fatal(err)
	}
	return user + system
}

type zeros struct{}

func (zeros) Read(b []byte) (int, error) { return len(b), nil }

func TestContract11NonblockIsLeftOnTheCallersDescriptor(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.serve("x", `cat`)
	for _, m := range []mode{modeA, modeB} {
		t.Run(string(m), func(t *testing.T) {
			ours, theirs := socketPair(t)
			args := []string{"vault", "x"}
			if m == modeB {
				args = append([]string{"--use-stdin-socket"}, args...)
			}
			cmd := b.Command(t.Context(), "work", args...)
			cmd.Stdin, cmd.Stdout = theirs, theirs
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			_ = ours.SetDeadline(time.Now().Add(patience))
			_, _ = ours.WriteString("x")
			if _, err := ours.Read(make([]byte, 1)); err != nil {
				t.Fatal(err)
			}
			if !nonblocking(t, theirs) {
				t.Error("the shared description is blocking while the call runs")
			}
			_ = cmd.Process.Kill()
			_ = cmd.Wait()
			if !nonblocking(t, theirs) {
				t.Error("the shared description was made blocking again by a killed client")
			}
		})
	}
}

func nonblocking(t *testing.T, f *os.File) bool {
	t.Helper()
	raw, err := f.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	flags := 0
	_ = raw.Control(func(fd uintptr) { flags, err = unix.FcntlInt(fd, unix.F_GETFL, 0) })
	if err != nil {
		t.Fatal(err)
	}
	return flags&unix.O_NONBLOCK != 0
}

func TestContract12StderrIsApartAndBlocking(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.serve("x", `echo out; echo err >&2; exit 1`)
	b.call("", "vault", "x").want(t, 1, "out\n", "err\n")

	b.serve("loud", `head -c 2000000 /dev/zero >&2; echo done`)
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	cmd := b.Command(ctx, "work", "vault", "loud")
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, w
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	_ = w.Close()
	never(t, "the call ended with nobody draining stderr", func() bool {
		calls := b.statistics().Calls
		return len(calls) == 2 && !calls[1].Ended.IsZero()
	})
	n, err := io.Copy(io.Discard, r)
	if err != nil || n != 2_000_000 {
		t.Errorf("stderr had %d bytes, %v", n, err)
	}
	if err := cmd.Wait(); err != nil || out.String() != "done\n" {
		t.Errorf("stdout %q, %v", out.String(), err)
	}
}

func TestContract13ExitCodes(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.serve("x", `case $1 in sig*) kill -${1#sig} $$;; *) exit $1;; esac`)
	for argument, code := range map[string]int{
		"0": 0, "1": 1, "7": 7, "125": 125, "126": 126, "127": 127, "255": 255,
		"sig9": 137, "sig15": 143, "sig6": 134,
	} {
		t.Run(argument, func(t *testing.T) {
			b.call("", "vault", "x+"+argument).wantCode(t, code)
			c := b.settled()
			if c.ServiceExit == nil || *c.ServiceExit != code || c.ClientExit == nil || *c.ClientExit != code {
				t.Errorf("dom0 noted service %v and client %v, want %d", c.ServiceExit, c.ClientExit, code)
			}
		})
	}
}

func TestContract13DataProcessKilledGives255(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.serve("x", `echo $QREXEC_AGENT_PID; cat`)
	c := b.talk(modeB, "vault", "x")
	line := make([]byte, 20)
	n, err := c.out.Read(line)
	if err != nil {
		t.Fatal(err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(line[:n])))
	if err != nil {
		t.Fatal(err)
	}
	if err := unix.Kill(pid, unix.SIGKILL); err != nil {
		t.Fatal(err)
	}
	c.exits(255)
	text, err := os.ReadFile(c.log.Name())
	if err != nil || !strings.HasPrefix(string(text), "vchan connection closed early (fds: ") {
		t.Errorf("stderr %q, %v", text, err)
	}
}
