package confine_test

import (
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// serverNeeds is what a server that connects to its backend after it has read hostile
// bytes can still do of all that the probe tries. The last is no need: Landlock tells
// no Unix sockets apart by their path.
func serverNeeds() []string {
	return []string{
		"new unix socket", "new inet socket", "connect to the backend's port", "share files", "share a socket", "many open files",
		"connect to an agent",
	}
}

// check wants what is needed to work, and nothing else.
func check(t *testing.T, free, confined map[string]string, needs []string) {
	t.Helper()
	for _, name := range slices.Sorted(maps.Keys(free)) {
		switch needed := slices.Contains(needs, name); {
		case free[name] != "":
			t.Errorf("%s: fails without confinement too, which proves nothing: %s", name, free[name])
		case needed && confined[name] != "":
			t.Errorf("%s, which it needs: %s", name, confined[name])
		case !needed && confined[name] == "":
			t.Errorf("%s: is possible", name)
		}
	}
}

func TestWhatAServerCannotDo(t *testing.T) {
	t.Parallel()
	free := tryIn(t, 2, "free")
	for _, procs := range []int{1, 8} {
		t.Run("GOMAXPROCS="+strconv.Itoa(procs), func(t *testing.T) {
			t.Parallel()
			confined, gaps := tryWithGaps(t, procs, "server")
			check(t, free, confined, serverNeeds())
			if len(gaps) > 0 {
				t.Errorf("gaps: %q", gaps)
			}
			serves(t, procs, "server")
		})
	}
}

// On a kernel that lacks one layer the others hold, and what is lacking is said.
func TestAServerOnAKernelThatKnowsLess(t *testing.T) {
	t.Parallel()
	free := tryIn(t, 2, "free")
	files := []string{
		"open a file for reading", "read its own memory's map", "list a directory", "remove a file", "leave the shared directory", "make a directory",
		"connect to another port", "bind a port", "connect to an abstract socket",
	}
	for _, row := range []struct {
		state, says string
		more        []string
	}{
		{"server without Landlock", "no Landlock: ", files},
		{"server without seccomp", "no filter of system calls (seccomp)", []string{
			"fork", "fork by clone3", "new netlink socket", "new socket pair", "memory writable and executable",
			"memory made executable", "have signals sent by descriptor", "write over an append-only file", "empty an open file",
			"become another user", "namespace of its own", "connect by multipath TCP", "connect by sending at once", "connect by sending a message at once", "send a datagram over the network",
		}},
	} {
		t.Run(row.state, func(t *testing.T) {
			t.Parallel()
			confined, gaps := tryWithGaps(t, 4, row.state)
			check(t, free, confined, append(serverNeeds(), row.more...))
			if len(gaps) != 1 || !strings.HasPrefix(gaps[0], row.says) {
				t.Errorf("gaps: %q", gaps)
			}
		})
	}
}

// As the kernel tells it.
func TestStateOfAServer(t *testing.T) {
	t.Parallel()
	cmd := probeIn(t, 1, "server", "wait")
	p := begin(t, cmd)
	for _, name := range []string{"status", "limits"} {
		text, err := os.ReadFile("/proc/" + strconv.Itoa(p.Pid) + "/" + name)
		if err != nil {
			t.Fatal(err)
		}
		said := strings.Join(strings.Fields(string(text)), " ")
		for _, want := range map[string][]string{
			"status": {"NoNewPrivs: 1", "Seccomp: 2"},
			"limits": {"Max core file size 0 0 bytes", "Max open files 256 256 files", "Max data size 536870912 536870912 bytes"},
		}[name] {
			if !strings.Contains(said, want) {
				t.Errorf("no %q in %s", want, said)
			}
		}
	}
}
