package main

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/splitvault/splitvault/pkg/confine"
	"github.com/splitvault/splitvault/pkg/entryname"
	"github.com/splitvault/splitvault/pkg/gpg"
	"github.com/splitvault/splitvault/pkg/guard"
	"github.com/splitvault/splitvault/pkg/journal"
	"github.com/splitvault/splitvault/pkg/passgit"
	"github.com/splitvault/splitvault/pkg/passguard"
	"github.com/splitvault/splitvault/pkg/passstore"
	"github.com/splitvault/splitvault/pkg/rules"
	"github.com/splitvault/splitvault/pkg/rundir"
	"github.com/splitvault/splitvault/pkg/slots"
	"github.com/splitvault/splitvault/pkg/turn"
)

// callsPerQube is how many calls of a qube are served at once; an honest client's
// programs make at most 4.
const callsPerQube = 8

// world is what the process keeps of the file system.
type world struct {
	store  string // "" for none
	writes bool
}

// prepare reads the rules and opens what they may be needed for. What is missing
// is said in the journal, and denied to the client.
func prepare(ctx context.Context, call *guard.Call, served *passguard.Guard) world {
	log := call.Log
	served.Now = time.Now
	file, err := rules.LoadPassOrDefault(rules.Paths(os.Getenv)...)
	if err != nil {
		log.WithField(journal.Err, err).Error("no rules: everything is denied")
		return world{}
	}
	if !file.Pass.Serves(served.Qube) {
		return world{} // not even an error that depends on the store
	}
	served.Rules = file.Pass
	path := file.Pass.StorePath(os.Getenv)
	if served.Store, err = passstore.Open(path); err != nil {
		log.WithField(journal.Err, err).Error("no password store")
		return world{}
	}
	served.SigningKeys = file.Pass.SigningKeys
	if served.SigningKeys == nil {
		served.SigningKeys = strings.Fields(os.Getenv("PASSWORD_STORE_SIGNING_KEY"))
	}
	runner := gpg.RunnerFrom(os.Getenv)
	served.Crypt = runner
	w := world{store: path}
	switch call.Caller.Service {
	case passguard.ServiceGet, passguard.ServiceField, passguard.ServiceFind:
		if err := runner.StartAgent(ctx, rundir.Base(os.Getenv), os.Getenv); err != nil {
			log.WithField(journal.Err, err).Warn("gpg-agent does not run: nothing can be decrypted")
		}
	case passguard.ServiceInsert, passguard.ServiceGenerate:
		w.writes = true
		served.Commit = committer(ctx, path)
	}
	served.Rates = call.Rates(served.Rules.Rated(served.Qube))
	reachPerson(ctx, call, served)
	if dir, err := rundir.Make(rundir.Base(os.Getenv), "turns"); err != nil {
		log.WithField(journal.Err, err).Warn("no state directory: a qube can have a passphrase asked for many times at once")
	} else if served.Turn, err = turn.Open(dir, served.Qube+"/pass"); err != nil {
		log.WithField(journal.Err, err).Warn("a qube can have a passphrase asked for many times at once")
	}
	return w
}

// reachPerson connects to consentd if a rule may ask about this qube or tell of it.
func reachPerson(ctx context.Context, call *guard.Call, served *passguard.Guard) {
	switch {
	case served.Rules.Asks(served.Qube):
		if person := call.Person(ctx); person != nil {
			served.Person, served.Notices = person, person
		}
	case served.Rules.Notifies(served.Qube):
		if desktop := call.Desktop(ctx); desktop != nil {
			served.Notices = desktop
		}
	}
}

// committer commits one entry at a time: git knows no waiting.
func committer(ctx context.Context, store string) func(context.Context, entryname.Name, []byte, string) error {
	by := passgit.AuthorFrom(ctx, os.Getenv)
	var pool *slots.Pool
	if dir, err := rundir.Make(rundir.Base(os.Getenv), "guards"); err == nil {
		pool = slots.New(dir, "pass.git", 1)
	}
	return func(ctx context.Context, name entryname.Name, message []byte, subject string) error {
		if pool != nil && passgit.Has(store, name) {
			ctx, cancel := context.WithTimeout(ctx, time.Minute)
			defer cancel()
			slot, err := pool.Acquire(ctx)
			if err != nil {
				return err
			}
			defer func() { _ = slot.Release() }()
		}
		return passgit.Commit(ctx, store, name, message, subject, by)
	}
}

// confine leaves to the process, and to the gpg and git that it runs, the programs and
// libraries of the system, the keyring, the store, and the state directory.
func (w world) confine(call *guard.Call) error {
	var landlocked bool
	var err error
	if w.store == "" {
		landlocked, err = confine.Guard()
	} else {
		landlocked, err = confine.Runner(w.access())
	}
	if err != nil {
		return err
	}
	if !landlocked {
		call.Log.Warn("this kernel has no Landlock: the guard, and gpg under it, could read this user's other files")
	}
	return nil
}

func (w world) access() confine.Access {
	keyring := os.Getenv("GNUPGHOME")
	if keyring == "" {
		keyring = filepath.Join(os.Getenv("HOME"), ".gnupg")
	}
	a := confine.Access{
		Run:   []string{"/usr", "/bin", "/lib", "/lib64"},
		Read:  []string{"/etc", "/proc/sys/crypto", w.store, keyring},
		Write: []string{"/dev/null", "/dev/urandom", "/dev/random"},
	}
	if w.writes {
		// gpg locks its keyring and keeps its pool of random numbers there.
		a.Write = append(a.Write, w.store, keyring, filepath.Join(rundir.Base(os.Getenv), "splitvault", "guards"))
	}
	return a
}
