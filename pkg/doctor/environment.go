package doctor

import (
	"context"
	"io/fs"
	"net"

	"github.com/splitvault/splitvault/pkg/consent"
	"github.com/splitvault/splitvault/pkg/knownhosts"
	"github.com/splitvault/splitvault/pkg/qrexec"
	"github.com/splitvault/splitvault/pkg/rules"
)

// Environment is the qube as the checks see it.
type Environment interface {
	// Getenv returns a variable of this process.
	Getenv(key string) string
	// UID returns the numeric user.
	UID() int
	// Lstat describes a file, without following a last symbolic link.
	Lstat(path string) (fs.FileInfo, error)
	// Readlink returns where a symbolic link points to.
	Readlink(path string) (string, error)
	// ReadFile returns a file's first 64 KiB.
	ReadFile(path string) ([]byte, error)
	// Run runs a program to its end, for ten seconds at most. An error means
	// that it did not run or end by itself.
	Run(ctx context.Context, argv ...string) (Output, error)
	// Dial connects to a Unix socket.
	Dial(ctx context.Context, path string) (net.Conn, error)
	// Call makes a qrexec call, sends nothing, and waits for its end. Of the
	// answer it tells how many lines it has.
	Call(ctx context.Context, client string, target qrexec.Target, service qrexec.Service) (lines int, outcome qrexec.Outcome)
	// Rules loads the vault's rules for ssh, ClefRules and PassRules the others.
	Rules() (*rules.File, error)
	ClefRules() (*rules.ClefFile, error)
	PassRules() (*rules.PassFile, error)
	// KnownHosts loads the vault's known hosts, also those of the package if
	// shipped.
	KnownHosts(shipped bool) (*knownhosts.DB, error)
	// Screen returns the part of a screen that is there, or prompt.ErrNoDisplay.
	Screen(s consent.Screen) (consent.Screen, error)
	// Holds returns the pauses and silences that hold now.
	Holds() ([]consent.Hold, error)
}

// Output is what a program that ran said.
type Output struct {
	Stdout string // at most 64 KiB
	Exit   int
}
