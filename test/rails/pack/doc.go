// Package pack makes the project's packages with nfpm from the tree that
// `just install` makes: one list of files for all. The same tree and version give
// the same bytes.
package pack
