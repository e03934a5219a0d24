package pack

import (
	"cmp"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/splitvault/splitvault/test/rails/stage"
)

const (
	maintainer = "The splitvault authors <splitvault@users.noreply.github.com>"
	homepage   = "https://github.com/splitvault/splitvault"
	summary    = "SSH keys, Clef accounts and passwords of a vault qube"
	text       = summary + `
Keys and passwords stay in a vault qube without network; the qubes where
people work use them over qrexec, as far as dom0's policy, the vault's rules
and a person allow.

The same package serves clients and vaults. Nothing in it is active until it is
switched on for a qube.`
	dom0Text = `Policy of splitvault: refused until you say so
Refuses every call to splitvault's services without a popup, until lines of
your own in 30-splitvault allow it. No program, no script.`
)

// Maker makes packages.
type Maker struct {
	Source  string    // the checkout
	Build   string    // where the programs were built
	Out     string    // the directory for the packages
	NFPM    string    // the program
	Version string    // as both formats have it: digits first, ~ before what is not released
	Time    time.Time // of all files in them
	Arch    string    // as Go calls it

	Compression string // of the .deb; "" is xz, "zstd" is fast
}

// Make writes the template's .deb and .rpm, and dom0's .rpm, and returns their
// paths.
func (m Maker) Make() ([]string, error) {
	work, err := os.MkdirTemp("", "splitvault-package-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(work)
	tree := filepath.Join(work, "tree")
	if _, err := stage.InstallBuilt(m.Source, m.Build, tree); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(m.Out, 0o755); err != nil {
		return nil, err
	}
	deb, err := m.deb(tree, work)
	if err != nil {
		return nil, err
	}
	rpm, err := m.rpm(tree, work)
	if err != nil {
		return nil, err
	}
	var made []string
	for _, p := range []struct {
		format, file string
		config       config
	}{
		{"deb", m.debName(), deb},
		{"rpm", fmt.Sprintf("splitvault-%s-1.%s.rpm", m.Version, rpmArch(m.Arch)), rpm},
		{"rpm", fmt.Sprintf("splitvault-dom0-%s-1.noarch.rpm", m.Version), m.dom0()},
	} {
		path := filepath.Join(m.Out, p.file)
		if err := m.nfpm(work, p.format, path, p.config); err != nil {
			return nil, fmt.Errorf("making %s: %w", p.file, err)
		}
		made = append(made, path)
	}
	return made, nil
}

// MakeDeb writes the template's .deb alone, into m.Out, and returns its path.
func (m Maker) MakeDeb() (string, error) {
	work, err := os.MkdirTemp("", "splitvault-package-")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(work)
	tree := filepath.Join(work, "tree")
	if _, err := stage.InstallBuilt(m.Source, m.Build, tree); err != nil {
		return "", err
	}
	c, err := m.deb(tree, work)
	if err != nil {
		return "", err
	}
	path := filepath.Join(m.Out, m.debName())
	return path, m.nfpm(work, "deb", path, c)
}

func (m Maker) debName() string { return fmt.Sprintf("splitvault_%s-1_%s.deb", m.Version, m.Arch) }

// rpmArch is what an rpm calls a machine.
func rpmArch(goArch string) string {
	switch goArch {
	case "amd64":
		return "x86_64"
	case "arm64":
		return "aarch64"
	default:
		return goArch
	}
}

// nfpm makes one package. Its configuration is YAML, of which JSON is a part.
func (m Maker) nfpm(work, format, path string, c config) error {
	text, err := json.MarshalIndent(c, "", "  ")
	if err != nil {
		return err
	}
	file := filepath.Join(work, "nfpm.json")
	if err := os.WriteFile(file, text, 0o600); err != nil {
		return err
	}
	cmd := exec.Command(m.NFPM, "package", "--config", file, "--packager", format, "--target", path)
	cmd.Dir = m.Source
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("running nfpm: %w: %s", err, out)
	}
	return nil
}

func (m Maker) config(name, arch, description string) config {
	return config{
		Name: name, Arch: arch, Platform: "linux", Version: m.Version, Schema: "none", Release: "1",
		Section: "utils", Priority: "optional", Maintainer: maintainer, Homepage: homepage,
		Description: description, MTime: m.Time,
		RPM: rpmConfig{BuildHost: "splitvault", Summary: firstLine(description), Compression: "zstd"},
		Deb: debConfig{Compression: cmp.Or(m.Compression, "xz")},
	}
}

func (m Maker) deb(tree, work string) (config, error) {
	c := m.config("splitvault", m.Arch, text)
	c.Depends = []string{"qubes-core-qrexec (>= 4.2.19)"}
	c.Recommends = []string{"openssh-client", "zenity | pinentry-gtk2 | pinentry-qt | pinentry-gnome3"}
	c.Suggests = []string{"gnupg", "libnotify-bin"}
	files, err := contents(tree, filepath.Join(work, "deb"), debian, m.Time)
	if err != nil {
		return config{}, err
	}
	own, err := m.debianOwn(filepath.Join(work, "deb-own"))
	c.Contents = append(files, own...)
	return c, err
}

func (m Maker) rpm(tree, work string) (config, error) {
	c := m.config("splitvault", m.Arch, text)
	c.License = "MIT"
	c.Depends = []string{"qubes-core-qrexec-vm >= 4.2.19"}
	c.Recommends = []string{"openssh-clients", "zenity"}
	files, err := contents(tree, filepath.Join(work, "rpm"), fedora, m.Time)
	c.Contents = files
	return c, err
}

// dom0 is the policy and the text about it: nothing that runs.
func (m Maker) dom0() config {
	c := m.config("splitvault-dom0", "all", dom0Text)
	c.License = "MIT"
	const policy = "/etc/qubes/policy.d/80-splitvault.policy"
	c.Contents = []content{
		m.file("dom0/policy.d/80-splitvault.policy", policy, "config|noreplace", 0o664, "qubes"),
		{Target: "/usr/share/doc/splitvault-dom0", Type: "dir", Info: info(0o755, m.Time)},
		m.file("dom0/README.md", "/usr/share/doc/splitvault-dom0/README.md", "doc", 0o644, "root"),
	}
	return c
}

func (m Maker) file(from, to, kind string, mode uint32, group string) content {
	i := info(mode, m.Time)
	i.Group = group
	return content{Source: filepath.Join(m.Source, from), Target: to, Type: kind, Info: i}
}
