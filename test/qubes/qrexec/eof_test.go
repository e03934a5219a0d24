package qrexec_test

import (
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

func TestContract10HalfCloseStillGetsTheAnswer(t *testing.T) {
	t.Parallel()
	eachMode(t, func(t *testing.T, m mode) {
		b := newBench(t)
		b.serve("exe", `cat; echo end`)
		b.socketService("socket", echoAll)
		b.configure("socket", "skip-service-descriptor=true\n")
		for service, answer := range map[string]string{"exe": "hiend\n", "socket": "hi"} {
			c := b.talk(m, "vault", service)
			c.say("hi")
			c.halfClose()
			c.hear(answer)
			c.hearEOF()
			c.exits(0)
		}
	})
}

func TestContract10ClientCloseEndsStdinButNotTheCall(t *testing.T) {
	t.Parallel()
	eachMode(t, func(t *testing.T, m mode) {
		b := newBench(t)
		dir := t.TempDir()
		b.serve("x", `echo ready; cat >/dev/null; touch `+dir+`/eof; `+until(dir+"/go")+`; exit 5`)
		c := b.talk(m, "vault", "x")
		c.hear("ready\n")
		c.close()
		eventually(t, "the service sees the end of its stdin", func() bool { return exists(dir + "/eof") })
		c.stays()
		b.write(dir+"/go", "", 0o644)
		c.exits(5)
	})
}

func TestContract10ServiceClosesStdoutAndRunsOn(t *testing.T) {
	t.Parallel()
	eachMode(t, func(t *testing.T, m mode) {
		b := newBench(t)
		dir := t.TempDir()
		b.serve("x", `echo data; exec >&-; `+until(dir+"/go")+`; exit 5`)
		c := b.talk(m, "vault", "x")
		c.hear("data\n")
		if m == modeA {
			c.hearNothing()
		} else {
			c.hearEOF()
		}
		c.stays()
		b.write(dir+"/go", "", 0o644)
		c.exits(5)
	})
}

func TestContract10SocketServiceShutsItsWriteSide(t *testing.T) {
	t.Parallel()
	eachMode(t, func(t *testing.T, m mode) {
		b := newBench(t)
		heard := make(chan string, 1)
		b.socketService("x", func(c net.Conn) {
			_, _ = c.Write([]byte("data"))
			_ = c.(*net.UnixConn).CloseWrite()
			got, _ := io.ReadAll(c)
			heard <- string(got)
		})
		b.configure("x", "skip-service-descriptor=true\n")
		c := b.talk(m, "vault", "x")
		c.hear("data")
		if m == modeA {
			c.hearNothing()
		} else {
			c.hearEOF()
		}
		c.say("more")
		c.halfClose()
		select {
		case got := <-heard:
			if got != "more" {
				t.Errorf("the service got %q", got)
			}
		case <-time.After(patience):
			t.Fatal("the service did not get what came after its half-close")
		}
		c.exits(0)
	})
}

func TestContract10ExitOfTheServiceEndsTheCallAtOnce(t *testing.T) {
	t.Parallel()
	eachMode(t, func(t *testing.T, m mode) {
		b := newBench(t)
		b.serve("x", `echo bye; exit 3`)
		c := b.talk(m, "vault", "x")
		c.hear("bye\n")
		c.hearEOF()
		c.exits(3)
	})
}

func TestContract10UnixSocketServiceClose(t *testing.T) {
	t.Parallel()
	eachMode(t, func(t *testing.T, m mode) {
		b := newBench(t)
		b.socketService("x", func(c net.Conn) {
			_, _ = io.ReadFull(c, make([]byte, len("x+ work\x00")))
			_, _ = c.Write([]byte("bye"))
		})
		c := b.talk(m, "vault", "x")
		c.hear("bye")
		c.hearEOF()
		c.exits(0)
	})
}

func TestContract10TCPServiceCloseLeavesTheCallOpen(t *testing.T) {
	t.Parallel()
	eachMode(t, func(t *testing.T, m mode) {
		b := newBench(t)
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		b.serveOn(l, func(c net.Conn) { _, _ = c.Write([]byte("bye")) })
		for _, name := range []string{"plain", "eof"} {
			link := "/dev/tcp/" + strings.Replace(l.Addr().String(), ":", "/", 1)
			if err := os.Symlink(link, filepath.Join(b.Services("vault"), name)); err != nil {
				t.Fatal(err)
			}
			b.configure(name, "skip-service-descriptor=true\n")
		}
		b.configure("eof", "skip-service-descriptor=true\nexit-on-service-eof=true\n")

		c := b.talk(m, "vault", "eof")
		c.hear("bye")
		c.hearEOF()
		c.exits(0)

		c = b.talk(m, "vault", "plain")
		c.hear("bye")
		c.stays()
		if m == modeA {
			c.hearNothing()
		} else {
			c.hearEOF()
		}
		c.halfClose()
		c.exits(0)
	})
}

func TestContract10ExitOnServiceEOFLosesNothing(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	answer := strings.Repeat("x", 300_000)
	b.socketService("x", func(c net.Conn) {
		_, _ = c.Write([]byte(answer))
		_ = c.(*net.UnixConn).CloseWrite()
		_, _ = io.Copy(io.Discard, c)
	})
	b.configure("x", "skip-service-descriptor=true\nexit-on-service-eof=true\n")
	for range 10 {
		c := b.talk(modeP, "vault", "x")
		c.hear(answer)
		c.hearEOF()
		c.exits(0)
	}
}

func TestContract10ExitOnClientEOFEndsAtOnceAndMayLoseTheReply(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.socketService("slow", func(c net.Conn) {
		_, _ = io.ReadAll(c)
		time.Sleep(50 * time.Millisecond)
		_, _ = c.Write([]byte("late answer"))
	})
	b.configure("slow", "skip-service-descriptor=true\nexit-on-client-eof=true\n")
	c := b.talk(modeB, "vault", "slow")
	c.halfClose()
	c.hearEOF()
	c.exits(0)

	// A Unix socket that writes and closes is taken for a client's end of file.
	b.socketService("quick", func(c net.Conn) {
		_, _ = io.ReadFull(c, make([]byte, 1))
		_, _ = c.Write([]byte("answer"))
	})
	b.configure("quick", "skip-service-descriptor=true\nexit-on-client-eof=true\n")
	lost := 0
	for range 20 {
		if r := b.call("x", "vault", "quick"); r.stdout == "" {
			lost++
		}
	}
	t.Logf("%d of 20 replies were lost", lost)
	if lost == 0 {
		t.Error("no reply was lost; with the real agent most are")
	}
}

func TestContract10BackgroundChildKeepsTheCallOpen(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	gate := filepath.Join(t.TempDir(), "gate")
	wait := until(gate)
	b.serve("holds", `( `+wait+` ) </dev/null 2>/dev/null & exit 4`)
	b.serve("holds2", `( `+wait+` ) </dev/null >/dev/null & exit 4`)
	b.serve("letsgo", `( `+wait+` ) </dev/null >/dev/null 2>&1 & exit 4`)
	b.talk(modeB, "vault", "letsgo").exits(4)
	for _, name := range []string{"holds", "holds2"} {
		c := b.talk(modeB, "vault", name)
		c.stays()
		b.write(gate, "", 0o644)
		c.exits(4)
		_ = os.Remove(gate)
	}
	b.write(gate, "", 0o644)
}

func TestContract10And14KilledClientGivesTheServiceEOFAndNoSignal(t *testing.T) {
	t.Parallel()
	for _, sig := range []syscall.Signal{syscall.SIGTERM, syscall.SIGKILL} {
		t.Run(sig.String(), func(t *testing.T) {
			b := newBench(t)
			dir := t.TempDir()
			b.serve("x", `trap 'touch `+dir+`/signal' HUP INT TERM PIPE USR1
				echo ready; cat >/dev/null; touch `+dir+`/eof
				echo more || touch `+dir+`/epipe; touch `+dir+`/end; exit 6`)
			c := b.talk(modeB, "vault", "x")
			c.hear("ready\n")
			if err := c.cmd.Process.Signal(sig); err != nil {
				t.Fatal(err)
			}
			_ = c.cmd.Wait()
			if status := c.cmd.ProcessState.Sys().(syscall.WaitStatus); !status.Signaled() || status.Signal() != sig {
				t.Errorf("the client ended with %v, want death by %v", c.cmd.ProcessState, sig)
			}
			eventually(t, "the service ends by itself", func() bool { return exists(dir + "/end") })
			if !exists(dir + "/eof") {
				t.Error("the service saw no end of file")
			}
			// The trap runs for the SIGPIPE of its own write, and for nothing else:
			// without a write there must be no signal.
			if !exists(dir + "/epipe") {
				t.Error("writing after the call was over succeeded")
			}
			record := b.settled()
			if record.ServiceExit == nil || *record.ServiceExit != 6 || record.ClientExit != nil {
				t.Errorf("dom0 noted service %v client %v", record.ServiceExit, record.ClientExit)
			}
		})
	}
}

func TestContract14IdleServiceOfAKilledClientIsLeftAlone(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	dir := t.TempDir()
	b.serve("x", `trap 'touch `+dir+`/signal' HUP INT TERM PIPE
		echo ready; `+until(dir+"/go")+`; touch `+dir+`/end`)
	c := b.talk(modeB, "vault", "x")
	c.hear("ready\n")
	_ = c.cmd.Process.Kill()
	_ = c.cmd.Wait()
	never(t, "the service was signalled or ended", func() bool { return exists(dir+"/signal") || exists(dir+"/end") })
	b.write(dir+"/go", "", 0o644)
	b.settled()
}

func TestContract14DiscardedOutputGivesNoEPIPE(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	dir := t.TempDir()
	b.serve("x", `trap '' PIPE; echo ready; `+until(dir+"/go")+`
		head -c 1000000 /dev/zero && touch `+dir+`/written; exit 0`)
	c := b.talk(modeP, "vault", "x")
	c.hear("ready\n")
	_ = c.out.Close() // the local reader goes away
	b.write(dir+"/go", "", 0o644)
	c.exits(0)
	if !exists(dir + "/written") {
		t.Error("the service's write failed")
	}
}

func TestContract02SingleSocketModeOnUSR1(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.serve("x", `read line; echo "got $line"`)
	// The program talks on its stdin alone after the signal.
	script := `kill -USR1 $QREXEC_AGENT_PID; sleep 0.2; echo hi >&0; read answer <&0; echo "$answer" >&$SAVED_FD_1`
	b.call("", "vault", "x", "/bin/sh", "-c", script).want(t, 0, "got hi\n", "")
}
