// Package wire holds the two encodings the emulator speaks: the data frames of
// a call, laid out as qrexec's own (QubesOS/qubes-core-qrexec libqrexec/qrexec.h,
// struct msg_header), and the control messages between client, agent and dom0,
// which are the emulator's.
package wire

import (
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sys/unix"
)

// Frame types, qrexec.h MSG_*.
const (
	DataStdin  uint32 = 0x190 // client → service
	DataStdout uint32 = 0x191 // service → client
	DataStderr uint32 = 0x192 // service → client
	ExitCode   uint32 = 0x193 // service → client, four bytes
	Hello      uint32 = 0x300 // both ways, first, four bytes
)

// MaxChunk is the largest payload of a data frame in bytes (qrexec.h
// MAX_DATA_CHUNK_V3).
const MaxChunk = 65536

// HeaderSize is the size of a frame's header: type and length, four bytes each,
// little endian.
const HeaderSize = 8

// helloTimeout is how long either side of a data channel waits for the other,
// qrexec-agent-data.c VCHAN_DEFAULT_TIMEOUT.
const helloTimeout = 120 * time.Second

const protocolVersion = 4 // R4.3

// AppendHeader appends the header of a frame of length bytes of payload.
func AppendHeader(b []byte, kind uint32, length int) []byte {
	b = binary.LittleEndian.AppendUint32(b, kind)
	return binary.LittleEndian.AppendUint32(b, uint32(length))
}

// AppendExit appends a whole exit code frame.
func AppendExit(b []byte, code int) []byte {
	b = AppendHeader(b, ExitCode, 4)
	return binary.LittleEndian.AppendUint32(b, uint32(int32(code)))
}

// ParseHeader reads a header and refuses a payload above MaxChunk.
func ParseHeader(untrustedHeader []byte) (kind uint32, length int, err error) {
	if len(untrustedHeader) < HeaderSize {
		return 0, 0, fmt.Errorf("parsing frame header: %d bytes, want %d", len(untrustedHeader), HeaderSize)
	}
	kind = binary.LittleEndian.Uint32(untrustedHeader)
	untrustedLength := binary.LittleEndian.Uint32(untrustedHeader[4:])
	if untrustedLength > MaxChunk {
		return 0, 0, fmt.Errorf("parsing frame header: too big data chunk: %d > %d", untrustedLength, MaxChunk)
	}
	return kind, int(untrustedLength), nil
}

// ParseExit reads the payload of an exit code frame; a short one counts as 255,
// as in libqrexec/remote.c.
func ParseExit(untrustedPayload []byte) int {
	if len(untrustedPayload) < 4 {
		return 255
	}
	return int(int32(binary.LittleEndian.Uint32(untrustedPayload)))
}

// Greet exchanges HELLO over the blocking or non-blocking socket fd. No byte of
// the caller's stdin is read and no service is started before it succeeds.
func Greet(fd int) error {
	hello := binary.LittleEndian.AppendUint32(AppendHeader(nil, Hello, 4), protocolVersion)
	if _, err := unix.Write(fd, hello); err != nil {
		return fmt.Errorf("sending hello: %w", err)
	}
	deadline := time.Now().Add(helloTimeout)
	answer := make([]byte, 0, len(hello))
	for len(answer) < len(hello) {
		if err := waitReadable(fd, deadline); err != nil {
			return fmt.Errorf("waiting for hello: %w", err)
		}
		n, err := unix.Read(fd, answer[len(answer):cap(answer)])
		switch {
		case errors.Is(err, unix.EINTR), errors.Is(err, unix.EAGAIN):
			continue
		case err != nil:
			return fmt.Errorf("reading hello: %w", err)
		case n == 0:
			return errors.New("reading hello: the other side is gone")
		}
		answer = answer[:len(answer)+n]
	}
	if kind, length, err := ParseHeader(answer); err != nil || kind != Hello || length != 4 {
		return fmt.Errorf("reading hello: invalid packet of type %#x, length %d", kind, length)
	}
	return nil
}

func waitReadable(fd int, deadline time.Time) error {
	for {
		left := time.Until(deadline)
		if left <= 0 {
			return unix.ETIMEDOUT
		}
		fds := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
		n, err := unix.Poll(fds, int(left.Milliseconds())+1)
		if err != nil && !errors.Is(err, unix.EINTR) {
			return err
		}
		if n > 0 {
			return nil
		}
	}
}
