// Command sender sends raw bytes to a port of this qube: each line of its input is
// base64 of what goes over a connection of its own. It prints for each what the
// answer's first line was, as a Go string, "" for none.
//
//	sender [-slow N] 127.0.0.1:8550
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
	"sync"
	"time"
)

func main() {
	slow := flag.Int("slow", 0, "")
	flag.Parse()
	if flag.NArg() != 1 {
		fmt.Fprintln(os.Stderr, "usage: sender [-slow N] ADDRESS")
		os.Exit(2)
	}
	var err error
	if *slow > 0 {
		err = hold(flag.Arg(0), *slow)
	} else {
		err = each(flag.Arg(0), os.Stdin)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "sender:", err)
		os.Exit(1)
	}
}

func each(address string, in io.Reader) error {
	lines := bufio.NewScanner(in)
	lines.Buffer(nil, 8<<20)
	for lines.Scan() {
		raw, err := base64.StdEncoding.DecodeString(lines.Text())
		if err != nil {
			return err
		}
		first, err := send(address, raw)
		if err != nil {
			return err
		}
		fmt.Printf("%q\n", first)
	}
	return lines.Err()
}

// send fails only where nobody listens: a connection that is closed early is an
// answer.
func send(address string, raw []byte) (string, error) {
	conn, err := net.Dial("tcp", address)
	if err != nil {
		return "", err
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
		return "", err
	}
	_, _ = conn.Write(raw)
	_ = conn.(*net.TCPConn).CloseWrite()
	answer := bufio.NewReader(conn)
	first, _ := answer.ReadString('\n')
	_, _ = io.Copy(io.Discard, answer)
	return first, nil
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
