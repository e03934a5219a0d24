package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/splitvault/splitvault/pkg/knownhosts"
	"github.com/splitvault/splitvault/pkg/rules"
)

func newRules() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "rules",
		Short: "Look at the rules of this vault",
		Args:  cobra.NoArgs,
	}
	cmd.AddCommand(newRulesCheck())
	return cmd
}

func newRulesCheck() *cobra.Command {
	asJSON := false
	cmd := &cobra.Command{
		Use:   "check [FILE]",
		Short: "Find mistakes in rules.toml",
		Long: "Reads a rules file as the guards do, by default the one that is in force here.\n" +
			"A mistake denies everything of its service (ssh, pass) until it is corrected; a\n" +
			"warning does not.\n\n" +
			"Exit code: 0 there is no mistake, 1 there is one, 2 wrong usage.",
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			checked, err := checkRules(args)
			if err != nil {
				return err
			}
			if asJSON {
				err = writeJSON(cmd.OutOrStdout(), checked)
			} else {
				err = checked.writeText(cmd.OutOrStdout())
			}
			if err != nil {
				return err
			}
			if !checked.OK {
				return exit(1)
			}
			return nil
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print the result as JSON")
	return cmd
}

// checked is what is said of a rules file.
type checked struct {
	File     string         `json:"file"` // "" for the built-in default
	OK       bool           `json:"ok"`
	Rules    int            `json:"rules"` // for ssh
	Services []serviceRules `json:"services"`
	Problems []rulesIssue   `json:"problems"`
}

// serviceRules are those of one service: a mistake there denies nothing elsewhere.
type serviceRules struct {
	Service string `json:"service"`
	OK      bool   `json:"ok"`
	Rules   int    `json:"rules"`
}

type rulesIssue struct {
	File     string `json:"file"`
	Line     int    `json:"line,omitempty"`
	Severity string `json:"severity"` // "error" or "warning"
	Text     string `json:"text"`
	Hint     string `json:"hint,omitempty"`
}

func checkRules(args []string) (checked, error) {
	paths := rules.Paths(os.Getenv)
	if len(args) == 1 {
		path, err := filepath.Abs(args[0])
		if err != nil {
			return checked{}, err
		}
		paths = []string{path}
	}
	c := checked{OK: true}
	for _, service := range []struct {
		name  string
		check func(paths []string) (file string, count int, found []rules.Problem, err error)
	}{
		{"ssh", checkSSH},
		{"clef", checkClef},
		{"pass", checkPass},
	} {
		file, count, found, err := service.check(paths)
		if errors.Is(err, rules.ErrNoFile) {
			if len(args) == 1 {
				return checked{}, fmt.Errorf("there is no file %q", paths[0])
			}
			err = nil
		}
		if err != nil {
			found = rules.Problems(err)
			file = found[0].Path
		}
		c.File, c.OK = file, c.OK && err == nil
		c.Services = append(c.Services, serviceRules{service.name, err == nil, count})
		for _, issue := range issues(found) {
			// What is no TOML at all is so for each of them.
			if !slices.Contains(c.Problems, issue) {
				c.Problems = append(c.Problems, issue)
			}
		}
	}
	c.Rules = c.Services[0].Rules
	return c, nil
}

func checkSSH(paths []string) (path string, count int, found []rules.Problem, err error) {
	file, err := rules.Load(paths...)
	if err != nil {
		return "", 0, nil, err
	}
	found = file.Warnings
	known, err := knownhosts.Load(knownhosts.Paths(os.Getenv, file.SSH.ShippedKnownHosts)...)
	if err != nil {
		text := fmt.Sprintf("no host is believed, so rules with hosts match nothing: %v", err)
		found = append(found, rules.Problem{Path: file.Path, Text: text, Warning: true})
	} else {
		found = append(found, file.UnknownHosts(known.Has)...)
	}
	return file.Path, len(file.SSH.Rules), found, nil
}

func checkClef(paths []string) (path string, count int, found []rules.Problem, err error) {
	file, err := rules.LoadClef(paths...)
	if err != nil {
		return "", 0, nil, err
	}
	return file.Path, len(file.Clef.Rules), file.Warnings, nil
}

func checkPass(paths []string) (path string, count int, found []rules.Problem, err error) {
	file, err := rules.LoadPass(paths...)
	if err != nil {
		return "", 0, nil, err
	}
	return file.Path, len(file.Pass.Rules), file.Warnings, nil
}

func issues(found []rules.Problem) []rulesIssue {
	list := make([]rulesIssue, 0, len(found))
	for _, p := range found {
		severity := "error"
		if p.Warning {
			severity = "warning"
		}
		list = append(list, rulesIssue{File: p.Path, Line: p.Line, Severity: severity, Text: p.Text, Hint: p.Hint})
	}
	return list
}

func (c checked) writeText(w io.Writer) error {
	for _, p := range c.Problems {
		problem := rules.Problem{Path: p.File, Line: p.Line, Text: p.Text, Hint: p.Hint}
		if _, err := fmt.Fprintf(w, "%-8s %s\n", p.Severity, problem.Error()); err != nil {
			return err
		}
	}
	_, err := fmt.Fprintln(w, c.summary())
	return err
}

func (c checked) summary() string {
	var broken, good []string
	for _, s := range c.Services {
		switch {
		case !s.OK:
			broken = append(broken, s.Service)
		case s.Rules == 1:
			good = append(good, "1 rule for "+s.Service)
		case s.Rules > 1:
			good = append(good, fmt.Sprintf("%d rules for %s", s.Rules, s.Service))
		}
	}
	switch {
	case len(broken) == len(c.Services):
		return c.File + " is not in force: every request is denied until it is corrected"
	case broken != nil:
		return fmt.Sprintf("%s is not in force for %s: every request for that is denied until it is corrected", c.File, strings.Join(broken, " and "))
	case c.File == "":
		return "there is no rules file: every login and signature, and Clef's accounts, are asked about, all else is denied"
	case good == nil:
		return c.File + ": no mistakes, and no rules: every request is denied"
	default:
		return fmt.Sprintf("%s: %s, no mistakes", c.File, strings.Join(good, ", "))
	}
}

func writeJSON(w io.Writer, v any) error {
	out := json.NewEncoder(w)
	out.SetIndent("", "  ")
	return out.Encode(v)
}
