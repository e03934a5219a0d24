// Package journal sets up a daemon's log: systemd's journal, with a closed list
// of fields, or plain text where a person runs the program on a terminal.
//
// Messages are constant strings, facts are fields; the journal's own line ends
// with the cause and the error, so that plain journalctl shows them. Payloads, secrets, key blobs
// and JSON parameters have no field, so that they cannot be logged.
package journal

import (
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/sirupsen/logrus"
	"golang.org/x/sys/unix"
)

// The fields, as logrus keys. In the journal each has the prefix SPLITVAULT_
// and capitals. A key that is not in this list is not logged.
const (
	Service    = "service"     // RPC service: "qubes.Ssh"
	Qube       = "qube"        // the other qube: who asks (guard), who is asked (relay)
	Agent      = "agent"       // agent name of qubes.Ssh+AGENT
	Key        = "key"         // fingerprint, "SHA256:…"
	Purpose    = "purpose"     // "login", "sshsig:git", …
	User       = "user"        // user name of a login, quoted
	Host       = "host"        // destination, quoted
	Trust      = "trust"       // how far the destination is believed
	Method     = "method"      // JSON-RPC method, or name of a message type
	Origin     = "origin"      // origin of a web page, quoted
	Entry      = "entry"       // name of a pass entry, quoted
	Field      = "field"       // field of a pass entry, quoted
	Rule       = "rule"        // deciding rule, "rules.toml:12"
	Verdict    = "verdict"     // "allow", "deny", "ask"
	Conn       = "conn"        // number that ties a connection's lines together
	PeerUID    = "peer_uid"    // local process that connected
	PeerPID    = "peer_pid"    //
	PeerComm   = "peer_comm"   //
	BytesIn    = "bytes_in"    // from the client
	BytesOut   = "bytes_out"   // to the client
	DurationMS = "duration_ms" //
	Cause      = "cause"       // why something was refused or failed
	Exit       = "exit"        // exit code of a child
	Count      = "count"       //
	AuditHead  = "audit_head"  // head of the audit file's hash chain
	Err        = "err"         //
)

// Fields returns all field names.
func Fields() []string {
	return []string{
		Service, Qube, Agent, Key, Purpose, User, Host, Trust, Method, Origin, Entry, Field, Rule, Verdict, Conn,
		PeerUID, PeerPID, PeerComm, BytesIn, BytesOut, DurationMS, Cause, Exit, Count, AuditHead, Err,
	}
}

// Stderr says what a daemon's standard error is.
type Stderr int

const (
	// Local is read by a person or the service manager on this side.
	Local Stderr = iota
	// Foreign goes to the calling qube, as for every service of qrexec: no log
	// line may appear there.
	Foreign
)

// New returns the log of the daemon NAME ("ssh-relay"). It writes text to
// standard error if that is a terminal; else to the journal, with
// SYSLOG_IDENTIFIER=splitvault-NAME; where there is no journal, text to a
// Local standard error, and nothing to a Foreign one. The connection to the
// journal is made here and never again.
func New(name string, stderr Stderr) *logrus.Logger {
	return build(name, stderr, os.Stderr, socketPath)
}

func build(name string, kind Stderr, stderr *os.File, socket string) *logrus.Logger {
	log := logrus.New()
	log.SetOutput(stderr)
	log.SetFormatter(&logrus.TextFormatter{DisableColors: true, DisableTimestamp: true})
	if terminal(stderr) {
		return log
	}
	if journald, err := dial(socket); err == nil {
		log.SetOutput(io.Discard)
		log.SetFormatter(discard{})
		log.AddHook(hook{identifier: "splitvault-" + name, send: journald.send})
		return log
	}
	if kind == Foreign {
		log.SetOutput(io.Discard)
	}
	return log
}

// discard saves the work of formatting what the hook has sent.
type discard struct{}

func (discard) Format(*logrus.Entry) ([]byte, error) { return nil, nil }

type hook struct {
	identifier string
	send       func(datagram []byte) error
}

func (hook) Levels() []logrus.Level { return logrus.AllLevels }

// Fire never fails: logrus would print the error to standard error, and a full
// or absent journal must not stop a daemon.
func (h hook) Fire(e *logrus.Entry) error {
	// What a person reads in journalctl is the message alone: it must say why.
	words := []string{e.Message}
	for _, reason := range []string{Cause, Err} {
		if v, ok := e.Data[reason]; ok {
			words = append(words, fmt.Sprint(v))
		}
	}
	datagram := appendField(nil, "MESSAGE", strings.Join(words, ": "))
	datagram = appendField(datagram, "PRIORITY", priority(e.Level))
	datagram = appendField(datagram, "SYSLOG_IDENTIFIER", h.identifier)
	for _, name := range Fields() {
		if v, ok := e.Data[name]; ok {
			datagram = appendField(datagram, "SPLITVAULT_"+strings.ToUpper(name), fmt.Sprint(v))
		}
	}
	_ = h.send(datagram)
	return nil
}

// priority is the level as syslog(3) numbers it.
func priority(l logrus.Level) string {
	switch l {
	case logrus.PanicLevel, logrus.FatalLevel:
		return "2"
	case logrus.ErrorLevel:
		return "3"
	case logrus.WarnLevel:
		return "4"
	case logrus.InfoLevel:
		return "6"
	default:
		return "7"
	}
}

func terminal(f *os.File) bool {
	_, err := unix.IoctlGetTermios(int(f.Fd()), unix.TCGETS)
	return err == nil
}
