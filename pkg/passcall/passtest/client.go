package passtest

import (
	"bytes"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/splitvault/splitvault/pkg/entryname"
	"github.com/splitvault/splitvault/pkg/passcode"
	"github.com/splitvault/splitvault/pkg/passproto"
)

// lifetime bounds a client that a failed test forgot.
const lifetime = time.Minute

// client is the client program, and the vault: it returns the exit code.
func client(target, call string) int {
	dir := filepath.Join(os.Getenv(dirVariable), target)
	lock, err := os.OpenFile(filepath.Join(dir, "lock."+strconv.Itoa(os.Getpid())), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil || unix.Flock(int(lock.Fd()), unix.LOCK_EX) != nil {
		fmt.Fprintln(os.Stderr, "no such vault")
		return int(passcode.Denied)
	}
	entries, err := load(dir)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return int(passcode.Internal)
	}
	service, spelling, _ := strings.Cut(call, "+")
	if service == "pass.FindLogin" {
		note(dir, "call", call)
		host, _ := entryname.Decode(spelling)
		return find(entries, host)
	}
	argument, err := entryname.ParseArgument(spelling)
	if err != nil {
		return int(passcode.BadRequest)
	}
	name := string(argument.Name)
	if kind, rest, found := strings.Cut(name, "/"); found && service != "pass.ListPasswords" {
		if code, done := misbehave(dir, kind+"/", rest); done {
			return code
		}
	}
	input, err := io.ReadAll(os.Stdin)
	if err != nil {
		return int(passcode.Internal)
	}
	note(dir, "call", strings.TrimSpace(call+" "+strings.Trim(strconv.Quote(string(input)), `"`)))
	return serve(dir, service, argument, input, entries)
}

func note(dir, kind, text string) {
	f, err := os.OpenFile(filepath.Join(dir, "notes"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		panic(err)
	}
	defer f.Close()
	fmt.Fprintf(f, "%s %s\n", kind, text)
}

func serve(dir, service string, a entryname.Argument, input []byte, entries map[string]string) int {
	name, field := string(a.Name), a.Field
	if name == "" && service != "pass.ListPasswords" {
		lines := strings.Split(string(input), "\n")
		name = lines[0]
		if len(lines) > 1 {
			field = entryname.Field(lines[1])
		}
	}
	content, known := entries[name]
	switch service {
	case "pass.ListPasswords":
		for _, name := range slices.Sorted(maps.Keys(entries)) {
			if strings.HasPrefix(name, string(a.Scope)) {
				fmt.Println(name)
			}
		}
		return 0
	case "pass.InsertPassword", "pass.GeneratePassword":
		if known {
			return int(passcode.Refused)
		}
		if begin, err := passproto.InsertBody(input); err != nil {
			return int(passcode.BadRequest)
		} else if input = input[begin:]; service == "pass.GeneratePassword" {
			input = []byte("generated:" + strings.ReplaceAll(string(input), "\n", ";") + "\n")
			_, _ = os.Stdout.Write(input)
		}
		entries[name] = string(input)
		if store(dir, entries) != nil {
			return int(passcode.Internal)
		}
		return 0
	}
	if !known {
		return int(passcode.NotFound)
	}
	if service == "pass.GetField" {
		value, found := fieldOf(content, field)
		if !found {
			return int(passcode.NoField)
		}
		content = value + "\n"
	}
	_, _ = io.WriteString(os.Stdout, content)
	return 0
}

// fieldOf is a simple reading of an entry; the code of otp never changes.
func fieldOf(content string, field entryname.Field) (string, bool) {
	lines := strings.Split(content, "\n")
	switch {
	case field == entryname.Password:
		return lines[0], true
	case field == entryname.OTP:
		return "123456", strings.Contains(content, "otpauth://")
	case field.Line() > 0:
		return lines[min(field.Line(), len(lines))-1], field.Line() <= len(lines)
	}
	for _, line := range lines[1:] {
		if key, value, found := strings.Cut(line, ": "); found && strings.EqualFold(key, string(field)) {
			return value, true
		}
	}
	return "", false
}

// find matches entries one of whose parts is the host, or that have it as url.
func find(entries map[string]string, host string) int {
	found := false
	for _, name := range slices.Sorted(maps.Keys(entries)) {
		url, _ := fieldOf(entries[name], entryname.URL)
		if slices.Contains(strings.Split(name, "/"), host) || url == host || strings.HasSuffix(url, "//"+host) {
			found = true
			login, _ := fieldOf(entries[name], entryname.Login)
			fmt.Printf("%s\t%s\n", name, login)
		}
	}
	if !found {
		return int(passcode.NotFound)
	}
	return 0
}

func misbehave(dir, kind, rest string) (code int, done bool) {
	switch kind {
	case Exit:
		_, _ = io.WriteString(os.Stdout, "half an ans")
		if rest == "126" {
			fmt.Fprintln(os.Stderr, "Request refused")
		}
		code, _ = strconv.Atoi(rest)
	case Hang, Deaf:
		if kind == Deaf {
			signal.Ignore(syscall.SIGTERM)
		}
		note(dir, "hang", rest)
		time.Sleep(lifetime)
	case Huge:
		_, _ = os.Stdout.Write(bytes.Repeat([]byte("x"), 1<<20+1))
	case Large:
		_, _ = os.Stdout.Write(bytes.Repeat([]byte("x"), 1<<20))
	case Flood:
		_, _ = os.Stderr.Write(bytes.Repeat([]byte("e"), 2<<20))
		_, _ = io.WriteString(os.Stdout, "flood")
	case Killed:
		_, _ = io.WriteString(os.Stdout, "half an ans")
		_ = unix.Kill(os.Getpid(), syscall.SIGKILL)
		time.Sleep(lifetime)
	case Orphan:
		child := exec.Command("sleep", "30")
		child.Stdout, child.Stderr = os.Stdout, os.Stderr
		child.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
		_ = child.Start()
		note(dir, "child", strconv.Itoa(child.Process.Pid))
		_, _ = io.WriteString(os.Stdout, "orphan")
	case Mute:
		_, _ = io.WriteString(os.Stdout, "mute")
		_ = os.Stdout.Close()
		time.Sleep(lifetime)
	default:
		return 0, false
	}
	return code, true
}

// KillChildren ends what [Orphan] left behind.
func (v *Vault) KillChildren(tb interface{ Helper() }) {
	tb.Helper()
	text, _ := os.ReadFile(filepath.Join(v.dir, "notes"))
	for line := range strings.Lines(string(text)) {
		if pid, found := strings.CutPrefix(line, "child "); found {
			if n, err := strconv.Atoi(strings.TrimSpace(pid)); err == nil {
				_ = unix.Kill(n, syscall.SIGKILL)
			}
		}
	}
}
