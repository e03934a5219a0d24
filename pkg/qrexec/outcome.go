package qrexec

import (
	"fmt"
	"strings"
	"syscall"
)

// Exit codes of qrexec-client-vm that are not the service's own
// (libqrexec/qrexec.h; 255 and 1 are of agent/qrexec-client-vm.c).
const (
	ExitConnection = 1   // no agent in this qube, or the data channel could not be set up
	ExitUsage      = 2   // the client program does not know an option; a guard's word for a bad request, too
	ExitProblem    = 125 // allowed, but qrexec could not start the service
	ExitRefused    = 126 // refused in dom0, for whatever reason
	ExitNoService  = 127 // allowed, but no such service in the target
	ExitVchan      = 255 // the channel broke: the target went down
)

// Outcome is how a call ended.
type Outcome struct {
	Code    int            // exit code; -1 if there was none
	Signal  syscall.Signal // if the client program died by one
	Message string         // first bytes of standard error: untrusted, the other qube writes it too
	Stopped bool           // the client program did not end by itself: [Call.End] ended it
	Err     error          // why it could not be waited for
}

// Cause says in a word why a call that should have answered did not; it is the
// same for equal causes, so that a person is told once.
func (o Outcome) Cause() string {
	switch {
	case o.Err != nil:
		return "client-error"
	case o.Stopped:
		return "no-answer"
	case o.Signal != 0:
		return "client-killed"
	}
	switch o.Code {
	case 0:
		return "no-answer"
	case ExitConnection:
		return "no-connection"
	case ExitUsage:
		return "usage"
	case ExitProblem:
		return "qrexec-problem"
	case ExitRefused:
		return "refused"
	case ExitNoService:
		return "no-service"
	case ExitVchan:
		return "broken"
	default:
		return "service-failed"
	}
}

// Explain says what happened and what to do next, in one line. asked and
// service are what was called; self is this qube's name, "" if unknown.
func (o Outcome) Explain(self string, asked Target, service Service) string {
	if self == "" {
		self = "THISQUBE"
	}
	vault := string(asked)
	if asked == Default {
		vault = "VAULT"
	}
	switch o.Cause() {
	case "refused":
		return fmt.Sprintf("dom0 refused the call (no rule, a deny rule, or the vault cannot start). "+
			"In dom0, `qubes-policy-editor 30-splitvault` and a line such as: %s %s @anyvm ask target=%s default_target=%[3]s. "+
			"The reason is in dom0: journalctl -u qubes-qrexec-policy-daemon", policyService(service), self, vault)
	case "no-service":
		return fmt.Sprintf("%s has no service %s: install splitvault in its template, shut the template down, restart %[1]s",
			vault, serviceName(service))
	case "qrexec-problem":
		return fmt.Sprintf("qrexec could not start %s in %s: it may be starting or shutting down, try again, then look there: journalctl -b -t qrexec-agent",
			serviceName(service), vault)
	case "no-connection":
		return fmt.Sprintf("qrexec in this qube did not connect (too many calls at once, or no qrexec agent): try again; then: systemctl status qubes-qrexec-agent; "+
			"or the service failed: in %s look at: %s", vault, guardLog(service))
	case "broken":
		return fmt.Sprintf("the connection broke: %s shut down or its qrexec ended; the next request makes a new call", vault)
	case "usage":
		return fmt.Sprintf("the service in %s found the request bad, or qrexec-client-vm did (is it from Qubes OS 4.2 or newer?): in %[1]s look at: %s", vault, guardLog(service))
	case "no-answer":
		return fmt.Sprintf("the service in %s ended without a whole answer; in %[1]s look at: %s", vault, guardLog(service))
	case "client-killed":
		return fmt.Sprintf("qrexec-client-vm was ended by signal %d", int(o.Signal))
	case "client-error":
		return fmt.Sprintf("waiting for qrexec-client-vm: %v", o.Err)
	default:
		return fmt.Sprintf("the service in %s failed with exit code %d; in %[1]s look at: %[3]s", vault, o.Code, guardLog(service))
	}
}

// guardLog is the command that shows what the program behind a service logged.
func guardLog(s Service) string {
	guard := "ssh-guard"
	switch name := serviceName(s); {
	case strings.HasPrefix(name, "qubes.Clef"):
		guard = "clef-guard"
	case strings.HasPrefix(name, "pass."):
		guard = "pass-guard"
	}
	return "journalctl -b -t splitvault-" + guard
}

// policyService is the service and argument of a policy line: a rule for pass names
// the entry, rules for the others leave that to the vault.
func policyService(s Service) string {
	if name, argument, _ := strings.Cut(string(s), "+"); strings.HasPrefix(name, "pass.") && argument != "" {
		return name + " +" + argument
	}
	return serviceName(s) + " *"
}

// serviceName is the service without argument, as policy lines have it.
func serviceName(s Service) string {
	name, _, _ := strings.Cut(string(s), "+")
	return name
}
