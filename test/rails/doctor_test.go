package rails

import (
	"fmt"
	"go/ast"
	goparser "go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// notInTheBench are failures of the doctor that no scenario makes, with the reason.
var notInTheBench = map[string]string{
	"unknown  environment  the user's systemd does not tell its environment": "it would have to fall silent between two questions",
}

// finding is a failure that pkg/doctor knows, from its source: what is not known
// before it runs is "…" in its lines. There are several where checks share a function.
type finding struct {
	where string
	lines []string
}

// TestEveryFailureOfTheDoctorIsMadeInTheBench: for each text of pkg/doctor that is not
// "ok" a scenario has a "stdout" whose expression fits that one alone. What such a
// line expects of the running doctor the bench finds out.
func TestEveryFailureOfTheDoctorIsMadeInTheBench(t *testing.T) {
	all := findings(t)
	if len(all) < 90 {
		t.Fatalf("only %d failures found in the source: this test is blind", len(all))
	}
	made := map[string]bool{}
	for _, pattern := range expected(t) {
		var fits []string
		for _, f := range all {
			if slices.ContainsFunc(f.lines, pattern.MatchString) {
				fits = append(fits, f.where)
			}
		}
		if len(fits) == 1 {
			made[fits[0]] = true
		}
	}
	excuses := 0
	for _, f := range all {
		why, excused := notInTheBench[f.lines[0]]
		if excused {
			excuses++
		}
		switch {
		case !made[f.where] && !excused:
			t.Errorf("%s: in no scenario: %s", f.where, f.lines[0])
		case made[f.where] && excused:
			t.Errorf("%s: needs no excuse any more: %s", f.lines[0], why)
		}
	}
	if excuses != len(notInTheBench) {
		t.Errorf("%d excuses, of which the doctor says %d", len(notInTheBench), excuses)
	}
}

// expected are the expressions that scenarios have for a line of the doctor.
func expected(t *testing.T) []*regexp.Regexp {
	t.Helper()
	line := regexp.MustCompile(`(?m)^stdout '((?:PROBLEM|warning|unknown) .*)'$`)
	files, err := filepath.Glob("../qubes/scenarios/*.txtar")
	if err != nil {
		t.Fatal(err)
	}
	var all []*regexp.Regexp
	for _, path := range files {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range line.FindAllSubmatch(text, -1) {
			all = append(all, regexp.MustCompile("(?m)"+strings.ReplaceAll(string(m[1]), "''", "'")))
		}
	}
	return all
}

// findings reads pkg/doctor for calls of problem, warning and unknown.
func findings(t *testing.T) []finding {
	t.Helper()
	files, err := filepath.Glob("../../pkg/doctor/*.go")
	if err != nil {
		t.Fatal(err)
	}
	s := source{set: token.NewFileSet(), consts: map[string]string{}}
	for _, path := range files {
		if strings.HasSuffix(path, "_test.go") {
			continue
		}
		file, err := goparser.ParseFile(s.set, path, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		s.files = append(s.files, file)
	}
	s.constants()
	var all []finding
	for _, f := range s.functions() {
		ast.Inspect(f, func(n ast.Node) bool {
			call, isCall := n.(*ast.CallExpr)
			if !isCall {
				return true
			}
			status := map[string]string{"problem": "PROBLEM", "warning": "warning", "unknown": "unknown"}[name(call.Fun)]
			if status == "" {
				return true
			}
			found := finding{where: s.set.Position(call.Pos()).String()}
			for _, check := range s.checks(f, call.Args[0]) {
				found.lines = append(found.lines, fmt.Sprintf("%-8s %-12s %s", status, check, s.text(call.Args[1])))
			}
			all = append(all, found)
			return true
		})
	}
	return all
}

// source is the syntax of a package.
type source struct {
	set    *token.FileSet
	files  []*ast.File
	consts map[string]string
}

func (s source) functions() []*ast.FuncDecl {
	var all []*ast.FuncDecl
	for _, file := range s.files {
		for _, d := range file.Decls {
			if f, isFunc := d.(*ast.FuncDecl); isFunc {
				all = append(all, f)
			}
		}
	}
	return all
}

// constants learns the package's texts that are constant, also those inside of functions.
func (s source) constants() {
	for range 3 { // some are made of others
		for _, file := range s.files {
			ast.Inspect(file, func(n ast.Node) bool {
				spec, isValue := n.(*ast.ValueSpec)
				for i := 0; isValue && i < len(spec.Values); i++ {
					if text := s.text(spec.Values[i]); !strings.Contains(text, "…") {
						s.consts[spec.Names[i].Name] = text
					}
				}
				return true
			})
		}
	}
}

// checks are the names under which a failure is reported: where a function is told
// the name, those that its callers tell it.
func (s source) checks(in *ast.FuncDecl, e ast.Expr) []string {
	ident, isIdent := e.(*ast.Ident)
	if !isIdent {
		return []string{s.text(e)}
	}
	at := -1
	i := 0
	for _, field := range in.Type.Params.List {
		for _, n := range field.Names {
			if n.Name == ident.Name {
				at = i
			}
			i++
		}
	}
	var all []string
	for _, f := range s.functions() {
		ast.Inspect(f, func(n ast.Node) bool {
			if call, isCall := n.(*ast.CallExpr); isCall && name(call.Fun) == in.Name.Name && at >= 0 && at < len(call.Args) {
				all = append(all, s.text(call.Args[at]))
			}
			return true
		})
	}
	return all
}

// text is what is known of a text before the program runs.
func (s source) text(e ast.Expr) string {
	switch e := e.(type) {
	case *ast.BasicLit:
		if text, err := strconv.Unquote(e.Value); err == nil {
			return text
		}
	case *ast.BinaryExpr:
		return s.text(e.X) + s.text(e.Y)
	case *ast.Ident:
		if text, known := s.consts[e.Name]; known {
			return text
		}
	case *ast.CallExpr:
		if name(e.Fun) == "Sprintf" {
			return regexp.MustCompile(`%[-+#.0-9\[\]]*[a-z]`).ReplaceAllString(s.text(e.Args[0]), "…")
		}
	}
	return "…"
}

// name is the last part of a function's name in a call.
func name(e ast.Expr) string {
	switch e := e.(type) {
	case *ast.Ident:
		return e.Name
	case *ast.SelectorExpr:
		return e.Sel.Name
	}
	return ""
}
