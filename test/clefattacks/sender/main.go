// Command sender sends raw bytes to a port of this qube: each line of its input is
// base64 of what goes over a connection of its own. It prints for each the beginning
// of the answer as a Go string, "" for none.
//
//	sender [-slow N] [-bytes N] [-at-once N] 127.0.0.1:8550
//
// The beginning is the first line, or with -bytes that much. Of several that are sent
// at once the answers are printed in the order of the requests.
//
// With -slow it holds N connections on which a header comes a byte a second instead,
// prints "held", and, when all have been closed by the other side, how many seconds
// the longest was open.
package main

import (
	"bufio"
	"encoding/base64"
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

func main() {
	slow := flag.Int("slow", 0, "")
	bytes := flag.Int("bytes", 0, "")
	atOnce := flag.Int("at-once", 1, "")
	flag.Parse()
	if flag.NArg() != 1 {
		fmt.Fprintln(os.Stderr, "usage: sender [-slow N] [-bytes N] [-at-once N] ADDRESS")
		os.Exit(2)
	}
	var err error
	if *slow > 0 {
		err = hold(flag.Arg(0), *slow)
	} else {
		s := sender{flag.Arg(0), *bytes}
		err = s.each(os.Stdin, *atOnce)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "sender:", err)
		os.Exit(1)
	}
}

type sender struct {
	address string
	bytes   int // of an answer; 0: its first line
}

func (s sender) each(in io.Reader, atOnce int) error {
	// Each request puts the channel of its answer in here, in its turn.
	answers := make(chan chan string, atOnce)
	failed := make(chan error, 1)
	go func() {
		defer close(answers)
		lines := bufio.NewScanner(in)
		lines.Buffer(nil, 8<<20)
		for lines.Scan() {
			raw, err := base64.StdEncoding.DecodeString(lines.Text())
			if err != nil {
				failed <- err
				return
			}
			answer := make(chan string, 1)
			answers <- answer
			go func() { answer <- s.send(raw) }()
		}
		failed <- lines.Err()
	}()
	for answer := range answers {
		fmt.Printf("%q\n", <-answer)
	}
	return <-failed
}

// send takes a connection that is closed early for an answer.
func (s sender) send(raw []byte) string {
	conn, err := net.Dial("tcp", s.address)
	if err != nil {
		return err.Error()
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
		return err.Error()
	}
	_, _ = conn.Write(raw)
	_ = conn.(*net.TCPConn).CloseWrite()
	all, _ := io.ReadAll(bufio.NewReader(conn))
	if s.bytes == 0 {
		first, _, _ := strings.Cut(string(all), "\n")
		return first
	}
	return string(all[:min(len(all), s.bytes)])
}

func hold(address string, n int) error {
	var all sync.WaitGroup
	var mu sync.Mutex
	longest := time.Duration(0)
	for range n {
		conn, err := net.Dial("tcp", address)
		if err != nil {
			return err
		}
		start := time.Now()
		if _, err := io.WriteString(conn, "POST / HTTP/1.1\r\nHost: localhost\r\nX: "); err != nil {
			return err
		}
		all.Go(func() {
			defer conn.Close()
			for {
				if _, err := io.WriteString(conn, "a"); err != nil {
					break
				}
				_ = conn.SetReadDeadline(time.Now().Add(time.Second))
				if _, err := conn.Read(make([]byte, 1)); err == nil || !errors.Is(err, os.ErrDeadlineExceeded) {
					break // answered, or closed
				}
			}
			mu.Lock()
			defer mu.Unlock()
			longest = max(longest, time.Since(start))
		})
	}
	fmt.Println("held")
	all.Wait()
	fmt.Println(int(longest.Seconds()))
	return nil
}
