package guard

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"

	"github.com/splitvault/splitvault/pkg/version"
)

// Options answers --help and --version of the guard NAME, and refuses all other
// arguments. Started by qrexec the program has none of its own: qrexec passes the
// client's argument as the first, whatever it looks like.
func Options(name, usage string, args []string, stdout, stderr io.Writer) (code int, done bool) {
	if os.Getenv("QREXEC_SERVICE_FULL_NAME") != "" {
		return ExitOK, false
	}
	flags := flag.NewFlagSet(name, flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	flags.Usage = func() {}
	showVersion := flags.Bool("version", false, "")
	switch err := flags.Parse(args); {
	case errors.Is(err, flag.ErrHelp):
		fmt.Fprint(stdout, usage)
		return ExitOK, true
	case err != nil || flags.NArg() > 0:
		fmt.Fprintf(stderr, "%s: wants no arguments (%s --help)\n", name, name)
		return ExitBadRequest, true
	case *showVersion:
		fmt.Fprintln(stdout, name, version.String())
		return ExitOK, true
	}
	return ExitOK, false
}
