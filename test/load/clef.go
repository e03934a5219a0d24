package load

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"github.com/splitvault/splitvault/test/clefqube"
	"github.com/splitvault/splitvault/test/qubes/bench"
	"github.com/splitvault/splitvault/test/signer"
)

func startClef(ctx context.Context, vault *bench.Qube) error {
	if _, err := signer.Binary(); err != nil {
		return err
	}
	return clefqube.Start(ctx, vault)
}

// dapps all ask Clef in one moment, each on a connection of its own: for the same,
// as the tabs of one page do, and each for a signature of something else.
func (l *lab) dapps(ctx context.Context, p Plan) (rows []Row, err error) {
	qubes, err := l.need(ctx, 1)
	if err != nil {
		return nil, err
	}
	q := qubes[0]
	for _, kind := range []struct {
		what string
		args []string
	}{
		{"%d requests for the same list of accounts at once", nil},
		{"%d requests for a signature each at once", []string{"-sign"}},
	} {
		row, countErr := l.count(ctx, fmt.Sprintf(kind.what, p.Dapps), func() ([]string, error) {
			n := strconv.Itoa(p.Dapps)
			return one(login(ctx, q, append([]string{"clefload", "-url", "http://127.0.0.1:8550", "-n", n, "-parallel", n, "-within", crowdTime.String()}, kind.args...)...))
		})
		if countErr != nil {
			return rows, errors.Join(err, countErr)
		}
		rows, err = append(rows, row), errors.Join(err, row.check(p.Dapps, crowdTime))
		if kind.args != nil {
			err = errors.Join(err, row.calls(p.Dapps))
		}
	}
	return rows, err
}
