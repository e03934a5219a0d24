package doctor

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/crypto/ssh/agent"

	"github.com/splitvault/splitvault/pkg/qrexec"
)

const (
	callTime  = time.Minute     // a person may have to answer dom0, and the vault to start
	agentTime = 5 * time.Second // for an agent of this qube
)

// errNoAnswer says that an agent took the request and did not answer in time.
var errNoAnswer = errors.New("no answer")

// call lists the vault's keys, the way ssh-add -L does. Only where that fails
// it calls the service once more, to learn the reason: an agent has but one word
// for every refusal.
func (d *diagnosis) call(ctx context.Context) (Result, bool) {
	keys, err := d.list(ctx, d.socketPath(), d.opts.Wait)
	switch {
	case errors.Is(err, errNoAnswer):
		return d.noAnswer("call"), false
	case err != nil:
		return d.reason(ctx, err), false
	case len(keys) == 0:
		return problem("call", "the vault answers, but has no key for this qube",
			Step{Where: "vault", Do: "ssh-add -l   (if that shows no keys: ssh-add ~/.ssh/id_ed25519)"},
			Step{Where: "vault", Do: fmt.Sprintf("splitvault explain %s ssh   (what it may do)", d.self())}), false
	}
	text := fmt.Sprintf("the vault answers; keys for this qube: %d", len(keys))
	if d.opts.Verbose {
		text += names(keys)
	}
	return ok("call", "%s", text), true
}

// noAnswer is the result of a call that nobody answered.
func (d *diagnosis) noAnswer(check string) Result {
	return problem(check, fmt.Sprintf("no answer within %v: a question is open in dom0 or in the vault, or the vault hangs while starting", d.opts.Wait),
		dom0("look for a question window; then: qvm-check --running VAULT"),
		Step{Where: "vault", Do: "look for a question window; then: splitvault doctor --vault"})
}

// list asks an agent for its keys, and waits no longer than that.
func (d *diagnosis) list(ctx context.Context, path string, wait time.Duration) ([]*agent.Key, error) {
	deadline := time.Now().Add(wait)
	ctx, cancel := context.WithDeadline(ctx, deadline)
	defer cancel()
	conn, err := d.env.Dial(ctx, path)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	if err := conn.SetDeadline(deadline); err != nil {
		return nil, fmt.Errorf("asking the agent at %q: %w", path, err)
	}
	keys, err := agent.NewClient(conn).List()
	if err != nil {
		// The client does not wrap what the connection said.
		if !time.Now().Before(deadline) {
			err = errNoAnswer
		}
		return nil, fmt.Errorf("asking the agent at %q: %w", path, err)
	}
	return keys, nil
}

// reason makes the relay's call itself.
func (d *diagnosis) reason(ctx context.Context, listErr error) Result {
	unit := d.unitEnvironment(ctx)
	client := unit["SPLITVAULT_QREXEC_CLIENT"]
	if client == "" {
		client = qrexec.DefaultClient
	}
	target, err := qrexec.ParseTarget(unit["QUBES_SSH_DOMAIN"])
	if err != nil {
		return problem("call", fmt.Sprintf("QUBES_SSH_DOMAIN of splitvault-ssh@.service: %v", err),
			d.here("systemctl --user cat splitvault-ssh@.service   (correct the drop-in)"))
	}
	service := qrexec.Service("qubes.Ssh")
	if name := unit["QUBES_SSH_SERVICE"]; name != "" {
		if service, err = qrexec.ParseService(name); err != nil {
			return problem("call", fmt.Sprintf("QUBES_SSH_SERVICE of splitvault-ssh@.service: %v", err),
				d.here("systemctl --user cat splitvault-ssh@.service   (correct the drop-in)"))
		}
	}
	ctx, cancel := context.WithTimeout(ctx, d.opts.Wait)
	defer cancel()
	_, outcome := d.env.Call(ctx, client, target, service)
	if errors.Is(outcome.Err, context.DeadlineExceeded) {
		return d.noAnswer("call")
	}
	if outcome.Err == nil && outcome.Signal == 0 && outcome.Code == 0 {
		return problem("call", fmt.Sprintf("the vault was reached, and refused: its rules, or no agent there (%v)", listErr),
			Step{Where: "vault", Do: "splitvault doctor"},
			Step{Where: "vault", Do: "journalctl -t splitvault-ssh-guard -n 5"},
			d.here("journalctl --user -t splitvault-ssh-relay -n 5"))
	}
	text := outcome.Explain(d.name, target, service)
	switch outcome.Cause() {
	case "refused":
		return problem("call", "dom0 refused the call; from here a missing rule, a deny rule, Cancel, and a vault that cannot start look alike",
			dom0("%s   (and write: %s * %s @anyvm ask target=VAULT default_target=VAULT)", policyCommand, bare(service), d.self()),
			dom0("journalctl -b -u qubes-qrexec-policy-daemon | grep %s   (what was refused, and why)", bare(service)),
			dom0("grep -rn %s /etc/qubes/policy.d; qvm-check --running VAULT", bare(service)))
	case "no-service":
		return problem("call", "the vault does not know the service: "+text,
			Step{Where: "template", Do: "install splitvault in the vault's template, then shut that template down"},
			dom0("qvm-shutdown --wait VAULT && qvm-start VAULT"))
	default:
		return problem("call", "the call failed: "+text)
	}
}

// unitEnvironment is what a relay sees, the later source wins: the manager's
// environment, Environment= of the unit, its environment file.
func (d *diagnosis) unitEnvironment(ctx context.Context) map[string]string {
	all := make(map[string]string)
	merge := func(more map[string]string) {
		for _, key := range []string{"QUBES_SSH_DOMAIN", "QUBES_SSH_SERVICE", "SPLITVAULT_QREXEC_CLIENT"} {
			if value, found := more[key]; found {
				all[key] = value
			}
		}
	}
	merge(d.manager)
	if out, err := d.run(ctx, "systemctl", "--user", "show", "-P", "Environment", "splitvault-ssh@doctor.service"); err == nil {
		merge(pairs(strings.ReplaceAll(out.Stdout, " ", "\n")))
	}
	if file, err := d.env.ReadFile(filepath.Join(d.runtime(), "splitvault", "env")); err == nil {
		merge(pairs(string(file)))
	}
	return all
}

// bare is the service without argument, as policy lines have it.
func bare(service qrexec.Service) string {
	name, _, _ := strings.Cut(string(service), "+")
	return name
}
