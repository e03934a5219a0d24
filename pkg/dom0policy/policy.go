// Package dom0policy writes the lines that a person types in dom0, so that a qube
// may ask a vault for certain things.
//
// dom0 compares arguments as a whole and knows no patterns, so each entry is a line
// of its own, and a directory is what SERVICE+DIRECTORY+ asks for. Lines name the
// asking qube, and @anyvm as target, which is whatever it calls.
package dom0policy

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/splitvault/splitvault/pkg/entryname"
	"github.com/splitvault/splitvault/pkg/qrexec"
)

// File is the file of policy that the lines go to.
const File = "30-splitvault"

// Line is one line of policy.
type Line struct {
	Service  string // "pass.GetField"
	Argument string // "" for any
	Source   string // a qube, or "@tag:NAME"
	Action   string // "ask" or "allow"
	Target   string // the vault
}

func (l Line) String() string {
	argument := "*"
	if l.Argument != "" {
		argument = "+" + l.Argument
	}
	s := fmt.Sprintf("%s %s %s @anyvm %s target=%s", l.Service, argument, l.Source, l.Action, l.Target)
	if l.Action == "ask" {
		s += " default_target=" + l.Target // else the prompt has nothing chosen
	}
	return s
}

// Verbs are what entries can be used for, as in the vault's rules.
var Verbs = []string{"list", "find", "field", "otp", "show", "insert", "generate"}

var services = map[string]string{
	"list": "pass.ListPasswords", "find": "pass.FindLogin", "field": "pass.GetField", "otp": "pass.GetField",
	"show": "pass.GetPassword", "insert": "pass.InsertPassword", "generate": "pass.GeneratePassword",
}

// Want is what is to be allowed of pass.
type Want struct {
	Source  string   // a qube, or "@tag:NAME"
	Target  string   // the vault
	Allow   bool     // without being asked by dom0
	Verbs   []string // of [Verbs]
	Fields  []string // for the verb field
	Entries []string // names, or directories with a slash at the end; for find: hosts
}

// ErrWant says that something cannot be put into a line.
var ErrWant = errors.New("no line can say it")

// Lines returns the lines, one for each verb, entry and field, and no line twice.
func (w Want) Lines() ([]Line, error) {
	if err := checkSource(w.Source); err != nil {
		return nil, err
	}
	if _, err := qrexec.ParseQubeName(w.Target); err != nil {
		return nil, fmt.Errorf("the vault: %w", err)
	}
	action := "ask"
	if w.Allow {
		action = "allow"
	}
	var lines []Line
	for _, verb := range w.Verbs {
		service, known := services[verb]
		if !known {
			return nil, fmt.Errorf("verb %.20q, want one of %s: %w", verb, strings.Join(Verbs, ", "), ErrWant)
		}
		if len(w.Entries) == 0 {
			lines = append(lines, Line{service, "", w.Source, action, w.Target})
		}
		for _, entry := range w.Entries {
			arguments, err := w.arguments(verb, service, entry)
			if err != nil {
				return nil, fmt.Errorf("%s of %.80q: %w", verb, entry, err)
			}
			for _, argument := range arguments {
				line := Line{service, argument, w.Source, action, w.Target}
				if !slices.Contains(lines, line) {
					lines = append(lines, line)
				}
			}
		}
	}
	return lines, nil
}

// checkSource takes a qube or a tag: @anyvm would be everyone.
func checkSource(source string) error {
	name, isTag := strings.CutPrefix(source, "@tag:")
	if _, err := qrexec.ParseQubeName(name); err != nil {
		if isTag {
			return fmt.Errorf("the tag %.40q: %w", name, ErrWant)
		}
		return fmt.Errorf("the asking qube (a name, or @tag:NAME): %w", err)
	}
	return nil
}

// arguments are what a verb is called with for an entry.
func (w Want) arguments(verb, service, entry string) ([]string, error) {
	if verb == "find" {
		call, err := entryname.HostCall(service, entry)
		if err != nil {
			return nil, err
		}
		return []string{strings.TrimPrefix(call, service+"+")}, nil
	}
	arguments, err := w.names(verb, entry)
	if err != nil {
		return nil, err
	}
	var spelt []string
	for _, a := range arguments {
		if _, err := a.Call(service); err != nil {
			return nil, err
		}
		spelt = append(spelt, a.String())
	}
	return spelt, nil
}

func (w Want) names(verb, entry string) ([]entryname.Argument, error) {
	if strings.HasSuffix(entry, "/") {
		scope, err := entryname.ParseScope(entry)
		if err == nil && (verb == "insert" || verb == "generate") {
			err = fmt.Errorf("a directory is no new entry: %w", ErrWant)
		}
		return []entryname.Argument{{Scope: scope}}, err
	}
	name, err := entryname.Parse(entry)
	if err != nil {
		return nil, err
	}
	switch verb {
	case "list":
		return nil, fmt.Errorf("only a directory, such as work/, can be listed: %w", ErrWant)
	case "otp":
		return []entryname.Argument{{Name: name, Field: entryname.OTP}}, nil
	case "field":
		var all []entryname.Argument
		for _, f := range w.Fields {
			field, err := entryname.FieldOf(f)
			if err != nil {
				return nil, err
			}
			all = append(all, entryname.Argument{Name: name, Field: field})
		}
		return all, nil
	default:
		return []entryname.Argument{{Name: name}}, nil
	}
}

// Simple returns a line for a service whose argument is one word, such as the agent
// of qubes.Ssh; "" is any.
func Simple(service, argument, source, target string, allow bool) (Line, error) {
	line := Line{service, argument, source, "ask", target}
	if allow {
		line.Action = "allow"
	}
	if err := checkSource(source); err != nil {
		return Line{}, err
	}
	if _, err := qrexec.ParseQubeName(target); err != nil {
		return Line{}, fmt.Errorf("the vault: %w", err)
	}
	if _, err := qrexec.ParseService(service + "+" + argument); err != nil {
		return Line{}, err
	}
	return line, nil
}

// Advice is what goes around the lines when they are shown to a person.
func Advice(lines []Line) string {
	var b strings.Builder
	fmt.Fprintf(&b, "# In dom0: sudo qubes-policy-editor %s, then these lines, above any that deny:\n", File)
	for _, line := range lines {
		fmt.Fprintln(&b, line)
	}
	return b.String()
}
