// Command screenshots draws the prompts of docs/prompts.md with the real
// programs on a virtual display: go run ./test/screenshots docs/prompts
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/splitvault/splitvault/pkg/consent"
	"github.com/splitvault/splitvault/pkg/prompt"
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: screenshots DIRECTORY")
		os.Exit(2)
	}
	if err := run(os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, "screenshots:", err)
		os.Exit(1)
	}
}

type picture struct {
	name    string
	program prompt.Program
	request consent.Request
}

func pictures() []picture {
	key := "SHA256:n0VdB1vWmEoYHTKq8a2C1ZkL5yV7p4s3RrXu6JtGfQk"
	known := consent.SSH{
		Qube: "work", Label: "alice@vault (yubikey 5c)", Fingerprint: key, Purpose: "login", User: "git", Host: "github.com",
		HostKey: "SHA256:+DiY3wvvV6TuJJhbpZisF/zLDA0zPMSvHdkr4UvCOqU", Remember: 5 * time.Minute,
	}
	unknown := known
	unknown.User, unknown.Host, unknown.Remember = "root", "", 0
	unknown.Path, unknown.Purpose = []string{"bastion.corp.example", "UNVERIFIED"}, "forwarded-login"
	hostile := known
	hostile.Host = ""
	hostile.User = "<b>git</b> &amp; \u202eevil\n\nKey: safe\n" + strings.Repeat("A", 10_000)
	hostile.Label = "_<span size='99999'>" + strings.Repeat("W", 10_000)
	sign := known
	sign.Purpose = "sshsig:git"
	entry := consent.Pass{Qube: "work", Verb: "show", Entry: "work/mail/alice@example.com", Remember: 5 * time.Minute}
	field := consent.Pass{Qube: "work", Verb: "otp", Entry: "work/aws", Unlock: true, Remember: 5 * time.Minute}
	hostileEntry := consent.Pass{Qube: "disp1234", Verb: "insert", Entry: "inbox/<b>safe</b> \u202e\n\nEntry: x" + strings.Repeat("A", 1000)}
	return []picture{
		{"pass", prompt.Zenity{}, entry.Request()},
		{"pass-otp", prompt.Zenity{}, field.Request()},
		{"pass-hostile", prompt.Zenity{}, hostileEntry.Request()},
		{"login", prompt.Zenity{}, known.Request()},
		{"unverified", prompt.Zenity{}, unknown.Request()},
		{"hostile", prompt.Zenity{}, hostile.Request()},
		{"sign", prompt.Zenity{}, sign.Request()},
		{"clef", prompt.Zenity{}, clef(payment)},
		{"clef-approve", prompt.Zenity{}, clef(approval)},
		{"clef-permit", prompt.Zenity{}, clef(permits)},
		{"pinentry", prompt.Pinentry{}, known.Request()},
		{"pinentry-hostile", prompt.Pinentry{}, hostile.Request()},
	}
}

func run(dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	read, write, err := os.Pipe()
	if err != nil {
		return err
	}
	defer read.Close()
	server := exec.CommandContext(ctx, "Xvfb", "-noreset", "-displayfd", "3", "-screen", "0", "900x600x24", "-nolisten", "tcp")
	server.ExtraFiles = []*os.File{write}
	if err := server.Start(); err != nil {
		return fmt.Errorf("starting Xvfb: %w", err)
	}
	defer func() {
		_ = server.Process.Kill()
		_ = server.Wait()
	}()
	write.Close()
	var number int
	if _, err := fmt.Fscan(read, &number); err != nil {
		return fmt.Errorf("starting Xvfb: %w", err)
	}
	home, err := os.MkdirTemp("", "screenshots")
	if err != nil {
		return err
	}
	defer os.RemoveAll(home)
	env := prompt.Environment{Screen: consent.Screen{Display: fmt.Sprintf(":%d", number)}, Home: home}
	for _, p := range pictures() {
		if err := p.take(ctx, env, filepath.Join(dir, p.name+".png")); err != nil {
			return fmt.Errorf("%s: %w", p.name, err)
		}
	}
	return nil
}

// take draws a prompt, waits until it can be seen, and cuts it out.
func (p picture) take(ctx context.Context, env prompt.Environment, path string) error {
	shown, cancel := context.WithCancel(ctx)
	ended := make(chan error, 1)
	go func() {
		_, err := p.program.Ask(shown, env, prompt.Question{Qube: p.request.Qube, Lines: p.request.Lines, Remember: p.request.Longest()})
		ended <- err
	}()
	defer func() {
		cancel()
		<-ended
	}()
	display := []string{"PATH=/usr/bin:/bin", "DISPLAY=" + env.Screen.Display, "HOME=" + env.Home}
	search := exec.CommandContext(ctx, "xdotool", "search", "--sync", "--onlyvisible", "--name", "splitvault: ")
	search.Env = display
	if _, err := search.Output(); err != nil {
		return fmt.Errorf("waiting for the window: %w", err)
	}
	select {
	case err := <-ended:
		ended <- err
		return errors.Join(errors.New("the prompt ended"), err)
	case <-time.After(2 * time.Second): // until it is drawn
	}
	shot := exec.CommandContext(ctx, "import", "-window", "root", "-trim", "+repage", "-strip", path)
	shot.Env = display
	if out, err := shot.CombinedOutput(); err != nil {
		return fmt.Errorf("taking the picture: %w: %s", err, out)
	}
	return nil
}
