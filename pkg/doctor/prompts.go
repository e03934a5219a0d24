package doctor

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/splitvault/splitvault/pkg/consent"
	"github.com/splitvault/splitvault/pkg/prompt"
	"github.com/splitvault/splitvault/pkg/rules"
)

const consentProgram = "/usr/lib/splitvault/consentd"

// prompts finds out whether a person can be asked, if the rules do so. It asks
// nobody.
func (d *diagnosis) prompts(ctx context.Context) (Result, bool) {
	always, sometimes := d.asks()
	if !always && !sometimes {
		return Result{}, true
	}
	result := d.cannotAsk(ctx)
	if !always && result.Status == Problem {
		return warning("prompts", result.Text+"; it counts where the rate of a rule is used up", result.Fix...), true
	}
	return result, true
}

// asks tells whether a rule asks, and whether one does when its rate is used up.
func (d *diagnosis) asks() (always, sometimes bool) {
	for _, s := range d.said {
		always = always || s.decision == rules.Ask
		sometimes = sometimes || s.decision == rules.Allow && s.rated
	}
	return always, sometimes
}

func (d *diagnosis) cannotAsk(ctx context.Context) Result {
	if info, err := d.env.Lstat(consentProgram); err != nil || info.Mode()&0o111 == 0 {
		return problem("prompts", consentProgram+" is missing or not executable: what the rules ask is refused",
			Step{Where: "template", Do: "install splitvault (again), then shut the template down"}, d.restart())
	}
	out, err := d.run(ctx, "systemctl", "--user", "show", "-p", "LoadState", consent.Unit)
	if err != nil || out.Exit != 0 {
		return unknown("prompts", "the user's systemd, which starts the program that asks, does not answer", d.here("systemctl --user status"))
	}
	switch state := pairs(out.Stdout)["LoadState"]; state {
	case "loaded":
	case "masked":
		return problem("prompts", consent.Unit+" is masked: what the rules ask is refused",
			d.here("systemctl --user unmask %s   (or remove the link to /dev/null in /etc/systemd/user)", consent.Unit))
	default:
		return problem("prompts", fmt.Sprintf("systemd has no %s (%q): what the rules ask is refused", consent.Unit, state),
			Step{Where: "template", Do: "install splitvault (again), then shut the template down"}, d.restart())
	}
	screen, err := d.screen(ctx)
	if err != nil {
		return problem("prompts", fmt.Sprintf("no display to ask on, so what the rules ask is refused: %v", err),
			dom0("qvm-features %s gui 1   (if its graphical session is off; or start a program in it with qvm-run)", d.self()),
			d.here(`or write decision = "allow" for what needs no question; see splitvault-rules(5)`))
	}
	program := d.prompter(screen)
	if program == "" {
		return problem("prompts", "no program to ask with, so what the rules ask is refused",
			Step{Where: "template", Do: "sudo apt install zenity   (Fedora: sudo dnf install zenity), then shut the template down"}, d.restart())
	}
	return d.held(program)
}

// screen is where consentd would ask: the session's display, else that of a call,
// which has this process's environment or none.
func (d *diagnosis) screen(ctx context.Context) (consent.Screen, error) {
	manager := d.services(ctx)
	screen, err := d.env.Screen(consent.ScreenFrom(func(name string) string { return manager[name] }))
	if err == nil {
		return screen, nil
	}
	screen, errOwn := d.env.Screen(consent.ScreenFrom(d.env.Getenv))
	if errOwn == nil {
		return screen, nil
	}
	if errors.Is(err, prompt.ErrNoDisplay) && errors.Is(errOwn, prompt.ErrNoDisplay) && manager["DISPLAY"]+manager["WAYLAND_DISPLAY"] == "" {
		return screen, errors.New("the user's session has none")
	}
	return screen, err
}

// prompter is the program that package prompt would use, "" for none.
func (d *diagnosis) prompter(s consent.Screen) string {
	for _, p := range []struct {
		name   string
		usable bool
	}{
		{"zenity", s.Display != "" || s.Wayland != ""},
		{"pinentry-gtk-2", s.Display != ""},
		{"pinentry-qt", s.Display != ""},
		{"pinentry-curses", s.TTY != ""},
	} {
		if p.usable && (d.exists("/usr/bin/"+p.name) || d.exists("/bin/"+p.name)) {
			return p.name
		}
	}
	return ""
}

// notices finds out whether there is a desktop for what the rules have told.
func (d *diagnosis) notices(ctx context.Context) (Result, bool) {
	if !slices.ContainsFunc(d.said, func(s said) bool { return s.notify }) {
		return Result{}, true
	}
	follow := d.here("splitvault log -f   (shows each use as it happens)")
	out, err := d.run(ctx, "busctl", "--user", "--no-pager", "--no-legend", "--acquired", "--activatable", "list")
	if err != nil || out.Exit != 0 {
		return unknown("notify", "the session's bus, over which a rule's notify is told, does not answer", follow), true
	}
	for line := range strings.Lines(out.Stdout) {
		if name, _, _ := strings.Cut(line, " "); name == "org.freedesktop.Notifications" {
			return ok("notify", "a desktop shows what rules with notify decide"), true
		}
	}
	return warning("notify", "a rule says notify, and nothing in this session shows notifications",
		Step{Where: "template", Do: "sudo apt install dunst   (or another; Fedora: sudo dnf install dunst), then shut the template down"}, follow), true
}

// held looks for pauses, which people forget.
func (d *diagnosis) held(program string) Result {
	holds, err := d.env.Holds()
	if err != nil {
		return problem("prompts", fmt.Sprintf("nobody can tell what is paused, so what the rules ask is refused: %v", err),
			d.here("splitvault pause --end"))
	}
	var who []string
	for _, h := range holds {
		what := "paused for "
		if h.Kind == consent.KindSilence {
			what = "silenced for "
		}
		who = append(who, what+cmp.Or(h.Qube, "every qube"))
	}
	if who != nil {
		return warning("prompts", "prompts are "+strings.Join(who, ", ")+": what the rules ask is refused meanwhile",
			d.here("splitvault grants   (shows until when)"), d.here("splitvault pause --end   (lifts all; with the name of a qube, its own)"))
	}
	return ok("prompts", "what the rules ask is asked by %s", program)
}
