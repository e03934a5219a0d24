// Command clef-net serves one client of a signer that comes over the network: to the
// machine where Clef is, such as a USB armory, or to a qube before it.
//
//	dapp ─► HTTP ─► socket of systemd ─► clef-net: parse, judge by rules.toml ─► Clef
//
// It is clef-relay's edge and clef-guard's judge in one process, without qrexec
// between them: nobody but the rules and Clef says who may do what.
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
	"github.com/splitvault/splitvault/pkg/audit"
	"github.com/splitvault/splitvault/pkg/clefrelay"
	"github.com/splitvault/splitvault/pkg/guard"
	"github.com/splitvault/splitvault/pkg/journal"
	"github.com/splitvault/splitvault/pkg/origin"
	"github.com/splitvault/splitvault/pkg/qrexec"
	"github.com/splitvault/splitvault/pkg/rules"
	"github.com/splitvault/splitvault/pkg/version"
)

const usage = `usage: clef-net

Serves one client of a signer that comes over the network, whose connection systemd
passes (splitvault-clef-net@.service).
Rules: /etc/splitvault/rules.toml, where [[clef.peer]] names who may connect.
See clef-net(8) and splitvault-rules(5).
`

func main() {
	os.Exit(run(os.Args[1:], os.Stdout, os.Stderr, rules.SystemFile, func() *logrus.Logger { return journal.New("clef-net", journal.Local) }))
}

func run(args []string, stdout, stderr io.Writer, rulesFile string, newLog func() *logrus.Logger) int {
	if code, done := options(args, stdout, stderr); done {
		return code
	}
	conn, err := activate.Connection()
	if err != nil {
		fmt.Fprintf(stderr, "clef-net: %v\n", err)
		return 2
	}
	defer conn.Close()
	log := newLog()
	tcp, ok := conn.(*net.TCPConn)
	if !ok {
		log.Error("not a TCP connection, which it serves alone")
		return 2
	}
	ctx, cancel := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer cancel()
	return serve(ctx, log, tcp, rulesFile)
}

// serve serves a known peer to its end, and nobody else a byte.
func serve(ctx context.Context, log *logrus.Logger, conn *net.TCPConn, rulesFile string) int {
	from := peerOf(conn)
	entry := log.WithFields(logrus.Fields{journal.Conn: os.Getpid(), journal.Host: journal.Quote(from.String())})
	file, err := rules.LoadClef(rulesFile)
	if err != nil {
		entry.WithField(journal.Err, err).Error("no rules: the connection is closed")
		return 0
	}
	name, known := file.Clef.PeerName(from)
	if !known {
		entry.WithFields(logrus.Fields{
			journal.Verdict: "deny",
			journal.Cause:   fmt.Sprintf("no [[clef.peer]] of rules.toml has this address; to let it: [[clef.peer]] and below it address = %q and name = \"NAME\"", from),
		}).Warn("connection refused")
		return 0
	}
	trail, err := audit.Open(audit.Options{Daemon: "clef-net", Qube: name, Getenv: os.Getenv})
	trail.Attach(log)
	defer trail.Close()
	entry = entry.WithField(journal.Qube, name)
	if err != nil {
		entry.WithField(journal.Err, err).Error("no audit file: the journal alone has what was given")
	}
	call := &guard.Call{Caller: qrexec.Caller{Qube: qrexec.QubeName(name)}, Log: entry, Trail: trail}
	judge := newJudge(call, file.Clef)
	defer judge.close()
	relay, err := newRelay(judge)
	if err != nil {
		entry.WithField(journal.Err, err).Warn("no state directory: equal requests are not joined")
	}
	entry.Info("connection opened")
	if err := judge.confineSelf(); err != nil { // before the first byte is read
		entry.WithField(journal.Err, err).Error("connection closed: the process cannot be confined")
		return 0
	}
	start := time.Now()
	stats, err := relay.ServeNetwork(ctx, conn, func(untrusted string) bool { return file.Clef.PageMayAsk(name, untrusted) })
	closed := entry.WithFields(logrus.Fields{
		journal.BytesIn: stats.BytesIn, journal.BytesOut: stats.BytesOut,
		journal.Count: relay.Report.Requests.Load(), journal.DurationMS: time.Since(start).Milliseconds(),
	})
	if err != nil {
		closed.WithField(journal.Cause, err).Warn("connection closed")
		return 0
	}
	closed.Info("connection closed")
	return 0
}

// letPage is what refused pages are told of in the journal.
func letPage(o origin.Origin) string {
	return fmt.Sprintf("name it in a rule of /etc/splitvault/rules.toml: origins = [%q]", string(o))
}

func newReporter(log logrus.FieldLogger, config *clefrelay.Config) *clefrelay.Reporter {
	return &clefrelay.Reporter{Log: log, Config: config, LetPage: letPage}
}

func options(args []string, stdout, stderr io.Writer) (code int, done bool) {
	flags := flag.NewFlagSet("clef-net", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	flags.Usage = func() {}
	showVersion := flags.Bool("version", false, "")
	switch err := flags.Parse(args); {
	case errors.Is(err, flag.ErrHelp):
		fmt.Fprint(stdout, usage)
		return 0, true
	case err != nil || flags.NArg() > 0:
		fmt.Fprintf(stderr, "clef-net: wants no arguments (clef-net --help)\n")
		return 2, true
	case *showVersion:
		fmt.Fprintln(stdout, "clef-net", version.String())
		return 0, true
	}
	return 0, false
}
