// SPDX-License-Identifier: MIT

package main

import (
	"bufio"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"meshnode/node"
)

// publish --watch renders again whenever a file has changed that was read, goes on
// after errors of the scene, and ends with Ctrl-C.
func TestPublishAgain(t *testing.T) {
	home := t.TempDir()
	f := newFakeNode(home)
	helper := filepath.Join(t.TempDir(), "helper.py")
	var round atomic.Int32
	seed := uint64(17)
	f.events = func(req node.PublishRequest) []node.Event {
		number := round.Add(1)
		if !req.Watch || (req.Seed != nil) != (number > 1) {
			t.Errorf("round %d: watch %v, seed %v", number, req.Watch, req.Seed)
		}
		events := []node.Event{{Event: "planning"}, {Event: "read", Paths: []string{helper}}}
		if number == 2 {
			return append(events, node.Event{Event: "failed", Kind: node.FailedScene, Text: "Traceback"})
		}
		return append(events, node.Event{Event: "planned", Job: "bafkreiabcdefgh", Seed: &seed}, node.Event{Event: "finished", File: "/film.mp4"})
	}
	f.serve(t, home)
	write := func(path, text string) {
		t.Helper()
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(helper, "one")

	c := newCommand(t, home, "publish", "--watch", "--json", "scene.py")
	out, in := io.Pipe()
	c.Stdout = in
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	// next reads up to the end of a round, and returns the kinds of its events.
	next := func() (kinds []string) {
		t.Helper()
		for lines.Scan() {
			var e struct {
				Event   string
				Files   []string
				Watched int
			}
			if err := json.Unmarshal(lines.Bytes(), &e); err != nil {
				t.Fatalf("%q: %v", lines.Text(), err)
			}
			kinds = append(kinds, e.Event)
			switch {
			case e.Event == "changed" && len(e.Files) != 1:
				t.Errorf("changed: %q", e.Files)
			case e.Event == "watching" && e.Watched != 2:
				t.Errorf("%d files are watched", e.Watched)
			}
			if e.Event == "watching" {
				return kinds
			}
		}
		t.Fatalf("it has ended: %s", &c.stderr)
		return nil
	}
	want := func(kinds ...string) {
		t.Helper()
		if got := next(); !slices.Equal(got, kinds) {
			t.Errorf("events %q, want %q", got, kinds)
		}
	}
	want("planning", "planned", "finished", "watching")
	write(helper, "two, longer")
	want("changed", "planning", "failed", "watching")
	write(filepath.Join(c.Dir, "scene.py"), "changed, too")
	want("changed", "planning", "planned", "finished", "watching")
	if err := c.Process.Signal(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	go func() { _, _ = io.Copy(io.Discard, out) }() // ends with the test's end of the pipe
	c.finish(t, 0)
	in.Close()
	if strings.TrimSpace(c.stderr.String()) != "" {
		t.Error(c.stderr.String())
	}
}

// What another round would not be without ends publish --watch as it ends publish.
func TestPublishAgainGivesUp(t *testing.T) {
	c := newCommand(t, t.TempDir(), "publish", "--watch", "--json", "scene.py")
	c.Env = append(c.Env, asNode+"=die")
	c.finish(t, 1)
	if !strings.Contains(c.stdout.String(), `"event":"failed"`) || !strings.Contains(c.stderr.String(), "ended at once") {
		t.Errorf("printed %q and %q", &c.stdout, &c.stderr)
	}

	home := t.TempDir()
	f := newFakeNode(home)
	f.events = func(node.PublishRequest) []node.Event {
		return []node.Event{{Event: "failed", Kind: node.FailedUsage, Text: "an odd size"}}
	}
	f.serve(t, home)
	newCommand(t, home, "publish", "--watch", "scene.py").finish(t, 2)
}
