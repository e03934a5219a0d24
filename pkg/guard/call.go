package guard

import (
	"fmt"
	"io"
	"os"
	"os/signal"
	"time"

	"github.com/sirupsen/logrus"
	"golang.org/x/sys/unix"

	"github.com/splitvault/splitvault/pkg/audit"
	"github.com/splitvault/splitvault/pkg/crash"
	"github.com/splitvault/splitvault/pkg/journal"
	"github.com/splitvault/splitvault/pkg/qrexec"
	"github.com/splitvault/splitvault/pkg/rundir"
	"github.com/splitvault/splitvault/pkg/stdio"
)

// Exit codes that all guards share; 125 and above are qrexec's own.
const (
	ExitOK = iota
	ExitInternal
	ExitBadRequest
)

// Call is one call of qrexec that a guard serves.
type Call struct {
	Caller qrexec.Caller
	Log    *logrus.Entry // with the caller's fields
	Trail  *audit.Log    // attached to Log

	name   string
	client io.Writer
	start  time.Time
}

// Begin takes over the process of the guard NAME ("ssh-guard"): from here on
// nothing but Tell reaches the calling qube's standard error. Without a call the
// code is what to exit with; the cause has been told.
//
// fields are those of the log beside the process, qube and service; it may be nil.
func Begin(name string, fields func(qrexec.Caller) logrus.Fields, stderr *os.File) (call *Call, code int) {
	// A client that is gone shows as an error of a write; the signal would end
	// the program with a code that is qrexec's.
	signal.Ignore(unix.SIGPIPE)
	// Standard error is shown in the calling qube: one line at most.
	client, err := stdio.TakeStderr()
	if err != nil {
		fmt.Fprintf(stderr, "%s: internal error\n", name)
		return nil, ExitInternal
	}
	earlier, unkept := keepCrash(name)
	log := journal.New(name, journal.Foreign)
	for _, trace := range earlier { // not of this call, nor of those that are limited for its qube
		log.WithField(journal.Err, trace).Error("an earlier call crashed")
	}
	call = &Call{name: name, client: client, start: time.Now()}
	call.Caller, err = qrexec.CallerFrom(os.Getenv)
	if err != nil {
		log.WithField(journal.Err, err).Error("not started by qrexec")
		call.Tell("not started by qrexec")
		return nil, ExitBadRequest
	}
	call.Log = log.WithFields(logrus.Fields{
		journal.Conn: os.Getpid(), journal.Qube: call.Caller.Qube, journal.Service: call.Caller.Service,
	})
	if fields != nil {
		call.Log = call.Log.WithFields(fields(call.Caller))
	}
	call.Trail, err = audit.Open(audit.Options{Daemon: name, Qube: string(call.Caller.Qube), Getenv: os.Getenv})
	call.Trail.Attach(log)
	if err != nil {
		call.Log.WithField(journal.Err, err).Error("no audit file: the journal alone has what was given")
	}
	if unkept != nil {
		call.Log.WithField(journal.Err, unkept).Warn("no file for what a crash would say")
	}
	call.Log.Info("call opened")
	return call, ExitOK
}

// keepCrash lets descriptor 2 lead to a file, and returns what earlier calls left in
// such. It leads nowhere if there is none: who waits for an answer does not depend on
// it. The error is to be logged.
func keepCrash(name string) (earlier []string, err error) {
	dir, err := rundir.Make(rundir.Base(os.Getenv), "crash")
	if err != nil {
		return nil, err
	}
	file, earlier, err := crash.Open(dir, name)
	if file != nil {
		err = stdio.LeadStderr(file)
	}
	return earlier, err
}

// Took is how long the call has lasted, in milliseconds, for its last line.
func (c *Call) Took() int64 { return time.Since(c.start).Milliseconds() }

// Tell shows the calling qube one line, which must say nothing that only the
// vault is to know.
func (c *Call) Tell(line string) {
	// Nobody may be there to read it.
	_, _ = fmt.Fprintf(c.client, "%s: %s\n", c.name, line)
}

// Close ends the audit file's part of the call.
func (c *Call) Close() { c.Trail.Close() }
