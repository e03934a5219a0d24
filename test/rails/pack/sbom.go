package pack

import (
	"debug/buildinfo"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strings"
)

// bom is a bill of materials in CycloneDX 1.5, as far as it is used here
// (https://cyclonedx.org/docs/1.5/json/).
type bom struct {
	Format     string      `json:"bomFormat"`
	Spec       string      `json:"specVersion"`
	Version    int         `json:"version"`
	Metadata   metadata    `json:"metadata"`
	Components []component `json:"components"`
}

type metadata struct {
	Timestamp string    `json:"timestamp"`
	Component component `json:"component"`
}

type component struct {
	Type       string     `json:"type"`
	Name       string     `json:"name"`
	Version    string     `json:"version"`
	PURL       string     `json:"purl"`
	Properties []property `json:"properties,omitempty"`
}

type property struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// WriteBOM writes to path what is linked into the programs of a build: what
// `go version -m` reads in them, and nothing that only a list says.
func WriteBOM(build, path string, r Release) error {
	modules := map[string]component{}
	linkedBy := map[string][]string{}
	programs, err := filepath.Glob(filepath.Join(build, "*", "*"))
	if err != nil {
		return err
	}
	for _, program := range programs {
		info, err := buildinfo.ReadFile(program)
		if err != nil {
			return fmt.Errorf("reading what is in %s: %w", filepath.Base(program), err)
		}
		all := append([]*debug.Module{{Path: "stdlib", Version: strings.TrimPrefix(info.GoVersion, "go")}}, info.Deps...)
		for _, m := range all {
			if m.Replace != nil {
				m = m.Replace
			}
			c := component{Type: "library", Name: m.Path, Version: m.Version, PURL: "pkg:golang/" + m.Path + "@" + m.Version}
			if m.Sum != "" {
				c.Properties = []property{{"go:sum", m.Sum}}
			}
			modules[m.Path] = c
			linkedBy[m.Path] = append(linkedBy[m.Path], filepath.Base(program))
		}
	}
	if len(programs) == 0 {
		return fmt.Errorf("no programs in %q", build)
	}
	b := bom{Format: "CycloneDX", Spec: "1.5", Version: 1, Metadata: metadata{
		Timestamp: r.Time.UTC().Format("2006-01-02T15:04:05Z"),
		Component: component{Type: "application", Name: "splitvault", Version: r.Version, PURL: "pkg:github/splitvault/splitvault@" + r.Version},
	}}
	for name, c := range modules {
		slices.Sort(linkedBy[name])
		c.Properties = append(c.Properties, property{"splitvault:programs", strings.Join(linkedBy[name], " ")})
		b.Components = append(b.Components, c)
	}
	slices.SortFunc(b.Components, func(a, b component) int { return strings.Compare(a.Name, b.Name) })
	text, err := json.MarshalIndent(b, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(path, append(text, '\n'), 0o644)
}
