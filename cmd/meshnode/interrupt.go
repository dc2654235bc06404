// SPDX-License-Identifier: MIT

package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
)

// interrupt is the cause of a context that a signal ended.
type interrupt struct{ signal syscall.Signal }

func (e *interrupt) Error() string { return fmt.Sprintf("ended by signal: %v", e.signal) }

// code is the exit code that shells give a program ended by the signal.
func (e *interrupt) code() int { return 128 + int(e.signal) }

// interruptible returns a context that the first Ctrl-C, SIGTERM or SIGHUP ends
// with an *interrupt as its cause. The second ends the process at once.
func interruptible(parent context.Context) context.Context {
	ctx, cancel := context.WithCancelCause(parent)
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM)
	if !signal.Ignored(syscall.SIGHUP) { // nohup
		signal.Notify(signals, syscall.SIGHUP)
	}
	// Owned by the process: it waits for signals as long as that lives.
	go func() {
		cancel(asInterrupt(<-signals))
		os.Exit(asInterrupt(<-signals).code())
	}()
	return ctx
}

func asInterrupt(s os.Signal) *interrupt {
	if n, ok := s.(syscall.Signal); ok {
		return &interrupt{n}
	}
	return &interrupt{syscall.SIGINT}
}

// interruptibly reads until ctx ends. It does not end a Read that waits.
type interruptibly struct {
	ctx  context.Context
	from io.Reader
}

func (r *interruptibly) Read(p []byte) (int, error) {
	if err := context.Cause(r.ctx); err != nil {
		return 0, err
	}
	return r.from.Read(p)
}
