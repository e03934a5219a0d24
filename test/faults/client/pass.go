package main

import (
	"bufio"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"time"
)

const passSocket = "/run/user/1000/splitvault/S.pass"

type passSession struct {
	conn net.Conn
	in   *bufio.Reader
}

func newPass() session { return &passSession{} }

func (s *passSession) close() {
	if s.conn != nil {
		_ = s.conn.Close()
	}
}

// request gets, lists, or tries what is forbidden: an entry that no rule has.
func (s *passSession) request(i int) (string, error) {
	switch i % kinds {
	case 3:
		body, err := s.ask("GET private/pot")
		if err == nil {
			return "pass-forbidden", fmt.Errorf("%w: got %q", errWrong, body)
		}
		if refusal, ok := errors.AsType[refusedError](err); ok && !strings.HasPrefix(string(refusal), "ERR 10 ") {
			return "pass-forbidden", err
		}
		return "pass-forbidden", nil
	case 5:
		body, err := s.ask("LIST")
		if err == nil && body != "work/long\nwork/short\n" {
			err = fmt.Errorf("%w: the list is %q", errWrong, body)
		}
		return "pass-list", err
	case 7:
		body, err := s.ask("GET work/long")
		if err == nil && sha256.Sum256([]byte(body)) != sha256.Sum256([]byte(long())) {
			err = fmt.Errorf("%w: the long entry has %d bytes", errWrong, len(body))
		}
		return "pass-long", err
	}
	body, err := s.ask("GET work/short")
	if err == nil && body != "hunter2\n" {
		err = fmt.Errorf("%w: the entry is %q", errWrong, body)
	}
	return "pass-get", err
}

// long is the long entry: seq 5000.
func long() string {
	var b strings.Builder
	for i := range 5000 {
		fmt.Fprintln(&b, i+1)
	}
	return b.String()
}

// refusedError is the relay's line about a request that failed.
type refusedError string

func (e refusedError) Error() string { return string(e) }

func (s *passSession) ask(line string) (string, error) {
	if s.conn == nil {
		conn, err := net.DialTimeout("unix", passSocket, patience)
		if err != nil {
			return "", err
		}
		s.conn, s.in = conn, bufio.NewReader(conn)
	}
	if err := s.conn.SetDeadline(time.Now().Add(patience)); err != nil {
		return "", err
	}
	if _, err := fmt.Fprintln(s.conn, line); err != nil {
		return "", err
	}
	head, err := s.in.ReadString('\n')
	if err != nil {
		return "", err
	}
	size, ok := strings.CutPrefix(strings.TrimSpace(head), "OK ")
	if !ok {
		return "", refusedError(strings.TrimSpace(head))
	}
	n, err := strconv.Atoi(size)
	if err != nil || n < 0 || n > 1<<20 {
		return "", fmt.Errorf("%w: it says %q", errWrong, head)
	}
	body := make([]byte, n)
	_, err = io.ReadFull(s.in, body)
	return string(body), err
}
