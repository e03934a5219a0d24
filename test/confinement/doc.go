// Package confinement shows that every option by which a unit confines a daemon does
// what it promises: in a booted qube, something that is possible without the option
// is refused with it. The table of options here, the units and docs/confinement.md
// must agree. What running daemons have and hold is looked at in the same place.
package confinement
