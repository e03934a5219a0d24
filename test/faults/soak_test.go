package faults

import (
	"bufio"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/splitvault/splitvault/test/qubes/bench/machine"
)

// soak is a run of random faults under load.
type soak struct {
	*world
	t    *testing.T
	rand *rand.Rand

	mu      sync.Mutex
	newest  map[string]time.Time // when each worker's last finished request began
	counts  map[string]int       // of outcomes, by kind of request
	slowest map[string]time.Duration
	bad     []line // outcomes that are not ok
	clean   []span // times in which nothing was wrong, from when all that began before had ended
}

type span struct{ from, to time.Time }

// line is what a client says of a request.
type line struct {
	began, ended          time.Time
	worker, what, outcome string
	detail                string
}

// soak lets faults happen at random, those of a seed, under load of all three services.
// Between them there are times without one, in which every request succeeds.
func (w *world) soak(t *testing.T, length time.Duration, seed uint64) {
	t.Logf("SOAK=%v SOAK_SEED=%d ROOT=%s", length, seed, w.suite)
	s := &soak{
		world: w, t: t, rand: rand.New(rand.NewPCG(seed, 0)),
		newest: map[string]time.Time{}, counts: map[string]int{}, slowest: map[string]time.Duration{},
	}
	s.settled(t)
	treasure := s.treasure()
	began := time.Now()
	load := s.load(length)
	happened := s.storm(began.Add(length))
	must(t, load())
	s.settledWithin(t, 40*time.Second) // a request of Clef's that is joined lives on for so long
	if now := s.treasure(); now != treasure {
		t.Errorf("the vault's treasure has changed: %s", strings.Join(without(now, treasure), "; "))
	}
	said, err := s.vault.Root(t.Context(), "env", "HOME=/home/user", "XDG_STATE_HOME=", "splitvault", "log", "--verify") // root can read the journal, too
	if err != nil {
		t.Errorf("the audit trail does not verify: %v", err)
	}
	t.Logf("splitvault log --verify: %s", strings.TrimSpace(said))
	s.judgeLines()
	s.report(happened, time.Since(began))
}

// treasure is what must not change: keys, entries, accounts, rules.
func (s *soak) treasure() string {
	out, err := s.vault.User(s.t.Context(), `SSH_AUTH_SOCK=$XDG_RUNTIME_DIR/agent.sock ssh-add -L
find .password-store .ethereum/keystore .clef/rules.js key .config/splitvault .gnupg/private-keys-v1.d -type f -exec sha256sum {} + | sort -k2`)
	must(s.t, err)
	return out
}

// load starts the clients, and returns what waits for their end.
func (s *soak) load(length time.Duration) func() error {
	cmd := s.work.Command(s.t.Context(), machine.AsUser, "./client", "-for", length.String())
	out, err := cmd.StdoutPipe()
	must(s.t, err)
	cmd.Stderr = os.Stderr
	must(s.t, cmd.Start())
	ended := make(chan error, 1)
	go func() {
		lines := bufio.NewScanner(out)
		for lines.Scan() {
			s.take(lines.Text())
		}
		ended <- cmd.Wait()
	}()
	return func() error { return <-ended }
}

// take counts what a client says of a request.
func (s *soak) take(text string) {
	fields := append(strings.SplitN(text, " ", 6), "", "", "", "", "", "")
	at := func(field string) time.Time {
		ms, _ := strconv.ParseInt(field, 10, 64) // our own program's
		return time.UnixMilli(ms)
	}
	l := line{at(fields[0]), at(fields[1]), fields[2], fields[3], fields[4], fields[5]}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.newest[l.worker] = l.began
	s.counts[l.what+" "+l.outcome]++
	s.slowest[l.what] = max(s.slowest[l.what], l.ended.Sub(l.began))
	if l.outcome != "ok" {
		s.bad = append(s.bad, l)
	}
}

// storm makes faults happen, one to three at a time, and then none for two seconds.
func (s *soak) storm(until time.Time) map[string]int {
	happened := map[string]int{}
	all := storms()
	for time.Until(until) > 6*time.Second {
		c := &cell{world: s.world, t: s.t}
		var mend []func()
		for range 1 + s.rand.IntN(3) {
			f := all[s.rand.IntN(len(all))]
			c.s = services()[s.rand.IntN(3)]
			if m := f.begin(c, s.rand); m != nil {
				mend = append(mend, m)
			}
			happened[f.name]++
			time.Sleep(time.Duration(s.rand.IntN(700)) * time.Millisecond)
		}
		moved(c)
		for _, m := range slices.Backward(mend) {
			m()
		}
		s.mended()
		s.quiet(until)
		if s.t.Failed() {
			break
		}
	}
	return happened
}

// mended waits until each service works again, which must be soon.
func (s *soak) mended() {
	must(s.t, s.agents(s.t.Context()))
	for _, service := range services() {
		for deadline := time.Now().Add(15 * time.Second); ; time.Sleep(50 * time.Millisecond) {
			a := s.ask(s.t.Context(), service, 15*time.Second)
			if a.good(service) {
				break
			}
			if time.Now().After(deadline) {
				s.t.Errorf("%s does not work again: %q, %v", service.name, a.said, a.err)
				return
			}
		}
	}
}

// quiet waits until all requests that may have met a fault have ended, and notes that
// from then on nothing was wrong.
func (s *soak) quiet(until time.Time) {
	mended := time.Now()
	deadline := mended.Add(25 * time.Second) // for one that began before, and the next
	for ; ; time.Sleep(20 * time.Millisecond) {
		s.mu.Lock()
		behind := 0
		for _, began := range s.newest {
			if began.Before(mended) {
				behind++
			}
		}
		s.mu.Unlock()
		if behind == 0 || time.Now().After(until) {
			break
		}
		if time.Now().After(deadline) {
			s.t.Errorf("%d clients still wait for an answer, %v after the last fault", behind, time.Since(mended))
			return
		}
	}
	from := time.Now()
	time.Sleep(2 * time.Second)
	s.clean = append(s.clean, span{from, time.Now()})
}

// judgeLines looks at what did not succeed: nothing is wrong ever, and nothing fails
// while there is no fault.
func (s *soak) judgeLines() {
	for _, l := range s.bad {
		if l.outcome == "WRONG" {
			s.t.Errorf("%s: %s", l.what, l.detail)
		}
		for _, c := range s.clean {
			if l.began.After(c.from) && l.ended.Before(c.to) {
				s.t.Errorf("%s %s without a fault, at %v: %s", l.what, l.outcome, l.began.Format(time.StampMilli), l.detail)
			}
		}
	}
	for _, what := range []string{"ssh-sign", "ssh-forbidden", "clef-list", "clef-sign", "clef-forbidden", "pass-get", "pass-list", "pass-long", "pass-forbidden"} {
		if s.counts[what+" ok"] == 0 {
			s.t.Errorf("no %s succeeded: the soak shows nothing of it", what)
		}
	}
}

func (s *soak) report(happened map[string]int, took time.Duration) {
	total, ok := 0, 0
	for key, n := range s.counts {
		total += n
		if strings.HasSuffix(key, " ok") {
			ok += n
		}
	}
	s.t.Logf("%d requests in %v, %d of them got their answer; %d times without a fault", total, took.Round(time.Second), ok, len(s.clean))
	for _, key := range slices.Sorted(maps.Keys(s.counts)) {
		s.t.Logf("%-28s %6d", key, s.counts[key])
	}
	for _, what := range slices.Sorted(maps.Keys(s.slowest)) {
		s.t.Logf("slowest %-20s %6d ms", what, s.slowest[what].Milliseconds())
	}
	for _, name := range slices.Sorted(maps.Keys(happened)) {
		s.t.Logf("fault %-22s %4d", name, happened[name])
	}
	reasons := map[string]int{}
	for _, l := range s.bad {
		reasons[fmt.Sprintf("%s %s: %.120s", strings.SplitN(l.what, "-", 2)[0], l.outcome, l.detail)]++
	}
	for _, reason := range slices.Sorted(maps.Keys(reasons)) {
		s.t.Logf("%5d  %s", reasons[reason], reason)
	}
}
