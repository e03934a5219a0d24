// Package qubes runs the scenarios: short scripts that boot qubes with the
// project installed, use it as people and as attackers do, and check what
// comes of it. README.md shows how to run one and how to add one.
package qubes
