package packages

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestSpecFilesAreReadByRPM: rendered as qubes-builder renders them. They are not
// built, as this machine has no Go in rpm's eyes; what their lists of files are made
// of is what the other tests look at.
func TestSpecFilesAreReadByRPM(t *testing.T) {
	need(t, "rpmspec")
	for _, spec := range []struct{ path, has string }{
		{"templatevm/rpm_spec/splitvault.spec.in", "go build -trimpath"},
		{"dom0/rpm_spec/splitvault-dom0.spec.in", "80-splitvault.policy"},
	} {
		text := strings.NewReplacer("@VERSION@", "1.2.3", "@REL@", "1",
			"@CHANGELOG@", "* Fri Nov 27 2026 The splitvault authors <splitvault@users.noreply.github.com> - 1.2.3-1\n- x").
			Replace(string(read(t, filepath.Join(source, spec.path))))
		file := filepath.Join(t.TempDir(), strings.TrimSuffix(filepath.Base(spec.path), ".in"))
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if got := run(t, "", "rpmspec", "--parse", file); !strings.Contains(got, "Version:        1.2.3\n") || !strings.Contains(got, spec.has) || strings.Contains(got, "@VERSION@") {
			t.Errorf("%s: got\n%s", spec.path, got)
		}
		name := strings.TrimSuffix(filepath.Base(file), ".spec")
		if got := run(t, "", "rpmspec", "--query", "--qf", "%{NAME} %{LICENSE}\n", file); !strings.HasPrefix(got, name+" MIT") {
			t.Errorf("%s: got %q", spec.path, got)
		}
		for _, scriptlet := range []string{"\n%post", "\n%pre\n", "\n%preun", "\n%postun", "\n%trigger"} {
			if strings.Contains(text, scriptlet) {
				t.Errorf("%s runs something when it is installed: %s", spec.path, scriptlet)
			}
		}
	}
}

// TestQubesBuilderIsToldOfFilesThatAreThere.
func TestQubesBuilderIsToldOfFilesThatAreThere(t *testing.T) {
	found := 0
	for line := range strings.Lines(string(read(t, filepath.Join(source, ".qubesbuilder")))) {
		path, ok := strings.CutPrefix(strings.TrimSpace(line), "- ")
		if !ok || strings.Contains(path, "://") || strings.HasPrefix(path, "url:") {
			continue
		}
		found++
		if strings.HasSuffix(path, ".spec") {
			path += ".in"
		}
		if _, err := os.Stat(filepath.Join(source, path)); err != nil {
			t.Error(err)
		}
	}
	if found != 3 {
		t.Errorf("found %d, want two spec files and debian", found)
	}
}
