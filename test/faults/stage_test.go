package faults

import "time"

// stage is how far a request is.
type stage int

const (
	// dom0 has been asked for the call, and takes its time.
	deciding stage = iota
	// nothing of the request has arrived in the vault.
	calling
	// the vault's agent has it, and takes its time.
	working
	// the answer comes, and takes seconds.
	answering
	// a person in the vault is being asked.
	asking
	// a client has been answered, and keeps its connection for more.
	holding
)

func (s stage) String() string {
	return [...]string{"deciding", "calling", "working", "answering", "asking", "holding"}[s]
}

// bring prepares that the request gets as far as the fault's stage, and no farther.
func (c *cell) bring() {
	switch c.f.stage {
	case deciding:
		once("late", "--delay", "3s")(c)
	case calling:
		c.ctl("fault", "stall", "--service", c.s.calls, "--direction", "to-service", "--times", "1")
	case working:
		c.onVault(c.s.stop)
	case answering:
		chunk := "1"
		if c.s.name == "pass" { // whose answer is the longest
			chunk = "100"
		}
		c.ctl("fault", "slow", "--service", c.s.calls, "--chunk", chunk, "--delay", "15ms", "--times", "1")
	case asking:
		c.callPerson()
	case holding:
		c.onWork("rm -f go held && mkfifo go")
	}
}

// await waits until it is there.
func (c *cell) await(r *asked) {
	for deadline := time.Now().Add(10 * time.Second); !c.under(); time.Sleep(10 * time.Millisecond) {
		select {
		case <-r.ended:
			c.t.Errorf("the request has ended before it came as far as %v: %q", c.f.stage, r.answer().said)
			return
		default:
		}
		if time.Now().After(deadline) {
			c.t.Fatal("the request makes no call")
		}
	}
	switch c.f.stage {
	case asking:
		c.window()
	case holding:
		c.onWork("for i in $(seq 500); do grep -q now held && exit; sleep 0.02; done; exit 1")
	default:
		time.Sleep(200 * time.Millisecond) // each program is where it waits
	}
}

// under tells whether the request has met what will deal with it: dom0, or the guard,
// which on a busy machine starts seconds after dom0's word, and which may have ended
// when the answer comes.
func (c *cell) under() bool {
	if c.f.stage == deciding {
		_, err := c.work.User(c.t.Context(), "pgrep -x qrexec-client-v")
		return err == nil
	}
	calls, err := c.Calls()
	must(c.t, err)
	if calls.Open == 0 || c.f.stage == answering {
		return calls.Open > 0
	}
	_, err = c.vault.User(c.t.Context(), "pgrep -x "+c.s.guard)
	return err == nil
}

// release lets go of what bring has stopped. What was killed has no more to go on.
func (c *cell) release() {
	if c.f.stage == working {
		_, _ = c.vault.User(c.t.Context(), c.s.goOn)
	}
	c.ctl("clear")
}
