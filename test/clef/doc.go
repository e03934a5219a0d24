// Package clef compares what the guard judges with what the decoder of the real
// Clef, in its last release, reads out of the same bytes.
package clef
