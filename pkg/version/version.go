// Package version says what was built.
package version

import "runtime/debug"

// linked is set by the linker:
// -X github.com/splitvault/splitvault/pkg/version.linked=v1.2.3
var linked string

// String returns the version of the running program: the one the linker was
// told (see the justfile), else the module's or the commit, as the Go toolchain
// recorded it.
func String() string {
	if linked != "" {
		return linked
	}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	if v := info.Main.Version; v != "" && v != "(devel)" {
		return v
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" {
			return s.Value
		}
	}
	return "devel"
}
