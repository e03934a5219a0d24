package qrexec_test

import (
	"bytes"
	"context"
	"io"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/splitvault/splitvault/test/qubes/qrexec/internal/wire"
)

// socketService makes a Unix socket service of vault; each connection gets its own
// handler.
func (b *bench) socketService(name string, handle func(net.Conn)) {
	b.t.Helper()
	l, err := wire.Listen("unix", filepath.Join(b.Services("vault"), name), 0o777)
	if err != nil {
		b.t.Fatal(err)
	}
	b.serveOn(l, handle)
}

func (b *bench) serveOn(l net.Listener, handle func(net.Conn)) {
	b.t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				handle(c)
			}()
		}
	}()
}

// echoAll answers with all it got once the client is done.
func echoAll(c net.Conn) {
	got, _ := io.ReadAll(c)
	_, _ = c.Write(got)
}

func TestContract08SocketServicesGetTheDescriptor(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.socketService("test.Echo", echoAll)
	b.call("hi", "vault", "test.Echo").want(t, 0, "test.Echo+ work\x00hi", "")
	b.call("hi", "vault", "test.Echo+a+b").want(t, 0, "test.Echo+a+b work\x00hi", "")
	b.configure("test.Echo", "skip-service-descriptor=true\n")
	b.call("hi", "vault", "test.Echo").want(t, 0, "hi", "")
}

func TestContract08DeadSocketAndLongPath(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	dead, err := wire.Listen("unix", filepath.Join(b.Services("vault"), "dead"), 0o777)
	if err != nil {
		t.Fatal(err)
	}
	_ = dead.Close() // the file stays
	b.call("", "vault", "dead").want(t, 125, "", "")

	name := "l" + strings.Repeat("o", 120) + "ng"
	short := filepath.Join(b.Services("vault"), "s")
	b.socketService("s", echoAll)
	if err := os.Rename(short, filepath.Join(b.Services("vault"), name)); err != nil {
		t.Fatal(err)
	}
	b.call("hi", "vault", name).want(t, 0, name+"+ work\x00hi", "")
}

func TestContract08TCPServices(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	b.serveOn(l, echoAll)
	port := strconv.Itoa(l.Addr().(*net.TCPAddr).Port)
	for name, target := range map[string]string{
		"full": "/dev/tcp/127.0.0.1/" + port, "host": "/dev/tcp/127.0.0.1", "none": "/dev/tcp",
		"name": "/dev/tcp/localhost/" + port, "zero": "/dev/tcp/127.0.0.1/0" + port, "closed": "/dev/tcp/127.0.0.1/1",
	} {
		if err := os.Symlink(target, filepath.Join(b.Services("vault"), name)); err != nil {
			t.Fatal(err)
		}
		b.configure(name, "exit-on-service-eof=true\nskip-service-descriptor=true\n")
	}
	for _, tt := range []struct {
		descriptor string
		code       int
		out        string
	}{
		{"full", 0, "hi"},
		{"full+" + port, 125, ""},
		{"host+" + port, 0, "hi"},
		{"host", 125, ""},
		{"none+127.0.0.1+" + port, 0, "hi"},
		{"none+127_0_0_1+" + port, 125, ""},
		{"none+" + port, 125, ""},
		{"name", 125, ""},
		{"zero", 125, ""},
		{"closed", 125, ""},
	} {
		t.Run(tt.descriptor, func(t *testing.T) {
			b.call("hi", "vault", tt.descriptor).want(t, tt.code, tt.out, "")
		})
	}
}

// publicDir is a directory that other users can reach.
func publicDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("/tmp", "qrexec-test-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestContract08And12UserOfAServiceFlipsWithTheSession(t *testing.T) {
	t.Parallel()
	needRoot(t)
	public := publicDir(t)
	marker := filepath.Join(public, "marker")
	b := newBench(t, "--session", "auto", "--user", "nobody", "--session-marker", marker, "--service-path", public)
	b.write(filepath.Join(public, "id"), "#!/bin/sh\nid -un\n", 0o755)
	for _, name := range []string{"peer", "skip"} {
		l, err := net.Listen("unix", filepath.Join(public, name))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(filepath.Join(public, name), 0o777); err != nil {
			t.Fatal(err)
		}
		b.serveOn(l, tellPeer)
	}
	b.configure("skip", "skip-service-descriptor=true\n")
	b.configure("id+force", "force-user='root'\n")

	expect := func(descriptor, out string) {
		t.Helper()
		b.call("", "vault", descriptor).want(t, 0, out, "")
	}
	expect("peer", "0\n")
	expect("skip", "0\n")
	expect("id", "nobody\n")
	b.write(marker, "", 0o644)
	expect("peer", "65534\n")
	expect("skip", "0\n")
	expect("id", "nobody\n")
	expect("id+force", "root\n")
	b.policy("* * work vault allow user=root")
	expect("id", "root\n")
	b.policy("* * work vault allow user=nosuchuser")
	b.call("", "vault", "id").want(t, 125, "", "")
}

// tellPeer answers with the uid of who connected.
func tellPeer(c net.Conn) {
	raw, err := c.(*net.UnixConn).SyscallConn()
	if err != nil {
		return
	}
	_ = raw.Control(func(fd uintptr) {
		cred, err := unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED)
		if err == nil {
			_, _ = c.Write([]byte(strconv.Itoa(int(cred.Uid)) + "\n"))
		}
	})
}

func TestContract09EnvironmentOfExecutables(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.serve("x", `env; echo "args=$#:$1"; echo "cwd=$(pwd)"`)
	b.serve("fds", `ls /proc/$$/fd; readlink /proc/$$/fd/0 /proc/$$/fd/1 /proc/$$/fd/2 | tr -d '0-9'`)
	b.serve("proc", `read pid comm state ppid pgrp session rest </proc/$$/stat; test $session = $$ && echo leader; grep '^SigIgn' /proc/$$/status`)

	got := lines(b.call("", "vault", "x+-k+l").stdout)
	for name, want := range map[string]string{
		"QREXEC_REMOTE_DOMAIN": "work", "QREXEC_SERVICE_FULL_NAME": "x+-k+l", "QREXEC_SERVICE_ARGUMENT": "-k+l",
		"QREXEC_REQUESTED_TARGET_TYPE": "", "args": "1:-k+l", "cwd": got["HOME"],
	} {
		if value, ok := got[name]; !ok || value != want {
			t.Errorf("%s=%q, want %q", name, value, want)
		}
	}
	for _, name := range []string{"HOME", "USER", "LOGNAME", "SHELL", "PATH", "QREXEC_AGENT_PID"} {
		if got[name] == "" {
			t.Errorf("%s is not set", name)
		}
	}
	for name := range got {
		if strings.HasPrefix(name, "QREXEC") && !strings.Contains(
			"QREXEC_REMOTE_DOMAIN QREXEC_SERVICE_FULL_NAME QREXEC_SERVICE_ARGUMENT QREXEC_AGENT_PID QREXEC_REQUESTED_TARGET_TYPE", name) {
			t.Errorf("%s leaked into the service", name)
		}
	}
	got = lines(b.call("", "vault", "x").stdout)
	if got["args"] != "0:" || got["QREXEC_SERVICE_FULL_NAME"] != "x+" {
		t.Errorf("without argument: args=%q full name %q", got["args"], got["QREXEC_SERVICE_FULL_NAME"])
	}
	if value, ok := got["QREXEC_SERVICE_ARGUMENT"]; !ok || value != "" {
		t.Errorf("without argument: QREXEC_SERVICE_ARGUMENT set %v to %q, want it set and empty", ok, value)
	}
	// 10 is where dash keeps its script.
	b.call("", "vault", "fds").want(t, 0, "0\n1\n10\n2\nsocket:[]\nsocket:[]\npipe:[]\n", "")
	b.call("", "vault", "proc").want(t, 0, "leader\nSigIgn:\t0000000000000000\n", "")
}

func TestContract09QrexecVariablesOfTheAgentAreStripped(t *testing.T) {
	t.Setenv("QREXEC_SECRET", "x")
	t.Setenv("PLAIN_VARIABLE", "session")
	b := newBench(t)
	b.serve("x", `env`)
	got := lines(b.call("", "vault", "x").stdout)
	if _, ok := got["QREXEC_SECRET"]; ok {
		t.Error("QREXEC_SECRET reached the service")
	}
	if got["PLAIN_VARIABLE"] != "session" {
		t.Error("the session's environment did not reach the service")
	}
}

func TestContract09WithoutASessionALoginShellComesFirst(t *testing.T) {
	t.Setenv("DISPLAY", ":0")
	t.Setenv("DBUS_SESSION_BUS_ADDRESS", "unix:path=/x")
	home := t.TempDir()
	b := newBench(t, "--session", "none", "--env", "HOME="+home)
	b.write(filepath.Join(home, ".profile"), "echo noise from a profile\n", 0o644)
	b.serve("x", `env; pwd; exit 9`)
	r := b.call("", "vault", "x+k")
	r.wantCode(t, 9)
	if !strings.HasPrefix(r.stdout, "noise from a profile\n") {
		t.Errorf("stdout %.200q does not begin with what the profile prints", r.stdout)
	}
	if !strings.HasSuffix(r.stdout, home+"\n") {
		t.Errorf("the service did not run in HOME: %q", r.stdout)
	}
	got := lines(r.stdout)
	for _, name := range []string{"DISPLAY", "DBUS_SESSION_BUS_ADDRESS"} {
		if value, ok := got[name]; ok {
			t.Errorf("%s=%q without a session", name, value)
		}
	}
	_, err := os.Stat("/run/user/" + strconv.Itoa(os.Geteuid()))
	if _, set := got["XDG_RUNTIME_DIR"]; set != (err == nil) {
		t.Errorf("XDG_RUNTIME_DIR set: %v; directory: %v", set, err)
	}
}

func TestContract09SessionThatComesLater(t *testing.T) {
	marker := filepath.Join(t.TempDir(), "session")
	b := newBench(t, "--session", "auto", "--session-marker", marker)
	t.Setenv("HOME", t.TempDir())
	b.serve("x", `cat /proc/$PPID/cmdline | tr '\0' ' '`)
	b.configure("x+wait", "wait-for-session=true\n")
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	var out bytes.Buffer
	cmd := b.Command(ctx, "work", "vault", "x+wait")
	cmd.Stdout = &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	never(t, "the service ran before the session", func() bool { return cmd.Process.Signal(unix.Signal(0)) != nil })
	b.write(marker, "", 0o644)
	if err := cmd.Wait(); err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(out.String(), "qrexec serve") {
		t.Errorf("the service's parent is %q", out.String())
	}
}
