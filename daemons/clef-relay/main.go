// Command clef-relay serves one client of a signer in a client qube: it passes the
// client's requests to the clef-guard of the vault qube, over qrexec.
//
//	dapp, geth ─► socket of systemd ─► clef-relay ─► qrexec-client-vm ─► dom0's policy ─► clef-guard
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
	"sync"
	"syscall"
	"time"

	"github.com/sirupsen/logrus"

	"github.com/splitvault/splitvault/pkg/activate"
	"github.com/splitvault/splitvault/pkg/clefrelay"
	"github.com/splitvault/splitvault/pkg/clientconf"
	"github.com/splitvault/splitvault/pkg/httpedge"
	"github.com/splitvault/splitvault/pkg/journal"
	"github.com/splitvault/splitvault/pkg/notify"
	"github.com/splitvault/splitvault/pkg/peer"
	"github.com/splitvault/splitvault/pkg/qrexec"
	"github.com/splitvault/splitvault/pkg/version"
)

const usage = `usage: clef-relay

Serves one client of a signer, whose connection systemd passes
(splitvault-clef@.service): HTTP on a port, JSON on a Unix socket.
It reads from the environment:
  QUBES_CLEF_DOMAIN        the vault qube (default: dom0 chooses, "@default")
  SPLITVAULT_QREXEC_CLIENT the program that places calls (default: /usr/bin/qrexec-client-vm)
Web pages that may talk to it: ~/.config/splitvault/client.toml, else
/etc/splitvault/client.toml.
See clef-relay(8).
`

func main() {
	os.Exit(run(os.Args[1:], os.Stdout, os.Stderr, func() *logrus.Logger { return journal.New("clef-relay", journal.Local) }))
}

func run(args []string, stdout, stderr io.Writer, newLog func() *logrus.Logger) int {
	if code, done := options(args, stdout, stderr); done {
		return code
	}
	conn, err := activate.Connection()
	if err != nil {
		fmt.Fprintf(stderr, "clef-relay: %v\n", err)
		return 2
	}
	defer conn.Close()
	log := newLog()
	config, err := clefrelay.ConfigFrom(os.Getenv, qrexec.Self())
	if err != nil {
		log.WithField(journal.Err, err).Error("wrong setting, the connection is closed")
		return 2
	}
	if config.StateErr != nil {
		log.WithField(journal.Err, config.StateErr).Error("no state directory, calls are not bounded and equal requests not joined")
	}
	// Whoever stops the relay ends its call, too.
	ctx, cancel := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer cancel()
	code := serve(ctx, log, conn, config)
	_ = conn.Close() // the client need not see the last call's end
	config.Dialer.Wait()
	return code
}

// serve serves the client to its end. Whatever ends it is no failure of the unit,
// but that the connection cannot be watched.
func serve(ctx context.Context, log *logrus.Logger, conn net.Conn, config *clefrelay.Config) int {
	entry := log.WithFields(logrus.Fields{journal.Conn: os.Getpid(), journal.Qube: config.Dialer.Target, journal.Service: "qubes.Clefsign"})
	reporter := &clefrelay.Reporter{
		Log: entry, Config: config, LetPage: clefrelay.InClientFile,
		Notify: func(summary, body string) error { return notify.Send(ctx, os.Getenv, summary, body) },
	}
	client, err := clefrelay.Identify(conn, os.Getuid())
	if err != nil {
		entry.WithFields(logrus.Fields{journal.Cause: err, journal.Verdict: "deny"}).Warn("connection refused")
		return 0
	}
	entry = entry.WithField(journal.PeerUID, client.UID)
	if _, local := conn.(*net.UnixConn); local {
		pid := client.Process()
		entry = entry.WithFields(logrus.Fields{journal.PeerPID: pid, journal.PeerComm: peer.Comm(pid)})
	}
	reporter.Log = entry
	entry.Info("connection opened")
	relay := &clefrelay.Relay{Config: config, Client: client, Report: reporter, Call: config.Dialer.Call}
	start := time.Now()
	var in, out int
	switch conn := conn.(type) {
	case *net.TCPConn:
		var stats httpedge.Stats
		stats, err = relay.ServeHTTP(ctx, conn, pages(entry))
		in, out = stats.BytesIn, stats.BytesOut
	case *net.UnixConn:
		var stats clefrelay.StreamStats
		stats, err = relay.ServeStream(ctx, conn)
		in, out = stats.BytesIn, stats.BytesOut
	}
	closed := entry.WithFields(logrus.Fields{
		journal.BytesIn: in, journal.BytesOut: out,
		journal.Count: reporter.Requests.Load(), journal.DurationMS: time.Since(start).Milliseconds(),
	})
	if err != nil {
		closed.WithField(journal.Cause, err).Warn("connection closed")
		return 0
	}
	closed.Info("connection closed")
	return 0
}

// pages reads which web pages may talk to the signer, when the first one asks.
func pages(log logrus.FieldLogger) func(untrusted string) bool {
	read := sync.OnceValue(func() *clientconf.Config {
		config, err := clientconf.Load(clientconf.Paths(os.Getenv)...)
		if err != nil {
			log.WithField(journal.Err, err).Error("no web page is allowed")
			return &clientconf.Config{}
		}
		return config
	})
	return func(untrusted string) bool { return read().Allows(untrusted) }
}

func options(args []string, stdout, stderr io.Writer) (code int, done bool) {
	flags := flag.NewFlagSet("clef-relay", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	flags.Usage = func() {}
	showVersion := flags.Bool("version", false, "")
	switch err := flags.Parse(args); {
	case errors.Is(err, flag.ErrHelp):
		fmt.Fprint(stdout, usage)
		return 0, true
	case err != nil || flags.NArg() > 0:
		fmt.Fprintf(stderr, "clef-relay: wants no arguments (clef-relay --help)\n")
		return 2, true
	case *showVersion:
		fmt.Fprintln(stdout, "clef-relay", version.String())
		return 0, true
	}
	return 0, false
}
