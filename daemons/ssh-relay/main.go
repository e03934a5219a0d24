// No search for the control group's limit of processors: one is used.
//
//go:debug containermaxprocs=0

// Command ssh-relay serves one ssh client in a client qube: it passes the
// client's requests to the ssh-guard of the vault qube, over qrexec.
//
//	client ─► socket of systemd ─► ssh-relay ─► qrexec-client-vm ─► dom0's policy ─► ssh-guard
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
	"runtime"
	"syscall"
	"time"

	"github.com/sirupsen/logrus"

	"github.com/splitvault/splitvault/pkg/activate"
	"github.com/splitvault/splitvault/pkg/hangup"
	"github.com/splitvault/splitvault/pkg/journal"
	"github.com/splitvault/splitvault/pkg/notify"
	"github.com/splitvault/splitvault/pkg/peer"
	"github.com/splitvault/splitvault/pkg/qrexec"
	"github.com/splitvault/splitvault/pkg/rundir"
	"github.com/splitvault/splitvault/pkg/sshrelay"
	"github.com/splitvault/splitvault/pkg/version"
)

const usage = `usage: ssh-relay

Serves one ssh client, whose connection systemd passes (splitvault-ssh@.service).
It reads from the environment:
  QUBES_SSH_DOMAIN         the vault qube (default: dom0 chooses, "@default")
  QUBES_SSH_SERVICE        the RPC service (default: qubes.Ssh)
  SPLITVAULT_SSH_IDLE      how long a call is held between requests (default: 10s; 0: until others wait)
  SPLITVAULT_SSH_WARM      how long a call is kept for the next client (default: not at all; at most 10s)
  SPLITVAULT_QREXEC_CLIENT the program that places calls (default: /usr/bin/qrexec-client-vm)
See ssh-relay(8).
`

func main() {
	// It serves one client, one request at a time: more processors make threads and
	// wake them, and gain nothing.
	runtime.GOMAXPROCS(1)
	os.Exit(run(os.Args[1:], os.Stdout, os.Stderr, func() *logrus.Logger { return journal.New("ssh-relay", journal.Local) }))
}

func run(args []string, stdout, stderr io.Writer, newLog func() *logrus.Logger) int {
	if code, done := options(args, stdout, stderr); done {
		return code
	}
	conn, err := activate.Connection()
	if err != nil {
		fmt.Fprintf(stderr, "ssh-relay: %v\n", err)
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
	config, err := sshrelay.ConfigFrom(os.Getenv, activate.SocketPath(client), qrexec.Self())
	if err != nil {
		log.WithField(journal.Err, err).Error("wrong setting, the connection is closed")
		return 2
	}
	if config.StateErr != nil {
		log.WithField(journal.Err, config.StateErr).Error("no state directory, calls are not bounded")
	}
	// Whoever stops the relay ends its call, too.
	ctx, cancel := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer cancel()
	return serve(ctx, log, client, config)
}

// serve serves the client to its end. Whatever ends it is no failure of the
// unit, but that the connection cannot be watched.
func serve(ctx context.Context, log *logrus.Logger, client *net.UnixConn, config *sshrelay.Config) int {
	watcher, err := hangup.Watch(client)
	if err != nil {
		log.WithField(journal.Err, err).Error("cannot watch the connection")
		return 1
	}
	defer watcher.Close()
	entry := log.WithFields(describe(client, config))
	entry.Info("connection opened")
	reporter := &sshrelay.Reporter{
		Log: entry, Config: config, Base: rundir.Base(os.Getenv),
		Notify: func(summary, body string) error { return notify.Send(ctx, os.Getenv, summary, body) },
	}
	relay := &sshrelay.Relay{
		Client:    client,
		Gone:      watcher.Gone(),
		Dial:      config.Dialer.Dial,
		Contended: config.Dialer.Contended,
		Idle:      config.Idle,
		Refused:   reporter.Refused,
		Failed:    reporter.Failed,
	}
	start := time.Now()
	var kept sshrelay.Line
	if config.Dialer.Warm != nil {
		relay.Keep = func(call sshrelay.Line) { kept = call }
	}
	err = relay.Serve(ctx)
	if kept != nil {
		defer func() {
			if err := config.Dialer.Warm.Keep(ctx, kept, start, config.Dialer.Contended); err != nil {
				entry.WithField(journal.Err, err).Error("no warm line")
			}
		}()
	}
	closed := entry.WithFields(measured(relay.Stats, time.Since(start)))
	if err != nil {
		// The client's fault.
		closed.WithField(journal.Cause, err).Warn("connection closed")
		return 0
	}
	closed.Info("connection closed")
	return 0
}

func describe(conn net.Conn, c *sshrelay.Config) logrus.Fields {
	fields := logrus.Fields{
		journal.Conn:    os.Getpid(),
		journal.Qube:    c.Dialer.Target,
		journal.Service: c.Dialer.Service,
		journal.Agent:   c.Agent,
	}
	if p, err := peer.Of(conn); err == nil {
		fields[journal.PeerUID], fields[journal.PeerPID], fields[journal.PeerComm] = p.UID, p.PID, p.Comm
	}
	return fields
}

func measured(s sshrelay.Stats, d time.Duration) logrus.Fields {
	return logrus.Fields{
		journal.BytesIn: s.BytesIn, journal.BytesOut: s.BytesOut,
		journal.Count: s.Requests, journal.DurationMS: d.Milliseconds(),
	}
}

func options(args []string, stdout, stderr io.Writer) (code int, done bool) {
	flags := flag.NewFlagSet("ssh-relay", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	flags.Usage = func() {}
	showVersion := flags.Bool("version", false, "")
	switch err := flags.Parse(args); {
	case errors.Is(err, flag.ErrHelp):
		fmt.Fprint(stdout, usage)
		return 0, true
	case err != nil || flags.NArg() > 0:
		fmt.Fprintf(stderr, "ssh-relay: wants no arguments (ssh-relay --help)\n")
		return 2, true
	case *showVersion:
		fmt.Fprintln(stdout, "ssh-relay", version.String())
		return 0, true
	}
	return 0, false
}
