package main

import (
	"context"
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// input is standard input whose reading ends with a context. The read(2) of a terminal,
// or of a pipe that stays silent, goes on when Ctrl-C has been pressed.
type input struct {
	ctx        context.Context
	file       *os.File
	wake, done int // a pipe; done is closed when ctx ends
	stop       func() bool
}

func (a *app) input(ctx context.Context) (*input, error) {
	var ends [2]int
	if err := unix.Pipe2(ends[:], unix.O_CLOEXEC); err != nil {
		return nil, err
	}
	in := &input{ctx: ctx, file: a.stdin, wake: ends[0], done: ends[1]}
	in.stop = context.AfterFunc(ctx, func() { _ = unix.Close(in.done) })
	return in, nil
}

// Close gives up the pipe, not standard input.
func (in *input) Close() {
	if in.stop() {
		_ = unix.Close(in.done)
	}
	_ = unix.Close(in.wake)
}

func (in *input) Read(p []byte) (int, error) {
	fds := []unix.PollFd{{Fd: int32(in.file.Fd()), Events: unix.POLLIN}, {Fd: int32(in.wake)}}
	for {
		_, err := unix.Poll(fds, -1)
		switch {
		case errors.Is(err, unix.EINTR):
		case err != nil:
			return 0, err
		case fds[1].Revents != 0:
			return 0, in.ctx.Err()
		default:
			return in.file.Read(p)
		}
	}
}
