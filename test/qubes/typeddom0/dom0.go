// Package typeddom0 takes the dom0 commands that documents tell people to type, as
// far as the project's documents need them. Policy is judged as dom0 would; what a
// command does to qubes is left to a [Machine].
package typeddom0

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/splitvault/splitvault/test/qubes/policy"
)

// Machine is what the commands act on.
type Machine interface {
	// PolicyDir holds dom0's policy files.
	PolicyDir() string
	// SetService is qvm-service: seen when the qube starts anew.
	SetService(qube, service string, on bool) error
	// AddTag is qvm-tags.
	AddTag(qube, tag string) error
	// SetFeature is qvm-features; the qube's QubesDB has vm-config.* at once.
	SetFeature(qube, feature, value string) error
	Shutdown(ctx context.Context, qube string) error
	Start(ctx context.Context, qube string) error
}

// Run runs a line, or a line with its here-document. Commands are separated by ; or
// &&: both stop at an error here. What it does not know is an error.
func Run(ctx context.Context, m Machine, text string) error {
	line, input, _ := strings.Cut(text, "\n")
	if end := regexp.MustCompile(`\s*<<'([A-Z]+)'$`).FindStringSubmatchIndex(line); end != nil {
		input = strings.TrimSuffix(input, line[end[2]:end[3]])
		line = line[:end[0]]
	}
	for _, command := range regexp.MustCompile(`;|&&`).Split(line, -1) {
		words := strings.Fields(command)
		if comment := slices.Index(words, "#"); comment >= 0 {
			words = words[:comment]
		}
		if len(words) > 0 && words[0] == "sudo" {
			words = words[1:]
		}
		if len(words) == 0 {
			return fmt.Errorf("%q: nothing to do", text)
		}
		if err := one(ctx, m, words, input); err != nil {
			return fmt.Errorf("%q: %w", strings.TrimSpace(command), err)
		}
	}
	return nil
}

func one(ctx context.Context, m Machine, words []string, input string) error {
	args := words[1:]
	switch words[0] {
	case "qubes-policy":
		return qubesPolicy(m.PolicyDir(), args, input)
	case "qvm-service":
		switch {
		case len(args) == 3 && args[0] == "-D":
			return m.SetService(args[1], args[2], false)
		case len(args) == 3 && (args[2] == "on" || args[2] == "off"):
			return m.SetService(args[0], args[1], args[2] == "on")
		}
	case "qvm-tags":
		if len(args) == 3 && args[1] == "add" {
			return m.AddTag(args[0], args[2])
		}
	case "qvm-features":
		if len(args) == 3 {
			return m.SetFeature(args[0], args[1], args[2])
		}
	case "qvm-shutdown":
		if len(args) > 1 && args[0] == "--wait" {
			return each(ctx, args[1:], m.Shutdown)
		}
	case "qvm-start":
		if len(args) > 0 {
			return each(ctx, args, m.Start)
		}
	}
	return errors.New("not a command of dom0 that this project knows")
}

func each(ctx context.Context, qubes []string, do func(context.Context, string) error) error {
	for _, qube := range qubes {
		if err := do(ctx, qube); err != nil {
			return err
		}
	}
	return nil
}

// qubesPolicy is qubes-policy --replace NAME or --remove NAME. As the real one it
// refuses a text with which the policy would not load; beyond that it refuses what
// policy.Lint finds in the text, as no document may tell people to type that.
func qubesPolicy(dir string, args []string, input string) error {
	if len(args) != 2 || !regexp.MustCompile(`^[0-9a-z_-]+$`).MatchString(args[1]) {
		return errors.New("want --replace NAME or --remove NAME")
	}
	path := filepath.Join(dir, args[1]+".policy")
	switch args[0] {
	case "--remove":
		return os.Remove(path)
	case "--replace":
		if err := judge(args[1], input); err != nil {
			return err
		}
		if err := os.WriteFile(path+".new", []byte(input), 0o644); err != nil {
			return err
		}
		return os.Rename(path+".new", path)
	default:
		return fmt.Errorf("no option %q", args[0])
	}
}

func judge(name, input string) error {
	alone, err := os.MkdirTemp("", "policy-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(alone)
	if err := os.WriteFile(filepath.Join(alone, name+".policy"), []byte(input), 0o600); err != nil {
		return err
	}
	if strings.TrimSpace(input) == "" {
		return fmt.Errorf("%w: an empty policy file", fs.ErrInvalid)
	}
	findings := policy.Lint(alone)
	errs := make([]error, len(findings))
	for i, f := range findings {
		errs[i] = f
	}
	return errors.Join(errs...)
}
