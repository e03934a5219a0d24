package knownhosts

import (
	"crypto/hmac"
	"crypto/sha1" //nolint:gosec // the format's own; it hides names, nothing rests on it
	"encoding/base64"
	"strings"

	"github.com/splitvault/splitvault/pkg/glob"
	"github.com/splitvault/splitvault/pkg/sshagent"
)

type marker int

const (
	noMarker marker = iota
	certAuthority
	revoked
)

// entry is one line, without its key.
type entry struct {
	position string // "/home/user/.ssh/known_hosts:12"
	marker   marker
	patterns []pattern
	hash     *hash // instead of patterns
}

// pattern is one of the names of a line, normalised. "*" and "?" are wild.
type pattern struct {
	glob.Pattern

	negated bool
}

// hash is a hashed name: "|1|SALT|HMAC-SHA1(SALT, name)".
type hash struct{ salt, sum []byte }

// add parses a line: [@marker] names keytype base64 [comment].
func (db *DB) add(path string, number int, line string) {
	e := entry{position: position(path, number)}
	fields := strings.FieldsFunc(line, func(r rune) bool { return r == ' ' || r == '\t' })
	if strings.HasPrefix(fields[0], "@") {
		switch fields[0] {
		case "@cert-authority":
			e.marker = certAuthority
		case "@revoked":
			e.marker = revoked
		default:
			db.skip(path, number)
			return
		}
		fields = fields[1:]
	}
	// A revoked key is one whatever its names are.
	if len(fields) < 3 || e.marker != revoked && !e.names(fields[0]) {
		db.skip(path, number)
		return
	}
	blob, ok := parseKey(fields[1], fields[2])
	if !ok {
		db.skip(path, number)
		return
	}
	db.keys[blob] = append(db.keys[blob], e)
	if e.marker == noMarker {
		db.plain = append(db.plain, e.plain()...)
	}
}

// parseKey returns a key's blob. The type outside must be the one inside.
func parseKey(format, encoded string) (blob string, ok bool) {
	b, err := base64.StdEncoding.DecodeString(encoded)
	if err != nil {
		return "", false
	}
	key, err := sshagent.ParseKey(b)
	if err != nil || key.Format != format {
		return "", false
	}
	return string(b), true
}

func (e *entry) names(field string) bool {
	if strings.HasPrefix(field, "|") {
		parts := strings.Split(field, "|")
		if len(parts) != 4 || parts[1] != "1" {
			return false
		}
		salt, err := base64.StdEncoding.DecodeString(parts[2])
		if err != nil || len(salt) != sha1.Size {
			return false
		}
		sum, err := base64.StdEncoding.DecodeString(parts[3])
		if err != nil || len(sum) != sha1.Size {
			return false
		}
		e.hash = &hash{salt, sum}
		return true
	}
	for name := range strings.SplitSeq(field, ",") {
		name, negated := strings.CutPrefix(name, "!")
		normal, ok := Normalise(name)
		if !ok && negated {
			return false // without it the line would mean more
		}
		if ok {
			e.patterns = append(e.patterns, pattern{glob.Pattern(normal), negated})
		}
	}
	return e.patterns != nil
}

// has tells whether the line is for a normalised name.
func (e *entry) has(name string) bool {
	if e.hash != nil {
		return e.hash.is(name)
	}
	found := false
	for _, p := range e.patterns {
		if p.Match(name) {
			if p.negated {
				return false
			}
			found = true
		}
	}
	return found
}

// plain are the names that the line spells out and does not take back.
func (e *entry) plain() []string {
	var names []string
	for _, p := range e.patterns {
		if name := string(p.Pattern); !p.negated && isPlain(name) && e.has(name) {
			names = append(names, name)
		}
	}
	return names
}

// is tells whether the hash is that of a normalised name.
func (h *hash) is(name string) bool {
	mac := hmac.New(sha1.New, h.salt)
	mac.Write([]byte(name))
	return hmac.Equal(mac.Sum(nil), h.sum)
}
