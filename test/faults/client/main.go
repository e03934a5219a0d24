// Command client uses split SSH, split Clef and split pass as programs do, all at
// once, and tells of each request what came of it. It runs in a client qube.
//
//	client -for 10m              workers of all three services; one line a request
//	client -n 10000 -only ssh    so many requests of one service on one connection, for the
//	                             memory of what serves it: after a quarter of them, and
//	                             again at the end, it prints "now" and waits for a line;
//	                             with -each 50 on a new connection after so many
//
// A line is BEGAN ENDED WORKER WHAT OUTCOME DETAIL, times in milliseconds since 1970.
// OUTCOME is ok; failed, for an error that a client can be expected to meet; slow, for
// no answer in time; or WRONG, for what must never happen: an answer that is
// not the right one, or an answer to what is forbidden.
package main

import (
	"bufio"
	"cmp"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"sync"
	"time"
)

// patience is how long a client waits for an answer.
const patience = 10 * time.Second

var errWrong = errors.New("wrong")

// session is a connection, made when it is first needed and after it has failed.
type session interface {
	// request sends the i-th request and checks the answer. An error that wraps
	// errWrong is one that must never be.
	request(i int) (what string, err error)
	close()
}

func main() {
	length := flag.Duration("for", 0, "how long")
	n := flag.Int("n", 0, "how many requests on one connection")
	each := flag.Int("each", 0, "how many requests on a connection, if not all")
	only := flag.String("only", "", "ssh, clef, net, pass or asked")
	flag.Parse()
	sessions := map[string]func() session{
		"ssh": newSSH("file"), "asked": newSSH("asked"), "clef": newClef(clefURL), "net": newClef(netURL), "pass": newPass,
	}
	var err error
	switch {
	case *n > 0 && sessions[*only] != nil:
		err = count(sessions[*only], *n, cmp.Or(*each, *n))
	case *length > 0:
		all(sessions, *length)
	default:
		err = errors.New("usage: client -for TIME | -n N [-each N] -only SERVICE")
	}
	if err != nil {
		fmt.Fprintf(os.Stderr, "client: %v\n", err)
		os.Exit(1)
	}
}

// all runs three workers of each service.
func all(sessions map[string]func() session, length time.Duration) {
	until := time.Now().Add(length)
	lines := make(chan string)
	var workers sync.WaitGroup
	for worker := range 9 {
		name := []string{"ssh", "clef", "pass"}[worker%3]
		workers.Go(func() { work(worker, sessions[name], until, lines) })
	}
	go func() {
		workers.Wait()
		close(lines)
	}()
	out := bufio.NewWriter(os.Stdout)
	for line := range lines {
		fmt.Fprintln(out, line)
		_ = out.Flush() // whoever reads has gone, and kills this
	}
}

// work uses a connection for a few requests, then the next.
func work(worker int, open func() session, until time.Time, lines chan<- string) {
	for i := 0; time.Now().Before(until); i++ {
		s := open()
		for j := range 1 + i%5 {
			began := time.Now()
			what, err := s.request(i + j)
			outcome, detail := "ok", ""
			if err != nil {
				outcome, detail = "failed", strings.Join(strings.Fields(err.Error()), " ")
			}
			var timeout net.Error
			switch {
			case errors.Is(err, errWrong):
				outcome = "WRONG"
			case errors.As(err, &timeout) && timeout.Timeout():
				outcome = "slow"
			}
			lines <- fmt.Sprint(began.UnixMilli(), " ", time.Now().UnixMilli(), " ", worker, " ", what, " ", outcome, " ", detail)
			if err != nil {
				break
			}
		}
		s.close()
		time.Sleep(20 * time.Millisecond)
	}
}

// count sends n requests, each of them on one connection and the next on another, and
// stops twice to be looked at. asked is for a service that says no to each.
func count(open func() session, n, each int) error {
	s := open()
	defer func() { s.close() }()
	in := bufio.NewReader(os.Stdin)
	for i := range n {
		if i > 0 && i%each == 0 {
			s.close()
			s = open()
		}
		// The first of each kind: not what is forbidden.
		if what, err := s.request(i * kinds); err != nil {
			return fmt.Errorf("request %d, %s: %w", i, what, err)
		}
		// The connection is open: whatever was kept of others', something serves it.
		if i+1 == max(1, n/4) {
			if err := stop(in); err != nil {
				return err
			}
		}
	}
	return stop(in)
}

func stop(in *bufio.Reader) error {
	fmt.Println("now")
	if _, err := in.ReadString('\n'); err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	return nil
}

// kinds is how many kinds of requests a session has at most; the first is what its
// service is for.
const kinds = 12
