package main

import (
	"context"
	"errors"
	"strings"

	"github.com/splitvault/splitvault/test/baseline"
)

// floor is measured in turns with the relays, and is none: it says what they
// cannot be without, so that a ratio that is missed has its reason beside it.
type floor struct {
	program []string // run instead of the lab's load program; nil: that program, with the relay's socket
	vault   bool     // there, not in the client
}

// Names of floors.
const (
	floorCopies  = "a relay in Go that only copies, before the seed's service"
	floorAgent   = "the agent itself, in the vault"
	floorCareful = "the agent itself, listed before and verified after"
	floorCall    = "a call of true"
	floorClef    = "Clef itself, in the vault"
	floorGPG     = "gpg alone, in the vault"
	floorPair    = "two programs in Go that only copy and answer"
	floorProgram = "a program in Go that only answers"
)

// copiers are relays that only copy, with ssh-relay's sandbox: before the seed's
// service, and before the least service in Go.
func copiers() []rung {
	to := func(name, called string) rung {
		return rung{name, "", func(ours string) string {
			_, sandbox, _ := strings.Cut(ours, sandboxFrom)
			return service("/usr/local/bin/copier " + called + "\nStandardInput=socket\n#" + sandbox)
		}}
	}
	return []rung{to("copier", "seed.SshQuiet"), to("least", "rung.Answer")}
}

// through is the floor that is a relay.
func (r rung) through(name string) relay {
	return relay{name: name, socket: r.relay().socket, floor: &floor{}}
}

func listFloors() []relay { return []relay{copiers()[0].through(floorCopies)} }

func signFloors() []relay {
	atAgent := func(name string, args ...string) relay {
		return relay{name: name, floor: &floor{vault: true, program: append([]string{"agentload", "-socket", agentSocket, "-open", "-sign"}, args...)}}
	}
	return []relay{copiers()[0].through(floorCopies), atAgent(floorAgent), atAgent(floorCareful, "-careful")}
}

// leastPrograms are held for their memory.
func leastPrograms(idle bool) []relay {
	if idle {
		return []relay{rungs()[1].through(floorProgram)}
	}
	return []relay{copiers()[1].through(floorPair)}
}

const callFloorPolicy = "floor.True * work @anyvm allow target=vault"

func callFloors() []relay {
	return []relay{{name: floorCall, floor: &floor{program: []string{"execload", "qrexec-client-vm", "vault", "floor.True"}}}}
}

func clefFloors() []relay {
	load := []string{"clefload", "-url", "http://127.0.0.1:8550"}
	return append(callFloors(), relay{name: floorClef, floor: &floor{vault: true, program: load}})
}

func gpgFloors() []relay {
	gpg := []string{"execload", "gpg", "--batch", "--quiet", "--decrypt", ".password-store/d0/one.gpg"}
	return append(callFloors(), relay{name: floorGPG, floor: &floor{vault: true, program: gpg}})
}

// putCallFloor installs what callFloors and gpgFloors run.
func (l *lab) putCallFloor(ctx context.Context) error {
	load, err := baseline.Program(ctx, "test/figures/execload")
	if err != nil {
		return err
	}
	files := map[string][]byte{"/usr/local/bin/execload": load}
	return errors.Join(baseline.Put(ctx, l.work, files), baseline.Put(ctx, l.vault, files),
		baseline.Put(ctx, l.vault, map[string][]byte{"/etc/qubes-rpc/floor.True": []byte("#!/bin/true\n")}))
}

// least is the smallest p50 that is in reach for a kind of request, in
// milliseconds, and of what it is the sum; 0 if its floors were not measured.
func least(of map[string]float64) (ms float64, sum string) {
	names := []string{}
	switch {
	case of[floorCareful] > 0:
		return of[floorCopies] + of[floorCareful] - of[floorAgent], floorCopies + ", and what the list before and the verification after add at the agent"
	case of[floorGPG] > 0:
		names = []string{floorCall, floorGPG}
	case of[floorClef] > 0:
		names = []string{floorCall, floorClef}
	case of[floorCall] > 0:
		names = []string{floorCall}
	case of[floorCopies] > 0:
		names = []string{floorCopies}
	}
	for _, name := range names {
		ms += of[name]
	}
	return ms, strings.Join(names, ", and ")
}
