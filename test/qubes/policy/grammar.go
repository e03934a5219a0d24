package policy

import (
	"errors"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Action is what a rule says, and what a verdict says.
type Action int

// The three actions. The zero value refuses.
const (
	Deny Action = iota
	Allow
	Ask
)

// String is the action as it is written in a policy file.
func (a Action) String() string {
	switch a {
	case Allow:
		return "allow"
	case Ask:
		return "ask"
	default:
		return "deny"
	}
}

// rule is one line of policy. service and argument are "*" or exact; argument
// includes its leading "+".
type rule struct {
	service, argument string
	source, target    token
	action            Action
	redirect          *token // target=
	preselect         *token // default_target=
	user              string // user=; "" = the target's default user
	notify, autostart bool
	file              string // position, set by the loader
	line              int
}

// statement is one meaningful line: a directive ("!include" and so on) with its
// words, or a rule.
type statement struct {
	line      int
	directive string
	words     []string
	rule      rule
}

// context is what the lines of a file that !include-service brought in apply
// to; nil for files in the five-column format.
type context struct{ service, argument string }

// parseFile splits the bytes of one policy file into statements. Each line is
// judged by itself, so that a checker can report all errors of a file.
func parseFile(untrusted []byte, ctx *context) ([]statement, []*Finding) {
	if !utf8.Valid(untrusted) {
		return nil, []*Finding{{Text: "not UTF-8", Hint: "policy files are plain ASCII text"}}
	}
	// Python's universal newlines.
	text := strings.NewReplacer("\r\n", "\n", "\r", "\n").Replace(string(untrusted))
	var statements []statement
	var findings []*Finding
	for i, untrustedLine := range strings.Split(text, "\n") {
		line := strings.TrimFunc(untrustedLine, isSpace)
		if line == "" || line[0] == '#' {
			continue
		}
		parse := parseLine
		if ctx != nil {
			parse = ctx.parseLine
		}
		st, err := parse(line)
		if err != nil {
			findings = append(findings, &Finding{Line: i + 1, Text: err.Error(), Hint: hintFor(line)})
			continue
		}
		st.line = i + 1
		statements = append(statements, st)
	}
	return statements, findings
}

// isSpace is what Python's str.split and str.strip take for white space.
func isSpace(r rune) bool { return unicode.IsSpace(r) || r >= 0x1c && r <= 0x1f }

// parseLine reads a line of the five-column format (parser.py,
// AbstractParser.load_policy_file).
func parseLine(untrusted string) (statement, error) {
	words := strings.FieldsFunc(untrusted, isSpace)
	if strings.HasPrefix(untrusted, "!") {
		return parseDirective(words, map[string]int{"!include": 1, "!include-dir": 1, "!include-service": 3, "!compat-4.0": 0})
	}
	if len(words) < 5 {
		return statement{}, fmt.Errorf("wrong number of columns: %d, a rule has at least 5", len(words))
	}
	r, err := parseRule(words)
	return statement{rule: r}, err
}

// parseLine reads a line of the old three-column format, in which service and
// argument come from the !include-service line.
func (c *context) parseLine(untrusted string) (statement, error) {
	// The same textual substitutions, in the same order, as the original.
	untrusted = strings.ReplaceAll(untrusted, "$include:", "!include ")
	untrusted = strings.ReplaceAll(untrusted, "$", "@")
	untrusted = strings.ReplaceAll(untrusted, ",", " ")
	words := strings.FieldsFunc(untrusted, isSpace)
	if strings.HasPrefix(untrusted, "!") {
		return parseDirective(words, map[string]int{"!include": 1})
	}
	if len(words) < 3 {
		return statement{}, fmt.Errorf("wrong number of columns: %d, an old-style rule has at least 3", len(words))
	}
	r, err := parseRule(append([]string{c.service, c.argument}, words...))
	return statement{rule: r}, err
}

func parseDirective(words []string, arity map[string]int) (statement, error) {
	want, ok := arity[words[0]]
	if !ok {
		return statement{}, fmt.Errorf("invalid directive %q", words[0])
	}
	if len(words)-1 != want {
		return statement{}, fmt.Errorf("%s takes %d words, not %d", words[0], want, len(words)-1)
	}
	if words[0] == "!include-service" {
		if err := checkServiceAndArgument(words[1], words[2]); err != nil {
			return statement{}, err
		}
	}
	return statement{directive: words[0], words: words[1:]}, nil
}

func parseRule(words []string) (rule, error) {
	r := rule{service: words[0], argument: words[1], autostart: true}
	if err := checkServiceAndArgument(r.service, r.argument); err != nil {
		return rule{}, err
	}
	var err error
	if r.source, err = parseToken(words[2], inSource); err != nil {
		return rule{}, err
	}
	if r.target, err = parseToken(words[3], inTarget); err != nil {
		return rule{}, err
	}
	switch words[4] {
	case "allow":
		r.action = Allow
	case "ask":
		r.action = Ask
	case "deny":
		r.action, r.notify = Deny, true
	default:
		return rule{}, fmt.Errorf("invalid action %q", words[4])
	}
	if err := r.parseParams(words[5:]); err != nil {
		return rule{}, err
	}
	if r.target.kind == defaultToken && r.action == Allow && r.redirect == nil {
		return rule{}, errors.New("allow on @default needs target=")
	}
	return r, nil
}

func checkServiceAndArgument(service, argument string) error {
	if service != "*" && !isServiceName(service) {
		return fmt.Errorf("service %q has characters other than A-Z a-z 0-9 _ . -", service)
	}
	if argument == "*" {
		return nil
	}
	if !strings.HasPrefix(argument, "+") {
		return fmt.Errorf("argument %q is neither * nor starts with +", argument)
	}
	if !isServiceName(strings.ReplaceAll(argument, "+", "")) {
		return fmt.Errorf("argument %q has characters other than A-Z a-z 0-9 _ . + -", argument)
	}
	if service == "*" {
		return errors.New("the service * takes only the argument *")
	}
	return nil
}

func isServiceName(s string) bool {
	return strings.Trim(s, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.-") == ""
}

func (r *rule) parseParams(words []string) error {
	seen := map[string]bool{}
	for _, word := range words {
		key, value, ok := strings.Cut(word, "=")
		if !ok {
			return fmt.Errorf("invalid parameter %q", word)
		}
		if seen[key] {
			return fmt.Errorf("parameter %q given twice", key)
		}
		seen[key] = true
		if err := r.set(key, value); err != nil {
			return err
		}
	}
	return nil
}

func (r *rule) set(key, value string) error {
	var err error
	switch {
	case key == "notify":
		r.notify, err = yesNo(key, value)
	case key == "autostart" && r.action != Deny:
		r.autostart, err = yesNo(key, value)
	case key == "user" && r.action != Deny:
		r.user = value
	case key == "target" && r.action != Deny:
		r.redirect, err = parseRedirect(value)
	case key == "default_target" && r.action == Ask:
		r.preselect, err = parseRedirect(value)
	default:
		err = fmt.Errorf("%s takes no parameter %q", r.action, key)
	}
	return err
}

func parseRedirect(value string) (*token, error) {
	t, err := parseToken(value, inRedirect)
	return &t, err
}

func yesNo(key, value string) (bool, error) {
	if value != "yes" && value != "no" {
		return false, fmt.Errorf("%s is %q, but can be only yes or no", key, value)
	}
	return value == "yes", nil
}

// encode writes the rule in the five-column format; parsing that gives the
// same rule.
func (r rule) encode() string {
	words := []string{r.service, r.argument, r.source.text, r.target.text, r.action.String()}
	if r.redirect != nil {
		words = append(words, "target="+r.redirect.text)
	}
	if r.preselect != nil {
		words = append(words, "default_target="+r.preselect.text)
	}
	if r.user != "" {
		words = append(words, "user="+r.user)
	}
	if r.notify != (r.action == Deny) {
		words = append(words, "notify="+map[bool]string{true: "yes", false: "no"}[r.notify])
	}
	if !r.autostart {
		words = append(words, "autostart=no")
	}
	return strings.Join(words, " ")
}
