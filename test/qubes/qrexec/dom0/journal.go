package dom0

import (
	"fmt"
	"os"
	"sync"
	"time"
)

// journal is dom0.log, in the shape journalctl gives the policy daemon's lines.
type journal struct {
	mu   sync.Mutex
	file *os.File
}

func openJournal(path string) (*journal, error) {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return nil, fmt.Errorf("opening the log: %w", err)
	}
	return &journal{file: file}, nil
}

func (j *journal) printf(format string, v ...any) {
	j.mu.Lock()
	defer j.mu.Unlock()
	stamp := time.Now().Format("Jan 02 15:04:05.000")
	_, _ = fmt.Fprintf(j.file, "%s dom0 qrexec-policy-daemon[%d]: "+format+"\n", append([]any{stamp, os.Getpid()}, v...)...)
}

func (j *journal) close() { _ = j.file.Close() }
