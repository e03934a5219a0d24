package bench

import (
	"bytes"
	"context"
	"fmt"
	"os/exec"
	"strings"
)

// Wire puts a network cable between two running qubes, with an address at each end
// ("10.0.0.1/24"). It is gone when either of them is.
func (b *Bench) Wire(ctx context.Context, one, oneAddress, other, otherAddress string) error {
	from, err := b.Qube(one)
	if err != nil {
		return err
	}
	to, err := b.Qube(other)
	if err != nil {
		return err
	}
	// An interface has a name of at most 15 bytes.
	oneName, otherName := fmt.Sprintf("to-%.12s", other), fmt.Sprintf("to-%.12s", one)
	for _, line := range []struct {
		q    *Qube
		what string
	}{
		{from, fmt.Sprintf("link add %s type veth peer name %s netns %d", oneName, otherName, to.PID())},
		{from, "addr add " + oneAddress + " dev " + oneName},
		{to, "addr add " + otherAddress + " dev " + otherName},
		{from, "link set " + oneName + " up"},
		{to, "link set " + otherName + " up"},
	} {
		// The host's program, as the qube sees no processes of the other.
		cmd := exec.CommandContext(ctx, "nsenter", append([]string{fmt.Sprintf("--net=/proc/%d/ns/net", line.q.PID()), "ip"}, strings.Fields(line.what)...)...)
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("wiring %s to %s: ip %s: %w: %s", one, other, line.what, err, bytes.TrimSpace(out))
		}
	}
	return nil
}
