package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/splitvault/splitvault/pkg/clefapi"
	"github.com/splitvault/splitvault/pkg/knownhosts"
	"github.com/splitvault/splitvault/pkg/qrexec"
	"github.com/splitvault/splitvault/pkg/rules"
)

// explainFlags say which use of which key is to be explained.
type explainFlags struct {
	agent, key, user, purpose string
	hosts                     []string
	entry, verb, field        string
	clef                      clefFlags
	asJSON                    bool
}

func newExplain() *cobra.Command {
	var flags explainFlags
	cmd := &cobra.Command{
		Use:   "explain QUBE ssh|clef|pass",
		Short: "Tell which rule decides about a request, and why",
		Long: "Judges a made-up request of a qube by the rules that are in force here, and names\n" +
			"the rule that decides, with its line and text, and why those before it do not.\n" +
			"Nothing is signed or decrypted, and nobody is asked.\n\n" +
			"Exit code: 0 explained, 1 the rules have a mistake (everything is denied), 2 wrong usage.",
		Args:      cobra.ExactArgs(2),
		ValidArgs: []string{"ssh", "clef", "pass"},
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := flags.belong(cmd, args[1]); err != nil {
				return err
			}
			switch args[1] {
			case "clef":
				return flags.explainClef(cmd.OutOrStdout(), args[0])
			case "pass":
				return flags.explainPass(cmd.OutOrStdout(), args[0])
			}
			request, err := flags.request(args[0], args[1])
			if err != nil {
				return err
			}
			return explain(cmd.OutOrStdout(), request, flags.asJSON)
		},
	}
	f := cmd.Flags()
	f.StringVar(&flags.agent, "agent", "", "the agent that the call names (qubes.Ssh+AGENT)")
	f.StringVar(&flags.key, "key", "", "the key: SHA256:... as ssh-add -l shows it, or its comment in the vault")
	f.StringVar(&flags.user, "user", "", "the user that logs in")
	f.StringSliceVar(&flags.hosts, "host", nil, "where the login goes to; without it the destination is not known")
	f.StringVar(&flags.purpose, "purpose", "login", "login, forwarded-login, sshsig:NAMESPACE, certificate, hostkey or raw")
	f.StringVar(&flags.clef.method, "method", clefapi.SignTransaction, "the method of Clef")
	f.StringVar(&flags.clef.account, "account", "", "the account")
	f.Int64Var(&flags.clef.chain, "chain", 0, "the chain, 1 is Ethereum; without it the request names none")
	f.StringVar(&flags.clef.to, "to", "", "the recipient, or contract of typed data; or create")
	f.StringVar(&flags.clef.value, "value", "", "how much a transaction sends: \"0.5 ether\" (default nothing)")
	f.StringVar(&flags.clef.call, "call", "", "what a transaction calls: a selector, or transfer, approve ... (default none)")
	f.StringVar(&flags.clef.origin, "origin", "", "the page that asks: https://app.example.org")
	f.StringVar(&flags.clef.contentType, "content-type", "", "of account_signData (default text/plain)")
	f.StringVar(&flags.entry, "entry", "", "the entry, as pass ls shows it")
	f.StringVar(&flags.verb, "verb", "", "list, find, field, otp, show, insert, generate or replace (default show, or field with --field)")
	f.StringVar(&flags.field, "field", "", "the field of the entry")
	f.BoolVar(&flags.asJSON, "json", false, "print the explanation as JSON")
	return cmd
}

// request checks what was typed.
func (f *explainFlags) request(qube, service string) (rules.SSHRequest, error) {
	name, err := qrexec.ParseQubeName(qube)
	if err != nil {
		return rules.SSHRequest{}, err
	}
	if service != "ssh" {
		return rules.SSHRequest{}, fmt.Errorf("no rules for the service %q: ssh, clef or pass", service)
	}
	agent, err := rules.ParseAgentName(f.agent)
	if err != nil {
		return rules.SSHRequest{}, fmt.Errorf("--agent: %w", err)
	}
	if agent == rules.DefaultAgent {
		agent = ""
	}
	r := rules.SSHRequest{Qube: string(name), Agent: string(agent), Purpose: f.purpose, User: f.user}
	if strings.HasPrefix(f.key, "SHA256:") {
		r.Fingerprints = []string{f.key}
	} else {
		r.Comment = strings.TrimPrefix(f.key, "comment:")
	}
	if err := new(rules.PurposePattern).UnmarshalText([]byte(f.purpose)); err != nil {
		return rules.SSHRequest{}, fmt.Errorf("--purpose: %w", err)
	}
	if !strings.HasSuffix(f.purpose, "login") && (f.user != "" || f.hosts != nil) {
		return rules.SSHRequest{}, errors.New("--user and --host are for --purpose login and forwarded-login: nothing else has them")
	}
	for _, h := range f.hosts {
		normal, ok := knownhosts.Normalise(h)
		if !ok || strings.ContainsAny(normal, "*?") {
			return rules.SSHRequest{}, fmt.Errorf("--host: %q is no host: write a name, an address, or [HOST]:PORT", h)
		}
		r.Hosts = append(r.Hosts, normal)
	}
	return r, nil
}

// belong refuses flags that say nothing about the service.
func (f *explainFlags) belong(cmd *cobra.Command, service string) error {
	of := map[string][]string{
		"ssh":  {"agent", "key", "user", "purpose", "host"},
		"clef": {"method", "account", "chain", "to", "value", "call", "origin", "content-type"},
		"pass": {"entry", "verb", "field"},
	}
	for other, names := range of {
		for _, name := range names {
			if other != service && of[service] != nil && cmd.Flags().Changed(name) {
				return fmt.Errorf("--%s is for %s, not for %s", name, other, service)
			}
		}
	}
	return nil
}

// explanation is the answer.
type explanation struct {
	Qube     string        `json:"qube"`
	Service  string        `json:"service"`
	Agent    string        `json:"agent,omitempty"`
	Key      string        `json:"key,omitempty"`
	Purpose  string        `json:"purpose,omitempty"`
	User     string        `json:"user,omitempty"`
	Hosts    []string      `json:"hosts,omitempty"`
	Request  string        `json:"request,omitempty"` // to Clef, in words
	Entry    string        `json:"entry,omitempty"`
	Verb     string        `json:"verb,omitempty"`
	Field    string        `json:"field,omitempty"`
	File     string        `json:"file,omitempty"` // "" for the built-in default
	Decision string        `json:"decision"`
	Reason   string        `json:"reason,omitempty"` // where no rule decides
	Rule     *explainStep  `json:"rule,omitempty"`
	Remember string        `json:"remember,omitempty"`
	Rate     string        `json:"rate,omitempty"`
	Notify   bool          `json:"notify,omitempty"`
	Unlock   bool          `json:"unlock,omitempty"`
	Before   []explainStep `json:"before,omitempty"` // the rules that did not match
	Notes    []string      `json:"notes,omitempty"`
	Problems []rulesIssue  `json:"problems,omitempty"`
}

type explainStep struct {
	Position string `json:"position"`
	Line     int    `json:"line,omitempty"`
	Text     string `json:"text"`
	Missed   string `json:"missed,omitempty"`
	Why      string `json:"why"`
}

func explain(w io.Writer, r rules.SSHRequest, asJSON bool) error {
	e := explanation{
		Qube: r.Qube, Service: "ssh", Agent: r.Agent, Key: strings.Join(append(slices.Clone(r.Fingerprints), r.Comment), ""),
		Purpose: r.Purpose, User: r.User, Hosts: r.Hosts, Decision: rules.Deny.String(),
	}
	file, err := rules.LoadOrDefault(rules.Paths(os.Getenv)...)
	if err != nil {
		e.Reason, e.Problems = "the rules have a mistake, so everything is denied", issues(rules.Problems(err))
	} else {
		e.judge(file, r)
	}
	return e.print(w, asJSON, err)
}

// print writes the explanation; mistakes are why the rules could not be read.
func (e *explanation) print(w io.Writer, asJSON bool, mistakes error) error {
	write := e.writeText
	if asJSON {
		write = func(w io.Writer) error { return writeJSON(w, e) }
	}
	if err := write(w); err != nil {
		return err
	}
	if mistakes != nil {
		return exit(1)
	}
	return nil
}

func (e *explanation) judge(file *rules.File, r rules.SSHRequest) {
	verdict, steps := file.SSH.Explain(r)
	e.decide(file.Path, verdict, steps)
	e.note(file, r)
}

// decide takes over what the rules say.
func (e *explanation) decide(path string, verdict rules.Verdict, steps []rules.Step) {
	e.File, e.Decision, e.Unlock = path, verdict.Decision.String(), verdict.Unlock
	e.Rate, e.Notify = verdict.Rate.String(), verdict.Notify
	if verdict.Decision == rules.Ask || verdict.Rate.Count > 0 {
		e.Remember = rules.Remember(verdict.Remember).String()
	}
	for _, s := range steps {
		step := explainStep{Position: s.Rule, Line: s.Line, Text: s.Text, Missed: s.Missed, Why: s.Why}
		if s.Missed == "" {
			e.Rule = &step
			continue
		}
		e.Before = append(e.Before, step)
	}
	if e.Rule == nil {
		e.Reason = "no rule matches"
	}
}

// note says what the answer rests on.
func (e *explanation) note(file *rules.File, r rules.SSHRequest) {
	missed := func(key string) bool {
		return slices.ContainsFunc(e.Before, func(s explainStep) bool { return s.Missed == key })
	}
	if e.Key == "" && missed("keys") {
		e.Notes = append(e.Notes, "no key was given (--key), so rules for certain keys do not match")
	}
	if e.User == "" && missed("users") {
		e.Notes = append(e.Notes, "no user was given (--user), so rules for certain users do not match")
	}
	if len(r.Hosts) == 0 {
		if missed("hosts") {
			e.Notes = append(e.Notes, "no host was given (--host), so rules for certain hosts do not match")
		}
		return
	}
	known, err := knownhosts.Load(knownhosts.Paths(os.Getenv, file.SSH.ShippedKnownHosts)...)
	if err != nil {
		e.Notes = append(e.Notes, fmt.Sprintf("no host is believed here: %v", err))
		return
	}
	for _, h := range r.Hosts {
		if !known.Has(h) {
			e.Notes = append(e.Notes, fmt.Sprintf("this qube's known hosts have no key of %s, so no real login is believed to go there", h))
		}
	}
}

func (e *explanation) writeText(w io.Writer) error {
	var b strings.Builder
	fmt.Fprintf(&b, "%s, %s: %s: %s\n", e.Qube, e.Service, e.subject(), e.decision())
	switch {
	case e.Rule != nil && e.Rule.Line == 0:
		fmt.Fprintf(&b, "\ndecided by the built-in default, as there is no rules file:\n%s", indent(e.Rule.Text))
	case e.Rule != nil:
		fmt.Fprintf(&b, "\ndecided by %s:%d:\n%s", e.File, e.Rule.Line, indent(e.Rule.Text))
	default:
		fmt.Fprintf(&b, "\n%s\n", e.Reason)
	}
	for _, p := range e.Problems {
		fmt.Fprintf(&b, "  %v\n", rules.Problem{Path: p.File, Line: p.Line, Text: p.Text, Hint: p.Hint})
	}
	if e.Before != nil {
		fmt.Fprint(&b, "\nnot matched before:\n")
	}
	for _, s := range e.Before {
		fmt.Fprintf(&b, "  line %d: %s\n", s.Line, s.Why)
	}
	for _, n := range e.Notes {
		fmt.Fprintf(&b, "\nnote: %s\n", n)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// subject is the request in words.
func (e *explanation) subject() string {
	switch e.Service {
	case "clef":
		return e.Request
	case "pass":
		return e.passSubject()
	}
	s := e.Purpose
	if e.User != "" {
		s += fmt.Sprintf(" as %q", e.User)
	}
	if e.Hosts != nil {
		s += " at " + strings.Join(e.Hosts, ", ")
	}
	if e.Key != "" {
		s += fmt.Sprintf(" with the key %q", e.Key)
	}
	if e.Agent != "" {
		s += " of the agent " + e.Agent
	}
	return s
}

func (e *explanation) decision() string {
	s := e.Decision
	if e.Rate != "" {
		s += ", up to " + e.Rate + ", then ask"
	}
	switch d, err := time.ParseDuration(e.Remember); {
	case e.Remember == "" || err != nil:
	case d == 0:
		s += " (a yes is for once)"
	default:
		s += " (a yes may last " + e.Remember + ")"
	}
	if e.Notify {
		s += ", with a notification"
	}
	if e.Unlock {
		s += ", may ask for the passphrase of the key"
	}
	return s
}

func indent(text string) string {
	var b strings.Builder
	for line := range strings.Lines(text + "\n") {
		b.WriteString("    " + line)
	}
	return b.String()
}
