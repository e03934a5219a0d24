package qrexec

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"

	"github.com/splitvault/splitvault/test/qubes/qrexec/dom0"
)

const ctlUsage = `usage: qrexec ctl --dir DIR VERB

statistics      calls | reset | asks | faults
prompts         answer [--id N] [--delay D] allow|allow:TARGET|deny|never
                answer --default allow|…         for all that no queued answer meets
faults          fault KIND [--source Q] [--target Q] [--service PATTERN] [--times N]
                      [--after BYTES] [--direction to-service|to-client] [--delay D] [--chunk N]
                KIND: refuse late down channel cut stall slow
                clear                            faults, answers, limits and halts
limits          limits [--daemon N] [--xen N]
qubes           halt QUBE | unhalt QUBE | cut QUBE | restart-agent [--for D] QUBE
                start-command COMMAND | reload
waiting         wait-idle [--for D] | wait-ask [--for D] | wait-agent [--for D] QUBE

Results are JSON. Without an answer a prompt stays open, as a real one does; an
answer goes to the oldest open prompt, else to the next one.
`

// ctl is the host's remote control of a dom0.
func ctl(args []string, out io.Writer) error {
	f := flag.NewFlagSet("qrexec ctl", flag.ContinueOnError)
	f.Usage = func() { fmt.Fprint(f.Output(), ctlUsage) }
	dir := f.String("dir", "", "dom0's directory")
	if err := f.Parse(args); err != nil {
		return err
	}
	if *dir == "" || f.NArg() == 0 {
		f.Usage()
		return errors.New("--dir and a verb are needed")
	}
	command, err := parseCommand(f.Arg(0), f.Args()[1:])
	if err != nil {
		return err
	}
	var result json.RawMessage
	if err := dom0.Do(*dir, command, &result); err != nil {
		return err
	}
	_, err = fmt.Fprintf(out, "%s\n", result)
	return err
}

func parseCommand(verb string, args []string) (dom0.Command, error) {
	c := dom0.Command{Verb: verb, Limits: dom0.Limits{Daemon: 128}}
	kind := ""
	if verb == "fault" && len(args) > 0 {
		kind, args = args[0], args[1:]
	}
	f := flag.NewFlagSet("qrexec ctl "+verb, flag.ContinueOnError)
	f.Usage = func() { fmt.Fprint(f.Output(), ctlUsage) }
	standing := false
	switch verb {
	case "fault":
		c.Fault.Kind = dom0.FaultKind(kind)
		f.StringVar(&c.Fault.Source, "source", "", "")
		f.StringVar(&c.Fault.Target, "target", "", "")
		f.StringVar(&c.Fault.Service, "service", "", "")
		f.IntVar(&c.Fault.Times, "times", 0, "")
		f.Int64Var(&c.Fault.After, "after", 0, "")
		f.StringVar(&c.Fault.Direction, "direction", "", "")
		f.DurationVar(&c.Fault.Delay.Duration, "delay", 0, "")
		f.IntVar(&c.Fault.Chunk, "chunk", 0, "")
	case "answer":
		f.IntVar(&c.ID, "id", 0, "")
		f.BoolVar(&standing, "default", false, "")
		f.DurationVar(&c.Answer.Delay.Duration, "delay", 0, "")
	case "limits":
		f.IntVar(&c.Limits.Daemon, "daemon", 128, "")
		f.IntVar(&c.Limits.Xen, "xen", 0, "")
	case "restart-agent", "wait-idle", "wait-ask", "wait-agent":
		f.DurationVar(&c.Duration.Duration, "for", 0, "")
	}
	if err := f.Parse(args); err != nil {
		return dom0.Command{}, err
	}
	return fillOperand(c, f.Args(), standing)
}

// fillOperand takes what stands after a verb's options.
func fillOperand(c dom0.Command, operands []string, standing bool) (dom0.Command, error) {
	want := 0
	switch c.Verb {
	case "answer", "halt", "unhalt", "cut", "restart-agent", "wait-agent", "start-command":
		want = 1
	}
	if len(operands) != want {
		return dom0.Command{}, fmt.Errorf("%s: %d operands, want %d", c.Verb, len(operands), want)
	}
	if want == 0 {
		return c, nil
	}
	switch c.Verb {
	case "answer":
		delay := c.Answer.Delay
		var err error
		if c.Answer, err = dom0.ParseAnswer(operands[0]); err != nil {
			return dom0.Command{}, err
		}
		c.Answer.Delay = delay
		if standing {
			c.Verb = "answer-default"
		}
	case "start-command":
		c.Text = operands[0]
	default:
		c.Qube = operands[0]
	}
	return c, nil
}
