// Command consentd asks the person at the vault's screen what the rules leave
// to a person. A guard has the user's service manager start it.
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
	"path/filepath"
	"syscall"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"
	"github.com/sirupsen/logrus"
	"golang.org/x/sys/unix"

	"github.com/splitvault/splitvault/pkg/consent"
	"github.com/splitvault/splitvault/pkg/consentd"
	"github.com/splitvault/splitvault/pkg/journal"
	"github.com/splitvault/splitvault/pkg/notify"
	"github.com/splitvault/splitvault/pkg/prompt"
	"github.com/splitvault/splitvault/pkg/rundir"
	"github.com/splitvault/splitvault/pkg/version"
)

const usage = `consentd asks the person at the vault's screen before keys are used.

It is started by a guard, as splitvault-consent.service of the user's service
manager, and ends when nothing needs it. See consentd(8).

  --answer-time D   how long a prompt is shown (default 1m)
  --linger D        how long it lives on after the last prompt (default 5m)
  --help, --version
`

const (
	exitOK = iota
	exitInternal
	exitUsage
)

func main() { os.Exit(run(os.Args[1:], os.Stdout, os.Stderr)) }

func run(args []string, stdout, stderr io.Writer) int {
	times := consentd.DefaultTimes()
	flags := flag.NewFlagSet("consentd", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	flags.Usage = func() {}
	flags.DurationVar(&times.Answer, "answer-time", times.Answer, "")
	flags.DurationVar(&times.Linger, "linger", times.Linger, "")
	showVersion := flags.Bool("version", false, "")
	switch err := flags.Parse(args); {
	case errors.Is(err, flag.ErrHelp):
		fmt.Fprint(stdout, usage)
		return exitOK
	case err != nil || flags.NArg() > 0 || times.Answer <= 0 || times.Linger <= 0:
		fmt.Fprintln(stderr, "consentd: bad arguments (consentd --help)")
		return exitUsage
	case *showVersion:
		fmt.Fprintln(stdout, "consentd", version.String())
		return exitOK
	}
	log := journal.New("consentd", journal.Local)
	if err := serve(log, times); err != nil {
		log.WithField(journal.Err, err).Error("consentd failed")
		return exitInternal
	}
	return exitOK
}

func serve(log logrus.FieldLogger, times consentd.Times) error {
	unix.Umask(0o077)
	// Grants and questions are nobody else's to read, not even as a core file.
	if err := unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0); err != nil {
		return fmt.Errorf("forbidding core files: %w", err)
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP)
	defer stop()
	dir, err := rundir.Make(rundir.Base(os.Getenv))
	if err != nil {
		return err
	}
	listener, lock, err := listen(dir)
	if err != nil {
		return err
	}
	defer lock.Close()
	person := &consentd.Person{
		Program: prompt.First(prompt.Zenity{}, prompt.Pinentry{}), Times: times,
		Getenv: os.Getenv, Session: consentd.UserSession(os.Getenv), Log: log,
	}
	notices := consentd.NewNotices(func(ctx context.Context, summary, body string) error {
		return notify.Send(ctx, os.Getenv, summary, body)
	}, log)
	server := &consentd.Server{Desk: consentd.NewDesk(times, consent.HoldsIn(dir), person, log), Notices: notices, Log: log}
	if _, err := daemon.SdNotify(false, daemon.SdNotifyReady); err != nil {
		return fmt.Errorf("telling the service manager: %w", err)
	}
	log.Info("ready")
	period, err := daemon.SdWatchdogEnabled(false)
	if err != nil {
		return fmt.Errorf("reading the watchdog's time: %w", err)
	}
	if period > 0 {
		go beat(ctx, server.Desk, period/3, log)
	}
	return server.Serve(ctx, listener)
}

// beat tells the service manager every now and then that the desk still answers: one
// that hangs is ended, and what it was asked is denied.
func beat(ctx context.Context, desk *consentd.Desk, every time.Duration, log logrus.FieldLogger) {
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	for {
		desk.Idle() // has the lock that each question needs
		if _, err := daemon.SdNotify(false, daemon.SdNotifyWatchdog); err != nil {
			log.WithField(journal.Err, err).Warn("the service manager does not hear from us")
		}
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

// listen makes the socket. The lock says that the one which is there is of a
// process that has died.
func listen(dir string) (net.Listener, *os.File, error) {
	lock, err := os.OpenFile(filepath.Join(dir, "consent.lock"), os.O_RDWR|os.O_CREATE|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0o600)
	if err != nil {
		return nil, nil, fmt.Errorf("locking the socket: %w", err)
	}
	if err := unix.Flock(int(lock.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		lock.Close()
		return nil, nil, fmt.Errorf("locking the socket: another consentd runs: %w", err)
	}
	path := filepath.Join(dir, consent.SocketName)
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		lock.Close()
		return nil, nil, fmt.Errorf("removing an old socket: %w", err)
	}
	listener, err := net.Listen("unix", path)
	if err != nil {
		lock.Close()
		return nil, nil, fmt.Errorf("listening for guards: %w", err)
	}
	// Nobody else came in: the umask is 077, and the directory 0700.
	if err := os.Chmod(path, 0o600); err != nil {
		return nil, nil, errors.Join(fmt.Errorf("closing the socket to others: %w", err), listener.Close(), lock.Close())
	}
	return listener, lock, nil
}
