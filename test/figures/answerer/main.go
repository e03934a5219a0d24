// Command answerer answers each agent request on its standard input with an empty
// list of keys: the least that a program in Go can do on a connection. It stands
// for all that comes after it on the ladder of package figures. Arguments are
// ignored, as it stands for qrexec-client-vm, too.
package main

import "os"

func main() {
	// An agent's request is far shorter; whoever measures sends one at a time.
	request := make([]byte, 4096)
	for {
		if n, err := os.Stdin.Read(request); n == 0 || err != nil {
			return
		}
		if _, err := os.Stdout.Write([]byte{0, 0, 0, 5, 12, 0, 0, 0, 0}); err != nil {
			return
		}
	}
}
