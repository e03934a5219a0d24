package passguard_test

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/sirupsen/logrus"

	"github.com/splitvault/splitvault/pkg/gpg/gpgtest"
	"github.com/splitvault/splitvault/pkg/passcode"
	"github.com/splitvault/splitvault/pkg/passguard"
	"github.com/splitvault/splitvault/pkg/passstore"
	"github.com/splitvault/splitvault/pkg/rules"
)

// newGuard serves the qube work from a store with these files.
func newGuard(t *testing.T, text string, files map[string][]byte) *passguard.Guard {
	t.Helper()
	dir := t.TempDir()
	for name, message := range files {
		path := filepath.Join(dir, name+".gpg")
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, message, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	path := filepath.Join(t.TempDir(), "rules.toml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	file, err := rules.LoadPassOrDefault(path)
	if err != nil {
		t.Fatal(err)
	}
	store, err := passstore.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { store.Close() })
	log := logrus.New()
	log.SetOutput(io.Discard)
	return &passguard.Guard{Qube: "work", Rules: file.Pass, Store: store, Log: log, Now: time.Now}
}

// serve makes a call with that input and its end.
func serve(t *testing.T, g *passguard.Guard, service, argument, input string) (output string, code passcode.Code) {
	t.Helper()
	in, theirIn := net.Pipe()
	out, theirOut := net.Pipe()
	go func() {
		_, _ = io.WriteString(theirIn, input) // it may not be read
		theirIn.Close()
	}()
	read := make(chan string)
	go func() {
		b, _ := io.ReadAll(theirOut) // until it is closed
		read <- string(b)
	}()
	err := g.Serve(t.Context(), service, argument, in, out)
	in.Close()
	out.Close()
	if f, ok := errors.AsType[*passguard.Failure](err); ok {
		return <-read, f.Code
	} else if err != nil {
		t.Fatal(err)
	}
	return <-read, passcode.OK
}

// Looking into entries for a host ends after a time, whatever gpg needs for each, and the
// client hears that it was too long, not that there is nothing.
func TestLookingForAHostEnds(t *testing.T) {
	t.Parallel()
	k := gpgtest.New(t)
	files := map[string][]byte{"z-last": k.Encrypt(t, "pw\nlogin: bob\nurl: https://last.example\n", "vault@example.invalid")}
	other := k.Encrypt(t, "pw\nurl: https://other.example\n", "vault@example.invalid")
	for i := range 60 {
		files[fmt.Sprintf("e%02d", i)] = other
	}
	g := newGuard(t, "[[pass.rule]]\nqube = \"work\"\ndecision = \"allow\"\n", files)
	g.Crypt = k.Runner
	begin := time.Now()
	if got, code := serve(t, g, passguard.ServiceFind, "last.example", ""); got != "z-last\tbob\n" || code != passcode.OK {
		t.Fatalf("%q, %v", got, code)
	}
	all := time.Since(begin)
	g.LookTime = all / 10
	begin = time.Now()
	if got, code := serve(t, g, passguard.ServiceFind, "last.example", ""); got != "" || code != passcode.Busy {
		t.Errorf("%q, %v", got, code)
	}
	if took := time.Since(begin); took > all/2+time.Second {
		t.Errorf("it took %v, of %v for all", took, all)
	}
	// A name is found without a look into anything.
	g.LookTime = time.Nanosecond
	if got, code := serve(t, g, passguard.ServiceFind, "nothing.example", ""); got != "" || code != passcode.Busy {
		t.Errorf("%q, %v", got, code)
	}
	g = newGuard(t, "[[pass.rule]]\nqube = \"work\"\ndecision = \"allow\"\n", map[string][]byte{"last.example": other})
	g.Crypt, g.LookTime = k.Runner, time.Nanosecond
	if got, code := serve(t, g, passguard.ServiceFind, "last.example", ""); got != "last.example\t\n" || code != passcode.OK {
		t.Errorf("%q, %v", got, code)
	}
}

// What is denied is answered before anything is looked at: with a store that cannot be
// read and no gpg at all, whatever there is.
func TestWhatIsDeniedTouchesNothing(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		"[[pass.rule]]\nqube = \"work\"\nentries = [\"other/**\"]\ndecision = \"allow\"\n",
		"[[pass.rule]]\nqube = \"work\"\nentries = [\"x\", \"nothing\"]\ndecision = \"deny\"\n[[pass.rule]]\nqube = \"work\"\ndecision = \"allow\"\n",
	} {
		g := newGuard(t, text, map[string][]byte{"x": nil})
		g.Store.Close()
		for _, call := range [][3]string{
			{passguard.ServiceGet, "x"},
			{passguard.ServiceGet, "", "x\n"},
			{passguard.ServiceField, "x__password"},
			{passguard.ServiceField, "x__otp"},
			{passguard.ServiceInsert, "x", "secret"},
			{passguard.ServiceGenerate, "x"},
			{passguard.ServiceGet, "nothing"},
			{passguard.ServiceInsert, "nothing", "secret"},
		} {
			if got, code := serve(t, g, call[0], call[1], call[2]); got != "" || code != passcode.NotFound {
				t.Errorf("%v: %q, %v", call, got, code)
			}
		}
		// The same store, asked for what the rules give, is not readable.
		if _, code := serve(t, g, passguard.ServiceGet, "other+x", ""); code != passcode.Internal {
			t.Errorf("an entry that is allowed: %v, which proves nothing", code)
		}
	}
}
