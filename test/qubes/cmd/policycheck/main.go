// Command policycheck checks qrexec policy directories as dom0 of Qubes OS R4.3
// would read them, and says what it would decide about a call.
package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/splitvault/splitvault/test/qubes/policy"
)

const usage = `usage: policycheck [-eval "SOURCE [TARGET] SERVICE[+ARG]" [-qubes FILE]] DIR...

Reads the policy directories as a whole, later ones replacing files of the same
name in earlier ones (/etc/qubes/policy.d, then /run/qubes/policy.d), and prints
what is wrong in them: all that dom0 refuses to load, and what it accepts but
never does what the writer meant.

  -eval CALL   also print the verdict about a call; no TARGET means @default
  -qubes FILE  the machine to judge that call on, as JSON:
               {"qubes": {"dom0": {"type": "AdminVM"}, "work": {"type": "AppVM", "guivm": "dom0"}}}
               Without it, SOURCE, TARGET and the qubes that rules name as targets
               exist and run, without tags.

Exit status: 0 nothing found, 1 something found, 2 wrong usage.
`

func main() { os.Exit(run(os.Args[1:], os.Stdout, os.Stderr)) }

func run(args []string, stdout, stderr io.Writer) int {
	flags := flag.NewFlagSet("policycheck", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	eval := flags.String("eval", "", "")
	qubes := flags.String("qubes", "", "")
	err := flags.Parse(args)
	if errors.Is(err, flag.ErrHelp) {
		fmt.Fprint(stdout, usage)
		return 0
	}
	if err == nil && flags.NArg() == 0 {
		err = errors.New("no directory given")
	}
	if err == nil && *qubes != "" && *eval == "" {
		err = errors.New("-qubes is of use only with -eval")
	}
	if err != nil {
		return fail(stderr, err)
	}
	code := lint(stderr, flags.Args())
	if *eval == "" {
		return code
	}
	if err := evaluate(stdout, *eval, *qubes, flags.Args()); err != nil {
		return fail(stderr, err)
	}
	return code
}

func fail(stderr io.Writer, err error) int {
	fmt.Fprintf(stderr, "policycheck: %v\n\n%s", err, usage)
	return 2
}

// lint prints all findings and returns the exit status.
func lint(stderr io.Writer, dirs []string) int {
	findings := policy.Lint(dirs...)
	for _, f := range findings {
		fmt.Fprintln(stderr, f)
		if f.Hint != "" {
			fmt.Fprintf(stderr, "\thint: %s\n", f.Hint)
		}
	}
	return min(len(findings), 1)
}

// evaluate prints the verdict about one call as KEY=VALUE lines.
func evaluate(stdout io.Writer, untrustedCall, qubesFile string, dirs []string) error {
	request, err := parseCall(untrustedCall)
	if err != nil {
		return err
	}
	p, err := policy.Load(dirs...)
	if err != nil {
		p = nil // lint has said why; a policy that does not load refuses
	}
	sys := assumed(p, request)
	if qubesFile != "" {
		if sys, err = policy.LoadSystem(qubesFile); err != nil {
			return err
		}
	}
	v := p.Evaluate(sys, request)
	fmt.Fprintf(stdout, "result=%s\n", v.Action)
	for _, line := range [][2]string{
		{"target", v.Target},
		{"user", v.User},
		{"choices", strings.Join(v.Choices, " ")},
		{"default_target", v.DefaultTarget},
		{"requested_target", v.RequestedTarget},
		{"rule", v.Rule},
		{"reason", v.Reason},
	} {
		if line[1] != "" {
			fmt.Fprintf(stdout, "%s=%s\n", line[0], line[1])
		}
	}
	fmt.Fprintf(stdout, "notify=%t\n", v.Notify)
	return nil
}

// parseCall reads "SOURCE [TARGET] SERVICE[+ARG]". dom0 replaces characters that
// it does not allow by _ before the policy sees them; here they are an error.
func parseCall(untrusted string) (policy.Request, error) {
	const letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.-"
	words := strings.Fields(untrusted)
	if len(words) == 2 {
		words = []string{words[0], "", words[1]}
	}
	if len(words) != 3 {
		return policy.Request{}, fmt.Errorf("-eval %q is not SOURCE [TARGET] SERVICE[+ARG]", untrusted)
	}
	for i, also := range []string{"", "@:", "+"} {
		if strings.Trim(words[i], letters+also) != "" {
			return policy.Request{}, fmt.Errorf("-eval: %q has characters that dom0 would replace by _", words[i])
		}
	}
	service, argument := policy.SplitService(words[2])
	if service == "" {
		return policy.Request{}, fmt.Errorf("-eval: %q names no service", words[2])
	}
	return policy.Request{Source: words[0], Target: words[1], Service: service, Argument: argument}, nil
}

// assumed is a machine on which the caller, the qube it names and those that
// rules name as targets exist and run.
func assumed(p *policy.Policy, r policy.Request) policy.System {
	sys := policy.System{Qubes: map[string]policy.Qube{
		"dom0": {Name: "dom0", Type: "AdminVM", Running: true, GuiVM: "dom0"},
	}}
	for _, name := range append(p.TargetNames(), r.Source, r.Target) {
		if name != "" && name != "dom0" && !strings.ContainsAny(name, "@:") {
			sys.Qubes[name] = policy.Qube{Name: name, Type: "AppVM", Running: true, GuiVM: "dom0"}
		}
	}
	return sys
}
