package pack

import (
	"strings"
	"time"
)

// config is nfpm's configuration, as far as it is used here
// (https://nfpm.goreleaser.com/docs/configuration/).
type config struct {
	Name        string    `json:"name"`
	Arch        string    `json:"arch"`
	Platform    string    `json:"platform"`
	Version     string    `json:"version"`
	Schema      string    `json:"version_schema"`
	Release     string    `json:"release"`
	Section     string    `json:"section"`
	Priority    string    `json:"priority"`
	Maintainer  string    `json:"maintainer"`
	Homepage    string    `json:"homepage"`
	License     string    `json:"license,omitempty"` // no field of a .deb
	Description string    `json:"description"`
	MTime       time.Time `json:"mtime"`
	Depends     []string  `json:"depends,omitempty"`
	Recommends  []string  `json:"recommends,omitempty"`
	Suggests    []string  `json:"suggests,omitempty"`
	Contents    []content `json:"contents"`
	RPM         rpmConfig `json:"rpm"`
	Deb         debConfig `json:"deb"`
}

type rpmConfig struct {
	BuildHost   string `json:"buildhost"` // else the name of this machine
	Summary     string `json:"summary"`
	Compression string `json:"compression"`
}

type debConfig struct {
	Compression string `json:"compression"`
}

// content is one file, link or directory of a package.
type content struct {
	Source string   `json:"src,omitempty"` // for a link: where it points to
	Target string   `json:"dst"`
	Type   string   `json:"type,omitempty"`
	Info   fileInfo `json:"file_info"`
}

type fileInfo struct {
	Mode  uint32    `json:"mode,omitempty"`
	MTime time.Time `json:"mtime"`
	Owner string    `json:"owner"`
	Group string    `json:"group"`
}

func info(mode uint32, t time.Time) fileInfo {
	return fileInfo{Mode: mode, MTime: t, Owner: "root", Group: "root"}
}

func firstLine(s string) string {
	line, _, _ := strings.Cut(s, "\n")
	return line
}
