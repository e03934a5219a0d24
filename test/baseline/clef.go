package baseline

import (
	"context"

	"github.com/splitvault/splitvault/test/qubes/bench"
)

// ClefURL is where the Python dispatcher listens in a client qube.
const ClefURL = "http://127.0.0.1:8560"

// ClefPolicy is what dom0 must be told for it.
func ClefPolicy(client string) string { return "seed.Clefsign * " + client + " vault allow" }

// ClefClient installs the Python dispatcher in a qube and starts it.
func ClefClient(ctx context.Context, q *bench.Qube) error {
	if err := install(ctx, q, "clef-python"); err != nil {
		return err
	}
	if _, err := q.User(ctx, "systemctl", "--user", "start", "clef-python.service"); err != nil {
		return err
	}
	_, err := q.User(ctx, "for i in $(seq 200); do curl -s -o /dev/null "+ClefURL+" && exit 0; sleep 0.05; done; exit 1")
	return err
}

// ClefVault installs its side of the vault, which wants a Clef on port 8550.
func ClefVault(ctx context.Context, q *bench.Qube) error { return install(ctx, q, "clef-python") }
