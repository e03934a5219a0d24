package consent

import (
	"slices"
	"time"
)

// Reason says in words why an answer is as it is.
type Reason string

// The reasons to allow.
const (
	Once    Reason = "allowed by the person, this once"
	Lasting Reason = "allowed by the person, for a time"
	Granted Reason = "allowed by the person before"
)

// The reasons to deny.
const (
	Denied         Reason = "denied by the person"
	Closed         Reason = "the prompt was closed without an answer"
	TimedOut       Reason = "nobody answered the prompt in time"
	Waited         Reason = "other prompts were in front for too long"
	TooQuick       Reason = "the prompt was answered quicker than it can be read"
	Silenced       Reason = "this qube is silenced: its prompts were denied three times in a minute"
	Paused         Reason = "prompts are paused (splitvault pause --end)"
	QueueFull      Reason = "too many questions of this qube wait already"
	NoDisplay      Reason = "the vault has no display to ask on"
	NoPrompter     Reason = "the vault has no program to ask with: install zenity"
	PrompterFailed Reason = "the program that asks failed"
	Garbage        Reason = "the program that asks gave an answer that is none"
	Withdrawn      Reason = "the client is gone"
	StateUnread    Reason = "the pauses cannot be read (splitvault pause --end makes their file anew)"
	Ending         Reason = "the vault's session ends"
	BadRequest     Reason = "not a question for a person"
)

// Answer is what became of a question. The zero Answer denies.
type Answer struct {
	Reason Reason
	Until  time.Time // the end of the grant behind an allow; else zero
}

// Allowed tells whether a person allowed it.
func (a Answer) Allowed() bool { return slices.Contains(allowing(), a.Reason) }

// String says why.
func (a Answer) String() string {
	if a.Reason == "" {
		return "not answered"
	}
	return string(a.Reason)
}

func allowing() []Reason { return []Reason{Once, Lasting, Granted} }

func reasons() []Reason {
	return append(allowing(), Denied, Closed, TimedOut, Waited, TooQuick, Silenced, Paused, QueueFull,
		NoDisplay, NoPrompter, PrompterFailed, Garbage, Withdrawn, StateUnread, Ending, BadRequest)
}
