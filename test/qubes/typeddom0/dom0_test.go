package typeddom0

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"
)

// notes is a Machine that writes down what it is told.
type notes struct {
	dir  string
	told []string
}

func (n *notes) note(format string, args ...any) error {
	n.told = append(n.told, fmt.Sprintf(format, args...))
	return nil
}
func (n *notes) PolicyDir() string                     { return n.dir }
func (n *notes) SetService(q, s string, on bool) error { return n.note("%s %s %t", q, s, on) }

func (n *notes) AddTag(q, tag string) error { return n.note("%s tag %s", q, tag) }

func (n *notes) SetFeature(q, f, v string) error            { return n.note("%s %s=%s", q, f, v) }
func (n *notes) Shutdown(_ context.Context, q string) error { return n.note("stop %s", q) }
func (n *notes) Start(_ context.Context, q string) error    { return n.note("start %s", q) }

func TestCommandsOfDom0(t *testing.T) {
	m := &notes{dir: t.TempDir()}
	for _, text := range []string{
		"sudo qubes-policy --replace 30-splitvault <<'EOF'\nqubes.Ssh * work @anyvm ask target=vault default_target=vault\nEOF",
		"qvm-service work splitvault-ssh on",
		"qvm-shutdown --wait work vault; qvm-start work   # both",
		"qvm-service -D work splitvault-ssh && qvm-tags work add ssh-client",
	} {
		if err := Run(t.Context(), m, text); err != nil {
			t.Errorf("%q: %v", text, err)
		}
	}
	want := []string{"work splitvault-ssh true", "stop work", "stop vault", "start work", "work splitvault-ssh false", "work tag ssh-client"}
	if !slices.Equal(m.told, want) {
		t.Errorf("got %q", m.told)
	}
	if text, err := os.ReadFile(filepath.Join(m.dir, "30-splitvault.policy")); err != nil || len(text) == 0 {
		t.Errorf("got %q, %v", text, err)
	}
}

func TestWhatDom0WouldNotTakeIsAnError(t *testing.T) {
	for name, text := range map[string]string{
		"unknown command":           "rm -rf /",
		"unknown option":            "qvm-service work",
		"name with capital letters": "qubes-policy --replace 30-Split <<'EOF'\nqubes.Ssh * work @anyvm deny\nEOF",
		"comment behind a line":     "qubes-policy --replace 30-x <<'EOF'\nqubes.Ssh * work @anyvm deny # no\nEOF",
		"comma":                     "qubes-policy --replace 30-x <<'EOF'\nqubes.Ssh * work @anyvm allow target=vault,user=root\nEOF",
		"nothing to choose":         "qubes-policy --replace 30-x <<'EOF'\nqubes.Ssh * work @default ask default_target=vault\nEOF",
		"nothing":                   "qubes-policy --replace 30-x <<'EOF'\nEOF",
	} {
		m := &notes{dir: t.TempDir()}
		if err := Run(t.Context(), m, text); err == nil || len(m.told) != 0 {
			t.Errorf("%s: %v, %q", name, err, m.told)
		}
		if files, _ := os.ReadDir(m.dir); len(files) != 0 {
			t.Errorf("%s: left %v", name, files)
		}
	}
}
