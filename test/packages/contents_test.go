package packages

import (
	"compress/gzip"
	"debug/buildinfo"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/splitvault/splitvault/test/qubes/policy"
)

// TestPackagesHaveTheTreeOfJustInstallAndNothingElse: one list of files for all.
func TestPackagesHaveTheTreeOfJustInstallAndNothingElse(t *testing.T) {
	want := files(t, staged(t))
	for _, p := range []struct {
		name, tree string
		more       []string // what the distribution wants beside it
	}{
		{"deb", unpackDeb(t, builtDeb(t)), []string{
			"/usr/share/doc/splitvault/changelog.gz", "/usr/share/doc/splitvault/changelog.Debian.gz",
			"/usr/share/lintian/overrides/splitvault",
		}},
		{"rpm", unpackRPM(t, builtRPM(t)), nil},
	} {
		t.Run(p.name, func(t *testing.T) {
			got := files(t, p.tree)
			for _, path := range p.more {
				if _, found := got[path]; !found {
					t.Errorf("%s is missing", path)
				}
				delete(got, path)
			}
			for path, e := range want {
				packed := path
				if strings.HasPrefix(path, "/usr/share/man/") {
					packed += ".gz"
				}
				g, found := got[packed]
				if packed != path && found {
					g.text = gunzip(t, g.text)
				}
				if !found || g != e {
					t.Errorf("%s: is there: %t, mode %v, want %v; the same bytes: %t", packed, found, g.mode, e.mode, g.text == e.text)
				}
				delete(got, packed)
			}
			for _, path := range slices.Sorted(maps.Keys(got)) {
				t.Errorf("%s is only in the package", path)
			}
		})
	}
}

func gunzip(t *testing.T, text string) string {
	t.Helper()
	r, err := gzip.NewReader(strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	plain, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return string(plain)
}

// TestPackagesRunNothingWhenInstalled: no maintainer script, no trigger.
func TestPackagesRunNothingWhenInstalled(t *testing.T) {
	dir := t.TempDir()
	run(t, "", "dpkg-deb", "--control", builtDeb(t), dir)
	for path := range files(t, dir) {
		if !slices.Contains([]string{"/control", "/md5sums", "/conffiles"}, path) {
			t.Errorf("the .deb has %s", path)
		}
	}
	for _, path := range []string{builtRPM(t), builtDom0(t)} {
		if said := run(t, "", "rpm", "-qp", "--nosignature", "--scripts", "--triggers", "--filetriggers", path); said != "" {
			t.Errorf("%s runs\n%s", filepath.Base(path), said)
		}
	}
}

// TestAnAdministratorsChangesStay: every file in /etc is a configuration file, but
// for the script in the rpm, which is none.
func TestAnAdministratorsChangesStay(t *testing.T) {
	var want, wantRPM []string
	for path, e := range files(t, staged(t)) {
		if strings.HasPrefix(path, "/etc/") && e.mode.IsRegular() {
			want = append(want, path)
			if e.mode&0o111 == 0 {
				wantRPM = append(wantRPM, path)
			}
		}
	}
	dir := t.TempDir()
	run(t, "", "dpkg-deb", "--control", builtDeb(t), dir)
	text, err := os.ReadFile(filepath.Join(dir, "conffiles"))
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "the .deb's conffiles", strings.Fields(string(text)), want)
	equal(t, "the .rpm's", strings.Fields(run(t, "", "rpm", "-qp", "--nosignature", "--configfiles", builtRPM(t))), wantRPM)
}

func equal(t *testing.T, what string, got, want []string) {
	t.Helper()
	slices.Sort(got)
	slices.Sort(want)
	if len(want) == 0 || !slices.Equal(got, want) {
		t.Errorf("%s: got %q, want %q", what, got, want)
	}
}

// TestDom0GetsPolicyAndTextOnly: nothing that could run.
func TestDom0GetsPolicyAndTextOnly(t *testing.T) {
	const list = `[%{FILEMODES:perms} %{FILEUSERNAME}:%{FILEGROUPNAME} %{FILENAMES}\n]`
	got := run(t, "", "rpm", "-qp", "--nosignature", "--qf", "%{ARCH}\n"+list, builtDom0(t))
	const want = `noarch
-rw-rw-r-- root:qubes /etc/qubes/policy.d/80-splitvault.policy
drwxr-xr-x root:root /usr/share/doc/splitvault-dom0
-rw-r--r-- root:root /usr/share/doc/splitvault-dom0/README.md
`
	if got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
	tree := unpackRPM(t, builtDom0(t))
	dir := filepath.Join(tree, "etc/qubes/policy.d")
	for _, finding := range policy.Lint(dir) {
		t.Error(finding)
	}
	loaded, err := policy.Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	system := policy.System{Qubes: map[string]policy.Qube{"work": {Name: "work", Type: "AppVM"}, "vault": {Name: "vault", Type: "AppVM"}}}
	if v := loaded.Evaluate(system, policy.Request{Source: "work", Target: "vault", Service: "qubes.Ssh", Argument: "+"}); v.Action != policy.Deny || v.Notify {
		t.Errorf("the packaged policy says %v, notify %t", v.Action, v.Notify)
	}
}

// TestEveryLinkedModuleHasItsLicenceInThePackage: the licences ask for it.
func TestEveryLinkedModuleHasItsLicenceInThePackage(t *testing.T) {
	tree := unpackDeb(t, builtDeb(t))
	text, err := os.ReadFile(filepath.Join(tree, "usr/share/doc/splitvault/copyright"))
	if err != nil {
		t.Fatal(err)
	}
	programs := 0
	for path, e := range files(t, tree) {
		if !strings.HasPrefix(e.text, "\x7fELF") {
			continue
		}
		programs++
		info, err := buildinfo.ReadFile(tree + path)
		if err != nil {
			t.Fatal(err)
		}
		for _, module := range info.Deps {
			if !strings.Contains(string(text), "Files: vendor/"+module.Path+"/*\n") {
				t.Errorf("%s has %s in it, and debian/copyright no paragraph of it", path, module.Path)
			}
		}
	}
	if programs < 3 {
		t.Errorf("only %d programs are in the package", programs)
	}
}
