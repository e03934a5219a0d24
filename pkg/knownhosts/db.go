package knownhosts

import (
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/splitvault/splitvault/pkg/sshagent"
	"github.com/splitvault/splitvault/pkg/sshagent/bind"
)

// DB is the content of known_hosts files. Its answers do not change after Load, and
// a nil DB knows nothing.
type DB struct {
	unread []unread
	once   sync.Once

	keys     map[string][]entry // by blob
	plain    []string           // all names that stand there plainly
	bad      int
	firstBad string
}

// Result is what the vault knows of a host key. The zero Result is an unknown one.
type Result struct {
	// Names of the host, normalised: those that stand in the files plainly come
	// first. All of them are believed, as all are of the one who has the key.
	Names []string
	// Hashed: the key is known, but by no name that could be told: the name is
	// hashed and none of the candidates, or a pattern. Line says where.
	Hashed bool
	// Line is "PATH:NUMBER" of the first line with the key, or else with its
	// authority.
	Line string
	// Revoked: the key, or the authority of its certificate, is marked so. Names
	// is empty then.
	Revoked bool
	// CA: (also) an authority of the vault's vouches for the key. Principal is the
	// name in its certificate that Names has.
	CA        bool
	Principal string
}

// Known tells whether the vault knows the key at all.
func (r Result) Known() bool { return len(r.Names) > 0 || r.Hashed }

// Bad returns how many lines could not be read, and the position of the first.
func (db *DB) Bad() (count int, first string) {
	if db == nil {
		return 0, ""
	}
	db.lines()
	return db.bad, db.firstBad
}

// Names tells the names of the host that has a key. candidates are names that
// hashed entries may have, normalised; the files' own plain names are tried too.
// A candidate is believed only if the vault's own hash of it stands beside the
// key, so it may come from anywhere.
//
// For a host certificate the plain key inside counts as well as in OpenSSH, and
// what the vault's authorities vouch for at now.
func (db *DB) Names(hostKeyBlob []byte, candidates []string, now time.Time) Result {
	if db == nil {
		return Result{}
	}
	key, err := sshagent.ParseKey(hostKeyBlob)
	if err != nil {
		return Result{}
	}
	db.lines()
	if line, ok := db.revoked(key); ok {
		return Result{Revoked: true, Line: line}
	}
	var r Result
	db.byKey(&r, hostKeyBlob, candidates)
	if key.Cert != nil {
		db.byKey(&r, key.PlainBlob(), candidates)
		db.byAuthority(&r, key, now)
	}
	r.Hashed = r.Line != "" && len(r.Names) == 0
	return r
}

// Has tells whether some line gives a key for a normalised name, as far as that
// can be told without the key.
func (db *DB) Has(name string) bool {
	if db == nil {
		return false
	}
	db.lines()
	for _, entries := range db.keys {
		if slices.ContainsFunc(entries, func(e entry) bool { return e.marker != revoked && e.has(name) }) {
			return true
		}
	}
	return false
}

func (db *DB) revoked(key sshagent.Key) (line string, ok bool) {
	blobs := [][]byte{key.Blob, key.PlainBlob()}
	if key.Cert != nil {
		blobs = append(blobs, key.Cert.SignatureKey)
	}
	for _, blob := range blobs {
		for _, e := range db.keys[string(blob)] {
			if e.marker == revoked {
				return e.position, true
			}
		}
	}
	return "", false
}

// byKey collects the names of the lines with this very key.
func (db *DB) byKey(r *Result, blob []byte, candidates []string) {
	entries := db.keys[string(blob)]
	for _, e := range entries {
		if e.marker == noMarker {
			r.take(&e, e.plain()...)
		}
	}
	for _, e := range entries {
		if e.marker != noMarker || e.hash == nil {
			continue
		}
		for _, names := range [][]string{candidates, db.plain} {
			for _, name := range names {
				if normal, ok := Normalise(name); ok && normal == name && isPlain(name) && e.hash.is(name) {
					r.take(&e, name)
				}
			}
		}
	}
}

func (r *Result) take(e *entry, names ...string) {
	if r.Line == "" {
		r.Line = e.position
	}
	for _, name := range names {
		if !slices.Contains(r.Names, name) {
			r.Names = append(r.Names, name)
		}
	}
}

// byAuthority collects the names in a certificate that the lines of its
// authority are for.
func (db *DB) byAuthority(r *Result, key sshagent.Key, now time.Time) {
	var authorities []entry
	for _, e := range db.keys[string(key.Cert.SignatureKey)] {
		if e.marker == certAuthority {
			authorities = append(authorities, e)
		}
	}
	if authorities == nil || !usable(key.Cert, now) {
		return
	}
	if verified, err := bind.VerifyCertificate(key); err != nil || !verified {
		return
	}
	for _, e := range authorities {
		for _, principal := range key.Cert.Principals {
			for _, name := range e.certified(principal) {
				if !r.CA || r.Principal == "" {
					r.CA, r.Principal = true, principal
				}
				r.take(&e, name)
			}
		}
	}
}

// usable judges a certificate as OpenSSH does for hosts (sshkey.c,
// sshkey_cert_check_host), but for one thing: one without principals, which some
// versions take for any host, names none here.
func usable(c *sshagent.Certificate, now time.Time) bool {
	at := uint64(max(now.Unix(), 0))
	return c.Type == sshagent.HostCert && len(c.CriticalOptions) == 0 && c.ValidAfter <= at && at < c.ValidBefore
}

// certified returns the names that a line of an authority lets a principal have:
// itself, and with each port that the line spells out. A principal has no port,
// and with a pattern in it it is no name.
func (e *entry) certified(principal string) []string {
	name, ok := Normalise(principal)
	if !ok || !isPlain(name) || strings.HasPrefix(principal, "[") {
		return nil
	}
	var names []string
	if e.has(name) {
		names = append(names, name)
	}
	for _, p := range e.patterns {
		host, port, found := cutPort(string(p.Pattern))
		if found && isPlain(port) && !p.negated && matches(host, name) {
			if withPort := "[" + name + "]:" + port; e.has(withPort) {
				names = append(names, withPort)
			}
		}
	}
	return names
}
