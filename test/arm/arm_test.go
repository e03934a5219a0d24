// Package arm runs the programs for the USB armory (ARM v7) under qemu.
package arm

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// build builds the programs as `just dist` does.
func build(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	cmd := exec.CommandContext(t.Context(), "go", "build", "-trimpath", "-buildvcs=false", "-o", dir+"/", "github.com/splitvault/splitvault/daemons/clef-net", "github.com/splitvault/splitvault/daemons/clef-guard")
	cmd.Env = append(os.Environ(), "GOOS=linux", "GOARCH=arm", "GOARM=7", "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return dir
}

func need(t *testing.T) {
	t.Helper()
	for _, program := range []string{"qemu-arm", "unshare"} {
		if _, err := exec.LookPath(program); err != nil {
			if os.Getenv("CI") != "" {
				t.Fatal(err)
			}
			t.Skip(err)
		}
	}
	if os.Getuid() != 0 {
		if os.Getenv("CI") != "" {
			t.Fatal("needs root, to give the program an /etc of its own")
		}
		t.Skip("needs root, to give the program an /etc of its own")
	}
}

// clef answers like Clef, and tells what reached it.
func clef(t *testing.T) (address string, got chan string) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	got = make(chan string, 10)
	server := &http.Server{
		ReadHeaderTimeout: 10 * time.Second,
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			body, _ := io.ReadAll(r.Body)
			result := `"6.1.0"`
			if bytes.Contains(body, []byte("account_list")) {
				got <- r.Header.Get("Origin")
				result = `["0x9d8a62f656a8d1615c1294fd71e9cfb3e4855a4f"]`
			}
			fmt.Fprintf(w, `{"jsonrpc":"2.0","id":"splitvault-guard","result":%s}`, result)
		}),
	}
	done := make(chan struct{})
	go func() { _ = server.Serve(listener); close(done) }() // until it is closed
	t.Cleanup(func() { server.Close(); <-done })
	return listener.Addr().String(), got
}

// etc lays a directory over /etc, for this process and those after it alone.
const etc = `mount -t tmpfs tmpfs "$1" && mkdir "$1/up" "$1/work" && cp -r "$2" "$1/up/splitvault" &&
mount -t overlay overlay -o "lowerdir=/etc,upperdir=$1/up,workdir=$1/work" /etc && shift 2 && LISTEN_PID=$$ exec "$@"`

func TestClefNetServesOnARM(t *testing.T) {
	need(t)
	programs := build(t)
	address, got := clef(t)
	rules := t.TempDir()
	text := fmt.Sprintf("[clef]\nbackend = \"http://%s\"\n[[clef.peer]]\naddress = \"127.0.0.1\"\nname = \"laptop\"\n[[clef.rule]]\nqube = \"laptop\"\ndecision = \"allow\"\n", address)
	if err := os.WriteFile(filepath.Join(rules, "rules.toml"), []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	client, err := net.Dial("tcp", listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	conn, err := listener.Accept()
	if err != nil {
		t.Fatal(err)
	}
	server, err := conn.(*net.TCPConn).File()
	conn.Close()
	if err != nil {
		t.Fatal(err)
	}
	state, err := os.MkdirTemp("", "arm") // a short path: sockets are made in it
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(state)
	cmd := exec.CommandContext(t.Context(), "unshare", "-m", "sh", "-c", etc, "sh", t.TempDir(), rules, "qemu-arm", filepath.Join(programs, "clef-net"))
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "LISTEN_FDS=1", "XDG_RUNTIME_DIR=" + state, "XDG_STATE_HOME=" + state, "HOME=" + state}
	cmd.ExtraFiles = []*os.File{server}
	var said bytes.Buffer
	cmd.Stderr = &said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	server.Close()
	if err := client.SetDeadline(time.Now().Add(60 * time.Second)); err != nil {
		t.Fatal(err)
	}
	const list = `{"jsonrpc":"2.0","id":7,"method":"account_list"}`
	fmt.Fprintf(client, "POST / HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", len(list), list)
	answer, err := io.ReadAll(client)
	if err != nil || !strings.HasSuffix(string(answer), `{"jsonrpc":"2.0","id":7,"result":["0x9d8a62f656a8d1615c1294fd71e9cfb3e4855a4f"]}`+"\n") {
		t.Errorf("%s, %v\n%s", answer, err, said.Bytes())
	}
	if err := cmd.Wait(); err != nil {
		t.Errorf("%v: %s", err, said.Bytes())
	}
	// What qemu's user mode has not is told once.
	if n := strings.Count(said.String(), "confines less"); n != 1 || !strings.Contains(said.String(), "no Landlock: ") || !strings.Contains(said.String(), "(seccomp)") {
		t.Errorf("it says so %d times: %s", n, said.String())
	}
	if from := <-got; from != "qube:laptop" {
		t.Errorf("Clef was told of %q", from)
	}
}

// qemu has no seccomp: the guard must not serve without. What it says to its caller
// tells nothing.
func TestClefGuardRunsOnARMAndServesNobodyUnconfined(t *testing.T) {
	need(t)
	programs := build(t)
	out, err := exec.CommandContext(t.Context(), "qemu-arm", filepath.Join(programs, "clef-guard"), "--version").Output()
	if err != nil || !strings.HasPrefix(string(out), "clef-guard ") {
		t.Errorf("%s, %v", out, err)
	}
	home := t.TempDir()
	in, feed, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	cmd := exec.CommandContext(t.Context(), "qemu-arm", filepath.Join(programs, "clef-guard"), "account_version")
	cmd.Env = []string{
		"HOME=" + home, "XDG_RUNTIME_DIR=" + home, "QREXEC_REMOTE_DOMAIN=work", "QREXEC_SERVICE_FULL_NAME=qubes.Clefsign+account_version", "QREXEC_SERVICE_ARGUMENT=account_version",
	}
	cmd.Stdin = in
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	fmt.Fprint(feed, `{"jsonrpc":"2.0","id":1,"method":"account_version"}`)
	feed.Close()
	answer, err := io.ReadAll(stdout)
	if err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
	if code := cmd.ProcessState.ExitCode(); code != 1 || len(answer) > 0 || stderr.String() != "clef-guard: internal error, see the vault's journal\n" {
		t.Errorf("exit code %d, %q, %q", code, answer, stderr.String())
	}
}
