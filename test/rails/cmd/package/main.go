// Command package makes the .deb and the .rpm files of the programs that are
// built. Version and time come from the release, or from the commit.
package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"

	"github.com/splitvault/splitvault/test/rails/pack"
)

func main() { os.Exit(run(os.Args[1:], os.Stdout, os.Stderr)) }

// run returns the exit code: 0 made, 1 not made, 2 usage.
func run(args []string, stdout, stderr io.Writer) int {
	flags := flag.NewFlagSet("package", flag.ContinueOnError)
	flags.SetOutput(stderr)
	var (
		version = flags.Bool("version", false, "print the version that the packages get, and make none")
		nfpm    = flags.String("nfpm", "nfpm", "nfpm's `program`")
		archive = flags.Bool("source", false, "make the source archive instead, with the modules in vendor/")
		seal    = flags.Bool("seal", false, "write the bill of materials and the checksums of all that is in -out instead")
		key     = flags.String("key", "", "with -seal: sign the checksums with this ssh key `file`")
		build   = flags.String("build", "build/release", "`directory` of the programs")
		out     = flags.String("out", "build/packages", "`directory` for the packages")
	)
	err := flags.Parse(args)
	switch {
	case errors.Is(err, flag.ErrHelp):
		return 0
	case err != nil || flags.NArg() != 0:
		return 2
	}
	what := packages
	if *version {
		what = onlyVersion
	} else if *archive {
		what = sourceArchive
	} else if *seal {
		what = sealed
	}
	if err := do(stdout, what, pack.Maker{NFPM: *nfpm, Build: *build, Out: *out}, *key); err != nil {
		fmt.Fprintln(stderr, "package:", err)
		return 1
	}
	return 0
}

// What is to be made.
const (
	packages = iota
	onlyVersion
	sourceArchive
	sealed
)

func do(stdout io.Writer, what int, m pack.Maker, key string) error {
	for _, dir := range []*string{&m.Source, &m.Build, &m.Out} {
		abs, err := filepath.Abs(*dir)
		if err != nil {
			return err
		}
		*dir = abs
	}
	release, err := pack.ReleaseOf(m.Source)
	if err != nil {
		return err
	}
	m.Version, m.Time, m.Arch = release.Version, release.Time, runtime.GOARCH
	var made []string
	switch what {
	case onlyVersion:
		made = []string{release.Version}
	case sourceArchive:
		made = []string{filepath.Join(m.Out, "splitvault-"+release.Version+".tar.gz")}
		err = pack.Archive(m.Source, made[0], release)
	case sealed:
		made = []string{filepath.Join(m.Out, "SHA256SUMS")}
		err = errors.Join(
			pack.WriteBOM(m.Build, filepath.Join(m.Out, "splitvault-"+release.Version+".cdx.json"), release),
			pack.Seal(m.Out, key),
		)
	default:
		made, err = m.Make()
	}
	if err != nil {
		return err
	}
	for _, line := range made {
		fmt.Fprintln(stdout, line)
	}
	return nil
}
