package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"runtime"
	"runtime/debug"
	"sync"
	"time"
)

// opened is what a guard has open before it confines itself.
type opened struct {
	agent   net.Conn
	journal *net.UnixConn
	to      *net.UnixAddr
}

func prepare(what string, args []string) (o opened, err error) {
	if what != "serve" {
		return o, nil
	}
	if o.agent, err = net.Dial("unix", args[0]+"/agent"); err != nil {
		return o, err
	}
	// As go-systemd does it: an unnamed socket, and a name with each datagram.
	if o.journal, err = net.ListenUnixgram("unixgram", &net.UnixAddr{Net: "unixgram"}); err != nil {
		return o, err
	}
	o.to = &net.UnixAddr{Net: "unixgram", Name: args[0] + "/journal"}
	return o, nil
}

// serve does in its turn all that a guard needs of the kernel.
func serve(o opened) error {
	for name, do := range map[string]func() error{
		"agent":    o.talk,
		"journal":  o.log,
		"deadline": o.deadline,
		"threads":  threads,
		"timers":   timers,
		"memory":   garbage,
		"panic":    recovered,
	} {
		if err := do(); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	_, err := io.WriteString(os.Stdout, "served\n")
	return err
}

// talk has the agent, which echoes, return a large message.
func (o opened) talk() error {
	message := bytes.Repeat([]byte("reply"), 256<<10/5)
	sent := make(chan error, 1)
	go func() { sent <- err2(o.agent.Write(message)) }()
	got := make([]byte, len(message))
	if _, err := io.ReadFull(o.agent, got); err != nil {
		return err
	}
	if !bytes.Equal(got, message) {
		return errors.New("the echo differs")
	}
	return <-sent
}

func (o opened) log() error {
	_, _, err := o.journal.WriteMsgUnix([]byte("MESSAGE=hello\n"), nil, o.to)
	return err
}

func (o opened) deadline() error {
	if err := o.agent.SetReadDeadline(time.Now().Add(20 * time.Millisecond)); err != nil {
		return err
	}
	if _, err := o.agent.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
		return fmt.Errorf("reading past the deadline: %w", err)
	}
	return o.agent.SetReadDeadline(time.Time{})
}

// threads needs more threads than run yet.
func threads() error {
	var all sync.WaitGroup
	for range 20 {
		all.Go(func() {
			runtime.LockOSThread() // the thread ends with the goroutine
			time.Sleep(time.Millisecond)
		})
	}
	all.Wait()
	return nil
}

func timers() error {
	var all sync.WaitGroup
	for i := range 1000 {
		all.Go(func() { time.Sleep(time.Duration(i%50) * time.Millisecond) })
	}
	all.Wait()
	return nil
}

// garbage has the collector work, preempt loops by signals, and give memory back.
func garbage() error {
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			var live [8][]byte
			sum := 0
			for i := range 400 {
				live[i%len(live)] = make([]byte, 256<<10)
				for j := range live[i%len(live)] {
					sum += j
				}
			}
			runtime.KeepAlive(sum)
		})
	}
	all.Wait()
	debug.FreeOSMemory()
	return nil
}

func recovered() (err error) {
	defer func() {
		if recover() == nil {
			err = errors.New("no panic")
		}
	}()
	var nothing *opened
	return nothing.log() // a nil pointer comes as a signal
}

// memory allocates up to 2 GB in large steps.
func memory() error {
	var all [][]byte
	for range 32 {
		b := make([]byte, 64<<20)
		for i := 0; i < len(b); i += 4096 {
			b[i] = 1
		}
		all = append(all, b)
	}
	runtime.KeepAlive(all)
	fmt.Println("allocated")
	return nil
}
