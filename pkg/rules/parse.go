package rules

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/pelletier/go-toml/v2"
)

// document is the shape of the [ssh] part. The parts of other services are
// theirs to check, with a shape in which this one is any.
type document struct {
	SSH  sshDocument `toml:"ssh"`
	Clef any         `toml:"clef"`
	Pass any         `toml:"pass"`
}

type sshDocument struct {
	Agents            map[string]any `toml:"agents"`
	Comments          bool           `toml:"comments"`
	Remember          *Remember      `toml:"remember"`
	ShippedKnownHosts *bool          `toml:"shipped_known_hosts"`
	Rules             []SSHRule      `toml:"rule"`
}

// maxRules bounds the rules of one service, as each is compared with all.
const maxRules = 1000

// sshSection is what scan is to know of the [ssh] part.
func sshSection() section {
	return section{
		name: "ssh", arrays: []string{"ssh.rule"}, free: []string{"ssh.agents"},
		texts: []string{"ssh.remember", "ssh.rule.decision", "ssh.rule.remember"},
	}
}

// Parse reads the [ssh] part of a rules file. path is for messages. Its error
// joins all mistakes, each a [Problem].
func Parse(path string, text []byte) (*File, error) {
	doc, source, err := decode[document](path, text, sshSection(), sshHint)
	if err != nil {
		return nil, err
	}
	if err := countRules(path, "ssh.rule", len(doc.SSH.Rules), source); err != nil {
		return nil, err
	}
	ssh, found := buildSSH(doc.SSH, source)
	warnings, err := settle(path, found)
	if err != nil {
		return nil, err
	}
	return &File{Path: path, SSH: ssh, Warnings: warnings}, nil
}

// decode reads one section strictly, into a shape in which those of the others
// are any, and finds where its things stand. hint tells what to write for a key
// that the section does not have.
func decode[D any](path string, text []byte, of section, hint func(key string) string) (doc D, where source, err error) {
	var none D
	if err := toml.NewDecoder(bytes.NewReader(text)).DisallowUnknownFields().Decode(&doc); err != nil {
		return none, source{}, problems(path, err, hint)
	}
	if where, err = scan(path, text, of); err != nil {
		return none, source{}, err
	}
	return doc, where, nil
}

// countRules: what scan found must be what the decoder found, and not more than
// can be compared with each other.
func countRules(path, table string, decoded int, source source) error {
	if len(source.tables[table]) != decoded {
		return Problem{Path: path, Text: fmt.Sprintf("write each rule as a [[%s]] table of its own", table)}
	}
	if decoded > maxRules {
		return Problem{Path: path, Text: fmt.Sprintf("more than %d rules", maxRules)}
	}
	return nil
}

// settle parts what was found, in the order of the lines: mistakes are the error,
// joined, and without any the warnings are returned.
func settle(path string, found []Problem) (warnings []Problem, err error) {
	slices.SortStableFunc(found, func(a, b Problem) int { return cmp.Compare(a.Line, b.Line) })
	var wrong []error
	for _, p := range found {
		p.Path = path
		if p.Warning {
			warnings = append(warnings, p)
			continue
		}
		wrong = append(wrong, p)
	}
	if wrong != nil {
		return nil, errors.Join(wrong...)
	}
	return warnings, nil
}

func buildSSH(doc sshDocument, source source) (SSH, []Problem) {
	ssh := SSH{
		Comments: doc.Comments, Remember: doc.Remember, Rules: doc.Rules,
		ShippedKnownHosts: doc.ShippedKnownHosts == nil || *doc.ShippedKnownHosts,
	}
	var found []Problem
	complete := true
	for i := range ssh.Rules {
		rule := &ssh.Rules[i]
		rule.source = source.tables["ssh.rule"][i]
		mistakes := rule.mistakes()
		complete = complete && !slices.ContainsFunc(mistakes, func(p Problem) bool { return !p.Warning })
		found = append(found, mistakes...)
	}
	agents, wrong := agents(doc.Agents, source.keys)
	ssh.Agents = agents
	found = append(found, wrong...)
	if complete {
		found = append(found, ssh.check()...)
	}
	return ssh, found
}

func agents(doc map[string]any, lines map[string]int) (map[AgentName]AgentPaths, []Problem) {
	all := make(map[AgentName]AgentPaths, len(doc))
	var wrong []Problem
	for untrusted, value := range doc {
		paths, err := agentPaths(untrusted, value)
		if err != nil {
			text := fmt.Sprintf("[ssh.agents] %q: %v", untrusted, err)
			wrong = append(wrong, Problem{Line: lines["ssh.agents."+untrusted], Text: text})
			continue
		}
		all[AgentName(untrusted)] = paths
	}
	return all, wrong
}

func agentPaths(untrustedName string, value any) (AgentPaths, error) {
	if name, err := ParseAgentName(untrustedName); err != nil || name == "" {
		return nil, ErrAgentName
	}
	list, ok := value.([]any)
	if !ok {
		list = []any{value}
	}
	if len(list) == 0 {
		return nil, errors.New("the list is empty")
	}
	var paths AgentPaths
	for _, v := range list {
		path, ok := v.(string)
		if !ok {
			return nil, errors.New("want the path of a socket, or a list of paths")
		}
		if err := checkAgentPath(path); err != nil {
			return nil, err
		}
		paths = append(paths, path)
	}
	return paths, nil
}

func problems(path string, err error, hint func(key string) string) error {
	if missing, ok := errors.AsType[*toml.StrictMissingError](err); ok {
		var wrong []error
		for _, e := range missing.Errors {
			line, _ := e.Position()
			key := strings.Join(e.Key(), ".")
			wrong = append(wrong, Problem{Path: path, Line: line, Text: fmt.Sprintf("unknown key %q", key), Hint: hint(key)})
		}
		return errors.Join(wrong...)
	}
	if decode, ok := errors.AsType[*toml.DecodeError](err); ok {
		line, _ := decode.Position()
		return Problem{Path: path, Line: line, Text: strings.TrimPrefix(decode.Error(), "toml: ")}
	}
	return Problem{Path: path, Text: strings.TrimPrefix(err.Error(), "toml: ")}
}

func sshHint(key string) string {
	switch {
	case strings.HasPrefix(key, "ssh.rule"):
		return "a rule of [[ssh.rule]] has qube, agent, keys, purpose, users, hosts, decision, remember, rate and notify"
	case strings.HasPrefix(key, "ssh."):
		return "[ssh] has remember, comments, shipped_known_hosts, [ssh.agents] and [[ssh.rule]]"
	default:
		return fileHint
	}
}

// fileHint is for a table that no service has.
const fileHint = "the file has [ssh], [clef] and [pass], and the rules [[ssh.rule]], [[clef.rule]] and [[pass.rule]]"
