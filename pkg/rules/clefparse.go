package rules

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// clefDocument is the shape of the file for the [clef] part.
type clefDocument struct {
	SSH  any      `toml:"ssh"`
	Clef clefPart `toml:"clef"`
	Pass any      `toml:"pass"`
}

type clefPart struct {
	Backend  *Backend       `toml:"backend"`
	Remember *Remember      `toml:"remember"`
	Pending  *int           `toml:"pending"`
	Cooldown *Remember      `toml:"cooldown"`
	Rules    []ClefRule     `toml:"rule"`
	Peers    []peerDocument `toml:"peer"`
}

type peerDocument struct {
	Address string `toml:"address"`
	Name    string `toml:"name"`
}

// clefSection is what scan is to know of the [clef] part.
func clefSection() section {
	return section{
		name: "clef", arrays: []string{"clef.rule", "clef.peer"},
		texts: []string{
			"clef.backend", "clef.remember", "clef.cooldown", "clef.rule.decision", "clef.rule.remember", "clef.rule.max_value", "clef.rule.max_fee",
			"clef.peer.address", "clef.peer.name",
		},
	}
}

// ParseClef reads the [clef] part of a rules file, as [Parse] does that of ssh.
func ParseClef(path string, text []byte) (*ClefFile, error) {
	doc, source, err := decode[clefDocument](path, text, clefSection(), clefHint)
	if err != nil {
		return nil, err
	}
	if err := countRules(path, "clef.rule", len(doc.Clef.Rules), source); err != nil {
		return nil, err
	}
	if err := countRules(path, "clef.peer", len(doc.Clef.Peers), source); err != nil {
		return nil, err
	}
	clef, found := buildClef(doc.Clef, source)
	warnings, err := settle(path, found)
	if err != nil {
		return nil, err
	}
	return &ClefFile{Path: path, Clef: clef, Warnings: warnings}, nil
}

// LoadClef reads the [clef] part of the first of the files that exists, as [Load]
// does that of ssh.
func LoadClef(paths ...string) (*ClefFile, error) { return load(ParseClef, paths) }

// LoadClefOrDefault is [LoadClef], with the [DefaultClef] rules where there is no
// file.
func LoadClefOrDefault(paths ...string) (*ClefFile, error) {
	file, err := LoadClef(paths...)
	if errors.Is(err, ErrNoFile) {
		return DefaultClef(), nil
	}
	return file, err
}

// DefaultClef are the rules where there is no file: every qube that dom0's policy
// lets through learns Clef's version, and a person is asked about the accounts and
// each signature; all else is denied.
func DefaultClef() *ClefFile {
	rule := func(decision Decision, text string, methods ...MethodGlob) ClefRule {
		return ClefRule{Qube: &QubeGlob{"*"}, Decision: &decision, Methods: methods, source: ruleSource{text: text}}
	}
	clef := emptyClef()
	clef.Rules = []ClefRule{
		rule(Allow, "[[clef.rule]]\nqube     = \"*\"\nmethods  = [\"account_version\"]\ndecision = \"allow\"", MethodGlob{"account_version"}),
		rule(Ask, "[[clef.rule]]\nqube     = \"*\"\nmethods  = [\"account_list\", \"account_sign*\"]\ndecision = \"ask\"",
			MethodGlob{"account_list"}, MethodGlob{"account_sign*"}),
	}
	return &ClefFile{Clef: clef}
}

func emptyClef() Clef {
	return Clef{Backend: Backend{"tcp", "127.0.0.1:8550"}, Pending: defaultPending, Cooldown: time.Duration(defaultCooldown)}
}

func buildClef(doc clefPart, source source) (Clef, []Problem) {
	clef := emptyClef()
	clef.Remember, clef.Rules = doc.Remember, doc.Rules
	if doc.Backend != nil {
		clef.Backend = *doc.Backend
	}
	if doc.Cooldown != nil {
		clef.Cooldown = time.Duration(*doc.Cooldown)
	}
	var found []Problem
	if doc.Pending != nil {
		if clef.Pending = *doc.Pending; clef.Pending < 1 || clef.Pending > maxPending {
			found = append(found, Problem{Line: source.keys["clef.pending"], Text: fmt.Sprintf("pending is %d", clef.Pending), Hint: fmt.Sprintf("1 to %d requests", maxPending)})
		}
	}
	complete := true
	for i := range clef.Rules {
		rule := &clef.Rules[i]
		rule.source = source.tables["clef.rule"][i]
		mistakes := rule.mistakes()
		complete = complete && !slices.ContainsFunc(mistakes, func(p Problem) bool { return !p.Warning })
		found = append(found, mistakes...)
	}
	if complete {
		found = append(found, clef.check()...)
	}
	return clef, append(found, clef.takePeers(doc.Peers, source.tables["clef.peer"])...)
}

// takePeers reads the peers. Two with one address would be known by the first.
func (c *Clef) takePeers(doc []peerDocument, at []ruleSource) []Problem {
	var found []Problem
	for i, p := range doc {
		add := func(key, text, hint string) {
			found = append(found, Problem{Line: at[i].at(key), Text: text, Hint: hint})
		}
		address, err := peerAddress(p.Address)
		if err != nil {
			add("address", err.Error(), "")
			continue
		}
		if name, known := c.PeerName(address); known {
			add("address", fmt.Sprintf("%v is the peer %s already", address, name), "remove one of them")
		}
		if err := checkPeerName(p.Name); err != nil {
			add("name", err.Error(), "give the peer the name of its qube")
		}
		c.Peers = append(c.Peers, ClefPeer{address, p.Name})
	}
	return found
}

// checkPeerName: rules name peers as they name qubes.
func checkPeerName(name string) error {
	var g QubeGlob
	if err := g.UnmarshalText([]byte(name)); err != nil || strings.ContainsAny(name, "*?") || len(name) > 31 {
		return fmt.Errorf("%.60q can be no name of a peer: a letter, then up to 30 letters, digits, _ . -", name)
	}
	return nil
}

func clefHint(key string) string {
	switch {
	case strings.HasPrefix(key, "clef.rule"):
		return "a rule of [[clef.rule]] has qube, methods, origins, accounts, chains, to, max_value, max_fee, calls, content_types, decision, remember, rate and notify"
	case strings.HasPrefix(key, "clef.peer"):
		return "a [[clef.peer]] has address and name"
	case strings.HasPrefix(key, "clef."):
		return "[clef] has backend, remember, pending, cooldown, [[clef.rule]] and [[clef.peer]]"
	default:
		return fileHint
	}
}
