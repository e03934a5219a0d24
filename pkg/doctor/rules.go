package doctor

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/splitvault/splitvault/pkg/rules"
)

// said is what a rule of any service says.
type said struct {
	service  string
	decision rules.Decision
	rated    bool // an allow that becomes an ask
	notify   bool
}

// rules reads the file that decides, all parts of it.
func (d *diagnosis) rules(context.Context) (Result, bool) {
	check := d.here("splitvault rules check   (and see splitvault-rules(5))")
	file, err := d.env.Rules()
	if errors.Is(err, rules.ErrNoFile) {
		d.file = rules.Default()
		d.said = []said{{service: "ssh", decision: rules.Ask}, {service: "clef", decision: rules.Ask}}
		return ok("rules", "no rules.toml: for every qube that dom0 lets through, each login and signature is asked about, all else is refused"), true
	}
	if err != nil {
		return problem("rules", "a mistake, so every request is refused:\n"+err.Error(), check), true
	}
	d.file = file
	for _, r := range file.SSH.Rules {
		d.said = append(d.said, said{"ssh", *r.Decision, r.Rate.Count > 0, r.Notify})
	}
	warnings, mistakes := file.Warnings, ""
	clef, err := d.env.ClefRules()
	if err != nil {
		mistakes += "\n" + err.Error()
	} else {
		warnings = append(warnings, clef.Warnings...)
		for _, r := range clef.Clef.Rules {
			d.said = append(d.said, said{"clef", *r.Decision, r.Rate.Count > 0, r.Notify})
		}
	}
	pass, err := d.env.PassRules()
	if err != nil {
		mistakes += "\n" + err.Error()
	} else {
		warnings = append(warnings, pass.Warnings...)
		for _, r := range pass.Pass.Rules {
			d.said = append(d.said, said{"pass", *r.Decision, r.Rate.Count > 0, r.Notify})
		}
	}
	text := file.Path + ": " + d.counts()
	switch {
	case mistakes != "":
		return problem("rules", text+"; a mistake in another part, so every request of that service is refused:"+mistakes, check), true
	case !slices.ContainsFunc(d.said, func(s said) bool { return s.decision != rules.Deny }):
		return problem("rules", text+", none of them allows or asks anything", d.here("add one; see splitvault-rules(5)")), true
	case len(warnings) > 0:
		var lines strings.Builder
		for _, w := range warnings {
			lines.WriteString("\n" + w.Error())
		}
		return warning("rules", text+"; not all of it may be meant so:"+lines.String(), check), true
	}
	return ok("rules", "%s", text), true
}

// counts says how many rules each service has: "1 rule for ssh, 2 for pass".
func (d *diagnosis) counts() string {
	text := ""
	for _, service := range []string{"ssh", "clef", "pass"} {
		n := 0
		for _, s := range d.said {
			if s.service == service {
				n++
			}
		}
		switch {
		case n == 0:
		case text != "":
			text += fmt.Sprintf(", %d for %s", n, service)
		case n == 1:
			text = "1 rule for " + service
		default:
			text = fmt.Sprintf("%d rules for %s", n, service)
		}
	}
	if text == "" {
		return "no rules"
	}
	return text
}
