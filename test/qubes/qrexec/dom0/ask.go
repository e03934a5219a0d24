package dom0

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/splitvault/splitvault/test/qubes/policy"
)

// Answer is what the scripted person does with a prompt.
type Answer struct {
	Verdict string   `json:"verdict"`          // allow, deny or never
	Target  string   `json:"target,omitempty"` // allow: "" = the preselected or only choice
	Delay   Duration `json:"delay,omitzero"`
}

// ParseAnswer reads allow, allow:TARGET, deny or never.
func ParseAnswer(text string) (Answer, error) {
	verdict, target, _ := strings.Cut(text, ":")
	switch verdict {
	case "allow":
		return Answer{Verdict: verdict, Target: target}, nil
	case "deny", "never":
		if target == "" {
			return Answer{Verdict: verdict}, nil
		}
	}
	return Answer{}, fmt.Errorf("answer %q: want allow, allow:TARGET, deny or never", text)
}

// Prompt is one open window of dom0, as `ctl asks` shows it.
type Prompt struct {
	ID            int       `json:"id"` // the call's
	Source        string    `json:"source"`
	Service       string    `json:"service"`
	Argument      string    `json:"argument"`
	Targets       []string  `json:"targets"`
	DefaultTarget string    `json:"default_target"`
	Since         time.Time `json:"since"`
	Ignored       bool      `json:"ignored"` // answered "never": stays open
}

type prompt struct {
	Prompt
	answered bool
	answer   chan Answer // holds the one answer
}

// prompt shows a window and waits for the person, without a time-out. That the
// caller is gone does not close it.
func (b *Broker) prompt(ctx context.Context, c *call, v policy.Verdict) (policy.Verdict, error) {
	p := &prompt{
		Prompt: Prompt{
			ID: c.ID, Source: c.Source, Service: c.Service, Argument: c.Argument,
			Targets: v.Choices, DefaultTarget: v.DefaultTarget, Since: time.Now(),
		},
		answer: make(chan Answer, 1),
	}
	b.edit(func() {
		c.Asked = true
		b.asks = append(b.asks, p)
		switch {
		case len(b.queue) > 0:
			p.take(b.queue[0])
			b.queue = b.queue[1:]
		case b.standing != nil:
			p.take(*b.standing)
		}
	})
	defer b.edit(func() { b.asks = slices.DeleteFunc(b.asks, func(q *prompt) bool { return q == p }) })
	select {
	case answer := <-p.answer:
		if err := sleep(ctx, answer.Delay.Duration); err != nil {
			return policy.Verdict{}, err
		}
		return v.Answer(p.chosen(answer))
	case <-ctx.Done():
		return policy.Verdict{}, errStopped
	}
}

// take gives a prompt its answer; "never" leaves it open. The caller holds the
// broker's mu.
func (p *prompt) take(a Answer) {
	if a.Verdict == "never" {
		p.Ignored = true
		return
	}
	if !p.answered {
		p.answered = true
		p.answer <- a
	}
}

// chosen is the target of an answer, "" = no.
func (p *prompt) chosen(a Answer) string {
	switch {
	case a.Verdict != "allow":
		return ""
	case a.Target != "":
		return a.Target
	case p.DefaultTarget != "":
		return p.DefaultTarget
	case len(p.Targets) == 1:
		return p.Targets[0]
	}
	return ""
}

// answer gives a to the prompt with id, or with id 0 to the oldest one that is
// not ignored, or keeps it for the next.
func (b *Broker) answer(id int, a Answer) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, p := range b.asks {
		if p.answered {
			continue
		}
		if p.ID == id || id == 0 && !p.Ignored {
			p.take(a)
			return nil
		}
	}
	if id != 0 {
		return errors.New("no such prompt")
	}
	b.queue = append(b.queue, a)
	return nil
}
