// Command qrexec is the bench's qrexec: client, agent, dom0 and remote control.
// See package test/qubes/qrexec.
package main

import (
	"os"

	"github.com/splitvault/splitvault/test/qubes/qrexec"
)

func main() { os.Exit(qrexec.Main(os.Args)) }
