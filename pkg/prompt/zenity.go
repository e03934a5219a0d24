package prompt

import (
	"context"
	"fmt"
	"strings"
)

// Zenity asks by zenity, of any version with --switch (3.22, 2016).
type Zenity struct {
	Dir string // where it is, "" for the distribution's directories
}

type ended struct {
	stdout, stderr string
	code           int
}

// Ask shows the question. zenity is told to take nothing as markup.
func (z Zenity) Ask(ctx context.Context, env Environment, q Question) (Answer, error) {
	if env.Screen.Display == "" && env.Screen.Wayland == "" {
		return Answer{}, fmt.Errorf("%w: zenity needs a display", ErrNotHere)
	}
	path, err := find(z.Dir, "zenity")
	if err != nil {
		return Answer{}, err
	}
	args := []string{
		"--question", "--switch", "--no-markup", "--no-wrap", "--icon-name=dialog-password",
		"--title=" + q.title(), "--text=" + q.text(),
		"--extra-button=" + denyLabel, "--extra-button=" + onceLabel,
	}
	if q.Remember > 0 {
		args = append(args, "--extra-button="+q.lastingLabel())
	}
	shown := watch(ctx, env, q.title())
	e, err := onThread(func() (ended, error) {
		stdout, stderr, code, err := output(child(ctx, path, env, args...))
		return ended{stdout, stderr, code}, err
	})
	if ctx.Err() != nil {
		return Answer{}, context.Cause(ctx)
	}
	if err != nil {
		return Answer{}, fmt.Errorf("zenity: %w", err)
	}
	choice, err := q.zenityChoice(e)
	return Answer{choice, shown()}, err
}

// zenityChoice reads how zenity ended: a pressed extra button prints its label and
// exits with 1, Escape and the closed window print nothing.
func (q Question) zenityChoice(untrusted ended) (Choice, error) {
	switch {
	case untrusted.code == 1 && untrusted.stdout == denyLabel+"\n":
		return Deny, nil
	case untrusted.code == 1 && untrusted.stdout == onceLabel+"\n":
		return Once, nil
	case untrusted.code == 1 && q.Remember > 0 && untrusted.stdout == q.lastingLabel()+"\n":
		return Lasting, nil
	case untrusted.stdout != "":
		return None, fmt.Errorf("%w: zenity says %.60q and exits with %d", ErrGarbage, untrusted.stdout, untrusted.code)
	case strings.Contains(untrusted.stderr, "cannot open display"), strings.Contains(untrusted.stderr, "Failed to open display"):
		return None, fmt.Errorf("%w: zenity cannot open the display", ErrNotHere)
	case untrusted.code == 0 || untrusted.code == 1:
		return Close, nil // 0 is its exit code when the window is destroyed
	default:
		return None, fmt.Errorf("%w: zenity exits with %d: %.120q", ErrFailed, untrusted.code, untrusted.stderr)
	}
}
