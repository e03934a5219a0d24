package bench

import (
	"cmp"
	"fmt"
	"strconv"

	"github.com/splitvault/splitvault/test/qubes/qrexec/dom0"
)

// Calls is what dom0 has seen of qrexec so far.
func (b *Bench) Calls() (dom0.Statistics, error) {
	var all dom0.Statistics
	if err := b.tellDom0(dom0.Command{Verb: "calls"}, &all); err != nil {
		return dom0.Statistics{}, err
	}
	return all, nil
}

// FormatCall is one line about a call: who asked for what, and what came of it.
func FormatCall(c dom0.Call) string {
	service := c.Service
	if c.Argument != "" {
		service += "+" + c.Argument
	}
	line := fmt.Sprintf("%s: %s -> %s: %s", service, c.Source, cmp.Or(c.Target, c.Requested, "nobody"), c.Verdict)
	if c.Open {
		return line + ", open"
	}
	if c.ClientExit != nil {
		line += ", client's exit code " + strconv.Itoa(*c.ClientExit)
	}
	if c.ServiceExit != nil {
		line += ", service's " + strconv.Itoa(*c.ServiceExit)
	}
	return line
}

// openCalls tells which calls have not ended.
func (b *Bench) openCalls() error {
	all, err := b.Calls()
	if err != nil {
		return err
	}
	for _, c := range all.Calls {
		if c.Open {
			return fmt.Errorf("qrexec call still open: %s", FormatCall(c))
		}
	}
	return nil
}

// tellDom0 gives dom0 a command over its remote control and reads the answer.
func (b *Bench) tellDom0(c dom0.Command, answer any) error {
	if err := dom0.Do(qrexecDir(string(b.state)), c, answer); err != nil {
		return fmt.Errorf("asking dom0 to %s: %w", c.Verb, err)
	}
	return nil
}
