// SPDX-License-Identifier: MIT

package main

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"runtime"
	"syscall"
	"testing"
	"time"
)

// A command that a signal ends in the middle of something says so by its exit code.
func TestSetupIsInterrupted(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("no scripts with #!")
	}
	dir := t.TempDir()
	python, asked := filepath.Join(dir, "python"), filepath.Join(dir, "asked")
	if err := os.WriteFile(python, []byte("#!/bin/sh\n: > '"+asked+"'\nexec sleep 60\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	c := newCommand(t, t.TempDir(), "setup", "--python", python)
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	c.interruptOnce(t, func() bool { _, err := os.Stat(asked); return err == nil })
	c.finish(t, 143)
	if c.stderr.Len() > 0 {
		t.Errorf("prints %q", &c.stderr)
	}
}

// A script that is typed need not be typed to its end.
func TestTypingIsInterrupted(t *testing.T) {
	c := newCommand(t, t.TempDir(), "publish", "-")
	in, err := c.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	// More than a pipe holds, so that it has been read from when it is written.
	if _, err := in.Write(bytes.Repeat([]byte("# a long scene\n"), 10_000)); err != nil {
		t.Fatal(err)
	}
	c.interruptOnce(t, func() bool { return true })
	c.finish(t, 143)
	if c.stderr.Len() > 0 {
		t.Errorf("prints %q", &c.stderr)
	}
}

// A replay reads no further once it is interrupted: here, not to where it would have
// found that this is no bundle.
func TestReplayIsInterrupted(t *testing.T) {
	file := filepath.Join(t.TempDir(), "bundle.tar.gz")
	if err := os.WriteFile(file, []byte("no bundle"), 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	var stdout, stderr bytes.Buffer
	if code := run(ctx, []string{"replay", file}, &stdout, &stderr); code != exitUsage {
		t.Errorf("exit code %d, prints %q", code, &stderr)
	}
	stderr.Reset()
	cancel(&interrupt{syscall.SIGTERM})
	if code := run(ctx, []string{"replay", file}, &stdout, &stderr); code != 143 || stdout.Len()+stderr.Len() > 0 {
		t.Errorf("interrupted: exit code %d, prints %q and %q", code, &stdout, &stderr)
	}
}

// interruptOnce sends the running command a SIGTERM once it has come that far.
func (c *command) interruptOnce(t *testing.T, far func() bool) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); !far(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%q: waited too long for it", c.Args[1:])
		}
	}
	if err := c.Process.Signal(syscall.SIGTERM); err != nil {
		t.Skipf("no such signal on this system: %v", err)
	}
}
