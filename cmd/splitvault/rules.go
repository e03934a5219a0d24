package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

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
			"A mistake denies everything until it is corrected; a warning does not.\n\n" +
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
	File     string       `json:"file"` // "" for the built-in default
	OK       bool         `json:"ok"`
	Rules    int          `json:"rules"`
	Problems []rulesIssue `json:"problems"`
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
	file, err := rules.Load(paths...)
	switch {
	case errors.Is(err, rules.ErrNoFile) && len(args) == 1:
		return checked{}, fmt.Errorf("there is no file %q", paths[0])
	case errors.Is(err, rules.ErrNoFile):
		file = rules.Default()
	case err != nil:
		found := rules.Problems(err)
		return checked{File: found[0].Path, Problems: issues(found)}, nil
	}
	c := checked{File: file.Path, OK: true, Rules: len(file.SSH.Rules), Problems: issues(file.Warnings)}
	known, err := knownhosts.Load(knownhosts.Paths(os.Getenv, file.SSH.ShippedKnownHosts)...)
	if err != nil {
		text := fmt.Sprintf("no host is believed, so rules with hosts match nothing: %v", err)
		c.Problems = append(c.Problems, rulesIssue{Severity: "warning", File: file.Path, Text: text})
		return c, nil
	}
	c.Problems = append(c.Problems, issues(file.UnknownHosts(known.Has))...)
	return c, nil
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
	var err error
	switch {
	case !c.OK:
		_, err = fmt.Fprintf(w, "%s is not in force: every request is denied until it is corrected\n", c.File)
	case c.File == "":
		_, err = fmt.Fprintln(w, "there is no rules file: every login and signature is asked about, all else is denied")
	case c.Rules == 0:
		_, err = fmt.Fprintf(w, "%s: no mistakes, and no rules for ssh: every request is denied\n", c.File)
	case c.Rules == 1:
		_, err = fmt.Fprintf(w, "%s: 1 rule for ssh, no mistakes\n", c.File)
	default:
		_, err = fmt.Fprintf(w, "%s: %d rules for ssh, no mistakes\n", c.File, c.Rules)
	}
	return err
}

func writeJSON(w io.Writer, v any) error {
	out := json.NewEncoder(w)
	out.SetIndent("", "  ")
	return out.Encode(v)
}
