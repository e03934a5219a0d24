package policy

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
)

const (
	dom0Name       = "dom0"
	uuidPrefix     = "uuid:"
	maxSystemBytes = 1 << 20
)

// Qube is what the policy may know of one qube: the properties that dom0's
// internal.GetSystemInfo reports to the policy daemon.
type Qube struct {
	// Name is the qube's name, equal to its key in System.Qubes.
	Name string `json:"name"`
	// UUID is the qube's UUID in the usual hexadecimal form, without "uuid:";
	// "" means that no rule can name the qube by UUID.
	UUID string `json:"uuid,omitempty"`
	// Type is AdminVM, AppVM, TemplateVM, StandaloneVM, DispVM or RemoteVM.
	Type string `json:"type"`
	// Tags are the qube's tags, as qvm-tags lists them.
	Tags []string `json:"tags,omitempty"`
	// DefaultDispVM names the template that @dispvm means for calls from this
	// qube; "" = none.
	DefaultDispVM string `json:"default_dispvm,omitempty"`
	// TemplateForDispVMs says that @dispvm:NAME may name this qube.
	TemplateForDispVMs bool `json:"template_for_dispvms,omitempty"`
	// Running is the power state "Running"; it matters for autostart=no.
	Running bool `json:"running,omitempty"`
	// Internal qubes are never offered in a prompt.
	Internal bool `json:"internal,omitempty"`
	// GuiVM is where prompts and notifications about this qube's calls appear,
	// usually "dom0"; "" = nowhere: an ask becomes a deny.
	GuiVM string `json:"guivm,omitempty"`
}

// System is the state of the machine that a policy is evaluated against. Qubes
// is keyed by name and includes "dom0".
type System struct {
	Qubes map[string]Qube `json:"qubes"`
}

// LoadSystem reads a System from a JSON file of at most 1 MiB,
// {"qubes": {"work": {"type": "AppVM", "guivm": "dom0"}, …}}. A Name may be
// left out (the key is taken); unknown keys, a missing dom0, and references to
// qubes that do not exist are errors.
func LoadSystem(path string) (System, error) {
	file, err := os.Open(path)
	if err != nil {
		return System{}, fmt.Errorf("reading the list of qubes: %w", err)
	}
	defer file.Close()
	untrusted, err := io.ReadAll(io.LimitReader(file, maxSystemBytes+1))
	if err != nil {
		return System{}, fmt.Errorf("reading the list of qubes: %w", err)
	}
	sys, err := parseSystem(untrusted)
	if err != nil {
		return System{}, fmt.Errorf("reading the list of qubes %q: %w", path, err)
	}
	return sys, nil
}

func parseSystem(untrusted []byte) (System, error) {
	if len(untrusted) > maxSystemBytes {
		return System{}, fmt.Errorf("larger than %d bytes", maxSystemBytes)
	}
	dec := json.NewDecoder(bytes.NewReader(untrusted))
	dec.DisallowUnknownFields()
	var sys System
	if err := dec.Decode(&sys); err != nil {
		return System{}, err
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return System{}, errors.New("text after the JSON value")
	}
	for name, q := range sys.Qubes {
		if q.Name == "" {
			q.Name = name
		}
		sys.Qubes[name] = q
	}
	return sys, sys.check()
}

func (s System) check() error {
	if _, ok := s.Qubes[dom0Name]; !ok {
		return errors.New(`no qube "dom0"`)
	}
	for name, q := range s.Qubes {
		if q.Name != name {
			return fmt.Errorf("qube %q calls itself %q", name, q.Name)
		}
		if !isQubeName(name) {
			return fmt.Errorf("qube %q: Qubes allows no such name", name)
		}
		if q.UUID != "" && !isUUID(q.UUID) {
			return fmt.Errorf("qube %q: %q is no UUID", name, q.UUID)
		}
		for what, other := range map[string]string{"default_dispvm": q.DefaultDispVM, "guivm": q.GuiVM} {
			if _, ok := s.Qubes[other]; other != "" && !ok {
				return fmt.Errorf("qube %q: %s=%q does not exist", name, what, other)
			}
		}
	}
	return nil
}

// find returns the qube that a policy or a client means by a name or by
// "uuid:…".
func (s System) find(ref string) (Qube, bool) {
	if q, ok := s.Qubes[ref]; ok {
		q.Name = ref
		return q, true
	}
	if len(ref) <= len(uuidPrefix) || ref[:len(uuidPrefix)] != uuidPrefix {
		return Qube{}, false
	}
	for name, q := range s.Qubes {
		if q.UUID == ref[len(uuidPrefix):] {
			q.Name = name
			return q, true
		}
	}
	return Qube{}, false
}

// isQubeName is the rule that dom0 applies when a qube is created
// (qubes-core-admin, qubes/vm/__init__.py, validate_name), except that a dot is
// let pass, which some releases allowed.
func isQubeName(s string) bool {
	return s != "" && len(s) <= 31 && isLetter(s[0]) && isServiceName(s)
}

func isLetter(c byte) bool { return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' }

// isUUID accepts the 36 characters of a lower-case UUID.
func isUUID(s string) bool {
	groups := strings.Split(s, "-")
	if len(groups) != 5 {
		return false
	}
	for i, size := range []int{8, 4, 4, 4, 12} {
		if len(groups[i]) != size || strings.Trim(groups[i], "0123456789abcdef") != "" {
			return false
		}
	}
	return true
}
