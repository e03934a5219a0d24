package dom0

import (
	"fmt"
	"path"
	"time"
)

// FaultKind names a way to fail.
type FaultKind string

// The kinds of faults. Those of a stream count payload bytes in one direction.
const (
	FaultRefuse  FaultKind = "refuse"  // refused whatever policy says: 126
	FaultLate    FaultKind = "late"    // Delay before the decision
	FaultDown    FaultKind = "down"    // the target cannot be reached: 126
	FaultChannel FaultKind = "channel" // allowed, but the vchan does not come up: exit 1
	FaultCut     FaultKind = "cut"     // the channel breaks after After bytes: 255
	FaultStall   FaultKind = "stall"   // nothing moves any more after After bytes
	FaultSlow    FaultKind = "slow"    // Chunk bytes at a time, Delay after each
)

// Directions of a stream.
const (
	ToService = "to-service"
	ToClient  = "to-client"
)

// Fault is something that goes wrong with the calls it matches.
type Fault struct {
	ID        int       `json:"id"`
	Kind      FaultKind `json:"kind"`
	Source    string    `json:"source,omitempty"`    // "" = any
	Target    string    `json:"target,omitempty"`    // "" = any; as decided, else as requested
	Service   string    `json:"service,omitempty"`   // pattern of path.Match for SERVICE+ARG or SERVICE, "" = any
	Times     int       `json:"times,omitempty"`     // how many calls, 0 = all
	After     int64     `json:"after,omitempty"`     // bytes
	Direction string    `json:"direction,omitempty"` // "" = to-client
	Delay     Duration  `json:"delay,omitzero"`
	Chunk     int       `json:"chunk,omitempty"` // bytes, 0 = 1024
	Hit       int       `json:"hit"`             // calls that met it
}

// Duration is a time.Duration that JSON shows as text, "1.5s".
type Duration struct{ time.Duration }

// MarshalText gives the text form.
func (d Duration) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// UnmarshalText reads the text form.
func (d *Duration) UnmarshalText(text []byte) error {
	parsed, err := time.ParseDuration(string(text))
	d.Duration = parsed
	return err
}

// Limits are the numbers of concurrent calls at which things give out.
type Limits struct {
	Daemon int `json:"daemon"` // per target: the next is refused (126)
	Xen    int `json:"xen"`    // per source: the next gets no channel (1); 0 = no limit
}

// defaultLimits are those of qrexec-daemon: 256 vchan ports, two apart.
func defaultLimits() Limits { return Limits{Daemon: 128} }

func (f *Fault) validate() error {
	switch f.Kind {
	case FaultRefuse, FaultLate, FaultDown, FaultChannel, FaultCut, FaultStall, FaultSlow:
	default:
		return fmt.Errorf("fault kind %q: want refuse, late, down, channel, cut, stall or slow", f.Kind)
	}
	switch f.Direction {
	case "":
		f.Direction = ToClient
	case ToService, ToClient:
	default:
		return fmt.Errorf("fault direction %q: want %s or %s", f.Direction, ToService, ToClient)
	}
	if f.Chunk == 0 {
		f.Chunk = 1024
	}
	if f.Chunk < 0 || f.After < 0 || f.Times < 0 || f.Delay.Duration < 0 {
		return fmt.Errorf("fault %q: negative number", f.Kind)
	}
	if _, err := path.Match(f.Service, ""); err != nil {
		return fmt.Errorf("fault service %q: %w", f.Service, err)
	}
	return nil
}

func (f *Fault) matches(c *call) bool {
	target := c.Target
	if target == "" {
		target = c.Requested
	}
	if f.Source != "" && f.Source != c.Source || f.Target != "" && f.Target != target {
		return false
	}
	if f.Service == "" {
		return true
	}
	whole, _ := path.Match(f.Service, c.descriptor())
	name, _ := path.Match(f.Service, c.Service)
	return whole || name
}

// fault takes the first fault of kind that the call meets, nil = none.
func (b *Broker) fault(c *call, kind FaultKind) *Fault {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, f := range b.faults {
		if f.Kind == kind && (f.Times == 0 || f.Hit < f.Times) && f.matches(c) {
			f.Hit++
			taken := *f
			return &taken
		}
	}
	return nil
}

func (b *Broker) streamFaults(c *call) []*Fault {
	var found []*Fault
	for _, kind := range []FaultKind{FaultCut, FaultStall, FaultSlow} {
		if f := b.fault(c, kind); f != nil {
			found = append(found, f)
		}
	}
	return found
}

func (b *Broker) addFault(f Fault) (Fault, error) {
	if err := f.validate(); err != nil {
		return Fault{}, err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.nextFault++
	f.ID, f.Hit = b.nextFault, 0
	b.faults = append(b.faults, &f)
	return f, nil
}
