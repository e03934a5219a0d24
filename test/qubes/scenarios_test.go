package qubes

import (
	"fmt"
	"path/filepath"
	"slices"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/splitvault/splitvault/test/qubes/bench"
	"github.com/splitvault/splitvault/test/qubes/bench/machine"
	"github.com/splitvault/splitvault/test/qubes/bench/roots"
)

// TestScenarios runs every scenarios/*.txtar on every root. One of them:
//
//	go test ./test/qubes -run 'Scenarios/.*/echo$'
func TestScenarios(t *testing.T) {
	kit := bench.Prepare(t)
	for _, suite := range roots.Suites() {
		// Not parallel by suite: the scripts of one suite are, which fills the
		// machine, and their output stays together.
		t.Run(suite, func(t *testing.T) {
			testscript.RunT(scriptT{t}, testscript.Params{
				Dir:                 "scenarios",
				Cmds:                commands(),
				Setup:               func(env *testscript.Env) error { return setup(env, kit, suite) },
				Condition:           func(name string) (bool, error) { return isSuite(name, suite) },
				RequireUniqueNames:  true,
				RequireExplicitExec: true,
			})
		})
	}
}

// isSuite is the condition [bookworm] or [trixie].
func isSuite(name, suite string) (bool, error) {
	if !slices.Contains(roots.Suites(), name) {
		return false, fmt.Errorf("no condition %q: there are %q", name, roots.Suites())
	}
	return name == suite, nil
}

// setup gives a script a bench of its own, which ends with the script's test
// and checks then that nothing is left over.
func setup(env *testscript.Env, kit *bench.Kit, suite string) error {
	t := env.T().(scriptT).T
	b := kit.New(t, suite)
	env.Values[benchKey{}] = &scenario{t: t, bench: b.Bench}
	// For "exec qubebench exec NAME CMD &", a command in the background.
	env.Setenv("PATH", filepath.Dir(kit.Program())+string(filepath.ListSeparator)+env.Getenv("PATH"))
	env.Setenv("QUBEBENCH_DIR", string(b.State()))
	env.Setenv("SUITE", suite)
	return nil
}

// scriptT is testscript's view of a test that keeps the test itself in reach.
type scriptT struct{ *testing.T }

func (t scriptT) Run(name string, f func(testscript.T)) {
	t.T.Run(name, func(t *testing.T) { f(scriptT{t}) })
}

func (t scriptT) Verbose() bool { return testing.Verbose() }

// benchKey finds a script's scenario among its values.
type benchKey struct{}

// scenario is the state of one running script.
type scenario struct {
	t     *testing.T
	bench *bench.Bench
}

func of(ts *testscript.TestScript) *scenario { return ts.Value(benchKey{}).(*scenario) }

// ways are the script's words for running a command in a qube.
func ways() map[string]machine.Way {
	return map[string]machine.Way{
		"on":         machine.AsUser,
		"login":      machine.AsLogin,
		"as-service": machine.AsService,
		"root":       machine.AsRoot,
	}
}
