package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/crypto/ssh"

	"github.com/splitvault/splitvault/pkg/auditlog"
	"github.com/splitvault/splitvault/pkg/qrexec"
)

func newExposure() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "exposure QUBE",
		Short: "What a qube has received, and what to replace if it was compromised",
		Long: "Collects from the log which keys QUBE was shown, what was signed for it, when and for which host,\n" +
			"and everything else it got from this vault.\n\n" +
			"Exit code: 0 shown, 2 there is nothing to read.",
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			qube, err := qrexec.ParseQubeName(args[0])
			if err != nil {
				return err
			}
			r, err := readRecords(cmd.Context(), time.Time{}, cmd.ErrOrStderr())
			if err != nil {
				return err
			}
			exposure := auditlog.Expose(auditlog.Merge(r.file, r.journal), string(qube))
			if !asJSON {
				return exposure.WriteText(cmd.OutOrStdout(), keyNames(os.Getenv("HOME")))
			}
			enc := json.NewEncoder(cmd.OutOrStdout())
			enc.SetIndent("", "  ")
			return enc.Encode(exposure)
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print it as JSON")
	return cmd
}

// keyNames names keys by the comments of the public keys in ~/.ssh: the log has
// fingerprints only.
func keyNames(home string) func(fingerprint string) string {
	names := make(map[string]string)
	paths, err := filepath.Glob(filepath.Join(home, ".ssh", "*.pub"))
	if err != nil {
		paths = nil // home has a pattern in it: no names
	}
	for _, path := range paths {
		info, err := os.Stat(path)
		if err != nil || !info.Mode().IsRegular() || info.Size() > 64<<10 {
			continue
		}
		content, err := os.ReadFile(path)
		if err != nil {
			continue
		}
		if key, comment, _, _, err := ssh.ParseAuthorizedKey(content); err == nil {
			names[ssh.FingerprintSHA256(key)] = comment
		}
	}
	return func(fingerprint string) string { return names[fingerprint] }
}
