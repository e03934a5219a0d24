package audit

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"time"
)

// tail is what a writer has to know of the lines that are there.
type tail struct {
	seq      uint64 // of the last whole line
	anchored time.Time
	prev     Hash // for the next line
	damaged  bool // there is something after the last whole line
	bytes    int  // how much
	newline  bool // the file ends with one
}

// maxScan bounds what is read to find the last whole line.
const maxScan = 64 << 20

// errNoLine says that a file has something in it, and no line.
var errNoLine = errors.New("the file has no whole line")

// readTail finds the last whole line of a file with size bytes.
func readTail(r io.ReaderAt, size int64) (tail, error) {
	for window := int64(4 << 10); ; window *= 8 {
		if window > maxScan {
			return tail{}, errNoLine
		}
		window = min(window, size)
		b := make([]byte, window)
		if _, err := r.ReadAt(b, size-window); err != nil {
			return tail{}, fmt.Errorf("reading the end of the audit file: %w", err)
		}
		if t, ok := findTail(b, window == size); ok {
			return t, nil
		}
		if window == size {
			return tail{}, errNoLine
		}
	}
}

// findTail looks for the last whole line in the end of a file. Unless it is the
// whole file, what stands before the first newline is the end of a longer line.
func findTail(b []byte, whole bool) (tail, bool) {
	content, newline := bytes.CutSuffix(b, []byte("\n"))
	for end := len(content); ; {
		start := bytes.LastIndexByte(content[:end], '\n') + 1
		if start == 0 && !whole {
			return tail{}, false
		}
		if l, err := Parse(content[start:end]); err == nil {
			return tail{
				seq: l.Seq, anchored: l.Anchored, prev: sha256.Sum256(content[start:]),
				damaged: end < len(content), bytes: max(0, len(content)-end-1), newline: newline,
			}, true
		}
		if start == 0 {
			return tail{}, false
		}
		end = start - 1
	}
}
