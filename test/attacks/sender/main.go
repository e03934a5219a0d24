// Command sender sends messages to an ssh agent over many connections and
// reports the answers. It runs in a client qube.
//
//	sender -socket PATH            connects to a socket
//	sender COMMAND [ARG...]        starts a command as each connection
//
// Standard input is a JSON list of connections, each a list of messages in
// base64; standard output a list of Result of the same order.
package main

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"sync"
	"time"
)

// Result is what came of one connection.
type Result struct {
	// Answers are the answers without their length, in order. There may be
	// fewer than messages: the other end has closed then, or Err says more.
	Answers [][]byte `json:"answers"`
	Err     string   `json:"err,omitempty"`
}

const (
	answerTime = 20 * time.Second
	maxAnswer  = 1 << 20
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintf(os.Stderr, "sender: %v\n", err)
		os.Exit(1)
	}
}

func run() error {
	socket := flag.String("socket", "", "")
	parallel := flag.Int("parallel", 4, "")
	flag.Parse()
	open := func() (io.ReadWriteCloser, error) { return net.Dial("unix", *socket) }
	if *socket == "" {
		if flag.NArg() == 0 {
			return errors.New("want -socket or a command")
		}
		open = func() (io.ReadWriteCloser, error) { return start(flag.Args()) }
	}
	var connections [][][]byte
	if err := json.NewDecoder(os.Stdin).Decode(&connections); err != nil {
		return fmt.Errorf("reading the messages: %w", err)
	}
	results := make([]Result, len(connections))
	free := make(chan struct{}, *parallel)
	var all sync.WaitGroup
	for i, messages := range connections {
		free <- struct{}{}
		all.Go(func() {
			defer func() { <-free }()
			results[i] = converse(open, messages)
		})
	}
	all.Wait()
	return json.NewEncoder(os.Stdout).Encode(results)
}

func converse(open func() (io.ReadWriteCloser, error), messages [][]byte) (r Result) {
	conn, err := open()
	if err != nil {
		return Result{Err: err.Error()}
	}
	defer conn.Close()
	// A pipe of a command and a socket have no deadline in common.
	late := time.AfterFunc(answerTime, func() { conn.Close() })
	defer late.Stop()
	for _, m := range messages {
		late.Reset(answerTime)
		_, _ = conn.Write(m) // that it has closed shows when reading
		answer, err := read(conn)
		if !late.Stop() {
			r.Err = "no answer in time"
			return r
		}
		if err != nil {
			return r // closed
		}
		r.Answers = append(r.Answers, answer)
	}
	return r
}

func read(r io.Reader) ([]byte, error) {
	var header [4]byte
	if _, err := io.ReadFull(r, header[:]); err != nil {
		return nil, err
	}
	size := binary.BigEndian.Uint32(header[:])
	if size > maxAnswer {
		return nil, fmt.Errorf("an answer of %d bytes", size)
	}
	answer := make([]byte, size)
	_, err := io.ReadFull(r, answer)
	return answer, err
}

// process is a running command as a connection.
type process struct {
	io.ReadCloser
	io.WriteCloser
	cmd  *exec.Cmd
	once sync.Once
}

func start(command []string) (*process, error) {
	cmd := exec.Command(command[0], command[1:]...)
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	return &process{ReadCloser: out, WriteCloser: in, cmd: cmd}, cmd.Start()
}

func (p *process) Read(b []byte) (int, error)  { return p.ReadCloser.Read(b) }
func (p *process) Write(b []byte) (int, error) { return p.WriteCloser.Write(b) }

// Close ends the command.
func (p *process) Close() error {
	p.once.Do(func() {
		_ = p.cmd.Process.Kill() // it may have ended
		_ = p.cmd.Wait()         // it reports the kill
	})
	return nil
}
