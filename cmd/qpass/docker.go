package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"path"
	"strings"

	"github.com/splitvault/splitvault/pkg/dockercredential"
	"github.com/splitvault/splitvault/pkg/entryname"
	"github.com/splitvault/splitvault/pkg/passclient"
	"github.com/splitvault/splitvault/pkg/passproto"
	"github.com/splitvault/splitvault/pkg/secret"
	"github.com/splitvault/splitvault/pkg/version"
)

const dockerName = "docker-credential-qpass"

const dockerUsage = `usage: docker-credential-qpass get|store|erase|list|version

Docker starts it: {"credsStore": "qpass"} in ~/.docker/config.json.
See docker-credential-qpass(1).
`

// errErase is for docker logout. (Version 26 does not show it: it warns only where as
// many attempts failed as it counts, and it makes one more.)
var errErase = errors.New("the vault's entries are removed in the vault, not from this qube")

// errLines says that a secret cannot be told back whole.
var errLines = errors.New("the secret has more than one line, of which the vault would give back the first")

// dockerCredential is the helper. Docker reads errors on standard output.
func (a *app) dockerCredential(ctx context.Context, args []string) int {
	if len(args) != 1 {
		fmt.Fprint(a.stdout, dockerUsage)
		return 1
	}
	var err error
	switch args[0] {
	case "get":
		err = a.dockerGet(ctx)
	case "store":
		err = a.dockerStore(ctx)
	case "erase":
		if _, err = dockercredential.ReadServer(a.stdin); err == nil {
			err = errErase
		}
	case "list":
		err = a.dockerList(ctx)
	case "-h", "--help":
		fmt.Fprint(a.stdout, dockerUsage)
	case "version", "--version":
		fmt.Fprintln(a.stdout, dockerName, version.String())
	default:
		err = fmt.Errorf("unknown verb %q", args[0])
	}
	if isNotFound(err) {
		err = dockercredential.ErrNotFound
	}
	if err != nil {
		fmt.Fprintln(a.stdout, err)
		return 1
	}
	return 0
}

func (a *app) dockerGet(ctx context.Context) error {
	server, err := dockercredential.ReadServer(a.stdin)
	if err != nil {
		return err
	}
	entry, err := a.dockerEntry(ctx, server)
	if err != nil {
		return err
	}
	var password *secret.Buffer
	if _, _, docker := dockercredential.ServerOf(string(entry.Name)); docker && entry.Login == dockercredential.WholeFile {
		password, err = a.vault.Ask(ctx, passproto.Request{Verb: passproto.Get, Name: entry.Name}, nil)
	} else {
		password, err = a.vault.Field(ctx, entry.Name, entryname.Password)
	}
	if err != nil {
		return err
	}
	defer password.Wipe()
	return dockercredential.Write(a.stdout, dockercredential.Credentials{
		ServerURL: server, Username: entry.Login,
		Secret: string(bytes.TrimRight(password.Bytes(), "\r\n")),
	})
}

// dockerEntry finds a server's entry by its host, else where docker's own helper for
// pass would have put it.
func (a *app) dockerEntry(ctx context.Context, server string) (passclient.Found, error) {
	if host, ok := dockercredential.Host(server); ok {
		found, err := a.vault.Find(ctx, host)
		if err == nil && len(found) > 0 {
			if found[0].Login == "" {
				found[0].Login = path.Base(string(found[0].Name))
			}
			return found[0], nil
		}
		if err != nil && !isNotFound(err) {
			return passclient.Found{}, err
		}
	}
	scope, err := entryname.ParseScope(dockercredential.Directory(server))
	if err != nil {
		return passclient.Found{}, dockercredential.ErrNotFound
	}
	names, _, err := a.vault.Names(ctx, scope)
	if err != nil {
		return passclient.Found{}, err
	}
	if len(names) == 0 {
		return passclient.Found{}, dockercredential.ErrNotFound
	}
	_, user, _ := dockercredential.ServerOf(names[0])
	return passclient.Found{Name: entryname.Name(names[0]), Login: user}, nil
}

// dockerStore makes an entry where docker's own helper for pass would.
func (a *app) dockerStore(ctx context.Context) error {
	c, err := dockercredential.ReadCredentials(a.stdin)
	if err != nil {
		return err
	}
	if c.Username != dockercredential.WholeFile && strings.Contains(strings.TrimRight(c.Secret, "\r\n"), "\n") {
		return errLines
	}
	name, err := entryname.Parse(dockercredential.Directory(c.ServerURL) + c.Username)
	if err != nil {
		return err
	}
	answer, err := a.vault.Ask(ctx, passproto.Request{Verb: passproto.Insert, Name: name}, []byte(c.Secret))
	if err != nil {
		return fmt.Errorf("no new entry in the vault (one that is there is changed there): %w", err)
	}
	answer.Wipe()
	return nil
}

// dockerList answers what this qube may have of docker's own entries; a vault that
// lists none has none, as far as docker is told.
func (a *app) dockerList(ctx context.Context) error {
	list := make(map[string]string)
	names, _, err := a.vault.Names(ctx, dockercredential.Scope)
	if _, isNo := errors.AsType[*passproto.Error](err); err != nil && !isNo {
		return err
	}
	for _, name := range names {
		if server, user, ok := dockercredential.ServerOf(name); ok {
			if _, twice := list[server]; !twice {
				list[server] = user
			}
		}
	}
	return dockercredential.Write(a.stdout, list)
}
