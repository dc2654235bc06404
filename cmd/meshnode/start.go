// SPDX-License-Identifier: MIT

package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"meshnode/api"
	"meshnode/node"
)

const (
	startDeadline = 20 * time.Second       // for a node to listen
	startPoll     = 50 * time.Millisecond  // between two looks for it
	startAgain    = 500 * time.Millisecond // until another try, while some other process owns the home
	maxLog        = 1 << 20                // bytes of node.log, above which a new node begins it again
	maxLogTail    = 4 << 10                // bytes of node.log shown when a node dies
)

// ensureNode returns the status of the node that owns the home, and whether that
// was not started here. With none it starts one that ends after its last client,
// and calls waiting, again and again, with what the user waits for.
func ensureNode(ctx context.Context, client *api.Client, home string, args []string, waiting func(string)) (status node.Status, running bool, err error) {
	status, err = client.Status(ctx)
	if !errors.Is(err, api.ErrNoNode) && !errors.Is(err, api.ErrBroken) {
		return status, true, err
	}
	logfile := filepath.Join(home, "node.log")
	var child *exec.Cmd // nil: none of ours is alive
	var logged int64
	var ended chan int // its exit code

	deadline := time.NewTimer(startDeadline)
	defer deadline.Stop()
	start := time.NewTimer(0)
	defer start.Stop()
	look := time.NewTicker(startPoll)
	defer look.Stop()
	for {
		waiting(fmt.Sprintf("starting a node in %s", home))
		select {
		case <-start.C:
			if child, logged, err = startNode(home, logfile, args); err != nil {
				return status, false, err
			}
			ended = make(chan int, 1)
			go await(child, ended)
		case <-look.C:
			if status, err = client.Status(ctx); err == nil {
				return status, child == nil, nil
			}
		case code := <-ended:
			child = nil
			if code != exitInUse {
				return status, false, fmt.Errorf("the node that was to render this ended at once: see %s\n%s", logfile, logTail(logfile, logged))
			}
			// The owner is a node that is just starting, or just ending.
			start.Reset(startAgain)
		case <-deadline.C:
			if child != nil {
				_ = child.Process.Kill()
			}
			return status, false, fmt.Errorf("no node listened within %v: see %s\n%s", startDeadline, logfile, logTail(logfile, logged))
		case <-ctx.Done():
			// Without a client the node ends by itself.
			return status, false, context.Cause(ctx)
		}
	}
}

// await ends with the child, or with this process.
func await(child *exec.Cmd, ended chan<- int) {
	_ = child.Wait()
	ended <- child.ProcessState.ExitCode()
}

// startNode starts `meshnode run --for-clients` detached from the terminal. It
// returns the length of the log before.
func startNode(home, logfile string, args []string) (*exec.Cmd, int64, error) {
	exe, err := os.Executable()
	if err != nil {
		return nil, 0, fmt.Errorf("find the meshnode program to start a node: %w", err)
	}
	if err := os.MkdirAll(home, 0o700); err != nil {
		return nil, 0, fmt.Errorf("make the node's home: %w: choose another with --home", err)
	}
	log, err := os.OpenFile(logfile, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return nil, 0, fmt.Errorf("open the node's log: %w", err)
	}
	defer log.Close()
	var logged int64
	if info, err := log.Stat(); err == nil && info.Size() > maxLog {
		_ = log.Truncate(0) // a log that only grows is the lesser evil
	} else if err == nil {
		logged = info.Size()
	}
	cmd := exec.Command(exe, append([]string{"run", "--for-clients", "--home", home}, args...)...)
	cmd.Dir = home
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = detached()
	if err := cmd.Start(); err != nil {
		return nil, 0, fmt.Errorf("start a node: %w", err)
	}
	return cmd, logged, nil
}

// logTail returns the last lines of what was logged after the first from bytes.
func logTail(logfile string, from int64) string {
	f, err := os.Open(logfile)
	if err != nil {
		return ""
	}
	defer f.Close()
	size, err := f.Seek(0, io.SeekEnd)
	if err != nil {
		return ""
	}
	start := max(from, size-maxLogTail)
	data, err := io.ReadAll(io.NewSectionReader(f, start, maxLogTail))
	if err != nil {
		return ""
	}
	if start > from {
		_, data, _ = bytes.Cut(data, []byte("\n"))
	}
	return string(bytes.TrimSpace(data))
}
