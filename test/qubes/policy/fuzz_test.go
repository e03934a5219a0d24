package policy

import (
	"reflect"
	"slices"
	"testing"
)

// Whatever the bytes: no panic; what is accepted encodes to lines that parse to
// the same rules; what is refused names its line.
func FuzzParseFile(f *testing.F) {
	f.Add([]byte("svc * work vault allow\n"), false)
	f.Add([]byte("# c\r\n!include x\rsvc + @tag:a @default ask target=v default_target=v\n"), false)
	f.Add([]byte("$anyvm $default allow,target=vault\n$include:x\n"), true)
	f.Fuzz(func(t *testing.T, untrusted []byte, old bool) {
		var ctx *context
		if old {
			ctx = &context{"svc", "*"}
		}
		statements, findings := parseFile(untrusted, ctx)
		for _, finding := range findings {
			if finding.Text == "" || finding.Line == 0 && finding.Text != "not UTF-8" {
				t.Errorf("finding without text or line: %+v", finding)
			}
		}
		for _, st := range statements {
			if st.directive != "" {
				continue
			}
			line := st.rule.encode()
			again, findings := parseFile([]byte(line), nil)
			if len(findings) != 0 || len(again) != 1 || !reflect.DeepEqual(again[0].rule, st.rule) {
				t.Fatalf("%q: got %+v %v, want %+v", line, again, findings, st.rule)
			}
		}
	})
}

// Whatever rules parse: evaluating never panics, and an allow is by a rule and
// never to the caller itself.
func FuzzEvaluate(f *testing.F) {
	f.Add([]byte("svc * work @anyvm ask\nsvc * * * allow\n"), "vault", true)
	f.Add([]byte("svc + work @default ask target=work default_target=@dispvm\n"), "", true)
	f.Add([]byte("svc * work @dispvm:@tag:x allow autostart=no\n"), "@dispvm", false)
	f.Add([]byte("svc * work @dispvm:gone ask\n"), "@dispvm:gone", true)
	f.Add([]byte("svc * uuid:x uuid:y allow target=dom0\n"), "uuid:"+vaultUUID, true)
	f.Fuzz(func(t *testing.T, untrusted []byte, untrustedTarget string, gui bool) {
		statements, _ := parseFile(untrusted, nil)
		p := &Policy{}
		for _, st := range statements {
			if st.directive == "" {
				p.rules = append(p.rules, st.rule)
			}
		}
		sys := vectorSystem()
		if work := sys.Qubes["work"]; !gui {
			work.GuiVM = ""
			sys.Qubes["work"] = work
		}
		v := p.Evaluate(sys, Request{"work", untrustedTarget, "svc", "+"})
		if !gui && (v.Notify || v.Action == Ask) {
			t.Errorf("without a GuiVM: %+v", v)
		}
		if v.Action == Ask {
			if len(v.Choices) == 0 || v.DefaultTarget != "" && !slices.Contains(v.Choices, v.DefaultTarget) {
				t.Errorf("asked: %+v", v)
			}
			var err error
			if v, err = v.Answer(v.Choices[0]); err != nil {
				t.Errorf("answering with a choice: %v", err)
			}
		}
		if v.Action == Allow && (v.Rule == "" || v.Target == "" || v.Target == "work") {
			t.Errorf("allowed: %+v", v)
		}
	})
}
