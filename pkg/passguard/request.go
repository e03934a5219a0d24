package passguard

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/splitvault/splitvault/pkg/entryname"
	"github.com/splitvault/splitvault/pkg/loginhost"
	"github.com/splitvault/splitvault/pkg/passcode"
	"github.com/splitvault/splitvault/pkg/passproto"
	"github.com/splitvault/splitvault/pkg/rules"
	"github.com/splitvault/splitvault/pkg/secret"
)

const (
	maxLine  = 4096 // bytes of a line on standard input
	lineTime = 10 * time.Second
	bodyTime = 60 * time.Second
	// defaultLength is that of pass (PASSWORD_STORE_GENERATED_LENGTH).
	defaultLength = 25
)

// The services.
const (
	ServiceList     = "pass.ListPasswords"
	ServiceGet      = "pass.GetPassword"
	ServiceField    = "pass.GetField"
	ServiceFind     = "pass.FindLogin"
	ServiceInsert   = "pass.InsertPassword"
	ServiceGenerate = "pass.GeneratePassword"
)

// Input is what the client sends. A read must end at its deadline.
type Input interface {
	io.Reader
	SetReadDeadline(t time.Time) error
}

// request is what is asked for.
type request struct {
	verb      rules.PassVerb
	name      entryname.Name
	field     entryname.Field
	scope     entryname.Scope
	host      loginhost.Host
	body      secret.Buffer // of insert
	unsized   bool          // body may be the first half of what was meant
	length    int           // of generate
	noSymbols bool
}

// read reads a request. Its errors are [*Failure].
func read(service, untrustedArgument string, in Input) (*request, error) {
	lines := &lines{in: in}
	defer lines.rest.Wipe()
	r := &request{}
	var err error
	switch service {
	case ServiceFind:
		return r, r.readFind(untrustedArgument, lines)
	case ServiceList, ServiceGet, ServiceField, ServiceInsert, ServiceGenerate:
	default:
		return r, fail(passcode.BadRequest, fmt.Errorf("no service %.80q", service))
	}
	argument, err := entryname.ParseArgument(untrustedArgument)
	if err != nil {
		return r, noName(err)
	}
	r.name, r.field, r.scope = argument.Name, argument.Field, argument.Scope
	if r.field != "" && service != ServiceField || r.name != "" && service == ServiceList {
		return r, fail(passcode.BadRequest, fmt.Errorf("an argument of another service: %.80q", untrustedArgument))
	}
	switch service {
	case ServiceList:
		r.verb = rules.PassList
		return r, nil // standard input may be a terminal that never ends
	case ServiceGet:
		r.verb = rules.PassShow
		return r, r.readName(lines)
	case ServiceField:
		return r, r.readField(lines)
	case ServiceInsert:
		r.verb = rules.PassInsert
		return r, r.readInsert(lines)
	default:
		r.verb = rules.PassGenerate
		return r, r.readGenerate(lines)
	}
}

// noName tells what is wrong with a name: one that cannot be is not there, as far
// as the client learns.
func noName(err error) error {
	if errors.Is(err, entryname.ErrName) {
		return fail(passcode.NotFound, err)
	}
	return fail(passcode.BadRequest, err)
}

// readName takes the name from standard input where the argument has none.
func (r *request) readName(lines *lines) error {
	if r.name != "" {
		return nil
	}
	untrusted, err := lines.next()
	if err != nil {
		return err
	}
	if r.name, err = entryname.Parse(untrusted); err != nil {
		return noName(err)
	}
	if !r.scope.Has(r.name) {
		return fail(passcode.NotFound, fmt.Errorf("%q is not in the scope %q of the call", r.name, r.scope))
	}
	return nil
}

func (r *request) readField(lines *lines) error {
	if r.name != "" && r.field == "" {
		return fail(passcode.BadRequest, errors.New("the argument names an entry and no field"))
	}
	fromInput := r.name == ""
	if err := r.readName(lines); err != nil {
		return err
	}
	if fromInput {
		untrusted, err := lines.next()
		if err != nil {
			return err
		}
		if r.field, err = entryname.ParseField(untrusted); err != nil {
			return fail(passcode.BadRequest, err)
		}
	}
	r.verb = rules.PassField
	if r.field == entryname.OTP {
		r.verb = rules.PassOTP
	}
	return nil
}

func (r *request) readFind(untrustedArgument string, lines *lines) (err error) {
	r.verb = rules.PassFind
	untrusted, err := entryname.Decode(untrustedArgument)
	if err == nil && untrusted == "" {
		if untrusted, err = lines.next(); err != nil {
			return err
		}
	}
	if err == nil {
		r.host, err = loginhost.Parse(untrusted)
	}
	if err != nil {
		return fail(passcode.BadRequest, err)
	}
	return nil
}

func (r *request) readInsert(lines *lines) error {
	if err := r.readName(lines); err != nil {
		return err
	}
	if err := lines.body(&r.body, passproto.MaxInsertHeader+passproto.MaxBody); err != nil {
		return err
	}
	begin, err := passproto.InsertBody(r.body.Bytes())
	if err != nil {
		return fail(passcode.BadRequest, err)
	}
	r.unsized = begin == 0
	r.body.Drop(begin)
	switch {
	case r.body.Len() == 0:
		return fail(passcode.BadRequest, errors.New("nothing to insert"))
	case r.body.Len() > passproto.MaxBody:
		return fail(passcode.TooLarge, secret.ErrTooLarge)
	}
	return nil
}

// readGenerate reads options, each on a line: "len=N" and "nosym". Without any the
// client may send nothing, and need not end its input where the name is in the argument.
func (r *request) readGenerate(lines *lines) error {
	if err := r.readName(lines); err != nil {
		return err
	}
	r.length = defaultLength
	var body secret.Buffer
	defer body.Wipe()
	if err := lines.body(&body, passproto.MaxBody); err != nil {
		return err
	}
	if body.Len() > maxLine {
		return fail(passcode.BadRequest, errors.New("too many options"))
	}
	for untrusted := range strings.Lines(string(body.Bytes())) {
		option := strings.TrimSuffix(untrusted, "\n")
		digits, isLength := strings.CutPrefix(option, "len=")
		if isLength && option == untrusted {
			return fail(passcode.BadRequest, errors.New("a length without the end of its line, which may be the first digit of a longer one"))
		}
		switch {
		case option == "":
		case option == "nosym":
			r.noSymbols = true
		case isLength:
			n, err := strconv.Atoi(digits)
			if err != nil || n < passproto.MinLength || n > passproto.MaxLength || strconv.Itoa(n) != digits {
				return fail(passcode.BadRequest, fmt.Errorf("length %.20q: %d to %d", digits, passproto.MinLength, passproto.MaxLength))
			}
			r.length = n
		default:
			return fail(passcode.BadRequest, fmt.Errorf("option %.40q: len=N or nosym", option))
		}
	}
	return nil
}

// lines reads standard input.
type lines struct {
	in   Input
	rest secret.Buffer // read and not used
	end  bool
}

// next returns the next line without its end, which may be the input's.
func (l *lines) next() (string, error) {
	if err := l.in.SetReadDeadline(time.Now().Add(lineTime)); err != nil {
		return "", fail(passcode.Internal, fmt.Errorf("reading the request: %w", err))
	}
	for {
		if i := bytes.IndexByte(l.rest.Bytes(), '\n'); i >= 0 && i <= maxLine {
			line := string(l.rest.Bytes()[:i])
			l.rest.Drop(i + 1)
			return line, nil
		}
		if l.rest.Len() > maxLine {
			return "", fail(passcode.BadRequest, errors.New("a line that is too long"))
		}
		if l.end {
			line := string(l.rest.Bytes())
			l.rest.Cut(0)
			return line, nil
		}
		switch err := l.rest.ReadOnce(l.in, maxLine); {
		case errors.Is(err, io.EOF):
			l.end = true
		case err != nil:
			return "", fail(passcode.BadRequest, fmt.Errorf("reading the request: %w", err))
		}
	}
}

// body reads what is left of the input, at most limit bytes.
func (l *lines) body(into *secret.Buffer, limit int) error {
	if err := l.in.SetReadDeadline(time.Now().Add(bodyTime)); err != nil {
		return fail(passcode.Internal, fmt.Errorf("reading the request: %w", err))
	}
	if _, err := into.Write(l.rest.Bytes()); err != nil {
		return fail(passcode.Internal, err)
	}
	l.rest.Cut(0)
	if l.end {
		return nil
	}
	err := into.ReadAll(l.in, limit)
	switch {
	case errors.Is(err, secret.ErrTooLarge):
		return fail(passcode.TooLarge, err)
	case err != nil:
		return fail(passcode.BadRequest, fmt.Errorf("reading the request: %w", err))
	}
	return nil
}
