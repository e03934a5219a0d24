// Package journey installs the real package in a booted template and goes the way
// that README.md describes, command by command as it stands there.
package journey
