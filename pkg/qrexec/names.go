// Package qrexec places calls with qrexec-client-vm and reads what qrexec tells
// a service about its caller.
//
// Sources: QubesOS/qubes-core-qrexec release4.3, agent/qrexec-client-vm.c and
// .rst, daemon/qrexec-daemon.c (sanitising), libqrexec/exec.c (environment),
// libqrexec/qrexec.h (exit codes).
package qrexec

import (
	"errors"
	"fmt"
	"os"
)

// MaxServiceLength bounds SERVICE+ARG, in bytes. qrexec itself declares 65000,
// but a descriptor over 3935 bytes wedges the agent of the calling qube, and a
// file of that name can only exist up to 255.
const MaxServiceLength = 255

// ErrName says that a name has a form qrexec would alter or refuse.
var ErrName = errors.New("not a valid name")

// QubeName is the name of a qube as dom0 admits it: a letter, then at most 30
// letters, digits, "_", "." or "-" (qubes-core-admin, qubes/vm/__init__.py).
type QubeName string

// ParseQubeName checks the name of a qube.
func ParseQubeName(untrusted string) (QubeName, error) {
	if len(untrusted) == 0 || len(untrusted) > 31 || !letter(untrusted[0]) {
		return "", fmt.Errorf("qube name %.40q: %w", untrusted, ErrName)
	}
	for i := range len(untrusted) {
		if !word(untrusted[i]) {
			return "", fmt.Errorf("qube name %.40q: %w", untrusted, ErrName)
		}
	}
	return QubeName(untrusted), nil
}

// Target is whom a call asks for: a qube, or "@default" for dom0 to choose.
type Target string

// Default leaves the choice of the target to dom0's policy.
const Default Target = "@default"

// ParseTarget checks a target given by the user; empty means [Default].
func ParseTarget(untrusted string) (Target, error) {
	if untrusted == "" || untrusted == string(Default) {
		return Default, nil
	}
	name, err := ParseQubeName(untrusted)
	if err != nil {
		return "", fmt.Errorf("target qube: %w", err)
	}
	return Target(name), nil
}

// Service is a checked SERVICE or SERVICE+ARG.
type Service string

// ParseService checks that SERVICE+ARG would reach its service unaltered: dom0
// silently replaces every byte outside [A-Za-z0-9_.+-] by "_".
func ParseService(untrusted string) (Service, error) {
	if len(untrusted) == 0 || len(untrusted) > MaxServiceLength || untrusted[0] == '+' {
		return "", fmt.Errorf("service name %.40q: %w", untrusted, ErrName)
	}
	for i := range len(untrusted) {
		if c := untrusted[i]; !word(c) && c != '+' {
			return "", fmt.Errorf("service name %.40q: %w", untrusted, ErrName)
		}
	}
	return Service(untrusted), nil
}

func letter(c byte) bool { return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' }

func word(c byte) bool {
	return letter(c) || '0' <= c && c <= '9' || c == '_' || c == '.' || c == '-'
}

// Self returns the name of this qube, which Qubes OS makes its host name, or ""
// where that is no name of a qube.
func Self() string {
	untrusted, err := os.Hostname()
	if err != nil {
		return ""
	}
	name, err := ParseQubeName(untrusted)
	if err != nil {
		return ""
	}
	return string(name)
}
