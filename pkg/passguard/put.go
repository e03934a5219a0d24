package passguard

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/splitvault/splitvault/pkg/consent"
	"github.com/splitvault/splitvault/pkg/entryname"
	"github.com/splitvault/splitvault/pkg/journal"
	"github.com/splitvault/splitvault/pkg/passcode"
	"github.com/splitvault/splitvault/pkg/passstore"
	"github.com/splitvault/splitvault/pkg/rules"
	"github.com/splitvault/splitvault/pkg/secret"
)

// endTime is how long the end of a client shows after that of its input, where both end
// because it was killed; a client that is done waits for the answer.
const endTime = 600 * time.Millisecond

// put answers insert and generate. An entry that is there is replaced only where
// the rules have the verb replace for it, too.
func (g *Guard) put(ctx context.Context, r *request, answer *secret.Buffer) error {
	verdict, replace, err := g.mayPut(r)
	if err != nil {
		return err
	}
	if r.unsized {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(endTime):
		}
	}
	said := consent.Pass{Verb: string(r.verb), Entry: string(r.name)}
	if replace {
		said.Verb = string(rules.PassReplace)
	}
	if err := g.consent(ctx, &verdict, said); err != nil {
		return err
	}
	text := &r.body
	if r.verb == rules.PassGenerate {
		if err := generate(text, r.length, r.noSymbols); err != nil {
			return fail(passcode.Internal, err)
		}
	}
	message, err := g.encrypt(ctx, r.name, text)
	if err != nil {
		return err
	}
	log := g.Log.WithFields(r.fields())
	// Before it is written: what cannot be recorded is not done.
	if err := g.given(log, verdict, "entry to be written"); err != nil {
		return err
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	switch err := g.Store.Write(r.name, message, replace); {
	case errors.Is(err, passstore.ErrExists):
		return fail(passcode.Refused, err)
	case errors.Is(err, passstore.ErrNoEntry):
		return fail(passcode.Refused, fmt.Errorf("a part of the name is no directory: %w", err))
	case err != nil:
		return fail(passcode.Internal, err)
	}
	g.commit(ctx, r, message)
	g.Stats.Count++
	g.tell(verdict, said)
	if r.verb != rules.PassGenerate {
		return nil
	}
	if _, err := answer.Write(text.Bytes()); err != nil {
		return fail(passcode.Internal, err)
	}
	return nil
}

// mayPut judges a write; replace tells that there is something to be replaced.
func (g *Guard) mayPut(r *request) (v rules.Verdict, replace bool, err error) {
	v = g.Rules.Judge(rules.PassRequest{Qube: g.Qube, Entry: r.name, Verb: r.verb})
	if v.Decision == rules.Deny {
		g.tell(v, consent.Pass{Verb: string(r.verb), Entry: string(r.name)})
		return v, false, fail(passcode.NotFound, errors.New("denied: "+v.Rule))
	}
	if g.Store == nil {
		return v, false, fail(passcode.NotFound, errors.New("there is no password store"))
	}
	replace, err = g.Store.Has(r.name)
	if err != nil {
		return v, false, fail(passcode.Internal, err)
	}
	if !replace {
		return v, false, nil
	}
	over := g.Rules.Judge(rules.PassRequest{Qube: g.Qube, Entry: r.name, Verb: rules.PassReplace})
	if over.Decision == rules.Deny {
		return v, true, fail(passcode.Refused, fmt.Errorf("%w, and replacing it is denied: %s", passstore.ErrExists, over.Rule))
	}
	if over.Decision < v.Decision {
		v = over
	}
	return v, true, nil
}

// encrypt encrypts to whom the store says, as pass does.
func (g *Guard) encrypt(ctx context.Context, name entryname.Name, text *secret.Buffer) ([]byte, error) {
	to, err := g.Store.Recipients(name)
	if err != nil {
		return nil, fail(passcode.Internal, err)
	}
	if len(g.SigningKeys) > 0 {
		by, err := g.Crypt.Verify(ctx, to.Text, to.Signature)
		if err != nil {
			return nil, fail(passcode.Internal, fmt.Errorf("whom to encrypt to, %s: %w", to.Path, err))
		}
		if !slices.ContainsFunc(by, func(fingerprint string) bool { return slices.Contains(g.SigningKeys, fingerprint) }) {
			return nil, fail(passcode.Internal, fmt.Errorf("whom to encrypt to, %s: signed by none of the signing keys", to.Path))
		}
	}
	message, err := g.Crypt.Encrypt(ctx, to.IDs(), text)
	if err != nil {
		return nil, fail(passcode.Internal, err)
	}
	return message, nil
}

// commit: the entry is written and stays, whatever becomes of its history.
func (g *Guard) commit(ctx context.Context, r *request, message []byte) {
	if g.Commit == nil {
		return
	}
	subject := fmt.Sprintf("Add given password for %s to store.", r.name)
	if r.verb == rules.PassGenerate {
		subject = fmt.Sprintf("Add generated password for %s.", r.name)
	}
	subject += fmt.Sprintf("\n\nsplitvault: asked for by the qube %s", g.Qube)
	// The client's end must not leave half a commit.
	if err := g.Commit(context.WithoutCancel(ctx), r.name, message, subject); err != nil {
		g.Log.WithFields(r.fields()).WithField(journal.Err, err).Error("the entry is written, but not committed to the store's repository")
	}
}

const (
	alphanumeric = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
	symbols      = "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~"
)

// generate makes the text of an entry with a new password, each character with the
// same probability.
func generate(into *secret.Buffer, length int, noSymbols bool) error {
	alphabet := alphanumeric + symbols
	if noSymbols {
		alphabet = alphanumeric
	}
	var random secret.Buffer
	defer random.Wipe()
	into.Cut(0)
	for into.Len() < length {
		if err := random.ReadN(rand.Reader, length); err != nil {
			return fmt.Errorf("generating a password: %w", err)
		}
		for _, b := range random.Bytes() {
			// Bytes beyond the last multiple would favour the first characters.
			if int(b) >= 256/len(alphabet)*len(alphabet) || into.Len() == length {
				continue
			}
			if _, err := into.Write([]byte{alphabet[int(b)%len(alphabet)]}); err != nil {
				return err
			}
		}
		random.Cut(0)
	}
	_, err := into.Write([]byte{'\n'})
	return err
}
