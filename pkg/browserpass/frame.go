package browserpass

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

const (
	// maxRequest bounds what the extension says, in bytes: its settings and at most
	// one entry.
	maxRequest = 2 << 20
	// maxReply is what browsers take at once, in bytes (Chromium and Firefox: 1 MB).
	maxReply = 1 << 20
)

// errLength says that no length came that a request can have.
var errLength = errors.New("no length of a request")

// readFrame reads a message: its length in four bytes of this machine's order, which
// is little-endian wherever Qubes runs, and its text.
func readFrame(r io.Reader) ([]byte, error) {
	var length [4]byte
	if _, err := io.ReadFull(r, length[:]); err != nil {
		return nil, errors.Join(errLength, err)
	}
	n := binary.LittleEndian.Uint32(length[:])
	if n == 0 || n > maxRequest {
		return nil, fmt.Errorf("%d bytes: %w", n, errLength)
	}
	untrusted := make([]byte, n)
	if _, err := io.ReadFull(r, untrusted); err != nil {
		return nil, fmt.Errorf("reading the request: %w", err)
	}
	return untrusted, nil
}

// writeFrame writes a message.
func writeFrame(w io.Writer, text []byte) error {
	frame := make([]byte, 0, 4+len(text))
	defer func() { clear(frame) }()
	frame = binary.LittleEndian.AppendUint32(frame, uint32(len(text)))
	frame = append(frame, text...)
	_, err := w.Write(frame)
	return err
}
