// Package autostart lets dom0, a process of its own, have a halted qube booted
// by the process that owns the bench.
package autostart

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// Verb is the command, with a directory and a qube's name as its arguments,
// under which a program must call Ask.
const Verb = "__start"

const (
	socket = "start.sock"
	// timeout is when an asker gives up: a boot takes 60 seconds at most.
	timeout = 70 * time.Second
	maxLine = 4096
)

// Serve answers Ask in a directory with what start says, until the Closer is
// closed. start may be called several times at once.
func Serve(dir string, start func(qube string) error) (io.Closer, error) {
	var listener net.Listener
	err := shortly(dir, func(path string) (err error) {
		listener, err = net.Listen("unix", path)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("listening for dom0: %w", err)
	}
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return // closed
			}
			go answer(conn, start)
		}
	}()
	return listener, nil
}

func answer(conn net.Conn, start func(qube string) error) {
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(timeout)) // fails on a closed connection only
	name, err := readLine(conn)
	if err == nil {
		err = start(name)
	}
	said := "ok"
	if err != nil {
		said = strings.ReplaceAll(err.Error(), "\n", "; ")
	}
	fmt.Fprintln(conn, said)
}

// Ask has a qube booted and returns when it is up.
func Ask(dir, qube string) error {
	var conn net.Conn
	err := shortly(dir, func(path string) (err error) {
		conn, err = net.Dial("unix", path)
		return err
	})
	if err != nil {
		return fmt.Errorf("asking to start %q: %w", qube, err)
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(timeout)); err != nil {
		return err
	}
	fmt.Fprintln(conn, qube)
	said, err := readLine(conn)
	if err == nil && said != "ok" {
		err = errors.New(said)
	}
	if err != nil {
		return fmt.Errorf("starting %q: %w", qube, err)
	}
	return nil
}

func readLine(r io.Reader) (string, error) {
	line, err := bufio.NewReader(io.LimitReader(r, maxLine)).ReadString('\n')
	return strings.TrimSuffix(line, "\n"), err
}

// shortly calls use with a path of the socket that is short enough for a socket
// address, whatever the directory's.
func shortly(dir string, use func(path string) error) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	return use(filepath.Join(fmt.Sprintf("/proc/self/fd/%d", d.Fd()), socket))
}
