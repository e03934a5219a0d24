package passproto

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/splitvault/splitvault/pkg/entryname"
)

const (
	// MaxLine bounds a request's line, in bytes, the LF included.
	MaxLine = 4096
	// MaxBody bounds a reply and an inserted entry, in bytes.
	MaxBody = 1 << 20
	// Version is the protocol's, for HELLO.
	Version = "1"

	maxHost = 259 // a DNS name of 253 bytes, ":" and a port
	// MinLength and MaxLength bound the password that GENERATE makes, in
	// characters; pass's own default is 25.
	MinLength = 8
	MaxLength = 1024
)

// ErrRequest says that a line is no request, or not its one spelling.
var ErrRequest = errors.New("not a request")

// Verb is what a request asks for.
type Verb string

// The verbs there are.
const (
	Hello    Verb = "HELLO"
	Ping     Verb = "PING"
	List     Verb = "LIST"
	Get      Verb = "GET"
	Field    Verb = "FIELD"
	Find     Verb = "FIND"
	Insert   Verb = "INSERT"
	Generate Verb = "GENERATE"
)

// Request is one request. Which fields count is the verb's business.
type Request struct {
	Verb      Verb
	Scope     entryname.Scope // LIST; "" is the whole store
	Name      entryname.Name  // GET, FIELD, INSERT, GENERATE
	Field     entryname.Field // FIELD
	Host      string          // FIND: "example.com" or "example.com:8443"
	Size      int             // INSERT: the bytes that follow the line
	Length    int             // GENERATE: characters; 0 leaves it to the vault
	NoSymbols bool            // GENERATE: letters and digits only
}

// ParseRequest reads a line, without its LF.
func ParseRequest(untrusted string) (Request, error) {
	if len(untrusted) >= MaxLine {
		return Request{}, fmt.Errorf("a line of %d bytes: %w", len(untrusted), ErrRequest)
	}
	words := strings.Split(untrusted, " ")
	r := Request{Verb: Verb(words[0])}
	parse, known := parsers[r.Verb]
	if !known {
		// Not with the line: after a wrong INSERT it may be a password's, and
		// errors are logged.
		return Request{}, fmt.Errorf("no such verb: %w", ErrRequest)
	}
	args := words[1:]
	if len(args) < parse.min || len(args) > parse.max {
		return Request{}, fmt.Errorf("%s with %d arguments: %w", r.Verb, len(args), ErrRequest)
	}
	for i, word := range args {
		decoded, err := unescape(word)
		if err != nil {
			return Request{}, fmt.Errorf("argument %d of %s: %w", i+1, r.Verb, err)
		}
		args[i] = decoded
	}
	if err := parse.args(&r, args); err != nil {
		return Request{}, fmt.Errorf("%s: %w", r.Verb, err)
	}
	return r, nil
}

// parser is how the arguments of a verb are read.
type parser struct {
	min, max int
	args     func(r *Request, untrusted []string) error
}

var parsers = map[Verb]parser{
	Hello:    {1, 1, (*Request).parseHello},
	Ping:     {0, 0, func(*Request, []string) error { return nil }},
	List:     {0, 1, (*Request).parseScope},
	Get:      {1, 1, (*Request).parseName},
	Field:    {2, 2, (*Request).parseField},
	Find:     {1, 1, (*Request).parseFind},
	Insert:   {2, 2, (*Request).parseInsert},
	Generate: {1, 3, (*Request).parseGenerate},
}

func (*Request) parseHello(untrusted []string) error {
	if untrusted[0] != Version {
		return fmt.Errorf("version %.10q, want %s: %w", untrusted[0], Version, ErrRequest)
	}
	return nil
}

func (r *Request) parseScope(untrusted []string) (err error) {
	if len(untrusted) == 1 {
		r.Scope, err = entryname.ParseScope(untrusted[0])
	}
	return err
}

func (r *Request) parseName(untrusted []string) (err error) {
	r.Name, err = entryname.Parse(untrusted[0])
	return err
}

func (r *Request) parseField(untrusted []string) (err error) {
	if err := r.parseName(untrusted); err != nil {
		return err
	}
	r.Field, err = entryname.ParseField(untrusted[1])
	return err
}

func (r *Request) parseFind(untrusted []string) (err error) {
	r.Host, err = ParseHost(untrusted[0])
	return err
}

func (r *Request) parseInsert(untrusted []string) error {
	// The size first: it alone says where the next request begins.
	size, err := number(untrusted[1], 0, MaxBody)
	if err != nil {
		return fmt.Errorf("size: %w", err)
	}
	r.Size = size
	return r.parseName(untrusted)
}

func (r *Request) parseGenerate(untrusted []string) (err error) {
	options := untrusted[1:]
	if len(options) > 0 {
		if digits, found := strings.CutPrefix(options[0], "len="); found {
			if r.Length, err = number(digits, MinLength, MaxLength); err != nil {
				return fmt.Errorf("len: %w", err)
			}
			options = options[1:]
		}
	}
	if len(options) > 0 && options[0] == "nosym" {
		r.NoSymbols = true
		options = options[1:]
	}
	if len(options) > 0 {
		return fmt.Errorf("no such option (len=N, then nosym): %w", ErrRequest)
	}
	return r.parseName(untrusted)
}

// ParseHost checks a host with or without port, in lower case. What hosts there
// are is the vault's to know.
func ParseHost(untrusted string) (string, error) {
	if len(untrusted) == 0 || len(untrusted) > maxHost {
		return "", fmt.Errorf("host of %d bytes: %w", len(untrusted), ErrRequest)
	}
	for i := range len(untrusted) {
		switch c := untrusted[i]; {
		case 'a' <= c && c <= 'z', '0' <= c && c <= '9', c == '.', c == '-', c == '_', c == ':', c == '[', c == ']':
		default:
			return "", fmt.Errorf("host %.40q: %w", untrusted, ErrRequest)
		}
	}
	return untrusted, nil
}

// number reads a decimal number in its one spelling. Its error does not have the
// text, which may be a password in the place of its size.
func number(untrusted string, low, high int) (int, error) {
	n, err := strconv.Atoi(untrusted)
	if err != nil || strconv.Itoa(n) != untrusted || n < low || n > high {
		return 0, fmt.Errorf("no number from %d to %d: %w", low, high, ErrRequest)
	}
	return n, nil
}

// String is the request's line, without LF. It is what [ParseRequest] read.
func (r Request) String() string {
	words := []string{string(r.Verb)}
	switch r.Verb {
	case Hello:
		words = append(words, Version)
	case List:
		if r.Scope != "" {
			words = append(words, escape(string(r.Scope)))
		}
	case Get:
		words = append(words, escape(string(r.Name)))
	case Field:
		words = append(words, escape(string(r.Name)), escape(string(r.Field)))
	case Find:
		words = append(words, escape(r.Host))
	case Insert:
		words = append(words, escape(string(r.Name)), strconv.Itoa(r.Size))
	case Generate:
		words = append(words, escape(string(r.Name)))
		if r.Length > 0 {
			words = append(words, "len="+strconv.Itoa(r.Length))
		}
		if r.NoSymbols {
			words = append(words, "nosym")
		}
	}
	return strings.Join(words, " ")
}
