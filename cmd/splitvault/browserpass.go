package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/splitvault/splitvault/pkg/browserpass"
	"github.com/splitvault/splitvault/pkg/entryname"
	"github.com/splitvault/splitvault/pkg/passclient"
	"github.com/splitvault/splitvault/pkg/passcode"
	"github.com/splitvault/splitvault/pkg/passproto"
	"github.com/splitvault/splitvault/pkg/secret"
)

const (
	hostName = "browserpass"
	// hostPath is a link to this program: browsers give no arguments of our choice.
	hostPath = "/usr/lib/splitvault/browserpass"
)

func newBrowserpass() *cobra.Command {
	install, remove := false, false
	cmd := &cobra.Command{
		Use:   hostName + " [BROWSER...]",
		Short: "Be the native host of the browser extension Browserpass",
		Long: "Serves one request of the extension Browserpass on standard input and output; the\n" +
			"browser starts it for each. The extension gets password, login and url of what it\n" +
			"asks for, and the names that this qube may list.\n\n" +
			"--install tells the browsers that have been used in this qube, or those named, to\n" +
			"start it, by a file in the user's home; --remove takes that back. They are firefox,\n" +
			"librewolf, chromium, chrome, brave, vivaldi and edge.",
		RunE: func(cmd *cobra.Command, args []string) error {
			if !install && !remove {
				if len(args) > 0 {
					return errors.New("BROWSER is for --install and --remove")
				}
				return serveBrowser(cmd.Context())
			}
			return setBrowsers(cmd, args, install)
		},
		ValidArgsFunction: func(*cobra.Command, []string, string) ([]cobra.Completion, cobra.ShellCompDirective) {
			return browserNames(), cobra.ShellCompDirectiveNoFileComp
		},
	}
	cmd.Flags().BoolVar(&install, "install", false, "tell browsers to start it")
	cmd.Flags().BoolVar(&remove, "remove", false, "tell browsers no more")
	cmd.MarkFlagsMutuallyExclusive("install", "remove")
	return cmd
}

func browserNames() []string {
	var names []string
	for _, b := range browserpass.Browsers() {
		names = append(names, b.Name)
	}
	return names
}

func setBrowsers(cmd *cobra.Command, names []string, install bool) error {
	if err := cobra.OnlyValidArgs(&cobra.Command{ValidArgs: browserNames()}, names); err != nil {
		return err
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return err
	}
	var paths []string
	if install {
		paths, err = browserpass.Install(home, hostPath, names)
	} else {
		paths, err = browserpass.Remove(home, names)
	}
	for _, path := range paths {
		fmt.Fprintln(cmd.OutOrStdout(), path)
	}
	return err
}

func serveBrowser(ctx context.Context) error {
	if err := secret.Harden(); err != nil {
		return err
	}
	ctx, cancel := signal.NotifyContext(ctx, syscall.SIGTERM, syscall.SIGINT)
	defer cancel()
	client := passclient.New(os.Getenv)
	defer client.Close()
	code, err := browserpass.Serve(ctx, browserVault{client}, os.Stdin, os.Stdout)
	if err == nil && code != 0 {
		return exit(code)
	}
	return err
}

// browserVault is the vault as a browser may have it.
type browserVault struct{ client *passclient.Client }

func (v browserVault) Names(ctx context.Context) ([]string, error) {
	names, _, err := v.client.Names(ctx, "")
	return names, err
}

// Field takes what dom0 or the vault keep back for what is not there: the extension
// makes do without a login.
func (v browserVault) Field(ctx context.Context, name entryname.Name, field entryname.Field) (*secret.Buffer, error) {
	value, err := v.client.Field(ctx, name, field)
	no, ok := errors.AsType[*passproto.Error](err)
	if field != entryname.Password && ok {
		switch no.Code {
		case passcode.NoField, passcode.NotFound, passcode.Refused, passcode.Denied:
			return nil, nil
		}
	}
	return value, err
}

func (v browserVault) Insert(ctx context.Context, name entryname.Name, content []byte) error {
	answer, err := v.client.Ask(ctx, passproto.Request{Verb: passproto.Insert, Name: name}, content)
	if err == nil {
		answer.Wipe()
	}
	return err
}
