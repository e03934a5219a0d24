package consent

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"
)

// version is that of the protocol. After an upgrade an old consentd may still
// be running; the greeting tells.
const version = 1

// ErrProtocol says that the other side did not speak this protocol.
var ErrProtocol = errors.New("not a message of consentd's protocol")

// Hello is the greeting.
type Hello struct {
	V int `json:"v"`
}

// Greeting is what consentd sends first.
func Greeting() Hello { return Hello{V: version} }

// Message is what a client sends: exactly one of its parts.
type Message struct {
	Ask    *Question `json:"ask,omitempty"`
	Show   *struct{} `json:"show,omitempty"`
	Revoke *Which    `json:"revoke,omitempty"`
	Pause  *Pause    `json:"pause,omitempty"`
	Notice *Notice   `json:"notice,omitempty"` // the only one without an answer
}

// Question is a request on the wire, with the guard's own screen.
type Question struct {
	Service  string `json:"service"`
	Qube     string `json:"qube"`
	Subject  []Fact `json:"subject"`
	Lines    []Line `json:"lines"`
	Remember int64  `json:"remember_ms"`
	Named    bool   `json:"named,omitempty"`
	Screen   Screen `json:"screen"`
}

// Request returns the question without the screen.
func (q *Question) Request() Request {
	return Request{
		Service: q.Service, Qube: q.Qube, Subject: q.Subject, Lines: q.Lines,
		Remember: time.Duration(q.Remember) * time.Millisecond, Named: q.Named,
	}
}

// Which names grants: one by its number, those of a qube, or all.
type Which struct {
	ID   int    `json:"id,omitempty"`
	Qube string `json:"qube,omitempty"`
	All  bool   `json:"all,omitempty"`
}

// Pause pauses a qube, or all if none is named, or ends that.
type Pause struct {
	Qube    string `json:"qube,omitempty"`
	Minutes int64  `json:"minutes,omitempty"` // 0: until it is ended
	End     bool   `json:"end,omitempty"`
}

// Reply is what consentd sends.
type Reply struct {
	Allow  bool   `json:"allow,omitempty"`
	Reason Reason `json:"reason,omitempty"`
	Until  int64  `json:"until,omitempty"` // seconds since 1970
	State  *State `json:"state,omitempty"`
	Count  int    `json:"count,omitempty"` // of grants or holds that ended
	Err    string `json:"err,omitempty"`
}

// State is what `splitvault grants` shows.
type State struct {
	Grants []Grant `json:"grants"`
	Holds  []Hold  `json:"holds"`
}

// Grant is a lasting allow.
type Grant struct {
	ID      int       `json:"id"`
	Qube    string    `json:"qube"`
	Service string    `json:"service"`
	Subject []Fact    `json:"subject"`
	Granted time.Time `json:"granted"` // UTC, whole seconds
	Until   time.Time `json:"until"`
	Uses    int       `json:"uses"` // without a prompt
}

// Reply is an answer on the wire.
func (a Answer) Reply() Reply {
	r := Reply{Allow: a.Allowed(), Reason: a.Reason}
	if !a.Until.IsZero() {
		r.Until = a.Until.Unix()
	}
	return r
}

// answer is the only way from bytes to an Answer that allows.
func (r Reply) answer() (Answer, error) {
	if !slices.Contains(reasons(), r.Reason) || r.State != nil || r.Err != "" || r.Count != 0 {
		return Answer{}, fmt.Errorf("%w: an answer without a known reason", ErrProtocol)
	}
	a := Answer{Reason: r.Reason}
	if a.Allowed() != r.Allow {
		return Answer{}, fmt.Errorf("%w: an answer that contradicts itself", ErrProtocol)
	}
	if r.Until != 0 {
		a.Until = time.Unix(r.Until, 0)
	}
	return a, nil
}

// ParseMessage reads a client's line, without its line feed.
func ParseMessage(untrusted []byte) (Message, error) {
	m, err := decode[Message](untrusted)
	if err != nil {
		return Message{}, err
	}
	parts := 0
	for _, there := range []bool{m.Ask != nil, m.Show != nil, m.Revoke != nil, m.Pause != nil, m.Notice != nil} {
		if there {
			parts++
		}
	}
	if parts != 1 {
		return Message{}, fmt.Errorf("%w: %d messages in one", ErrProtocol, parts)
	}
	return m, m.check()
}

func (m Message) check() error {
	switch {
	case m.Ask != nil:
		if m.Ask.Remember < 0 || m.Ask.Remember > MaxGrant.Milliseconds() {
			return fmt.Errorf("%w: a grant of %d ms", ErrRequest, m.Ask.Remember)
		}
		r := m.Ask.Request()
		return errors.Join(r.Check(), m.Ask.Screen.check())
	case m.Revoke != nil:
		return checkTexts([]string{m.Revoke.Qube})
	case m.Pause != nil:
		if m.Pause.Minutes < 0 || m.Pause.Minutes > int64(MaxPause/time.Minute) {
			return fmt.Errorf("%w: a pause of %d minutes", ErrProtocol, m.Pause.Minutes)
		}
		return checkTexts([]string{m.Pause.Qube})
	case m.Notice != nil:
		return m.Notice.Check()
	}
	return nil
}

// MaxPause is the longest pause that ends by itself.
const MaxPause = 366 * 24 * time.Hour

// decode reads one line strictly: what this package would write, or nothing.
// That rules out unknown and double keys, other spellings and trailing bytes.
func decode[T any](untrusted []byte) (T, error) {
	var v, none T
	d := json.NewDecoder(bytes.NewReader(untrusted))
	d.DisallowUnknownFields()
	if err := d.Decode(&v); err != nil {
		return none, fmt.Errorf("%w: %w", ErrProtocol, err)
	}
	again, err := json.Marshal(v)
	if err != nil {
		return none, fmt.Errorf("%w: %w", ErrProtocol, err)
	}
	if !bytes.Equal(again, untrusted) {
		return none, fmt.Errorf("%w: not its one spelling", ErrProtocol)
	}
	return v, nil
}

// Encode returns a message as a line, with its line feed, of at most limit bytes.
func Encode(v any, limit int) ([]byte, error) {
	line, err := json.Marshal(v)
	if err != nil {
		return nil, fmt.Errorf("writing a message: %w", err)
	}
	if len(line) >= limit {
		return nil, fmt.Errorf("writing a message: %d bytes, at most %d", len(line), limit-1)
	}
	return append(line, '\n'), nil
}

// ReadLine returns the next line without its line feed, valid until the next
// call. A line that the reader cannot hold is an error.
func ReadLine(r *bufio.Reader) ([]byte, error) {
	untrusted, err := r.ReadSlice('\n')
	if err != nil {
		return nil, err
	}
	return untrusted[:len(untrusted)-1], nil
}
