package rules

import (
	"errors"
	"slices"
	"strings"
)

// passDocument is the shape of the file for the [pass] part.
type passDocument struct {
	SSH  any      `toml:"ssh"`
	Clef any      `toml:"clef"`
	Pass passPart `toml:"pass"`
}

type passPart struct {
	Store       string     `toml:"store"`
	SigningKeys []string   `toml:"signing_keys"`
	Remember    *Remember  `toml:"remember"`
	Rules       []PassRule `toml:"rule"`
}

// passSection is what scan is to know of the [pass] part.
func passSection() section {
	return section{
		name: "pass", arrays: []string{"pass.rule"},
		texts: []string{"pass.store", "pass.remember", "pass.rule.decision", "pass.rule.remember"},
	}
}

// ParsePass reads the [pass] part of a rules file, as [Parse] does that of ssh.
func ParsePass(path string, text []byte) (*PassFile, error) {
	doc, source, err := decode[passDocument](path, text, passSection(), passHint)
	if err != nil {
		return nil, err
	}
	if err := countRules(path, "pass.rule", len(doc.Pass.Rules), source); err != nil {
		return nil, err
	}
	pass, found := buildPass(doc.Pass, source)
	warnings, err := settle(path, found)
	if err != nil {
		return nil, err
	}
	return &PassFile{Path: path, Pass: pass, Warnings: warnings}, nil
}

// LoadPass reads the [pass] part of the first of the files that exists, as [Load]
// does that of ssh.
func LoadPass(paths ...string) (*PassFile, error) { return load(ParsePass, paths) }

// LoadPassOrDefault is [LoadPass], with the built-in default where there is no
// file: everything is denied, as if nothing were there.
func LoadPassOrDefault(paths ...string) (*PassFile, error) {
	file, err := LoadPass(paths...)
	if errors.Is(err, ErrNoFile) {
		return &PassFile{}, nil
	}
	return file, err
}

func buildPass(doc passPart, source source) (Pass, []Problem) {
	pass := Pass(doc)
	var found []Problem
	if doc.Store != "" && checkAgentPath(doc.Store) != nil || strings.HasPrefix(doc.Store, "%t/") {
		found = append(found, Problem{
			Line: source.keys["pass.store"], Text: "store is no path of a directory", Hint: "begin it with / or ~/",
		})
	}
	for _, key := range doc.SigningKeys {
		if (len(key) != 40 && len(key) != 64) || strings.Trim(key, "0123456789ABCDEF") != "" {
			found = append(found, Problem{
				Line: source.keys["pass.signing_keys"], Text: "a signing key is no whole fingerprint",
				Hint: "copy the 40 capitals and digits that `gpg --list-keys` prints, without spaces",
			})
		}
	}
	complete := true
	for i := range pass.Rules {
		rule := &pass.Rules[i]
		rule.source = source.tables["pass.rule"][i]
		mistakes := rule.mistakes()
		complete = complete && !slices.ContainsFunc(mistakes, func(p Problem) bool { return !p.Warning })
		found = append(found, mistakes...)
	}
	if complete {
		found = append(found, pass.check()...)
	}
	return pass, found
}

func passHint(key string) string {
	switch {
	case strings.HasPrefix(key, "pass.rule"):
		return "a rule of [[pass.rule]] has qube, entries, verbs, fields, unlock, decision, remember, rate and notify"
	case strings.HasPrefix(key, "pass."):
		return "[pass] has store, signing_keys, remember and [[pass.rule]]"
	default:
		return fileHint
	}
}
