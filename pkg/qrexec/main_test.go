package qrexec_test

import (
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/splitvault/splitvault/pkg/qrexec"
	"github.com/splitvault/splitvault/pkg/qrexec/qrexectest"
)

func TestMain(m *testing.M) {
	if target := os.Getenv("QREXEC_TEST_CALLER"); target != "" {
		os.Unsetenv("QREXEC_TEST_CALLER") // the client program is this binary, too
		caller(qrexec.Target(target))
	}
	qrexectest.Main(m)
}

// caller places a call and waits to be killed.
func caller(target qrexec.Target) {
	if _, err := qrexec.Start(os.Args[0], target, qrexectest.Deaf); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	time.Sleep(time.Minute)
	os.Exit(1)
}
