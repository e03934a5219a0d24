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

// Parse reads the text of a rules file. path is for messages. Its error joins
// all mistakes, each a [Problem].
func Parse(path string, text []byte) (*File, error) {
	var doc document
	if err := toml.NewDecoder(bytes.NewReader(text)).DisallowUnknownFields().Decode(&doc); err != nil {
		return nil, problems(path, err)
	}
	source, err := scan(path, text)
	if err != nil {
		return nil, err
	}
	if len(source.rules) != len(doc.SSH.Rules) {
		return nil, Problem{Path: path, Text: "write each rule as a [[ssh.rule]] table of its own"}
	}
	if len(doc.SSH.Rules) > maxRules {
		return nil, Problem{Path: path, Text: fmt.Sprintf("more than %d rules", maxRules)}
	}
	ssh, found := buildSSH(doc.SSH, source)
	file := &File{Path: path, SSH: ssh}
	var wrong []error
	for _, p := range found {
		p.Path = path
		if p.Warning {
			file.Warnings = append(file.Warnings, p)
			continue
		}
		wrong = append(wrong, p)
	}
	if wrong != nil {
		return nil, errors.Join(wrong...)
	}
	return file, nil
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
		rule.source = source.rules[i]
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
	slices.SortStableFunc(found, func(a, b Problem) int { return cmp.Compare(a.Line, b.Line) })
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

func problems(path string, err error) error {
	if missing, ok := errors.AsType[*toml.StrictMissingError](err); ok {
		var wrong []error
		for _, e := range missing.Errors {
			line, _ := e.Position()
			wrong = append(wrong, unknownKey(path, line, strings.Join(e.Key(), ".")))
		}
		return errors.Join(wrong...)
	}
	if decode, ok := errors.AsType[*toml.DecodeError](err); ok {
		line, _ := decode.Position()
		return Problem{Path: path, Line: line, Text: strings.TrimPrefix(decode.Error(), "toml: ")}
	}
	return Problem{Path: path, Text: strings.TrimPrefix(err.Error(), "toml: ")}
}

func unknownKey(path string, line int, key string) Problem {
	p := Problem{Path: path, Line: line, Text: fmt.Sprintf("unknown key %q", key)}
	switch {
	case strings.HasPrefix(key, "ssh.rule"):
		p.Hint = "a rule of [[ssh.rule]] has qube, agent, keys, purpose, users, hosts, decision, remember, rate and notify"
	case strings.HasPrefix(key, "ssh."):
		p.Hint = "[ssh] has remember, comments, shipped_known_hosts, [ssh.agents] and [[ssh.rule]]"
	default:
		p.Hint = "the file has [ssh], [ssh.agents] and [[ssh.rule]]"
	}
	return p
}
