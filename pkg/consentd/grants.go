package consentd

import (
	"slices"
	"time"

	"github.com/splitvault/splitvault/pkg/consent"
)

// maxGrants bounds memory; beyond it a lasting yes counts once.
const maxGrants = 256

// grants are what the person allowed for a time. They are nowhere but in memory.
type grants struct {
	all  []*grant
	last int // number of the newest
}

type grant struct {
	consent.Grant
	key     string
	granted time.Time // with the clock that nobody can set
}

func (g *grants) add(now time.Time, i *item) *grant {
	longest := i.request.Longest()
	if g.prune(now); longest <= 0 || len(g.all) >= maxGrants {
		return nil
	}
	g.all = slices.DeleteFunc(g.all, func(old *grant) bool { return old.key == i.key })
	g.last++
	n := &grant{key: i.key, granted: now, Grant: consent.Grant{
		ID: g.last, Qube: i.request.Qube, Service: i.request.Service, Subject: i.request.Subject,
		Granted: now.UTC().Truncate(time.Second), Until: now.Add(longest).UTC().Truncate(time.Second),
	}}
	g.all = append(g.all, n)
	return n
}

// use returns the grant for a key and counts its use. A grant never helps for
// longer than the rule behind this very question lets one last.
func (g *grants) use(now time.Time, key string, longest time.Duration) *grant {
	g.prune(now)
	for _, n := range g.all {
		if n.key == key && now.Sub(n.granted) < longest {
			n.Uses++
			return n
		}
	}
	return nil
}

// prune forgets what has ended, by the monotonic clock or by that on the wall:
// the first stands still while the machine sleeps.
func (g *grants) prune(now time.Time) {
	g.all = slices.DeleteFunc(g.all, func(n *grant) bool {
		return now.Sub(n.granted) >= n.Until.Sub(n.Granted) || !now.Round(0).Before(n.Until)
	})
}

func (g *grants) revoke(now time.Time, which consent.Which) int {
	g.prune(now)
	before := len(g.all)
	g.all = slices.DeleteFunc(g.all, func(n *grant) bool {
		return which.All || which.ID != 0 && n.ID == which.ID || which.Qube != "" && n.Qube == which.Qube
	})
	return before - len(g.all)
}

func (g *grants) list(now time.Time) []consent.Grant {
	g.prune(now)
	list := []consent.Grant{}
	for _, n := range g.all {
		list = append(list, n.Grant)
	}
	return list
}
