// Command pass-relay serves one client of a client qube's S.pass socket: it has the
// client's requests served by the pass-guard of the vault qube, over qrexec.
//
//	client ─► socket of systemd ─► pass-relay ─► qrexec-client-vm ─► dom0's policy ─► pass-guard
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/sirupsen/logrus"

	"github.com/splitvault/splitvault/pkg/activate"
	"github.com/splitvault/splitvault/pkg/hangup"
	"github.com/splitvault/splitvault/pkg/journal"
	"github.com/splitvault/splitvault/pkg/passcall"
	"github.com/splitvault/splitvault/pkg/passproto"
	"github.com/splitvault/splitvault/pkg/passrelay"
	"github.com/splitvault/splitvault/pkg/peer"
	"github.com/splitvault/splitvault/pkg/qrexec"
	"github.com/splitvault/splitvault/pkg/secret"
	"github.com/splitvault/splitvault/pkg/version"
)

const usage = `usage: pass-relay

Serves one client, whose connection systemd passes (splitvault-pass@.service).
It reads from the environment:
  QUBES_PASS_DOMAIN        the vault qube (default: dom0 chooses, "@default")
  SPLITVAULT_PASS_SCOPE    a directory whose entries are asked for by SERVICE+DIRECTORY+
  SPLITVAULT_QREXEC_CLIENT the program that places calls (default: /usr/bin/qrexec-client-vm)
See pass-relay(8).
`

func main() {
	os.Exit(run(os.Args[1:], os.Stdout, os.Stderr, func() *logrus.Logger { return journal.New("pass-relay", journal.Local) }))
}

func run(args []string, stdout, stderr io.Writer, newLog func() *logrus.Logger) int {
	if code, done := options(args, stdout, stderr); done {
		return code
	}
	conn, err := activate.Connection()
	if err != nil {
		fmt.Fprintf(stderr, "pass-relay: %v\n", err)
		return 2
	}
	defer conn.Close()
	log := newLog()
	client, ok := conn.(*net.UnixConn)
	if !ok {
		// Any local user could connect to a port, and a web page, too.
		log.Error("not a unix socket, which alone knows its user: the connection is closed")
		return 2
	}
	if err := secret.Harden(); err != nil {
		log.WithField(journal.Err, err).Error("secrets could get into a core file: the connection is closed")
		return 1
	}
	if err := secret.Lockable(4 * passproto.MaxBody); err != nil {
		log.WithField(journal.Err, err).Warn("not all memory for secrets can be locked: some could be swapped out")
	}
	caller, noPool, err := passcall.From(os.Getenv, qrexec.Self(), "QUBES_PASS_DOMAIN")
	if err != nil {
		log.WithField(journal.Err, err).Error("wrong setting, the connection is closed")
		return 2
	}
	if noPool != nil {
		log.WithField(journal.Err, noPool).Error("no state directory, calls are not bounded")
	}
	// Whoever stops the relay ends its call, too.
	ctx, cancel := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer cancel()
	return serve(ctx, log, client, caller)
}

// serve serves the client to its end. Whatever ends it is no failure of the
// unit, but that the connection cannot be watched.
func serve(ctx context.Context, log *logrus.Logger, client *net.UnixConn, caller *passcall.Caller) int {
	watcher, err := hangup.Watch(client)
	if err != nil {
		log.WithField(journal.Err, err).Error("cannot watch the connection")
		return 1
	}
	defer watcher.Close()
	entry := log.WithFields(describe(client, caller))
	entry.Info("connection opened")
	relay := &passrelay.Relay{
		Client: client,
		Gone:   watcher.Gone(),
		Do:     caller.Do,
		Failed: func(r passproto.Request, err error) { passrelay.Report(entry, r, err) },
	}
	start := time.Now()
	err = relay.Serve(ctx)
	closed := entry.WithFields(measured(relay.Stats, time.Since(start)))
	if err != nil {
		// The client's fault.
		closed.WithField(journal.Cause, err).Warn("connection closed")
		return 0
	}
	closed.Info("connection closed")
	return 0
}

func describe(conn net.Conn, c *passcall.Caller) logrus.Fields {
	fields := logrus.Fields{journal.Conn: os.Getpid(), journal.Qube: c.Target, journal.Service: "pass"}
	if p, err := peer.Of(conn); err == nil {
		fields[journal.PeerUID], fields[journal.PeerPID], fields[journal.PeerComm] = p.UID, p.PID, p.Comm
	}
	return fields
}

func measured(s passrelay.Stats, d time.Duration) logrus.Fields {
	return logrus.Fields{
		journal.BytesIn: s.BytesIn, journal.BytesOut: s.BytesOut,
		journal.Count: s.Requests, journal.DurationMS: d.Milliseconds(),
	}
}

func options(args []string, stdout, stderr io.Writer) (code int, done bool) {
	flags := flag.NewFlagSet("pass-relay", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	flags.Usage = func() {}
	showVersion := flags.Bool("version", false, "")
	switch err := flags.Parse(args); {
	case errors.Is(err, flag.ErrHelp):
		fmt.Fprint(stdout, usage)
		return 0, true
	case err != nil || flags.NArg() > 0:
		fmt.Fprintf(stderr, "pass-relay: wants no arguments (pass-relay --help)\n")
		return 2, true
	case *showVersion:
		fmt.Fprintln(stdout, "pass-relay", version.String())
		return 0, true
	}
	return 0, false
}
