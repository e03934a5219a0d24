// Package doctor finds out why splitvault does not work in this qube, and says
// what to type where.
//
// Each check is a small function over an [Environment], so that every failure
// can be produced in a test. A check that others build on ends the row when it
// fails: one cause, one fix, no followers.
package doctor

import (
	"cmp"
	"context"
	"encoding"
	"fmt"
	"time"

	"github.com/splitvault/splitvault/pkg/rules"
)

// Status is the outcome of a check. The zero value is "cannot tell".
type Status int

const (
	Unknown Status = iota // the check could not be made
	OK
	Warning // works, but somebody will be surprised
	Problem // does not work
)

var _ encoding.TextMarshaler = Unknown

// String returns the word that reports use.
func (s Status) String() string {
	switch s {
	case OK:
		return "ok"
	case Warning:
		return "warning"
	case Problem:
		return "problem"
	default:
		return "unknown"
	}
}

// MarshalText makes a status the same word in JSON.
func (s Status) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// Step is one thing to do.
type Step struct {
	Where string `json:"where"` // "dom0", "vault", "template", or the name of this qube
	Do    string `json:"do"`    // a command, or a line to write
}

// Result is the outcome of one check.
type Result struct {
	Check  string `json:"check"` // stable name: "service", "socket", "call"…
	Status Status `json:"status"`
	Text   string `json:"text"` // what was found, one line
	Fix    []Step `json:"fix,omitempty"`
}

// Report is what was found in a qube.
type Report struct {
	Qube   string   `json:"qube"` // "" if unknown
	Status Status   `json:"status"`
	Checks []Result `json:"checks"`
}

// Exit returns the exit code: 0 all is well, 1 there is a problem, 2 cannot tell.
func (r Report) Exit() int {
	switch r.Status {
	case OK, Warning:
		return 0
	case Problem:
		return 1
	default:
		return 2
	}
}

// Options choose what is examined.
type Options struct {
	Client  bool // examine as client, also where nothing is switched on
	Vault   bool // examine as vault, also where nothing shows that it is one
	Verbose bool // name keys, not only their number

	Wait time.Duration // for an answer to a call, and at most for a program of this qube; 0 is a minute
}

// Run examines the qube. It takes seconds, or up to opts.Wait for each service
// whose call is answered by nobody.
func Run(ctx context.Context, env Environment, opts Options) Report {
	opts.Wait = cmp.Or(opts.Wait, callTime)
	d := &diagnosis{env: env, opts: opts}
	results := d.all(ctx)
	return Report{Qube: d.name, Status: worst(results), Checks: results}
}

func (d *diagnosis) all(ctx context.Context) []Result {
	results, ok := row(ctx, d.qube, d.user)
	if !ok || d.template {
		return results
	}
	client, vault := d.roles(ctx)
	pass := !vault && d.passOn(ctx)
	clef := !vault && d.clefOn(ctx)
	if !client && !vault && !pass && !clef {
		return append(results, d.noRole())
	}
	if client {
		more, _ := row(ctx, d.service, d.programs, d.unit, d.node, d.target, d.environment, d.sshConfig, d.otherSplitSSH, d.call)
		results = append(results, more...)
	}
	if pass {
		more, _ := row(ctx, d.passService, d.passPrograms, d.passSocket, d.passNode, d.passTarget, d.passScreen, d.passCall)
		results = append(results, more...)
	}
	if clef {
		more, _ := row(ctx, d.clefService, d.clefPrograms, d.clefPort, d.clefPort6, d.clefSocket, d.clefNode, d.clefPages, d.clefTarget, d.clefCall)
		results = append(results, more...)
	}
	if vault {
		more, _ := row(ctx, d.contradiction, d.handler, d.rpcConfig, d.silence, d.rules, d.hosts, d.prompts, d.notices, d.agents, d.clefHandler, d.clefSigner, d.passHandler, d.passStore, d.audit, d.crashes, d.network)
		results = append(results, more...)
	}
	return results
}

// diagnosis is what the checks share; earlier ones fill it for later ones.
type diagnosis struct {
	env  Environment
	opts Options

	name     string            // of this qube, "" if unknown
	template bool              // this is a template
	manager  map[string]string // environment of the user's services, nil before it was asked for
	file     *rules.File       // the rules in force for ssh, nil if they have a mistake
	said     []said            // what the rules of all services say
}

// check makes one check. An empty result (no Check) is not reported.
type check func(context.Context) (result Result, goOn bool)

// run runs a program of this qube to its end, or for as long as the owner waits.
func (d *diagnosis) run(ctx context.Context, argv ...string) (Output, error) {
	ctx, cancel := context.WithTimeout(ctx, d.opts.Wait)
	defer cancel()
	return d.env.Run(ctx, argv...)
}

// row runs checks until one says that the rest is pointless.
func row(ctx context.Context, checks ...check) (results []Result, complete bool) {
	for _, c := range checks {
		result, goOn := c(ctx)
		if result.Check != "" {
			results = append(results, result)
		}
		if !goOn {
			return results, false
		}
	}
	return results, true
}

// worst returns the status of the whole: a certain problem outweighs what could
// not be found out.
func worst(results []Result) Status {
	whole := OK
	for _, r := range results {
		switch {
		case r.Status == Problem || whole == Problem:
			whole = Problem
		case r.Status == Unknown || whole == Unknown:
			whole = Unknown
		case r.Status == Warning:
			whole = Warning
		}
	}
	return whole
}

func ok(check, format string, args ...any) Result {
	return Result{Check: check, Status: OK, Text: fmt.Sprintf(format, args...)}
}

func warning(check, text string, fix ...Step) Result {
	return Result{Check: check, Status: Warning, Text: text, Fix: fix}
}

func problem(check, text string, fix ...Step) Result {
	return Result{Check: check, Status: Problem, Text: text, Fix: fix}
}

func unknown(check, text string, fix ...Step) Result {
	return Result{Check: check, Status: Unknown, Text: text, Fix: fix}
}

func dom0(format string, args ...any) Step {
	return Step{Where: "dom0", Do: fmt.Sprintf(format, args...)}
}

func (d *diagnosis) here(format string, args ...any) Step {
	return Step{Where: d.self(), Do: fmt.Sprintf(format, args...)}
}

// self is this qube's name for texts.
func (d *diagnosis) self() string {
	if d.name == "" {
		return "THISQUBE"
	}
	return d.name
}
