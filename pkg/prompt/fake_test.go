package prompt_test

import (
	"context"
	"errors"
	"path/filepath"
	"testing"
	"time"

	"github.com/splitvault/splitvault/pkg/consent"
	"github.com/splitvault/splitvault/pkg/prompt"
	"github.com/splitvault/splitvault/test/stub"
)

// fake is a directory with a program of this name that is not what it is called.
func fake(t *testing.T, name, script string) string {
	t.Helper()
	dir := t.TempDir()
	stub.Script(t, filepath.Join(dir, name), script)
	return dir
}

// Whatever a program says that was put in zenity's place, or went mad: nothing but
// the label of an Allow button together with exit code 1 is a yes.
func TestNothingThatAFakeZenitySaysIsAYes(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct {
		script string
		want   prompt.Choice
		err    error
	}{
		"nothing, exit 0":             {"exit 0", prompt.Close, nil},
		"nothing, exit 1":             {"exit 1", prompt.Close, nil},
		"label, exit 0":               {`echo "Allow once"; exit 0`, prompt.None, prompt.ErrGarbage},
		"label, exit 5":               {`echo "Allow once"; exit 5`, prompt.None, prompt.ErrGarbage},
		"label without line feed":     {`printf "Allow once"; exit 1`, prompt.None, prompt.ErrGarbage},
		"label and more":              {`echo "Allow once"; echo; exit 1`, prompt.None, prompt.ErrGarbage},
		"two labels":                  {`echo Deny; echo "Allow once"; exit 1`, prompt.None, prompt.ErrGarbage},
		"label in small letters":      {`echo "allow once"; exit 1`, prompt.None, prompt.ErrGarbage},
		"label on standard error":     {`echo "Allow once" >&2; exit 1`, prompt.Close, nil},
		"another time than offered":   {`echo "Allow for 8 hours"; exit 1`, prompt.None, prompt.ErrGarbage},
		"yes":                         {"echo yes; exit 0", prompt.None, prompt.ErrGarbage},
		"zeros":                       {`head -c 100000 /dev/zero; exit 1`, prompt.None, prompt.ErrGarbage},
		"a label behind much garbage": {`head -c 4096 /dev/zero; echo "Allow once"; exit 1`, prompt.None, prompt.ErrGarbage},
		"killed after the label":      {`echo "Allow once"; kill -9 $$`, prompt.None, prompt.ErrFailed},
		"no display":                  {`echo "cannot open display: :0" >&2; exit 1`, prompt.None, prompt.ErrNotHere},
		"an exit code of something":   {"exit 77", prompt.None, prompt.ErrFailed},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			env := prompt.Environment{Screen: consent.Screen{Display: ":no-such"}, Home: t.TempDir()}
			a, err := prompt.Zenity{Dir: fake(t, "zenity", row.script)}.Ask(t.Context(), env, login(5*time.Minute))
			if a.Choice != row.want || !errors.Is(err, row.err) {
				t.Errorf("got %d, %v, want %d, %v", a.Choice, err, row.want, row.err)
			}
		})
	}
}

// confirmed is a pinentry that does as it is told up to the question.
const confirmed = `echo "OK Pleased to meet you"
while read -r command rest; do
	case $command in
	CONFIRM) break ;;
	*) echo OK ;;
	esac
done
`

func TestNothingThatAFakePinentrySaysIsAYes(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct {
		script string
		want   prompt.Choice
		err    error
	}{
		"OK":                       {confirmed + "echo OK", prompt.Deny, nil},
		"not confirmed":            {confirmed + `echo "ERR 83886194 Not confirmed <Pinentry>"`, prompt.Once, nil}, // the real yes, for comparison
		"cancelled":                {confirmed + `echo "ERR 83886179 Operation cancelled <Pinentry>"`, prompt.Close, nil},
		"another error":            {confirmed + `echo "ERR 83886142 Timeout <Pinentry>"`, prompt.None, prompt.ErrNotHere},
		"an error of no number":    {confirmed + `echo "ERR Not confirmed"`, prompt.None, prompt.ErrGarbage},
		"a number that overflows":  {confirmed + `echo "ERR 4294967410 Not confirmed"`, prompt.None, prompt.ErrGarbage},
		"a number below zero":      {confirmed + `echo "ERR -114 Not confirmed"`, prompt.None, prompt.ErrGarbage},
		"data":                     {confirmed + "echo 'D yes'; echo OK", prompt.None, prompt.ErrGarbage},
		"an end without an answer": {confirmed, prompt.None, prompt.ErrFailed},
		"half a line":              {confirmed + `printf "ERR 83886194"`, prompt.None, prompt.ErrFailed},
		"a line without an end":    {confirmed + "head -c 100000 /dev/zero", prompt.None, prompt.ErrFailed},
		"status lines for ever":    {confirmed + `while :; do echo "S BUTTON_INFO close"; done`, prompt.None, prompt.ErrGarbage},
		"no greeting":              {`echo "ERR 83886194 Not confirmed <Pinentry>"; sleep 1`, prompt.None, prompt.ErrNotHere},
		"an answer before the question": {
			`printf 'OK\nOK\nOK\nOK\nOK\nERR 83886194 Not confirmed\n'; exec sleep 5`, prompt.None, prompt.ErrGarbage,
		},
		"silence": {"exec sleep 60", prompt.None, errOver},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx, cancel := timeout(t)
			defer cancel()
			env := prompt.Environment{Screen: consent.Screen{Display: ":no-such"}, Home: t.TempDir()}
			p := prompt.Pinentry{Dir: fake(t, "pinentry-gtk-2", row.script), Only: "pinentry-gtk-2"}
			a, err := p.Ask(ctx, env, login(0))
			if a.Choice != row.want || !errors.Is(err, row.err) {
				t.Errorf("got %d, %v, want %d, %v", a.Choice, err, row.want, row.err)
			}
		})
	}
}

var errOver = errors.New("the time is over")

func timeout(t *testing.T) (context.Context, context.CancelFunc) {
	return context.WithTimeoutCause(t.Context(), 3*time.Second, errOver)
}
