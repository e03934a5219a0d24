// Package passstore reads and writes the files of a password store as pass lays
// them out: NAME.gpg for each entry, .gpg-id for whom to encrypt to.
//
// Each file is opened part by part below the store's directory, never through a
// link and never out of it, whatever is renamed meanwhile; only regular files of a
// bounded size count. (os.Root would follow links within the store, which would
// give one entry the name of another.) What pass would list but cannot be the name of an
// entry, such as one with a line feed in it, is counted and left out.
package passstore
