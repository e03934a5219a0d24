package machine

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"strings"
)

// process names one process for good: the kernel gives its PID to another
// one day, but not with the same start time.
type process struct {
	pid   int
	start string
}

func thisProcess() process { return process{os.Getpid(), startTime(os.Getpid())} }

func (p process) alive() bool { return p.pid > 0 && p.start != "" && startTime(p.pid) == p.start }

func (p process) String() string { return strconv.Itoa(p.pid) + "-" + p.start }

// startTime is field 22 of /proc/PID/stat (proc_pid_stat(5)), in clock ticks
// since the host's boot; empty for a process that is gone or a zombie.
func startTime(pid int) string {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return ""
	}
	// The second field is the command in brackets and may hold anything.
	fields := strings.Fields(string(b[bytes.LastIndexByte(b, ')')+1:]))
	if len(fields) < 20 || fields[0] == "Z" || fields[0] == "X" {
		return ""
	}
	return fields[19]
}
