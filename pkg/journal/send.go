package journal

import (
	"encoding/binary"
	"fmt"
	"net"
	"strings"
	"time"
)

// socketPath is where journald takes messages in its native protocol
// (https://systemd.io/JOURNAL_NATIVE_PROTOCOL/).
const socketPath = "/run/systemd/journal/socket"

// sendPatience bounds the wait for a journald that does not read. A line is
// lost then; the daemon has a client waiting.
const sendPatience = 200 * time.Millisecond

// sender writes to journald. It is our own because go-systemd's journal.Send
// waits as long as journald does not read, and because a process that confines
// itself after the connection is made needs no more than write(2).
type sender struct{ conn net.Conn }

func dial(path string) (*sender, error) {
	conn, err := net.Dial("unixgram", path)
	if err != nil {
		return nil, fmt.Errorf("connecting to the journal: %w", err)
	}
	return &sender{conn: conn}, nil
}

func (s *sender) send(datagram []byte) error {
	if err := s.conn.SetWriteDeadline(time.Now().Add(sendPatience)); err != nil {
		return err
	}
	_, err := s.conn.Write(datagram)
	return err
}

// appendField adds one field: NAME=value, or, where the value has more than one
// line, its length in between.
func appendField(datagram []byte, name, value string) []byte {
	datagram = append(datagram, name...)
	if strings.Contains(value, "\n") {
		datagram = append(datagram, '\n')
		datagram = binary.LittleEndian.AppendUint64(datagram, uint64(len(value)))
	} else {
		datagram = append(datagram, '=')
	}
	datagram = append(datagram, value...)
	return append(datagram, '\n')
}
