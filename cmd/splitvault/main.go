// Command splitvault is what people type: it examines a qube and says what to
// do.
package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/splitvault/splitvault/pkg/version"
)

// exitUsage is also "cannot tell": in both cases nothing was found out.
const exitUsage = 2

// exit is an exit code that needs no words.
type exit int

func (e exit) Error() string { return fmt.Sprintf("exit code %d", int(e)) }

func main() {
	args := os.Args[1:]
	if filepath.Base(os.Args[0]) == hostName {
		// Browsers start a host by a path, with arguments of their own.
		args = []string{hostName}
	}
	os.Exit(run(args, os.Stdout, os.Stderr))
}

func run(args []string, stdout, stderr io.Writer) int {
	root := newRoot()
	root.SetArgs(args)
	root.SetOut(stdout)
	root.SetErr(stderr)
	err := root.Execute()
	if code, ok := errors.AsType[exit](err); ok {
		return int(code)
	}
	if err != nil {
		fmt.Fprintf(stderr, "splitvault: %v\n", err)
		return exitUsage
	}
	return 0
}

func newRoot() *cobra.Command {
	root := &cobra.Command{
		Use:   "splitvault",
		Short: "Keys and passwords of a vault qube, used from other qubes",
		Long: "splitvault lets the qubes where you work use the ssh keys of a vault qube\n" +
			"that has no network. This command examines the qube it runs in; in a vault it also\n" +
			"explains rules, ends what prompts allowed, and reads the log.",
		Version:       version.String(),
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	root.SetVersionTemplate("splitvault {{.Version}}\n")
	root.CompletionOptions.HiddenDefaultCmd = true
	root.AddCommand(newDoctor(), newStatus())
	root.AddCommand(newRules())
	root.AddCommand(newExplain())
	root.AddCommand(newLog())
	root.AddCommand(newExposure())
	root.AddCommand(newGrants(), newRevoke(), newPause())
	root.AddCommand(newPolicy(), newBrowserpass())
	return root
}
