package prompt

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"syscall"

	"github.com/splitvault/splitvault/pkg/consent"
)

// Pinentry asks by one of the pinentry programs, in the Assuan protocol
// (pinentry.texi, "Protocol").
//
// OK is "Deny", as it is what a pinentry falls back to. When its window is
// destroyed it gives no answer (gtk2 and qt, verified by running): the time to
// answer ends then. Yes is the other button, SETNOTOK, whose answer
// GPG_ERR_NOT_CONFIRMED these flavours give for nothing else; others are not
// used. The third, Cancel, is what closing the window does. There is no fourth,
// so a pinentry's yes is always for once.
type Pinentry struct {
	Only string // name of the one program to use, "" for any
	Dir  string // where the programs are, "" for the distribution's directories
}

// flavours are the programs, and whether they need a display.
func flavours() []flavour {
	return []flavour{{"pinentry-gtk-2", true}, {"pinentry-qt", true}, {"pinentry-curses", false}}
}

type flavour struct {
	program   string
	graphical bool
}

// Ask asks by the first flavour that can.
func (p Pinentry) Ask(ctx context.Context, env Environment, q Question) (Answer, error) {
	q.Remember = 0
	errs := []error{fmt.Errorf("%w: no pinentry of those that can be used (gtk2, qt, curses)", ErrNotHere)}
	for _, f := range flavours() {
		if p.Only != "" && p.Only != f.program || f.graphical && env.Screen.Display == "" || !f.graphical && env.Screen.TTY == "" {
			continue
		}
		path, err := find(p.Dir, f.program)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		a, err := onThread(func() (Answer, error) { return f.ask(ctx, path, env, q) })
		if ctx.Err() != nil {
			return Answer{}, context.Cause(ctx)
		}
		if !errors.Is(err, ErrNotHere) {
			return a, err
		}
		errs = append(errs, err)
	}
	return Answer{}, errors.Join(errs...)
}

func (f flavour) ask(ctx context.Context, path string, env Environment, q Question) (Answer, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var args []string
	if f.graphical {
		args = []string{"--no-global-grab", "--display", env.Screen.Display}
	} else {
		args = []string{"--ttyname", env.Screen.TTY, "--ttytype", "linux"}
	}
	cmd := child(ctx, path, env, args...)
	in, err := cmd.StdinPipe()
	if err != nil {
		return Answer{}, fmt.Errorf("%w: %w", ErrFailed, err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return Answer{}, fmt.Errorf("%w: %w", ErrFailed, err)
	}
	if err := cmd.Start(); err != nil {
		return Answer{}, fmt.Errorf("%w: %w", ErrNotHere, err)
	}
	if !f.graphical {
		env.Screen.Display = "" // there is no window to be seen
	}
	shown := watch(ctx, env, q.title())
	choice, err := dialogue(in, bufio.NewReaderSize(out, maxOutput), q)
	answer := Answer{choice, shown()}
	cancel() // kills it, whatever it is at
	_ = cmd.Wait()
	_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
	return answer, err
}

// dialogue is the talk with a pinentry.
func dialogue(in io.Writer, out *bufio.Reader, q Question) (Choice, error) {
	if c, err := result(out); err != nil || c != assuanOK {
		return None, fmt.Errorf("%w: pinentry does not greet: %w", ErrNotHere, errors.Join(err, ErrGarbage))
	}
	for _, command := range []string{"SETTITLE " + q.title(), "SETDESC " + q.shortened().text(), "SETOK " + denyLabel, "SETNOTOK " + onceLabel} {
		if code, err := say(in, out, command); err != nil || code != assuanOK {
			return None, fmt.Errorf("%w: pinentry refuses %.10q: %w", ErrFailed, command, errors.Join(err, ErrGarbage))
		}
	}
	code, err := say(in, out, "CONFIRM")
	if err != nil {
		return None, err
	}
	switch code {
	case assuanOK:
		return Deny, nil
	case assuanCanceled:
		return Close, nil
	case assuanNotConfirmed:
		return Once, nil
	default:
		return None, fmt.Errorf("%w: pinentry says ERR %d", ErrGarbage, code)
	}
}

// assuan is an error code of libgpg-error, without its source.
type assuan int

const (
	assuanOK           assuan = 0
	assuanCanceled     assuan = 99
	assuanNotConfirmed assuan = 114
)

func say(in io.Writer, out *bufio.Reader, command string) (assuan, error) {
	if out.Buffered() > 0 {
		return 0, fmt.Errorf("%w: pinentry answers what it was not asked", ErrGarbage)
	}
	if _, err := io.WriteString(in, escape(command)+"\n"); err != nil {
		return 0, fmt.Errorf("%w: %w", ErrFailed, err)
	}
	return result(out)
}

func escape(command string) string {
	return strings.NewReplacer("%", "%25", "\n", "%0A", "\r", "%0D").Replace(command)
}

// maxCommand is the longest line of Assuan, without its line feed (libassuan's
// LINELENGTH is 1002, with CR, LF).
const maxCommand = 1000

// shortened leaves out lines that a pinentry's dialog has no room for, and says so:
// neither the first, nor the last two, which say with what and for whom.
func (q Question) shortened() Question {
	all, hidden := q.Lines, 0
	for len(escape("SETDESC "+q.text())) > maxCommand && len(q.Lines) > 4 {
		hidden++
		end := len(all) - 2
		q.Lines = slices.Concat(all[:end-hidden], []consent.Line{{Label: "More", Text: fmt.Sprintf("%d lines are NOT SHOWN here, as zenity would", hidden)}}, all[end:])
	}
	return q
}

// result reads up to the line that ends a command: OK or ERR.
func result(out *bufio.Reader) (assuan, error) {
	for range 16 {
		slice, err := out.ReadSlice('\n')
		if err != nil {
			return 0, fmt.Errorf("%w: pinentry ended: %w", ErrFailed, err)
		}
		untrusted := strings.TrimSuffix(string(slice), "\n")
		word, rest, _ := strings.Cut(untrusted, " ")
		switch word {
		case "OK":
			return assuanOK, nil
		case "S", "#":
			continue
		case "ERR":
			return parseError(rest)
		}
		return 0, fmt.Errorf("%w: pinentry says %.60q", ErrGarbage, untrusted)
	}
	return 0, fmt.Errorf("%w: pinentry says too much", ErrGarbage)
}

func parseError(untrusted string) (assuan, error) {
	var number uint32
	if _, err := fmt.Sscanf(untrusted, "%d", &number); err != nil {
		return 0, fmt.Errorf("%w: pinentry says ERR %.60q", ErrGarbage, untrusted)
	}
	code := assuan(number & 0xffff)
	if slices.Contains([]assuan{assuanCanceled, assuanNotConfirmed}, code) {
		return code, nil
	}
	return code, fmt.Errorf("%w: pinentry says ERR %.60q", ErrNotHere, untrusted)
}
