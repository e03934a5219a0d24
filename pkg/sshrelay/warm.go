package sshrelay

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net"
	"os"
	"time"

	"github.com/splitvault/splitvault/pkg/peer"
)

// A warm line is a call that outlives its client: the relay that placed it keeps
// it for a while, and the relays of the user's next clients send their messages
// through that relay. Between any two clients the guard is made to forget the
// first (reset@splitvault); a vault whose guard cannot do that has no warm lines.
//
// They meet at a socket in a directory of the user's own, one for each kept call,
// and both look at the other's user. The keeper greets whom it serves, and closes
// on all others, so that nothing was sent where nothing is served. When it ends in
// good order it says goodbye: a request that it has not answered it has not taken
// either, and the guest makes it anew over a call of its own. Without a goodbye
// nobody knows what became of the request.
const (
	maxWarm     = 10 * time.Second // how long a call waits for its next client
	maxWarmLife = 60 * time.Second // from the start of the relay that placed it
	greetTime   = 100 * time.Millisecond
	cleanTime   = 2 * time.Second
	greeting    = "\x01"
	goodbye     = "\x00\x00\x00\x00"   // no message has this length
	comeTime    = 5 * time.Millisecond // between two guests a keeper is busy for a moment
	contention  = 100 * time.Millisecond
)

// Warm is where relays meet whose calls lead to the same place.
type Warm struct {
	Dir  string        // of this user with mode 0700, see rundir
	For  time.Duration // how long a call is kept, at most maxWarm
	Kind string        // what calls must have in common
}

// prefix begins the names of the sockets for this kind of call.
func (w *Warm) prefix() string {
	sum := sha256.Sum256([]byte(w.Kind))
	return hex.EncodeToString(sum[:8]) + "."
}

// own tells whether a process of this user is at the other end.
func own(conn net.Conn) bool {
	p, err := peer.Of(conn)
	return err == nil && p.UID == os.Getuid()
}

// parseWarm reads SPLITVAULT_SSH_WARM.
func parseWarm(text string) (time.Duration, error) {
	if text == "" {
		return 0, nil
	}
	d, err := time.ParseDuration(text)
	if err != nil || d < 0 || d > maxWarm {
		return 0, fmt.Errorf(`reading SPLITVAULT_SSH_WARM: %.40q is no duration up to %v, such as "10s"`, text, maxWarm)
	}
	return d, nil
}
