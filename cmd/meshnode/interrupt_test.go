// SPDX-License-Identifier: MIT

package main

import (
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
