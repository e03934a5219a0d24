package passguard

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/splitvault/splitvault/pkg/consent"
	"github.com/splitvault/splitvault/pkg/entryname"
	"github.com/splitvault/splitvault/pkg/journal"
	"github.com/splitvault/splitvault/pkg/passcode"
	"github.com/splitvault/splitvault/pkg/passentry"
	"github.com/splitvault/splitvault/pkg/passproto"
	"github.com/splitvault/splitvault/pkg/rules"
	"github.com/splitvault/splitvault/pkg/secret"
)

const (
	maxFound   = 20  // logins for one host
	maxLookups = 100 // entries that are decrypted to look for a url
	// lookTime bounds all decryptions for one host: a program waits, and with a cached
	// passphrase each can take most of a second.
	lookTime = 30 * time.Second
)

// names returns the entries of a scope; none where the qube is not served.
func (g *Guard) names(ctx context.Context, scope entryname.Scope) ([]entryname.Name, error) {
	if g.Store == nil || !g.Rules.Serves(g.Qube) {
		return nil, nil
	}
	names, odd, err := g.Store.Names(ctx, scope)
	if err != nil {
		return nil, fail(passcode.Internal, err)
	}
	if odd > 0 {
		g.Log.WithField(journal.Count, odd).Warn("files of the store that can have no name, and are not listed (a control character, not UTF-8)")
	}
	return names, nil
}

// list answers with the names that the qube may see, a line each. Where the rules
// ask about some of them, one question is for all of these.
func (g *Guard) list(ctx context.Context, r *request, answer *secret.Buffer) error {
	names, err := g.names(ctx, r.scope)
	if err != nil {
		return err
	}
	allowed, asked, how := g.listed(names)
	if len(asked) > 0 {
		said := consent.Pass{Verb: string(rules.PassList), Entry: string(r.scope), Count: len(asked)}
		if err := g.consent(ctx, &how, said); err == nil {
			allowed = merge(names, allowed, asked)
		} else if len(allowed) == 0 || ctx.Err() != nil {
			return err
		} else {
			g.Log.WithFields(r.fields()).WithField(journal.Cause, err).Warn("some names are not listed")
			how.Decision = rules.Allow
		}
	}
	size := 0
	var line []byte
	for _, name := range allowed {
		if size += len(name) + 1; size > passproto.MaxBody {
			return fail(passcode.TooLarge, errors.New("the list is longer than 1 MiB: name a scope"))
		}
		line = append(append(line[:0], name...), '\n')
		if _, err := answer.Write(line); err != nil {
			return fail(passcode.Internal, err)
		}
	}
	g.Stats.Count = len(allowed)
	if len(allowed) == 0 {
		return nil
	}
	log := g.Log.WithFields(r.fields()).WithField(journal.Count, len(allowed))
	if err := g.given(log, how, "names listed"); err != nil {
		return err
	}
	g.tell(how, consent.Pass{Verb: string(rules.PassList), Entry: string(r.scope)})
	return nil
}

// listed parts the names by what the rules say to listing them. how is the verdict
// on those that are to be asked about, or else on the first. A rule's rate counts a list once.
func (g *Guard) listed(names []entryname.Name) (allowed, asked []entryname.Name, how rules.Verdict) {
	within := map[string]bool{}
	allowed = make([]entryname.Name, 0, len(names))
	for _, name := range names {
		v := g.Rules.Listed(g.Qube, name)
		if v.Decision == rules.Allow && v.Rate.Count > 0 {
			ok, counted := within[v.ID]
			if !counted {
				ok = g.withinRate(v)
				within[v.ID] = ok
			}
			v.Rate.Count = 0
			if !ok {
				v.Decision = rules.Ask
			}
		}
		switch v.Decision {
		case rules.Allow:
			allowed = append(allowed, name)
		case rules.Ask:
			asked = append(asked, name)
		default:
			continue
		}
		// Of several rules that ask, the shortest memory holds for all.
		if how.Decision == rules.Deny || v.Decision == rules.Ask && (how.Decision == rules.Allow || v.Remember < how.Remember) {
			how = v
		}
	}
	return allowed, asked, how
}

// merge returns what is in one of the two, in the order of all.
func merge(all, some, others []entryname.Name) []entryname.Name {
	in := make(map[entryname.Name]bool, len(some)+len(others))
	for _, list := range [][]entryname.Name{some, others} {
		for _, name := range list {
			in[name] = true
		}
	}
	var merged []entryname.Name
	for _, name := range all {
		if in[name] {
			merged = append(merged, name)
		}
	}
	return merged
}

// found is an entry for a host.
type found struct {
	name    entryname.Name
	login   string
	verdict rules.Verdict
}

// find answers with the entries for a host that the qube may read something of, and the
// login of each: "NAME TAB LOGIN". By name first; only if there is none the url
// of entries is looked at, in the vault.
func (g *Guard) find(ctx context.Context, r *request, answer *secret.Buffer) error {
	names, err := g.names(ctx, "")
	if err != nil {
		return err
	}
	limit := cmp.Or(g.LookTime, lookTime)
	looking, done := context.WithTimeout(ctx, limit)
	defer done()
	all := g.findByName(looking, r, names)
	if len(all) == 0 {
		all = g.findByURL(looking, r, names)
	}
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case len(all) == 0 && looking.Err() != nil:
		return fail(passcode.Busy, fmt.Errorf("looking into entries for that host took longer than %v: name them after their hosts, or lower s2k-count (docs/pass-vault.md)", limit))
	case len(all) == 0:
		return fail(passcode.NotFound, errors.New("no entry for that host, or none by the rules"))
	}
	if all, err = g.mayFind(ctx, r, all); err != nil {
		return err
	}
	for _, one := range all {
		if _, err := answer.Write([]byte(string(one.name) + "\t" + one.login + "\n")); err != nil {
			return fail(passcode.Internal, err)
		}
		log := g.Log.WithFields(r.fields()).WithField(journal.Entry, journal.Quote(string(one.name)))
		if err := g.given(log, one.verdict, "login found"); err != nil {
			return err
		}
		g.Stats.Count++
	}
	g.tell(all[0].verdict, consent.Pass{Verb: string(rules.PassFind), Host: string(r.host)})
	return nil
}

// mayFind asks once about all that the rules ask about.
func (g *Guard) mayFind(ctx context.Context, r *request, all []found) ([]found, error) {
	said := consent.Pass{Verb: string(rules.PassFind), Host: string(r.host), Count: len(all)}
	var allowed []found
	asked := false
	var refused error
	for _, one := range all {
		if one.verdict.Decision == rules.Ask || !g.withinRate(one.verdict) {
			one.verdict.Decision = rules.Ask
			if !asked {
				asked, refused = true, g.consent(ctx, &one.verdict, said)
			}
			if refused != nil {
				continue
			}
		}
		allowed = append(allowed, one)
	}
	if len(allowed) == 0 {
		return nil, refused
	}
	return allowed, nil
}

func (g *Guard) findable(name entryname.Name) (rules.Verdict, bool) {
	v := g.Rules.Judge(rules.PassRequest{Qube: g.Qube, Entry: name, Verb: rules.PassFind})
	return v, v.Decision != rules.Deny && g.Rules.Readable(g.Qube, name)
}

func (g *Guard) findByName(ctx context.Context, r *request, names []entryname.Name) []found {
	var all []found
	for _, name := range names {
		login, match := r.host.Name(name)
		if !match || len(all) == maxFound {
			continue
		}
		verdict, ok := g.findable(name)
		if !ok {
			continue
		}
		if own := g.loginIn(ctx, name); own != "" {
			login = own
		}
		all = append(all, found{name, login, verdict})
	}
	return all
}

func (g *Guard) findByURL(ctx context.Context, r *request, names []entryname.Name) []found {
	var all []found
	lookups := 0
	for _, name := range names {
		verdict, ok := g.findable(name)
		if !ok || len(all) == maxFound || ctx.Err() != nil {
			continue
		}
		if lookups++; lookups > maxLookups {
			g.Log.WithFields(r.fields()).Warn("too many entries to look for the host in: only names, and the url of the first 100, were compared")
			break
		}
		var text secret.Buffer
		// What cannot be decrypted now is not found; nobody is asked for a passphrase for that.
		if err := g.decrypt(ctx, name, false, &text); err == nil {
			if url, err := passentry.Field(text.Bytes(), entryname.URL); err == nil && r.host.URL(url) {
				all = append(all, found{name, g.login(name, text.Bytes()), verdict})
			}
		}
		text.Wipe()
	}
	return all
}

// loginIn returns the login that an entry has in it, if the qube may read that
// without a question.
func (g *Guard) loginIn(ctx context.Context, name entryname.Name) string {
	if !g.mayReadLogin(name) {
		return ""
	}
	var text secret.Buffer
	defer text.Wipe()
	if err := g.decrypt(ctx, name, false, &text); err != nil {
		return ""
	}
	return g.login(name, text.Bytes())
}

func (g *Guard) login(name entryname.Name, text []byte) string {
	value, err := passentry.Field(text, entryname.Login)
	if err != nil || !g.mayReadLogin(name) || !printable(value) {
		return ""
	}
	return string(value)
}

func (g *Guard) mayReadLogin(name entryname.Name) bool {
	v := g.Rules.Judge(rules.PassRequest{Qube: g.Qube, Entry: name, Verb: rules.PassField, Field: entryname.Login})
	return v.Decision == rules.Allow && v.Rate.Count == 0
}

// printable: a tab or a line feed would begin another answer.
func printable(value []byte) bool {
	return utf8.Valid(value) && !bytes.ContainsFunc(value, unicode.IsControl)
}
