package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/splitvault/splitvault/pkg/clipboard"
	"github.com/splitvault/splitvault/pkg/entryname"
	"github.com/splitvault/splitvault/pkg/passcode"
	"github.com/splitvault/splitvault/pkg/secret"
)

const (
	ownerName = "qpass-clipboard" // argv[0] of the process that owns the selection
	// clipSeconds is pass's default; maxSeconds an hour.
	clipSeconds = 45
	maxSeconds  = 3600
	// ownTime bounds how long the screen may take.
	ownTime = 15 * time.Second
)

// clipFlags say how a secret is offered.
type clipFlags struct {
	once      bool
	seconds   int
	selection string
}

func (f *clipFlags) add(cmd *cobra.Command) {
	cmd.Flags().BoolVar(&f.once, "once", false, "end with the first paste")
	cmd.Flags().IntVar(&f.seconds, "seconds", 0, "how long it can be pasted (default PASSWORD_STORE_CLIP_TIME, or 45)")
	cmd.Flags().StringVar(&f.selection, "selection", "", "clipboard, primary or secondary (default PASSWORD_STORE_X_SELECTION, or clipboard)")
}

func newClip(a *app) *cobra.Command {
	var flags clipFlags
	cmd := &cobra.Command{
		Use:   "clip NAME [FIELD]",
		Short: "Put a field on the clipboard for a while",
		Long: "Offers a field, by default the password, on this qube's clipboard: for 45 seconds,\n" +
			"or with --once for one paste. What else is copied meanwhile stays, and nothing that\n" +
			"was there before comes back. Clipboard managers are told not to keep it.",
		Args: fieldArgs(1),
		RunE: a.do(func(ctx context.Context, args []string) error {
			field := string(entryname.Password)
			if len(args) == 2 {
				field = args[1]
			}
			return a.clipField(ctx, args[0], field, flags)
		}),
		ValidArgsFunction: a.completeField,
	}
	flags.add(cmd)
	return cmd
}

func (a *app) clipField(ctx context.Context, name, fieldName string, flags clipFlags) error {
	offer, err := a.offer(flags)
	if err != nil {
		return err
	}
	field, err := entryname.FieldOf(fieldName)
	if err != nil {
		return err
	}
	value, err := a.vault.Field(ctx, entryname.Name(name), field)
	if err != nil {
		return err
	}
	defer value.Wipe()
	return a.clip(ctx, name, value, offer)
}

// offer is what flags and environment say.
func (a *app) offer(flags clipFlags) (clipboard.Offer, error) {
	o := clipboard.Offer{Selection: flags.selection, Once: flags.once, For: time.Duration(flags.seconds) * time.Second}
	if o.Selection == "" {
		o.Selection = a.getenv("PASSWORD_STORE_X_SELECTION")
	}
	if o.Selection == "" {
		o.Selection = clipboard.Clipboard
	}
	if flags.seconds == 0 {
		o.For = clipSeconds * time.Second
		if text := a.getenv("PASSWORD_STORE_CLIP_TIME"); text != "" {
			seconds, err := strconv.Atoi(text)
			if err != nil {
				return o, fmt.Errorf("reading PASSWORD_STORE_CLIP_TIME: %.20q is no number of seconds", text)
			}
			o.For = time.Duration(seconds) * time.Second
		}
	}
	if o.For < time.Second || o.For > maxSeconds*time.Second {
		return o, fmt.Errorf("%v on the clipboard: want 1 to %d seconds", o.For, maxSeconds)
	}
	return o, nil
}

// clip has a process in the background own the selection. The secret goes through
// a pipe.
func (a *app) clip(ctx context.Context, name string, value *secret.Buffer, o clipboard.Offer) error {
	owner := exec.CommandContext(ctx, "/proc/self/exe")
	owner.Args = []string{ownerName, o.Selection, strconv.Itoa(int(o.For / time.Second)), strconv.FormatBool(o.Once)}
	owner.SysProcAttr = &syscall.SysProcAttr{Setsid: true} // it outlives the terminal
	stdin, err := owner.StdinPipe()
	if err != nil {
		return err
	}
	stdout, err := owner.StdoutPipe()
	if err != nil {
		return err
	}
	if err := owner.Start(); err != nil {
		return fmt.Errorf("owning the clipboard: %w", err)
	}
	_, err = stdin.Write(value.Bytes())
	if err = errors.Join(err, stdin.Close()); err != nil {
		return fmt.Errorf("owning the clipboard: %w", err)
	}
	// It says "ready", or why not, and closes its output.
	said, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil {
		return fmt.Errorf("owning the clipboard: the process for it has ended: %w", err)
	}
	if why, found := strings.CutPrefix(strings.TrimSpace(said), "error "); found {
		return errors.New(why)
	}
	howLong := fmt.Sprintf("Will clear in %d seconds.", int(o.For/time.Second))
	if o.Once {
		howLong = fmt.Sprintf("Will clear after one paste, or in %d seconds.", int(o.For/time.Second))
	}
	fmt.Fprintf(a.stdout, "Copied %s to clipboard. %s\n", name, howLong)
	return owner.Process.Release()
}

// own is the process in the background: SELECTION SECONDS ONCE, the secret on
// standard input.
func (a *app) own(ctx context.Context, args []string) int {
	var text secret.Buffer
	defer text.Wipe()
	if len(args) != 3 {
		return exitUsage
	}
	seconds, err := strconv.Atoi(args[1])
	if err == nil {
		err = text.ReadAll(a.stdin, clipboard.MaxText)
	}
	if err != nil {
		fmt.Fprintf(a.stdout, "error reading what to offer: %v\n", err)
		return int(passcode.Internal)
	}
	offer := clipboard.Offer{Text: text.Bytes(), Selection: args[0], Once: args[2] == "true", For: time.Duration(seconds) * time.Second}
	early := time.AfterFunc(ownTime, func() { os.Exit(int(passcode.Internal)) })
	if _, err = clipboard.Own(ctx, a.getenv, offer, func() {
		early.Stop()
		fmt.Fprintln(a.stdout, "ready")
		detach()
	}); err != nil {
		fmt.Fprintf(a.stdout, "error %v\n", err)
		return int(passcode.Internal)
	}
	return 0
}

// detach lets go of the streams that whoever called qpass may be waiting for.
func detach() {
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		return
	}
	defer null.Close()
	for fd := range 3 {
		_ = syscall.Dup3(int(null.Fd()), fd, 0)
	}
}
