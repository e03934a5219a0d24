package policy

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
)

const (
	suffix         = ".policy"
	maxPolicyBytes = 1 << 20 // per file
	maxPolicyFiles = 4096    // includes counted each time; the original overflows its stack on a cycle
)

// Policy is a loaded policy: all rules of all files in their order. A nil
// *Policy is a broken policy and denies everything.
type Policy struct{ rules []rule }

// Load reads policy directories the way dom0 does. A file in a later directory
// replaces the file of the same name in an earlier one (give /etc/qubes/policy.d
// first and /run/qubes/policy.d second); all files together are sorted by name
// in C order. Files that do not end in .policy or start with a dot are ignored.
//
// One file name outside [0-9a-z_.-], one syntax error, one missing include
// target or one unreadable directory is an error, and then nothing is loaded:
// the returned *Policy is nil and denies everything. The error is, or wraps, a
// *Finding with file and line.
func Load(dirs ...string) (*Policy, error) {
	l := load(dirs)
	if len(l.findings) > 0 {
		return nil, fmt.Errorf("loading qrexec policy (%d errors; every call is refused): %w", len(l.findings), l.findings[0])
	}
	return &Policy{rules: l.rules}, nil
}

// loader gathers rules and everything that stops a policy from loading.
type loader struct {
	rules    []rule
	findings []*Finding
	base     string // directory that includes of the current file are relative to
	top      string // the file in base being loaded
	tops     []string
	files    int
}

func load(dirs []string) *loader {
	l := &loader{}
	byName := map[string]string{}
	for _, dir := range dirs {
		paths, err := l.listDir(dir)
		if err != nil {
			l.fail(dir, 0, err.Error(), "")
		}
		for _, path := range paths {
			byName[filepath.Base(path)] = path
		}
	}
	names := make([]string, 0, len(byName))
	for name := range byName {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		l.base, l.top = filepath.Dir(byName[name]), name
		l.include(byName[name], nil)
	}
	return l
}

func (l *loader) fail(file string, line int, text, hint string) {
	l.findings = append(l.findings, &Finding{File: file, Line: line, Text: text, Hint: hint})
}

// listDir returns the policy files of one directory, sorted (parser.py,
// filter_filepaths).
func (l *loader) listDir(dir string) ([]string, error) {
	entries, err := os.ReadDir(dir) // sorted by name, byte by byte
	if err != nil {
		return nil, err
	}
	var paths []string
	for _, entry := range entries {
		name, path := entry.Name(), filepath.Join(dir, entry.Name())
		if !strings.HasSuffix(name, suffix) || strings.HasPrefix(name, ".") {
			continue
		}
		info, err := os.Stat(path)
		if errors.Is(err, os.ErrNotExist) || errors.Is(err, syscall.ELOOP) || err == nil && !info.Mode().IsRegular() {
			continue // a dangling link or a directory is no policy file
		}
		if err != nil {
			return nil, err
		}
		if !isFileName(name) {
			l.fail(path, 0, "invalid file name", "rename it: only a-z 0-9 _ . - are allowed; until then every qrexec call is refused")
			continue
		}
		paths = append(paths, path)
	}
	return paths, nil
}

func isFileName(name string) bool {
	return strings.Trim(name, "0123456789abcdefghijklmnopqrstuvwxyz_.-") == ""
}

// include loads one file and, through its directives, others.
func (l *loader) include(path string, ctx *context) {
	if l.files++; l.files > maxPolicyFiles {
		l.fail(path, 0, "too many files, or a file includes itself", "look at the !include lines")
		return
	}
	untrusted, err := readFile(path)
	if err != nil {
		l.fail(path, 0, err.Error(), "")
		return
	}
	statements, findings := parseFile(untrusted, ctx)
	for _, f := range findings {
		f.File = path
	}
	l.findings = append(l.findings, findings...)
	for _, st := range statements {
		if st.directive == "" {
			st.rule.file, st.rule.line = path, st.line
			l.rules, l.tops = append(l.rules, st.rule), append(l.tops, l.top)
			continue
		}
		l.directive(path, st, ctx)
	}
}

func (l *loader) directive(path string, st statement, ctx *context) {
	if st.directive == "!compat-4.0" {
		l.fail(path, st.line, "!compat-4.0 is not supported here", "convert old files with qrexec-legacy-convert")
		return
	}
	want, hint := l.resolve(st.words[len(st.words)-1]), "without it every qrexec call is refused"
	info, err := os.Stat(want)
	switch {
	case st.directive == "!include-dir":
		if err != nil || !info.IsDir() {
			l.fail(path, st.line, fmt.Sprintf("not a directory: %q", want), hint)
			return
		}
		l.includeDir(path, st.line, want)
	case err != nil || !info.Mode().IsRegular():
		l.fail(path, st.line, fmt.Sprintf("not a file: %q", want), hint)
	case st.directive == "!include-service":
		l.include(want, &context{st.words[0], st.words[1]})
	default:
		l.include(want, ctx)
	}
}

func (l *loader) includeDir(path string, line int, dir string) {
	paths, err := l.listDir(dir)
	if err != nil {
		l.fail(path, line, err.Error(), "")
	}
	for _, p := range paths {
		l.include(p, nil)
	}
}

// resolve makes an included path relative to the policy directory of the file
// that is being loaded, also for includes inside included files.
func (l *loader) resolve(untrusted string) string {
	if filepath.IsAbs(untrusted) {
		return filepath.Clean(untrusted)
	}
	return filepath.Join(l.base, untrusted)
}

func readFile(path string) ([]byte, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	// A regular file: the read ends without a deadline.
	untrusted, err := io.ReadAll(io.LimitReader(file, maxPolicyBytes+1))
	if err != nil {
		return nil, err
	}
	if len(untrusted) > maxPolicyBytes {
		return nil, fmt.Errorf("larger than %d bytes", maxPolicyBytes)
	}
	return untrusted, nil
}

// TargetNames lists the qubes that rules name as TARGET or in target=, each
// once, sorted. They need not exist. A nil Policy names none.
func (p *Policy) TargetNames() []string {
	if p == nil {
		return nil
	}
	var names []string
	for i := range p.rules {
		for _, t := range []token{p.rules[i].target, p.rules[i].redirectOr(token{})} {
			if t.kind == nameToken && isQubeName(t.text) {
				names = append(names, t.text)
			}
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}
