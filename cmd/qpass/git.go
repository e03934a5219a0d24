package main

import (
	"context"
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/splitvault/splitvault/pkg/entryname"
	"github.com/splitvault/splitvault/pkg/gitcredential"
	"github.com/splitvault/splitvault/pkg/passclient"
	"github.com/splitvault/splitvault/pkg/passcode"
	"github.com/splitvault/splitvault/pkg/passproto"
	"github.com/splitvault/splitvault/pkg/passtree"
	"github.com/splitvault/splitvault/pkg/secret"
	"github.com/splitvault/splitvault/pkg/version"
)

const gitName = "git-credential-qpass"

const gitUsage = `usage: git-credential-qpass [--store] [--http] get|store|erase

Git starts it: git config --global credential.helper qpass
  --store  lets git put new logins into the vault (as HOST/USER), where that may be
  --http   gives passwords to http:// servers of other machines, in the clear
See git-credential-qpass(1).
`

// gitCredential is the helper: [--store] [--http] OPERATION.
func (a *app) gitCredential(ctx context.Context, args []string) int {
	store, unencrypted := false, false
	for len(args) > 0 && strings.HasPrefix(args[0], "-") {
		switch args[0] {
		case "--store":
			store = true
		case "--http":
			unencrypted = true
		case "-h", "--help":
			fmt.Fprint(a.stdout, gitUsage)
			return 0
		case "--version":
			fmt.Fprintln(a.stdout, gitName, version.String())
			return 0
		default:
			fmt.Fprintf(a.stderr, "%s: unknown option %q\n%s", gitName, args[0], gitUsage)
			return exitUsage
		}
		args = args[1:]
	}
	if len(args) != 1 {
		fmt.Fprint(a.stderr, gitUsage)
		return exitUsage
	}
	// The vault's entries are not a server's to remove, so erase does nothing; what
	// later versions of git ask for is to be ignored.
	if args[0] != "get" && (args[0] != "store" || !store) {
		return 0
	}
	request, err := gitcredential.Read(a.stdin)
	if err == nil && request.Host != "" {
		if args[0] == "get" {
			err = a.gitGet(ctx, request, unencrypted)
		} else {
			err = a.gitStore(ctx, request)
		}
	}
	if isNotFound(err) {
		return 0 // git asks the next helper, or the person
	}
	return a.exit(gitName, err)
}

func isNotFound(err error) bool {
	no, ok := errors.AsType[*passproto.Error](err)
	return ok && no.Code == passcode.NotFound
}

func (a *app) gitGet(ctx context.Context, r gitcredential.Request, unencrypted bool) error {
	if !unencrypted && !gitcredential.Safe(r.Protocol, r.Host) {
		return failed{fmt.Errorf("no password for %s over %s, which is not encrypted (git-credential-qpass --http does it all the same)",
			passtree.Escape(r.Host), passtree.Escape(r.Protocol))}
	}
	entry, err := a.forLogin(ctx, r.Host, r.Username)
	if err != nil {
		return err
	}
	password, err := a.vault.Field(ctx, entry.Name, entryname.Password)
	if err != nil {
		return err
	}
	defer password.Wipe()
	login := entry.Login
	if login == "" {
		login = r.Username
	}
	return gitcredential.Write(a.stdout, login, password.Bytes())
}

// forLogin finds the entry for a host, and for a user if there is one.
func (a *app) forLogin(ctx context.Context, host, user string) (passclient.Found, error) {
	found, err := a.vault.Find(ctx, host)
	if err != nil {
		return passclient.Found{}, err
	}
	if user != "" {
		found = slices.DeleteFunc(found, func(f passclient.Found) bool {
			return f.Login != user && (f.Login != "" || path.Base(string(f.Name)) != user)
		})
	}
	if len(found) == 0 {
		return passclient.Found{}, &passproto.Error{Code: passcode.NotFound, Text: passcode.NotFound.Text()}
	}
	if len(found) > 1 {
		fmt.Fprintf(a.stderr, "%s: %d logins for %s, taking %s (credential.username, or USER@ in the URL, chooses)\n",
			gitName, len(found), passtree.Escape(host), passtree.Escape(string(found[0].Name)))
	}
	return found[0], nil
}

// gitStore makes an entry for a login that the vault has not got. Git says store
// after each success, with what it has from us, too.
func (a *app) gitStore(ctx context.Context, r gitcredential.Request) error {
	if r.Username == "" || len(r.Password) == 0 {
		return nil
	}
	if _, err := a.forLogin(ctx, r.Host, r.Username); !isNotFound(err) {
		return err
	}
	name, err := entryname.Parse(r.Host + "/" + r.Username)
	if err != nil {
		return failed{err}
	}
	var entry secret.Buffer
	defer entry.Wipe()
	after := fmt.Sprintf("\nlogin: %s\nurl: %s://%s\n", r.Username, r.Protocol, r.Host)
	_, err = entry.Write(r.Password)
	clear(r.Password)
	_, afterErr := entry.Write([]byte(after))
	if err := errors.Join(err, afterErr); err != nil {
		return failed{err}
	}
	answer, err := a.vault.Ask(ctx, passproto.Request{Verb: passproto.Insert, Name: name}, entry.Bytes())
	if err == nil {
		answer.Wipe()
	}
	return err
}
