package qrexec

import (
	"fmt"
	"strings"
)

// Caller is what qrexec tells a service about a call. dom0 vouches for all of
// it but the argument's meaning: the client chose the argument.
type Caller struct {
	Qube     QubeName
	Service  string // without argument
	Argument string // "" if none
}

// CallerFrom reads QREXEC_REMOTE_DOMAIN, QREXEC_SERVICE_FULL_NAME and
// QREXEC_SERVICE_ARGUMENT, which qrexec sets anew for every call. It fails where
// they are missing or contradict each other: the program was not started by
// qrexec then.
func CallerFrom(getenv func(string) string) (Caller, error) {
	qube, err := ParseQubeName(getenv("QREXEC_REMOTE_DOMAIN"))
	if err != nil {
		return Caller{}, fmt.Errorf("reading QREXEC_REMOTE_DOMAIN (a guard is started by qrexec, through /etc/qubes-rpc): %w", err)
	}
	full, err := ParseService(getenv("QREXEC_SERVICE_FULL_NAME"))
	if err != nil {
		return Caller{}, fmt.Errorf("reading QREXEC_SERVICE_FULL_NAME: %w", err)
	}
	service, argument, _ := strings.Cut(string(full), "+")
	if argument != getenv("QREXEC_SERVICE_ARGUMENT") {
		return Caller{}, fmt.Errorf("reading QREXEC_SERVICE_ARGUMENT: it is not the argument in QREXEC_SERVICE_FULL_NAME: %w", ErrName)
	}
	return Caller{Qube: qube, Service: service, Argument: argument}, nil
}
