package faults

import (
	"fmt"
	"slices"
	"strconv"
)

// faults are all of them.
func faults() []fault {
	return slices.Concat(qrexecFaults(), killFaults(), systemFaults(), personFaults(), pauseFaults())
}

// once is a fault of qrexec's that meets one call.
func once(kind string, args ...string) func(c *cell) {
	return func(c *cell) {
		c.ctl(append([]string{"fault", kind, "--service", c.s.calls, "--times", "1"}, args...)...)
	}
}

func cleared(c *cell) { c.ctl("clear") }

// qrexecFaults are dom0's, and those of the channel.
func qrexecFaults() []fault {
	no, broken := dom0Says("4001.*Qubes policy refused", "dom0 refused"), dom0Says("4900.*signer unreachable", "the connection broke|broken")
	list := []fault{
		{name: "refused", gate: true, before: once("refuse"), after: cleared, want: no},
		{name: "vault-does-not-start", before: once("down"), after: cleared, want: no},
		{name: "no-channel", before: once("channel"), after: cleared, want: dom0Says("4900.*qrexec in this qube did not connect", "qrexec in this qube did not connect")},
		{name: "late", before: once("late", "--delay", "1500ms"), after: cleared, want: map[string]want{"": {good: true}}},
		{name: "byte-by-byte", before: once("slow", "--chunk", "7", "--delay", "50us"), after: cleared, want: map[string]want{"": {good: true}}},
	}
	for _, n := range []int{0, 1, 3, 4, 5, 40} {
		list = append(list, fault{
			name: fmt.Sprintf("answer-cut-after-%d", n), gate: n == 5, before: once("cut", "--after", strconv.Itoa(n)), after: cleared, want: broken,
		})
	}
	for _, n := range []int{0, 1, 4, 5, 20} {
		list = append(list, fault{
			name: fmt.Sprintf("request-cut-after-%d", n), gate: n == 4, only: withBody, before: once("cut", "--direction", "to-service", "--after", strconv.Itoa(n)), after: cleared, want: broken,
		})
	}
	// Only a person can tell such a call from one that is being thought about.
	for _, n := range []int{0, 4, 40} {
		list = append(list,
			fault{name: fmt.Sprintf("answer-stalls-after-%d", n), gate: n == 4, patience: "timeout 1", before: once("stall", "--after", strconv.Itoa(n)), after: movedAndIdle, want: bad(``, ``, ``, ``)},
			fault{name: fmt.Sprintf("request-stalls-after-%d", n), only: withBody, patience: "timeout 1", before: once("stall", "--direction", "to-service", "--after", strconv.Itoa(n)), after: movedAndIdle, want: bad(``, ``, ``, ``)})
	}
	return list
}

// withBody are the services whose request is not in the call's argument alone.
var withBody = []string{"ssh", "clef"}

// dom0Says is what is expected where a call is no answer: ssh's clients are told no
// more than that, the others the cause, and the journal of work has it for all.
func dom0Says(clef, log string) map[string]want {
	return bad(noAgent, clef, log, log)
}

// noAgent is all that ssh-keygen says, whatever an agent lacks.
const noAgent = "No private key found|agent refused operation"

// moved ends a call that stalls: whoever stopped the vault has killed it.
func moved(c *cell) {
	cleared(c)
	c.ctl("cut", "vault")
}

func movedAndIdle(c *cell) {
	moved(c)
	c.ctl("wait-idle")
	// Who asks the same in this moment would join those that wait for the broken call.
	c.onWork("while pgrep -x " + c.s.relay + " >/dev/null; do sleep 0.02; done")
}
