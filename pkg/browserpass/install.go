package browserpass

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
)

// HostName is what the extension calls its host.
const HostName = "com.github.browserpass.native"

// extensions are the ids of the published extension.
var (
	firefoxIDs  = []string{"browserpass@maximbaz.com"}
	chromiumIDs = []string{
		"chrome-extension://naepdomgkenhinolocfifgehidddafch/",
		"chrome-extension://pjmbgaakjkbhpopmakjoedenlfdmcdgm/",
		"chrome-extension://klfoddkbhleoaabpmiigbmpbjfljimgb/",
	}
)

// Browser is where a browser looks for hosts.
type Browser struct {
	Name    string
	Home    string // what the browser makes in the user's home
	Dir     string // below Home
	Firefox bool
}

// Browsers are those that are known.
func Browsers() []Browser {
	const chromiums = "NativeMessagingHosts"
	return []Browser{
		{"firefox", ".mozilla", "native-messaging-hosts", true},
		{"librewolf", ".librewolf", "native-messaging-hosts", true},
		{"chromium", ".config/chromium", chromiums, false},
		{"chrome", ".config/google-chrome", chromiums, false},
		{"brave", ".config/BraveSoftware/Brave-Browser", chromiums, false},
		{"vivaldi", ".config/vivaldi", chromiums, false},
		{"edge", ".config/microsoft-edge", chromiums, false},
	}
}

// manifest tells a browser which program a host is, and who may start it.
type manifest struct {
	Name        string   `json:"name"`
	Description string   `json:"description"`
	Path        string   `json:"path"`
	Type        string   `json:"type"`
	Extensions  []string `json:"allowed_extensions,omitempty"`
	Origins     []string `json:"allowed_origins,omitempty"`
}

// ErrNoBrowser says that there is no browser to install for.
var ErrNoBrowser = errors.New("no browser has been used in this qube: name one")

// Install writes the manifests for these browsers, or for all that have been used, and
// returns their paths. program is absolute: browsers give hosts arguments of their own.
func Install(home, program string, names []string) ([]string, error) {
	var written []string
	for _, b := range Browsers() {
		_, err := os.Stat(filepath.Join(home, b.Home))
		if len(names) == 0 && err != nil || len(names) > 0 && !slices.Contains(names, b.Name) {
			continue
		}
		path, err := b.install(home, program)
		if err != nil {
			return written, err
		}
		written = append(written, path)
	}
	if len(written) == 0 {
		return nil, ErrNoBrowser
	}
	return written, nil
}

func (b Browser) install(home, program string) (string, error) {
	m := manifest{Name: HostName, Description: "Browserpass, with the vault of splitvault", Path: program, Type: "stdio"}
	if b.Firefox {
		m.Extensions = firefoxIDs
	} else {
		m.Origins = chromiumIDs
	}
	text, err := json.MarshalIndent(m, "", "  ")
	if err != nil {
		return "", err
	}
	dir := filepath.Join(home, b.Home, b.Dir)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", fmt.Errorf("installing for %s: %w", b.Name, err)
	}
	path := filepath.Join(dir, HostName+".json")
	if err := os.WriteFile(path, append(text, '\n'), 0o600); err != nil {
		return "", fmt.Errorf("installing for %s: %w", b.Name, err)
	}
	return path, nil
}

// Remove removes the manifests for these browsers, or for all, and returns the paths
// of those that were there.
func Remove(home string, names []string) ([]string, error) {
	var removed []string
	for _, b := range Browsers() {
		if len(names) > 0 && !slices.Contains(names, b.Name) {
			continue
		}
		path := filepath.Join(home, b.Home, b.Dir, HostName+".json")
		switch err := os.Remove(path); {
		case err == nil:
			removed = append(removed, path)
		case !errors.Is(err, os.ErrNotExist):
			return removed, fmt.Errorf("removing from %s: %w", b.Name, err)
		}
	}
	return removed, nil
}
