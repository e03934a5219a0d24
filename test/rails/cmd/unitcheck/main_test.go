package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/splitvault/splitvault/test/stub"
)

const (
	goodSocket  = "[Socket]\nListenStream=%t/x\nAccept=yes\nPollLimitIntervalSec=0\n"
	goodService = "[Service]\nExecStartPre=-/usr/lib/splitvault/x-relay --first\nExecStart=/usr/lib/splitvault/x-relay\n"
)

func TestUnitsThatSystemdMindsAreRefused(t *testing.T) {
	if _, err := exec.LookPath("systemd-analyze"); err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal(err)
		}
		t.Skip(err)
	}
	tests := []struct{ name, socket, service, says string }{
		{"good", goodSocket, goodService, ""},
		{"a bad drop-in", goodSocket, goodService, "ExecStopPosst"},
		{"a misspelt key", goodSocket + "MaxConections=5\n", goodService, "MaxConections"},
		{"a bad value", goodSocket, goodService + "UMask=many\n", "mode value"},
		{"a program that is not installed", goodSocket, "[Service]\nExecStart=/usr/lib/splitvault/y-relay\n", "/usr/lib/splitvault/y-relay"},
		{"a socket without a service", goodSocket, "", "x@"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			src := t.TempDir()
			for name, text := range map[string]string{
				"build/lib/x-relay":       "#!/bin/sh\n",
				"units/client/x.socket":   tt.socket,
				"units/client/x@.service": tt.service,
			} {
				if text == "" {
					continue
				}
				if tt.name == "a bad drop-in" {
					write(t, filepath.Join(src, "templatevm/usr/lib/systemd/user/other.socket.d/x.conf"), "[Socket]\nExecStopPosst=/bin/true\n")
				}
				write(t, filepath.Join(src, name), text)
			}
			switch err := check(src, ""); {
			case tt.says == "" && err != nil:
				t.Error(err)
			case tt.says != "" && (err == nil || !strings.Contains(err.Error(), tt.says)):
				t.Errorf("got %v, want words about %q", err, tt.says)
			}
		})
	}
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	stub.Write(t, path, text)
}

func TestOnlyTheOneExpectedWordIsForgivenAndOnlyToOldSystemd(t *testing.T) {
	const line = "/u/x.socket:5: Unknown key 'PollLimitIntervalSec' in section [Socket], ignoring.\n"
	for _, tt := range []struct {
		line    string
		version int
		want    bool
	}{
		{line, 252, true},
		{line, 255, false},
		{strings.Replace(line, "Poll", "Pull", 1), 252, false},
	} {
		if got := expected(tt.line, tt.version); got != tt.want {
			t.Errorf("expected(%q, %d) = %v, want %v", tt.line, tt.version, got, tt.want)
		}
	}
}
