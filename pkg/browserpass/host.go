package browserpass

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path"
	"slices"
	"strings"

	"github.com/splitvault/splitvault/pkg/entryname"
	"github.com/splitvault/splitvault/pkg/secret"
	"github.com/splitvault/splitvault/pkg/strictjson"
)

// version is that of the host whose protocol this is, as the extension computes
// with it: 3.1.2. From 3.1.0 on it offers no update.
const version = 3*1_000_000 + 1*1_000 + 2

const (
	defaultStore = "default"
	suffix       = ".gpg"
)

// Codes of errors (browserpass-native, errors/errors.go).
const (
	codeLength    = 10
	codeRequest   = 11
	codeAction    = 12
	codeList      = 18
	codeExtension = 23
	codeDecrypt   = 24
	codeTree      = 25
	codeEncrypt   = 29
	codeDelete    = 30
)

// Vault is where entries come from.
type Vault interface {
	// Names returns the names of the entries that this qube may have, in order.
	Names(ctx context.Context) ([]string, error)
	// Field returns the value of a field, and no error and nil where the entry has
	// no such field, or none that this qube may have.
	Field(ctx context.Context, name entryname.Name, field entryname.Field) (*secret.Buffer, error)
	// Insert makes a new entry.
	Insert(ctx context.Context, name entryname.Name, content []byte) error
}

// fault is an error of the protocol.
type fault struct {
	code int
	text string
}

func (f *fault) Error() string { return f.text }

// Serve answers the one request that a browser starts a host for, and returns the
// code of the error in the answer, which is the host's exit code. An error is the
// browser's connection's.
func Serve(ctx context.Context, vault Vault, r io.Reader, w io.Writer) (code int, err error) {
	untrusted, err := readFrame(r)
	if err != nil {
		at := codeRequest
		if errors.Is(err, errLength) {
			at = codeLength
		}
		return answer(w, nil, "", &fault{at, err.Error()})
	}
	defer clear(untrusted)
	request, err := strictjson.Parse(untrusted)
	if err != nil {
		return answer(w, nil, "", &fault{codeRequest, err.Error()})
	}
	action := text(request, "action")
	if action == "echo" { // the only reply without an envelope
		value, _ := request.Get("echoResponse")
		if value.Kind() == 0 {
			return 0, writeFrame(w, []byte("null"))
		}
		return 0, writeFrame(w, value.Append(nil))
	}
	s := serving{vault: vault, request: request}
	data, err := s.serve(ctx, action)
	return answer(w, data, action, err)
}

// text returns a text of the request, "" if there is none.
func text(request strictjson.Value, key string) string {
	value, _ := request.Get(key)
	if value.Kind() != strictjson.String {
		return ""
	}
	return value.Text()
}

// answer writes the envelope.
func answer(w io.Writer, data any, action string, err error) (int, error) {
	envelope := map[string]any{"status": "ok", "version": version}
	code := 0
	if err != nil {
		f, ok := errors.AsType[*fault](err)
		if !ok {
			return 0, err
		}
		code = f.code
		envelope = map[string]any{
			"status": "error", "version": version, "code": code,
			"params": map[string]string{"message": f.text, "action": action},
		}
	} else if data != nil {
		envelope["data"] = data
	}
	message, err := json.Marshal(envelope)
	defer clear(message)
	if err != nil {
		return 0, err
	}
	if len(message) > maxReply {
		return answer(w, nil, action, &fault{codeDecrypt, "the answer is larger than browsers take (1 MB)"})
	}
	return code, writeFrame(w, message)
}

// serving is one request being served.
type serving struct {
	vault   Vault
	request strictjson.Value
}

func (s *serving) serve(ctx context.Context, action string) (any, error) {
	switch action {
	case "configure":
		return map[string]any{
			"defaultStore":  map[string]string{"path": "the vault of splitvault", "settings": "{}"},
			"storeSettings": map[string]string{},
		}, nil
	case "list":
		names, err := s.vault.Names(ctx)
		if err != nil {
			return nil, &fault{codeList, err.Error()}
		}
		files := make([]string, len(names))
		for i, name := range names {
			files[i] = name + suffix
		}
		return map[string]any{"files": map[string][]string{s.store(): files}}, nil
	case "tree":
		names, err := s.vault.Names(ctx)
		if err != nil {
			return nil, &fault{codeTree, err.Error()}
		}
		return map[string]any{"directories": map[string][]string{s.store(): directories(names)}}, nil
	case "fetch":
		return s.fetch(ctx)
	case "save":
		return nil, s.save(ctx)
	case "delete":
		return nil, &fault{codeDelete, "the vault's entries are removed in the vault, not from this qube"}
	default:
		return nil, &fault{codeAction, fmt.Sprintf("unknown action %.20q", action)}
	}
}

// store is the id under which the extension expects our entries: the one store it
// has, or the first of those that its user has set up.
func (s *serving) store() string {
	settings, _ := s.request.Get("settings")
	stores, _ := settings.Get("stores")
	ids := slices.Sorted(slices.Values(stores.Keys()))
	if len(ids) == 0 || slices.Contains(ids, defaultStore) {
		return defaultStore
	}
	return ids[0]
}

func directories(names []string) []string {
	seen := make(map[string]bool)
	list := []string{}
	for _, name := range names {
		for dir := path.Dir(name); dir != "." && !seen[dir]; dir = path.Dir(dir) {
			seen[dir] = true
			list = append(list, dir)
		}
	}
	slices.Sort(list)
	return list
}

// name is the entry that a request names by its file.
func (s *serving) name() (entryname.Name, error) {
	file, found := strings.CutSuffix(text(s.request, "file"), suffix)
	if !found {
		return "", &fault{codeExtension, "the file has no " + suffix + " at its end"}
	}
	name, err := entryname.Parse(file)
	if err != nil {
		return "", &fault{codeExtension, err.Error()}
	}
	return name, nil
}

// save makes new entries only: what the extension has of an old one are parts.
func (s *serving) save(ctx context.Context) error {
	name, err := s.name()
	if err != nil {
		return err
	}
	names, err := s.vault.Names(ctx)
	if err != nil {
		return &fault{codeEncrypt, err.Error()}
	}
	if slices.Contains(names, string(name)) {
		return &fault{codeEncrypt, "an entry that is there is changed in the vault, not from this qube"}
	}
	if err := s.vault.Insert(ctx, name, []byte(text(s.request, "contents"))); err != nil {
		return &fault{codeEncrypt, err.Error()}
	}
	return nil
}
