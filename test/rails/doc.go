// Package rails keeps the project on its rails: what its programs may link, and
// the commands behind the recipes of the justfile. Nothing in it is shipped.
package rails
