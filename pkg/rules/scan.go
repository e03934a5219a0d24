package rules

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"
	"unicode"

	"github.com/pelletier/go-toml/v2/unstable"
)

// source is what the decoder does not tell.
type source struct {
	rules []ruleSource   // of the [[ssh.rule]] tables, in their order
	keys  map[string]int // line of each dotted key outside of them
}

// ruleSource is where a rule stands.
type ruleSource struct {
	line int
	text string         // its lines, from [[ssh.rule]] to its last setting
	keys map[string]int // line of each key
}

// at is the line of a key, or of the rule where it has no such key.
func (s ruleSource) at(key string) int {
	if line, ok := s.keys[key]; ok {
		return line
	}
	return s.line
}

// id stays the same when the rule moves, and when blanks and comments change.
func (s ruleSource) id() string {
	sum := sha256.New()
	for line := range strings.Lines(s.text) {
		if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "#") {
			fmt.Fprintln(sum, line)
		}
	}
	return hex.EncodeToString(sum.Sum(nil)[:16])
}

// scan walks over the document once more, for where things stand, and for what
// the decoder takes although it is wrong here.
func scan(path string, text []byte) (source, error) {
	s := scanner{text: text, line: 1, source: source{keys: map[string]int{}}}
	s.parser.Reset(text)
	for s.parser.NextExpression() {
		if wrong := s.expression(); wrong != "" {
			return source{}, Problem{Path: path, Line: s.line, Text: wrong}
		}
	}
	if err := s.parser.Error(); err != nil {
		return source{}, Problem{Path: path, Text: err.Error()}
	}
	s.endRule(len(text))
	return s.source, nil
}

type scanner struct {
	parser unstable.Parser
	text   []byte
	source source

	offset, line int    // of the expression at hand
	table        string // it belongs to
	rule         int    // offset of the rule at hand, if isRule
	isRule       bool
}

// expression takes the next table or setting, and returns what is wrong with it.
func (s *scanner) expression() (wrong string) {
	node := s.parser.Expression()
	key := s.keyOf(node)
	switch node.Kind {
	case unstable.Table, unstable.ArrayTable:
		s.endRule(s.offset)
		s.table, s.isRule = key, node.Kind == unstable.ArrayTable && key == "ssh.rule"
		if s.isRule {
			s.rule = s.offset
			s.source.rules = append(s.source.rules, ruleSource{line: s.line, keys: map[string]int{}})
		}
	case unstable.KeyValue:
		if s.isRule {
			s.source.rules[len(s.source.rules)-1].keys[key] = s.line
		}
		if key = strings.TrimPrefix(s.table+"."+key, "."); !s.isRule {
			s.source.keys[key] = s.line
		}
		if wrong := wrongValue(key, node.Value()); wrong != "" {
			return wrong
		}
	}
	// Names of agents, and what other services check, may have capitals.
	free := strings.HasPrefix(key, "ssh.agents.") || strings.HasPrefix(key, "clef.") || strings.HasPrefix(key, "pass.")
	if !free && strings.ContainsFunc(key, oddInKey) {
		return fmt.Sprintf("unknown key %q: keys are lower case", key)
	}
	return ""
}

// keyOf returns a node's dotted key, and moves on to the line it stands on.
func (s *scanner) keyOf(node *unstable.Node) string {
	var parts []string
	for it := node.Key(); it.Next(); {
		if parts == nil {
			at := int(it.Node().Raw.Offset)
			s.line += bytes.Count(s.text[s.offset:at], []byte("\n"))
			s.offset = at
		}
		parts = append(parts, string(it.Node().Data))
	}
	return strings.Join(parts, ".")
}

// endRule keeps the text of the rule at hand, which ends before the line of an
// offset, without what follows its last setting: comments there mostly belong to
// the next rule.
func (s *scanner) endRule(end int) {
	if !s.isRule {
		return
	}
	if end < len(s.text) {
		end = bytes.LastIndexByte(s.text[:end], '\n') + 1
	}
	begin := bytes.LastIndexByte(s.text[:s.rule], '\n') + 1
	lines := strings.SplitAfter(string(s.text[begin:end]), "\n")
	for len(lines) > 1 {
		last := strings.TrimSpace(lines[len(lines)-1])
		if last != "" && !strings.HasPrefix(last, "#") {
			break
		}
		lines = lines[:len(lines)-1]
	}
	s.source.rules[len(s.source.rules)-1].text = strings.TrimRight(strings.Join(lines, ""), "\r\n")
}

// wrongValue finds values that the decoder takes: tables in one line, whose keys
// are not seen here, and numbers for texts that are numbers in Go.
func wrongValue(key string, value *unstable.Node) string {
	if value.Kind == unstable.InlineTable && (key == "ssh" || strings.HasPrefix(key, "ssh.")) {
		return fmt.Sprintf("write %q as a table of its own, [%s]", key, key)
	}
	wantsText := key == "ssh.rule.decision" || key == "ssh.rule.remember" || key == "ssh.remember"
	if wantsText && value.Kind != unstable.String {
		return fmt.Sprintf("%q is no text: write it in quotes", value.Data)
	}
	return ""
}

// oddInKey finds capitals, and the letters beyond ASCII that the decoder takes
// for a letter of another case ("ſ" for "s").
func oddInKey(r rune) bool { return 'A' <= r && r <= 'Z' || r > unicode.MaxASCII }
