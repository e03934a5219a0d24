package rules

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// SystemFile is the vault template's rules file, used where the user has none.
const SystemFile = "/etc/splitvault/rules.toml"

// maxFile bounds a rules file, in bytes.
const maxFile = 1 << 20

// ErrNoFile says that there is no rules file at all.
var ErrNoFile = errors.New("no rules file")

// File is a rules file without mistakes.
type File struct {
	Path     string // "" for [Default]
	SSH      SSH
	Warnings []Problem
}

// Paths returns where the rules are looked for, the first that exists counts:
// $XDG_CONFIG_HOME/splitvault/rules.toml (~/.config/… by default), then
// [SystemFile].
func Paths(getenv func(string) string) []string {
	config := getenv("XDG_CONFIG_HOME")
	if !filepath.IsAbs(config) {
		config = filepath.Join(getenv("HOME"), ".config")
	}
	return []string{filepath.Join(config, "splitvault", "rules.toml"), SystemFile}
}

// Load reads the [ssh] part of the first of the files that exists. Its error is
// [ErrNoFile], or joins all mistakes, each a [Problem]; there are no rules then,
// and everything is to be denied.
func Load(paths ...string) (*File, error) { return load(Parse, paths) }

// load hands the text of the first file that exists to a service's parser.
func load[F any](parse func(path string, text []byte) (*F, error), paths []string) (*F, error) {
	for _, path := range paths {
		// Without HOME the owner's own rules cannot be found; those of the
		// template might allow more.
		if !filepath.IsAbs(path) {
			return nil, Problem{Path: path, Text: "not an absolute path (is HOME set?)"}
		}
		text, err := read(path)
		if errors.Is(err, errAbsent) {
			continue
		}
		if err != nil {
			return nil, Problem{Path: path, Text: err.Error()}
		}
		return parse(path, text)
	}
	return nil, fmt.Errorf("%w: looked for %s", ErrNoFile, strings.Join(paths, " and "))
}

// LoadOrDefault is [Load], with the [Default] rules where there is no file. A
// file with mistakes is an error here too, and denies everything.
func LoadOrDefault(paths ...string) (*File, error) {
	file, err := Load(paths...)
	if errors.Is(err, ErrNoFile) {
		return Default(), nil
	}
	return file, err
}

var errAbsent = errors.New("there is no such file")

// read returns errAbsent only if there is nothing of that name: a link to a file
// that is gone is a mistake, and not a wish to fall back on the template's rules.
func read(path string) ([]byte, error) {
	if _, err := os.Lstat(path); errors.Is(err, os.ErrNotExist) {
		return nil, errAbsent
	}
	// Without O_NONBLOCK a named pipe would hold up the guard.
	f, err := os.OpenFile(path, os.O_RDONLY|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, errors.New("not a regular file")
	}
	text, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err != nil {
		return nil, fmt.Errorf("reading: %w", err)
	}
	if len(text) > maxFile {
		return nil, fmt.Errorf("longer than %d bytes", maxFile)
	}
	return text, nil
}
