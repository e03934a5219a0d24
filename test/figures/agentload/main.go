// Command agentload puts load on an ssh agent's socket and prints how long each
// request took, in nanoseconds, one a line; a request that fails gives a line
// "failed: REASON". With -parallel, a line "wall: NANOSECONDS" tells how long all
// took together. It runs in a client qube.
//
//	agentload -socket PATH -n 200                lists the keys on 200 connections, one after the other
//	agentload -socket PATH -n 200 -parallel 50   the same, 50 at a time, all begun at once
//	agentload -socket PATH -n 200 -open          lists 200 times on one connection
//	agentload -socket PATH -n 200 -open -sign    signs 200 times on one connection, by the first key;
//	                                             with -careful it lists before and verifies after, each time
//	agentload -socket PATH -n 1 -hold [-idle]    lists (or not) on each connection, prints "held", and holds until its standard input ends
package main

import (
	"bufio"
	"crypto/ed25519"
	"encoding/binary"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"syscall"
	"time"

	"github.com/splitvault/splitvault/test/figures/atonce"
)

const maxAnswer = 256 << 10

// Messages of the agent protocol (RFC 9987).
const (
	requestIdentities = 11
	identitiesAnswer  = 12
	signRequest       = 13
	signResponse      = 14
)

type options struct {
	socket      string
	n, parallel int
	open, sign  bool
	careful     bool
	hold, idle  bool
	within      time.Duration
}

func main() {
	var o options
	flag.StringVar(&o.socket, "socket", "", "path of the agent's socket")
	flag.IntVar(&o.n, "n", 1, "number of requests, with -hold of connections")
	flag.IntVar(&o.parallel, "parallel", 1, "requests at a time")
	flag.BoolVar(&o.open, "open", false, "use one connection")
	flag.BoolVar(&o.sign, "sign", false, "sign instead of listing")
	flag.BoolVar(&o.careful, "careful", false, "with -sign: list before and verify after, as a guard does")
	flag.BoolVar(&o.hold, "hold", false, "hold connections until standard input ends")
	flag.BoolVar(&o.idle, "idle", false, "send nothing on held connections")
	flag.DurationVar(&o.within, "within", 30*time.Second, "time for each answer")
	flag.Parse()
	if err := run(o); err != nil {
		fmt.Fprintf(os.Stderr, "agentload: %v\n", err)
		os.Exit(1)
	}
}

func run(o options) error {
	switch {
	case o.socket == "" || flag.NArg() > 0 || o.sign && !o.open:
		return errors.New("usage: agentload -socket PATH [-n N] [-parallel N | -open [-sign] | -hold [-idle]]")
	case o.hold:
		return hold(o)
	case o.open:
		return inOne(o)
	default:
		return perConnection(o)
	}
}

// perConnection measures connect, list and close.
func perConnection(o options) error {
	took := make([]time.Duration, o.n)
	errs := make([]error, o.n)
	atonce.Run(o.n, o.parallel, func(i int) {
		start := time.Now()
		errs[i] = connectAndList(o)
		took[i] = time.Since(start)
	})
	for i := range o.n {
		report(took[i], errs[i])
	}
	return nil
}

func connectAndList(o options) error {
	c, err := dial(o)
	if err != nil {
		return err
	}
	defer c.Close()
	_, err = c.ask(identitiesAnswer, message(requestIdentities))
	return err
}

// inOne measures requests on an open connection, after a first one that is not
// measured.
func inOne(o options) error {
	c, err := dial(o)
	if err != nil {
		return err
	}
	defer c.Close()
	keys, err := c.ask(identitiesAnswer, message(requestIdentities))
	if err != nil {
		return fmt.Errorf("listing: %w", err)
	}
	if o.sign {
		return c.signs(o, keys)
	}
	for range o.n {
		start := time.Now()
		_, err := c.ask(identitiesAnswer, message(requestIdentities))
		report(time.Since(start), err)
	}
	return nil
}

// signs measures signatures by the first of the keys.
func (c *conn) signs(o options, keys []byte) error {
	if len(keys) < 9 || int(binary.BigEndian.Uint32(keys[5:])) > len(keys)-9 {
		return errors.New("the agent has no key")
	}
	key := keys[9 : 9+binary.BigEndian.Uint32(keys[5:])]
	data := fileSignature()
	request := message(signRequest, str(key), str(data), make([]byte, 4))
	for range o.n {
		start := time.Now()
		var err error
		if o.careful {
			_, err = c.ask(identitiesAnswer, message(requestIdentities))
		}
		answer, errSign := c.ask(signResponse, request)
		if err = errors.Join(err, errSign); err == nil && o.careful {
			err = verify(key, data, answer)
		}
		report(time.Since(start), err)
	}
	return nil
}

// verify takes an answer apart that is a signature by an Ed25519 key: both end in
// what the algorithm is about (RFC 8709).
func verify(key, data, answer []byte) error {
	if len(key) < ed25519.PublicKeySize || len(answer) < ed25519.SignatureSize {
		return errors.New("no Ed25519 key or signature")
	}
	public := ed25519.PublicKey(key[len(key)-ed25519.PublicKeySize:])
	if !ed25519.Verify(public, data, answer[len(answer)-ed25519.SignatureSize:]) {
		return errors.New("a wrong signature")
	}
	return nil
}

func hold(o options) error {
	for range o.n {
		c, err := dial(o)
		if err != nil {
			return err
		}
		defer c.Close()
		if o.idle {
			continue
		}
		if _, err := c.ask(identitiesAnswer, message(requestIdentities)); err != nil {
			return fmt.Errorf("listing: %w", err)
		}
	}
	fmt.Println("held")
	_, err := io.Copy(io.Discard, os.Stdin)
	return err
}

func report(took time.Duration, err error) {
	if err != nil {
		fmt.Printf("failed: %v\n", err)
		return
	}
	fmt.Println(took.Nanoseconds())
}

// conn is a connection to an agent.
type conn struct {
	net.Conn
	in     *bufio.Reader
	within time.Duration
}

// dial waits, as a client that blocks in connect does, while the socket's
// backlog is full: Go's own connect does not block, and gets EAGAIN.
func dial(o options) (*conn, error) {
	for deadline := time.Now().Add(o.within); ; time.Sleep(time.Millisecond) {
		c, err := net.Dial("unix", o.socket)
		if err == nil {
			return &conn{c, bufio.NewReader(c), o.within}, nil
		}
		if !errors.Is(err, syscall.EAGAIN) || time.Now().After(deadline) {
			return nil, err
		}
	}
}

// ask returns the answer without its length, which must be of the wanted type.
func (c *conn) ask(want byte, request []byte) ([]byte, error) {
	if err := c.SetDeadline(time.Now().Add(c.within)); err != nil {
		return nil, err
	}
	if _, err := c.Write(request); err != nil {
		return nil, err
	}
	var header [4]byte
	if _, err := io.ReadFull(c.in, header[:]); err != nil {
		return nil, err
	}
	size := binary.BigEndian.Uint32(header[:])
	if size == 0 || size > maxAnswer {
		return nil, fmt.Errorf("an answer of %d bytes", size)
	}
	answer := make([]byte, size)
	if _, err := io.ReadFull(c.in, answer); err != nil {
		return nil, err
	}
	if answer[0] != want {
		return nil, fmt.Errorf("answer %d, want %d", answer[0], want)
	}
	return answer, nil
}

func message(kind byte, body ...[]byte) []byte {
	m := []byte{0, 0, 0, 0, kind}
	for _, b := range body {
		m = append(m, b...)
	}
	binary.BigEndian.PutUint32(m, uint32(len(m)-4))
	return m
}

// str is a string of RFC 4251, section 5.
func str(b []byte) []byte {
	return append(binary.BigEndian.AppendUint32(nil, uint32(len(b))), b...)
}

// fileSignature is what ssh-keygen -Y sign has signed (PROTOCOL.sshsig).
func fileSignature() []byte {
	b := append([]byte("SSHSIG"), str([]byte("file"))...)
	b = append(b, str(nil)...)
	b = append(b, str([]byte("sha512"))...)
	return append(b, str(make([]byte, 64))...)
}
