// Package stub makes programs for tests that stand for others.
package stub

import (
	"os"
	"syscall"
	"testing"
)

// Write makes path a program, of mode 0700. It can be executed at once, also while
// other tests of the process start programs: os.WriteFile would leave a moment in which
// such a program, between its fork and its exec, holds path open for writing, and a file
// that is open for writing is not executed (ETXTBSY; golang.org/issue/22315).
func Write(tb testing.TB, path, content string) {
	tb.Helper()
	syscall.ForkLock.RLock()
	err := os.WriteFile(path, []byte(content), 0o700)
	syscall.ForkLock.RUnlock()
	if err != nil {
		tb.Fatal(err)
	}
}

// Script makes path a script for sh.
func Script(tb testing.TB, path, body string) {
	tb.Helper()
	Write(tb, path, "#!/bin/sh\n"+body+"\n")
}
