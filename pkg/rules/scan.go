package rules

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"unicode"

	"github.com/pelletier/go-toml/v2/unstable"
)

// section is the part of the file that is one service's. The parts of the others
// are theirs to check: a mistake there denies nothing here.
type section struct {
	name   string   // "ssh", for the tables [ssh], [ssh.agents] and [[ssh.rule]]
	arrays []string // its tables that may be there many times: "ssh.rule"
	free   []string // its tables whose keys are names that the owner chose: "ssh.agents"
	texts  []string // its settings that must be in quotes: "ssh.remember"
}

// has tells whether a dotted key is the section's.
func (s section) has(key string) bool { return key == s.name || strings.HasPrefix(key, s.name+".") }

// source is what the decoder does not tell.
type source struct {
	tables map[string][]ruleSource // of the section's arrays, in their order
	keys   map[string]int          // line of each dotted key outside of them
}

// ruleSource is where a rule, or another table of an array, stands.
type ruleSource struct {
	line  int
	text  string         // its lines, from [[ssh.rule]] to its last setting
	known string         // its id, where it was computed before: a list judges each of its lines
	place string         // its position, likewise
	keys  map[string]int // line of each key
}

// builtIn stands for the position of the built-in rule.
const builtIn = "built-in default"

// position is what the journal calls the rule.
func (s ruleSource) position() string {
	switch {
	case s.line == 0:
		return builtIn
	case s.place != "":
		return s.place
	default:
		return fmt.Sprintf("rules.toml:%d", s.line)
	}
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
	if s.known != "" {
		return s.known
	}
	sum := sha256.New()
	for line := range strings.Lines(s.text) {
		if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "#") {
			fmt.Fprintln(sum, line)
		}
	}
	return hex.EncodeToString(sum.Sum(nil)[:16])
}

// scan walks over the document once more, for where the section's things stand,
// and for what the decoder takes although it is wrong there.
func scan(path string, text []byte, of section) (source, error) {
	s := scanner{section: of, text: text, line: 1, source: source{tables: map[string][]ruleSource{}, keys: map[string]int{}}}
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
	parser  unstable.Parser
	section section
	text    []byte
	source  source

	offset, line int    // of the expression at hand
	table        string // it belongs to
	rule         int    // offset of the rule at hand, if isRule
	isRule       bool   // table is one of the section's arrays
}

// expression takes the next table or setting, and returns what is wrong with it.
func (s *scanner) expression() (wrong string) {
	node := s.parser.Expression()
	key := s.keyOf(node)
	switch node.Kind {
	case unstable.Table, unstable.ArrayTable:
		s.endRule(s.offset)
		s.table, s.isRule = key, node.Kind == unstable.ArrayTable && slices.Contains(s.section.arrays, key)
		if s.isRule {
			s.rule = s.offset
			s.source.tables[key] = append(s.source.tables[key], ruleSource{line: s.line, keys: map[string]int{}})
		}
	case unstable.KeyValue:
		if s.isRule {
			s.current().keys[key] = s.line
		}
		if key = strings.TrimPrefix(s.table+"."+key, "."); !s.isRule {
			s.source.keys[key] = s.line
		}
		if wrong := s.section.wrongValue(key, node.Value()); wrong != "" {
			return wrong
		}
	}
	if s.isStrict(key) && strings.ContainsFunc(key, oddInKey) {
		return fmt.Sprintf("unknown key %q: keys are lower case", key)
	}
	return ""
}

// current is the table of an array that is being read.
func (s *scanner) current() *ruleSource {
	all := s.source.tables[s.table]
	return &all[len(all)-1]
}

// isStrict: names that the owner chose, and what other services check, may have
// capitals.
func (s *scanner) isStrict(key string) bool {
	other := slices.ContainsFunc(services(), func(name string) bool { return name != s.section.name && section{name: name}.has(key) })
	return !other && !slices.ContainsFunc(s.section.free, func(table string) bool { return strings.HasPrefix(key, table+".") })
}

// services are the names of all sections.
func services() []string { return []string{"ssh", "clef", "pass"} }

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
	rule := s.current()
	rule.text = strings.TrimRight(strings.Join(lines, ""), "\r\n")
	rule.known, rule.place = rule.id(), rule.position()
}

// wrongValue finds values that the decoder takes: tables in one line, whose keys
// are not seen here, and numbers for texts that are numbers in Go.
func (s section) wrongValue(key string, value *unstable.Node) string {
	if value.Kind == unstable.InlineTable && s.has(key) {
		return fmt.Sprintf("write %q as a table of its own, [%s]", key, key)
	}
	if slices.Contains(s.texts, key) && value.Kind != unstable.String {
		return fmt.Sprintf("%q is no text: write it in quotes", value.Data)
	}
	return ""
}

// oddInKey finds capitals, and the letters beyond ASCII that the decoder takes
// for a letter of another case ("ſ" for "s").
func oddInKey(r rune) bool { return 'A' <= r && r <= 'Z' || r > unicode.MaxASCII }
