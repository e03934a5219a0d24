package rails

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"path"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/splitvault/splitvault/"

// goPackage is the part of `go list -json` that these tests read.
type goPackage struct {
	ImportPath   string
	Name         string
	Standard     bool
	Imports      []string // direct ones
	TestImports  []string
	XTestImports []string
	Deps         []string // all of them, transitive
}

// list returns the packages of the module as they are built for shipping.
func list(t *testing.T) []goPackage {
	t.Helper()
	cmd := exec.Command("go", "list", "-json=ImportPath,Name,Imports,TestImports,XTestImports,Deps", module+"...")
	cmd.Env = append(cmd.Environ(), "CGO_ENABLED=0")
	return decode(t, cmd)
}

func decode(t *testing.T, cmd *exec.Cmd) []goPackage {
	t.Helper()
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	var packages []goPackage
	for dec := json.NewDecoder(bytes.NewReader(out)); ; {
		var p goPackage
		switch err := dec.Decode(&p); {
		case errors.Is(err, io.EOF):
			return packages
		case err != nil:
			t.Fatalf("go list: %v", err)
		}
		packages = append(packages, p)
	}
}

// ban is a package, or a tree of them with a trailing "/...", that some
// programs must not link, and why.
type ban struct{ what, why string }

func (b ban) hits(pkg string) bool {
	tree, isTree := strings.CutSuffix(b.what, "/...")
	return pkg == tree || isTree && strings.HasPrefix(pkg, tree+"/")
}

var (
	httpBan   = ban{"net/http", "speaks no HTTP: an HTTP server or client in it is attack surface for nothing"}
	pluginBan = ban{"plugin", "must not load code at run time, which nobody can review"}
	netrpcBan = ban{"net/rpc", "must not decode gob from a peer, which allocates what the peer says"}
	sshBan    = ban{"golang.org/x/crypto/ssh/...", "looks into no keys: that is the guard's work, and costs each start time"}
	agentBan  = ban{"golang.org/x/crypto/ssh/agent", "builds messages anew instead of passing the judged bytes, and has had its own school of vulnerabilities"}
	cobraBan  = ban{"github.com/spf13/...", "is a daemon: its command line is not worth a framework"}
	rawBan    = ban{module + "pkg/sshagent/...", "never sees a client's raw bytes: the guards tell it what is asked"}
	tomlBan   = ban{"github.com/pelletier/go-toml/...", "reads no rules: they are the vault's"}
)

// programs lists what each program must not link. A program that is not in it
// fails the test: decide for it here.
var programs = map[string][]ban{
	"daemons/ssh-relay":  {httpBan, pluginBan, netrpcBan, sshBan, cobraBan, tomlBan},
	"daemons/ssh-guard":  {httpBan, pluginBan, netrpcBan, agentBan, cobraBan},
	"daemons/consentd":   {httpBan, pluginBan, netrpcBan, rawBan, sshBan, cobraBan, tomlBan},
	"daemons/pass-relay": {httpBan, pluginBan, netrpcBan, sshBan, cobraBan, tomlBan},
	"daemons/pass-guard": {httpBan, pluginBan, netrpcBan, sshBan, rawBan, cobraBan},
	"daemons/clef-relay": {httpBan, pluginBan, netrpcBan, sshBan, cobraBan},
	"cmd/qpass":          {httpBan, pluginBan, netrpcBan, sshBan, tomlBan},
	"daemons/clef-guard": {httpBan, pluginBan, netrpcBan, sshBan, cobraBan},
	"daemons/clef-net":   {httpBan, pluginBan, netrpcBan, sshBan, cobraBan},
	"cmd/splitvault":     {pluginBan, netrpcBan},
}

// everywhere holds for every package of the module, tests included.
var everywhere = []ban{
	{"github.com/ethereum/...", "its licence (LGPL, GPL) is not this module's; tests that need Clef have a module of their own"},
	{"C", "shipped programs are static"},
}

func TestProgramsLinkOnlyWhatTheyMay(t *testing.T) {
	for _, p := range list(t) {
		name := strings.TrimPrefix(p.ImportPath, module)
		if p.Name != "main" || layer(p.ImportPath) != "daemons" && layer(p.ImportPath) != "cmd" {
			continue // not shipped
		}
		bans, known := programs[name]
		if !known {
			t.Errorf("%s: decide in %s what it must not link", name, "test/rails/deps_test.go")
		}
		for _, dep := range p.Deps {
			for _, b := range bans {
				if b.hits(dep) {
					t.Errorf("%s links %s: it %s", name, dep, b.why)
				}
			}
		}
	}
}

// via lists packages that our own code must not import in any shipped program,
// and the modules that may bring them all the same.
var via = map[string][]string{
	// The account is the kernel's number; os/user reads files that another
	// answer could come from. godbus has it for a bus that we never use.
	"os/user": {"github.com/godbus/dbus/v5", "github.com/spf13/cobra", "github.com/spf13/pflag"},
}

func TestShippedCodeImportsSomePackagesOnlyByWayOfOthers(t *testing.T) {
	cmd := exec.Command("go", "list", "-deps", "-json=ImportPath,Imports,Standard", module+"daemons/...", module+"cmd/...")
	cmd.Env = append(cmd.Environ(), "CGO_ENABLED=0")
	for _, p := range decode(t, cmd) {
		for _, dep := range p.Imports {
			allowed, watched := via[dep]
			if watched && !p.Standard && !slices.Contains(allowed, p.ImportPath) {
				t.Errorf("%s imports %s, which only %v may", p.ImportPath, dep, allowed)
			}
		}
	}
}

func TestNothingImportsWhatTheLicenceOrStaticLinkingForbids(t *testing.T) {
	for _, p := range list(t) {
		for _, dep := range slices.Concat(p.Deps, p.TestImports, p.XTestImports) {
			for _, b := range everywhere {
				if b.hits(dep) {
					t.Errorf("%s imports %s: %s", p.ImportPath, dep, b.why)
				}
			}
		}
	}
}

// layer is the directory that says who may import a package of the module.
func layer(pkg string) string {
	top, _, _ := strings.Cut(strings.TrimPrefix(pkg, module), "/")
	return top
}

func TestImportsPointOneWay(t *testing.T) {
	// Who may import what, beside itself; programs are imported by nobody.
	may := map[string][]string{
		"pkg":     {"pkg"},
		"daemons": {"pkg"},
		"cmd":     {"pkg"},
		"test":    {"pkg", "test"},
	}
	for _, p := range list(t) {
		from := layer(p.ImportPath)
		allowed, known := may[from]
		if !known {
			t.Errorf("%s: no layer of this project", p.ImportPath)
		}
		for _, dep := range p.Imports {
			if !strings.HasPrefix(dep, module) || path.Dir(dep) == p.ImportPath {
				continue
			}
			if !slices.Contains(allowed, layer(dep)) {
				t.Errorf("%s imports %s: %s imports only %v", p.ImportPath, dep, from, allowed)
			}
		}
	}
}

// protocols are the packages that know bytes and nothing of who carries them.
var protocols = []string{"pkg/entryname", "pkg/passentry", "pkg/loginhost", "pkg/httpedge", "pkg/clefapi", "pkg/clefcall", "pkg/eth", "pkg/jsonrpc", "pkg/origin", "pkg/passproto", "pkg/sshagent", "pkg/strictjson"}

func TestProtocolPackagesKnowNoTransport(t *testing.T) {
	transports := []ban{
		{"github.com/coreos/go-systemd/...", "systemd"},
		{"github.com/sirupsen/logrus", "logging"},
		{"github.com/godbus/...", "D-Bus"},
		{module + "pkg/qrexec", "qrexec"},
		{module + "pkg/journal", "logging"},
		{"os/exec", "other programs"},
	}
	found := 0
	for _, p := range list(t) {
		name := strings.TrimPrefix(p.ImportPath, module)
		if !slices.ContainsFunc(protocols, func(root string) bool { return name == root || strings.HasPrefix(name, root+"/") }) ||
			strings.HasSuffix(name, "test") {
			continue
		}
		found++
		for _, dep := range p.Deps {
			for _, b := range transports {
				if b.hits(dep) {
					t.Errorf("%s links %s: a protocol package knows nothing of %s", name, dep, b.why)
				}
			}
		}
	}
	if found < len(protocols) {
		t.Errorf("found %d of the protocol packages %v", found, protocols)
	}
}

func TestEachDependencyHasItsLineInTheDocs(t *testing.T) {
	out, err := exec.Command("go", "mod", "edit", "-json", "../../go.mod").Output()
	if err != nil {
		t.Fatalf("go mod edit: %v", err)
	}
	var mod struct {
		Require []struct {
			Path     string
			Indirect bool
		}
		Tool []struct{ Path string }
	}
	if err := json.Unmarshal(out, &mod); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile("../../docs/dependencies.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range mod.Require {
		if !r.Indirect && !bytes.Contains(text, []byte("| "+r.Path+" ")) {
			t.Errorf("docs/dependencies.md has no line for the module %s", r.Path)
		}
	}
	for _, tool := range mod.Tool {
		root, _, _ := strings.Cut(tool.Path, "/cmd/")
		if !bytes.Contains(text, []byte("| "+root+" ")) {
			t.Errorf("docs/dependencies.md has no line for the tool %s", tool.Path)
		}
	}
}
