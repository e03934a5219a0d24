package faults

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
	"text/tabwriter"
	"time"

	"github.com/splitvault/splitvault/test/qubes/bench"
)

// fault is something that goes wrong, and what is expected of each service then.
type fault struct {
	name string
	gate bool     // one of those that the gate runs
	only []string // services, if not all

	before func(c *cell) // the request is sent
	during func(c *cell) // it is on its way, as far as stage says
	stage  stage
	after  func(c *cell) // mends what does not mend by itself

	patience string        // what the client is run under: "timeout 2"
	within   time.Duration // in which the request ends, 10 s if 0
	settle   time.Duration // in which all is gone after that, if not as ever
	want     map[string]want
}

// want is what a service's client, and its journals, are expected to say.
type want struct {
	good bool   // it gets its answer all the same
	any  bool   // it gets its answer or the error
	says string // pattern of what it is told otherwise
	log  string // pattern of a line of ours in the journal of work or vault, "" = none is needed
}

// cell is one fault for one service.
type cell struct {
	*world
	t *testing.T
	s service
	f fault

	request *asked // to which the fault happens, once it is sent
}

// result is a cell's place in the printed table.
type result struct{ fault, service, suite, what string }

// matrix runs cells, and prints what came of them.
func (w *world) matrix(t *testing.T, chosen []fault) {
	var rows []result
	for _, f := range chosen {
		for _, s := range services() {
			if f.only != nil && !slices.Contains(f.only, s.name) {
				continue
			}
			t.Run(f.name+"/"+s.name, func(t *testing.T) {
				c := &cell{world: w, t: t, s: s, f: f}
				row := result{f.name, s.name, w.suite, c.run()}
				rows = append(rows, row)
				t.Logf("%s: %s", s.name, row.what)
			})
		}
	}
	t.Log("\n" + table(rows))
}

// table prints the matrix, a fault a line.
func table(rows []result) string {
	var out strings.Builder
	w := tabwriter.NewWriter(&out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "root\tfault\tservice\twhat comes of it")
	for _, r := range rows {
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", r.suite, r.fault, r.service, r.what)
	}
	_ = w.Flush() // to memory
	return out.String()
}

// run has the fault happen to a request, and tells what came of it.
func (c *cell) run() string {
	c.forgetLines()
	since := c.journalNow()
	if c.f.during != nil {
		c.bring()
	}
	if c.f.before != nil {
		c.f.before(c)
	}
	within := c.f.within
	if within == 0 {
		within = 10 * time.Second
	}
	r := c.send(c.t.Context(), c.s, within, c.f.patience)
	c.request = r
	if c.f.during != nil {
		c.await(r)
		c.f.during(c)
	}
	a := r.answer()
	if c.f.after != nil {
		c.f.after(c)
	}
	if c.f.during != nil {
		c.release()
	}
	c.judge(a, since)
	if c.f.stage == asking {
		c.nextAsked()
		c.sendAway()
	} else {
		c.next()
	}
	c.settledWithin(c.t, max(c.f.settle, patience))
	return describe(c.s, a)
}

// next checks that the next request works. Only where a client has gone while Clef had
// its request, and may have asked a person, the vault says to wait some seconds; on a
// busy machine Clef may have it in any stage.
func (c *cell) next() {
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(500 * time.Millisecond) {
		a := c.ask(c.t.Context(), c.s, 15*time.Second)
		if a.good(c.s) {
			return
		}
		if c.f.during == nil || !strings.Contains(a.said, "try again in ") || time.Now().After(deadline) {
			c.t.Errorf("the next request gets %q, %v", a.said, a.err)
			return
		}
	}
}

func describe(s service, a answer) string {
	what := "its answer"
	if !a.good(s) {
		what = fmt.Sprintf("%.160q", lastLine(a.said))
	}
	return fmt.Sprintf("%s after %.1f s", what, a.took.Seconds())
}

func lastLine(s string) string {
	lines := strings.Split(s, "\n")
	return lines[len(lines)-1]
}

// judge compares what the client got with what is expected.
func (c *cell) judge(a answer, since map[string]string) {
	w, ok := c.f.want[c.s.name]
	if !ok {
		w = c.f.want[""]
	}
	switch {
	case a.late:
		c.t.Errorf("no end after %v: %q", a.took, a.said)
	case a.err == nil && !a.good(c.s) && c.s.name != "clef":
		c.t.Errorf("success without the answer: %q", a.said)
	case strings.Contains(a.said, "half an entry"):
		c.t.Errorf("a part of the answer came out: %q", a.said)
	case w.any && a.good(c.s):
	case w.good != a.good(c.s):
		c.t.Errorf("it gets %q, %v; its answer expected: %v", a.said, a.err, w.good)
	case !w.good && !regexp.MustCompile(w.says).MatchString(a.said):
		c.t.Errorf("it is told %q, %v; want %q", a.said, a.err, w.says)
	}
	if w.log != "" && (!w.any || !a.good(c.s)) {
		c.logged(w.log, since)
	}
}

// logged looks for a line in both journals.
func (c *cell) logged(pattern string, since map[string]string) {
	var all strings.Builder
	for deadline := time.Now().Add(3 * time.Second); ; time.Sleep(100 * time.Millisecond) {
		all.Reset()
		for _, q := range []*bench.Qube{c.work, c.vault} {
			lines, err := q.Journal(c.t.Context(), "-o", "cat", "--since", since[q.Name()], "_UID=1000")
			must(c.t, err)
			all.WriteString(lines)
		}
		if regexp.MustCompile(pattern).MatchString(all.String()) {
			return
		}
		if time.Now().After(deadline) {
			c.t.Errorf("no journal says %q:\n%s", pattern, all.String())
			return
		}
	}
}

func (c *cell) journalNow() map[string]string {
	now := time.Now().Format("2006-01-02 15:04:05.000000")
	return map[string]string{"work": now, "vault": now}
}

// forgetLines resets the count after which the vault logs fewer lines about a qube:
// these are more faults in a minute than a log has patience for.
func (c *cell) forgetLines() {
	must(c.t, second(c.vault.User(c.t.Context(), "rm -f /run/user/1000/splitvault/log/*")))
}

func (c *cell) ctl(args ...string) {
	_, err := c.Ctl(c.t.Context(), args...)
	must(c.t, err)
}

func (c *cell) onVault(line string) { must(c.t, second(c.vault.User(c.t.Context(), line))) }
func (c *cell) onWork(line string)  { must(c.t, second(c.work.User(c.t.Context(), line))) }
func (c *cell) rootVault(line string) {
	must(c.t, second(c.vault.Root(c.t.Context(), "sh", "-c", line)))
}

func (c *cell) rootWork(line string) {
	must(c.t, second(c.work.Root(c.t.Context(), "sh", "-c", line)))
}
