// Package bench boots qubes with the project installed in their template and
// an emulated qrexec between them, for tests and for looking around.
//
// A test asks for a bench on a root, boots qubes and runs commands in them:
//
//	b := bench.New(t, "bookworm")
//	b.Policy("qubes.Ssh * work @anyvm allow target=vault")
//	vault := b.Boot("vault")
//	work := b.Boot("work", "splitvault-ssh")
//	out, err := work.User(t.Context(), "ssh-add", "-L")
//
// At the end of the test the bench checks that nothing is left of what ran (see
// Settled), prints the journals if the test failed, and tears all down. It does
// so however the test process ends; after a kill -9 the next run, or
// "qubebench gc", removes the files.
//
// Package machine boots the single qube, package roots makes the Debian it
// runs on; ../qrexec emulates qrexec.
package bench
