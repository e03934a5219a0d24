// Package faults breaks things while split SSH, split Clef and split pass are used,
// in booted qubes with a real ssh-agent, Clef and gpg. For each fault and service the
// request ends in time, its client is told why, nothing is left, and the next request
// works. docs/robustness.md says what each fault gives a person.
//
// The gate runs some of the cells; `just faults` all of them, on all roots. `just soak`
// lets faults happen at random under load.
package faults
