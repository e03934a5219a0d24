// Package status finds out what of splitvault is at work in a qube: its sockets
// and their connections as a client, and the calls of other qubes as a vault.
//
// It only looks: at the user's systemd, and at the kernel's list of locks, which
// takes no lock that a relay or guard might want.
package status

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// Service is one of the three services in a client qube.
type Service struct {
	Name    string   `json:"service"` // "ssh", "clef" or "pass"
	On      bool     `json:"on"`      // a socket of it listens
	Sockets []Socket `json:"sockets"`
	Calls   int      `json:"calls"` // requests that wait for the vault's answer
}

// Socket is a socket unit of the user's systemd.
type Socket struct {
	Unit        string `json:"unit"`
	State       string `json:"state"` // systemd's ActiveState
	Connections int    `json:"connections"`
	Accepted    int    `json:"accepted"` // since it listens
	Refused     int    `json:"refused"`  // because too many were open
}

// Caller is a qube that has calls open in this vault.
type Caller struct {
	Qube    string `json:"qube"`
	Service string `json:"service"`
	Calls   int    `json:"calls"`
}

// units are the sockets of each service, in the order in which they are shown.
var units = []struct {
	service string
	sockets []string
}{
	{"ssh", []string{"splitvault-ssh.socket"}},
	{"clef", []string{"splitvault-clef.socket", "splitvault-clef6.socket", "splitvault-clef-ipc.socket"}},
	{"pass", []string{"splitvault-pass.socket"}},
}

// Source is where the facts come from.
type Source struct {
	// Dir is splitvault's directory of state, %t/splitvault.
	Dir string
	// Systemctl runs systemctl --user with arguments and returns what it prints.
	Systemctl func(ctx context.Context, args ...string) (string, error)
	// Locks is the kernel's list of locks, /proc/locks.
	Locks string
}

// Client returns the services as this qube has them as a client. Sockets that
// systemd does not know are left out.
func (s Source) Client(ctx context.Context) ([]Service, error) {
	calls, err := s.held("slots")
	if err != nil {
		return nil, err
	}
	var all []Service
	for _, u := range units {
		service := Service{Name: u.service, Sockets: []Socket{}, Calls: calls[u.service]}
		for _, unit := range u.sockets {
			said, err := s.Systemctl(ctx, "show", "-p", "LoadState,ActiveState,NConnections,NAccepted,NRefused", unit)
			if err != nil {
				return nil, fmt.Errorf("asking systemd about %s: %w", unit, err)
			}
			socket, known := parse(unit, said)
			if !known {
				continue
			}
			service.On = service.On || socket.State == "active"
			service.Sockets = append(service.Sockets, socket)
		}
		all = append(all, service)
	}
	return all, nil
}

func parse(unit, said string) (socket Socket, known bool) {
	values := map[string]string{}
	for line := range strings.Lines(said) {
		key, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), "=")
		values[key] = value
	}
	number := func(key string) int {
		n, _ := strconv.Atoi(values[key]) // absent in older versions
		return n
	}
	return Socket{unit, values["ActiveState"], number("NConnections"), number("NAccepted"), number("NRefused")}, values["LoadState"] == "loaded"
}

// Callers returns the qubes with open calls in this vault, in no order.
func (s Source) Callers() ([]Caller, error) {
	places, err := s.held("guards")
	if err != nil {
		return nil, err
	}
	callers := []Caller{}
	for pool, n := range places {
		// As guard.Call.Place names them: SERVICE+QUBE.
		if service, qube, ok := strings.Cut(pool, "+"); ok {
			callers = append(callers, Caller{Qube: qube, Service: service, Calls: n})
		}
	}
	return callers, nil
}

// held counts, for each pool of package slots in a directory, the files that are
// locked: POOL.0, POOL.1 and so on. The other files of a pool are no slots.
func (s Source) held(dir string) (map[string]int, error) {
	counts := map[string]int{}
	entries, err := os.ReadDir(filepath.Join(s.Dir, dir))
	if errors.Is(err, os.ErrNotExist) {
		return counts, nil
	}
	if err != nil {
		return nil, fmt.Errorf("looking for calls: %w", err)
	}
	locked, err := s.locked()
	if err != nil {
		return nil, err
	}
	for _, e := range entries {
		pool, number, _ := cutLast(e.Name(), ".")
		if _, err := strconv.ParseUint(number, 10, 8); err != nil {
			continue
		}
		id, err := identify(e)
		if err != nil {
			continue // gone meanwhile
		}
		if locked[id] {
			counts[pool]++
		}
	}
	return counts, nil
}

func cutLast(s, sep string) (before, after string, found bool) {
	i := strings.LastIndex(s, sep)
	if i < 0 {
		return s, "", false
	}
	return s[:i], s[i+len(sep):], true
}
