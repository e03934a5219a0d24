package clefrelay

import (
	"fmt"

	"github.com/splitvault/splitvault/pkg/join"
	"github.com/splitvault/splitvault/pkg/qrexec"
	"github.com/splitvault/splitvault/pkg/rundir"
	"github.com/splitvault/splitvault/pkg/slots"
)

const (
	serviceName = "qubes.Clefsign"
	poolName    = "clef"
	poolSize    = 4 // of the 10 to 25 concurrent calls that Xen bears, for all services
)

// Config is what the environment of the unit says.
type Config struct {
	Dialer   *Dialer
	Join     *join.Group // nil: equal requests are not joined
	Base     string      // $XDG_RUNTIME_DIR
	StateErr error       // why there is no state directory: then calls are not bounded either
	Self     string      // name of this qube, "" if unknown
}

// ConfigFrom reads the environment.
func ConfigFrom(getenv func(string) string, self string) (*Config, error) {
	target, err := qrexec.ParseTarget(getenv("QUBES_CLEF_DOMAIN"))
	if err != nil {
		return nil, fmt.Errorf("reading QUBES_CLEF_DOMAIN: %w", err)
	}
	client := getenv("SPLITVAULT_QREXEC_CLIENT")
	if client == "" {
		client = qrexec.DefaultClient
	}
	c := &Config{Dialer: &Dialer{Client: client, Target: target}, Base: rundir.Base(getenv), Self: self}
	pool, err := rundir.Make(c.Base, "slots")
	if err != nil {
		c.StateErr = err
		return c, nil
	}
	c.Dialer.Pool = slots.New(pool, poolName, poolSize)
	dir, err := rundir.Make(c.Base, "clef")
	if err != nil {
		c.StateErr = err
		return c, nil
	}
	c.Join = &join.Group{Dir: dir}
	return c, nil
}
