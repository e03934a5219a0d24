package main

import (
	"bytes"
	"io"
	"strings"
	"testing"
)

func TestInstallRefusesAnEmptyDirectoryName(t *testing.T) {
	for _, args := range [][]string{nil, {""}, {"a", "b"}} {
		var stderr bytes.Buffer
		if code := run(args, t.TempDir(), io.Discard, &stderr); code != 2 || !strings.Contains(stderr.String(), "DESTDIR=") {
			t.Errorf("run(%q): exit %d, %q", args, code, stderr.String())
		}
	}
}
