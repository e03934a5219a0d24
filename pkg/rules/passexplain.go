package rules

// Explain is [Pass.Judge] with all rules up to the deciding one, which is the
// last; if none decides, it is all rules.
func (p *Pass) Explain(r PassRequest) (Verdict, []Step) {
	var steps []Step
	for i := range p.Rules {
		rule := &p.Rules[i]
		missed := rule.misses(r)
		steps = append(steps, Step{
			Rule: rule.source.position(), Line: rule.source.line, Text: rule.source.text,
			Missed: missed, Why: rule.why(missed),
		})
		if missed == "" {
			break
		}
	}
	return p.Judge(r), steps
}

// why says what else the rule is for.
func (r *PassRule) why(missed string) string {
	switch missed {
	case "qube":
		return "it is for the qube " + r.Qube.String()
	case "entries":
		return "it is for the entries " + join(r.Entries, EntryGlob.String)
	case "verbs":
		return "it is for " + join(r.verbs(), func(v PassVerb) string { return string(v) })
	case "fields":
		return "it is for the fields " + join(r.Fields, FieldGlob.String)
	default:
		return "it decides"
	}
}
