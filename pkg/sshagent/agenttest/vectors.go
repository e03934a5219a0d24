// Package agenttest helps tests of the agent protocol: recorded frames and a
// real ssh-agent. No program imports it.
package agenttest

import (
	"bufio"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"os"
	"testing"

	"github.com/splitvault/splitvault/pkg/sshagent"
)

// Recorded is one recorded frame; see testdata/README.md of package sshagent.
type Recorded struct {
	Case  string
	Conn  int
	Reply bool
	Frame sshagent.Frame
}

// Vectors reads recorded frames from a file, in time order.
func Vectors(tb testing.TB, path string) []Recorded {
	tb.Helper()
	file, err := os.Open(path)
	if err != nil {
		tb.Fatal(err)
	}
	defer file.Close()
	var all []Recorded
	lines := bufio.NewScanner(file)
	for lines.Scan() {
		var line struct {
			Case  string
			Conn  int
			Dir   string
			Frame string
		}
		if err := json.Unmarshal(lines.Bytes(), &line); err != nil {
			tb.Fatalf("%s: %v", path, err)
		}
		body, err := hex.DecodeString(line.Frame)
		if err != nil {
			tb.Fatalf("%s: %v", path, err)
		}
		if line.Dir != "req" && line.Dir != "rep" {
			tb.Fatalf("%s: direction %q", path, line.Dir)
		}
		all = append(all, Recorded{line.Case, line.Conn, line.Dir == "rep", Frame(tb, body)})
	}
	if err := lines.Err(); err != nil {
		tb.Fatal(err)
	}
	return all
}

// Frame makes a frame of a type byte and a body.
func Frame(tb testing.TB, message []byte) sshagent.Frame {
	tb.Helper()
	wire := binary.BigEndian.AppendUint32(nil, uint32(len(message)))
	f, err := sshagent.ParseFrame(append(wire, message...), sshagent.MaxReply)
	if err != nil {
		tb.Fatal(err)
	}
	return f
}

// Strings encodes each part as a string of RFC 4251 section 5.
func Strings[S string | []byte](parts ...S) []byte {
	var b []byte
	for _, p := range parts {
		b = binary.BigEndian.AppendUint32(b, uint32(len(p)))
		b = append(b, p...)
	}
	return b
}
