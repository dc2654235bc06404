// SPDX-License-Identifier: MIT

package manim

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"meshnode/renderer"
	"meshnode/renderer/sandbox"
)

// deafEngine returns an engine that reads nothing.
func deafEngine(t *testing.T) *engine {
	t.Helper()
	sleep, err := exec.LookPath("sleep")
	if err != nil {
		t.Skip(err)
	}
	proc, err := sandbox.Start(context.Background(), sandbox.Direct, sandbox.Spec{Argv: []string{sleep, "1000"}, Scratch: filepath.Join(t.TempDir(), "job")})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { proc.Close() })
	e := &engine{trust: renderer.Foreign}
	e.hub = &hub{proc: proc, pipe: pipe{r: proc.Stdout(), w: proc.Stdin()}, done: make(chan struct{}), cells: make(map[uint32]*waiting)}
	go e.listen(e.hub)
	return e
}

// TestCloseHeldUp: an engine that does not take the files that it has asked for does not
// hold up who closes it.
func TestCloseHeldUp(t *testing.T) {
	t.Parallel()
	e := deafEngine(t)
	refused := errors.New(strings.Repeat("x", 1000))
	e.lacks.begin(func(context.Context, string) (string, error) { return "", refused })
	for i := range 300 { // more than a pipe holds
		if err := e.heed(e.hub, &message{Kind: "need", Path: fmt.Sprint("f", i)}); err != nil {
			t.Fatal(err)
		}
	}
	for e.hub.pipe.m.TryLock() { // until one is being written
		e.hub.pipe.m.Unlock()
		time.Sleep(time.Millisecond)
	}
	closed := make(chan error, 1)
	go func() { closed <- e.Close() }()
	select {
	case err := <-closed:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(writeTime - time.Second):
		t.Fatal("closing waits for the engine to read")
	}
}

// TestDeafIsEnded: an engine that does not take a message in time is ended.
func TestDeafIsEnded(t *testing.T) {
	t.Parallel()
	e := deafEngine(t)
	e.hub.pipe.w = late{}
	if err := e.hub.send(map[string]any{"t": "end"}); !errors.Is(err, renderer.ErrEnded) {
		t.Errorf("sent: %v", err)
	}
	select {
	case <-e.hub.proc.Done():
	default:
		t.Error("the engine is still there")
	}
}

// late is a pipe whose deadline has passed.
type late struct{}

func (late) Write([]byte) (int, error) { return 0, os.ErrDeadlineExceeded }

// TestDeafWalker: a walker that does not read does not stop the hub: both lose the channel.
func TestDeafWalker(t *testing.T) {
	t.Parallel()
	runPython(t, `
import socket
from engine import protocol

mine, theirs = socket.socketpair()
channel = protocol.Channel(mine, 0.1)
try:
    while True:
        channel.send({"t": "given", "error": "x" * 10000})
except protocol.Closed:
    pass
walker = protocol.Channel(theirs)
for side in (channel.receive, lambda: [walker.wait() for _ in iter(int, 1)]):
    try:
        side()
    except protocol.Closed:
        continue
    raise SystemExit("a side waits for more")
`)
}

// runPython runs a program that may import the engine.
func runPython(t *testing.T, program string) {
	t.Helper()
	python := os.Getenv("MESHNODE_PYTHON")
	if python == "" {
		var err error
		if python, err = exec.LookPath("python3"); err != nil {
			t.Skip("no Python")
		}
	}
	cmd := exec.CommandContext(t.Context(), python, "-c", program)
	cmd.Env = append(os.Environ(), "PYTHONDONTWRITEBYTECODE=1", "PYTHONPATH=.")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}
