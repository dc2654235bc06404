// SPDX-License-Identifier: MIT

package main

import (
	"bytes"
	"flag"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"meshnode/node"
)

var update = flag.Bool("update", false, "write the golden files anew")

// golden compares got with a file of testdata.
func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s differs (go test -update writes it anew); got:\n%s", path, got)
	}
}

// fakeClock moves only when told.
type fakeClock struct{ time time.Time }

func (c *fakeClock) now() time.Time { return c.time }

// jobEvents are a job of two nodes, one of which comes late.
func jobEvents() []node.Event {
	here := node.NodeFrames{Peer: "12D3KooWhere", Name: "workshop", Self: true}
	there := node.NodeFrames{Peer: "12D3KooWQm3fGh2k"} // has not told its name
	nodes := func(a, b uint32, rate float64, state string) []node.NodeFrames {
		here, there := here, there
		here.Frames, here.Rate, here.State = a, rate, "rendering"
		there.Frames, there.State = b, state
		if b == 0 && state == "" {
			return []node.NodeFrames{here}
		}
		return []node.NodeFrames{here, there}
	}
	return []node.Event{
		{Event: "log", Text: "Manim Community v0.22.0\n"},
		{Event: "planning", Frames: 1, Plays: 1},
		{Event: "planning", Frames: 240, Plays: 5},
		{Event: "note", Text: "seed 7 chosen: --seed 7 repeats it"},
		{Event: "planned", Job: "bafkreiabcdefghijklmnop", Name: "SineCurve", Frames: 570, Plays: 9, Cells: 10, FPS: 59.94, Width: 1920, Height: 1080},
		{Event: "progress", Nodes: nodes(0, 0, 0, "")},
		{Event: "progress", Done: 60, Rate: 20.04, Seconds: 25.4, Nodes: nodes(60, 0, 20, "")},
		{Event: "log", Text: "a line that Manim printed"},
		{Event: "progress", Done: 300, Rate: 61.2, Seconds: 4.4, Nodes: nodes(180, 120, 30.3, "rendering")},
		{Event: "progress", Done: 569, Rate: 61.2, Seconds: 0.1, Nodes: nodes(300, 269, 30.3, "idle")},
		{Event: "assembling"},
		{Event: "log", Text: "File ready at '/home/a/media/SineCurve.mp4'"},
		{Event: "finished", File: "/home/a/media/SineCurve.mp4", SHA256: "ab", Nodes: nodes(300, 270, 0, "done")},
	}
}

// show runs the events through a reporter on a fake terminal and returns what
// that shows after each.
func show(t *testing.T, width int, s style, leave bool, events []node.Event) string {
	tty := newFakeTerminal(t, width, 24)
	clock := &fakeClock{time.Unix(1_000_000, 0)}
	r := &textReporter{
		out: tty, err: tty, shared: true, screen: &screen{out: tty, size: tty.size}, style: s, leave: leave,
		now: clock.now, script: "scene.py", start: clock.time,
	}
	var b strings.Builder
	shoot := func(what string) { fmt.Fprintf(&b, "--- %s\n%s", what, tty.String()) }
	r.plan()
	shoot("at once")
	r.waiting("starting a node in /home/a/.meshnode")
	clock.time = clock.time.Add(1500 * time.Millisecond)
	r.waiting("starting a node in /home/a/.meshnode")
	shoot("waiting")
	for _, e := range events {
		clock.time = clock.time.Add(time.Second)
		r.event(e)
		shoot(e.Event)
	}
	r.end()
	return b.String()
}

func TestPublishOnTerminal(t *testing.T) {
	golden(t, "terminal.txt", show(t, 80, style{unicode: true}, false, jobEvents()))
	golden(t, "narrow.txt", show(t, 40, style{}, true, jobEvents()))
}

// TestColor checks that color changes nothing but the color.
func TestColor(t *testing.T) {
	plain := show(t, 80, style{unicode: true}, false, jobEvents())
	if got := show(t, 80, style{unicode: true, color: true}, false, jobEvents()); got != plain {
		t.Errorf("in color the terminal shows:\n%s", got)
	}
}

// TestPublishQuiet checks what is printed without a terminal: Manim's lines on
// standard output, notes on standard error, nothing else.
func TestPublishQuiet(t *testing.T) {
	var out, err bytes.Buffer
	r := &textReporter{out: &out, err: &err, now: time.Now}
	r.waiting("a node")
	for _, e := range jobEvents() {
		r.event(e)
	}
	r.tick()
	r.end()
	golden(t, "quiet.out", out.String())
	golden(t, "quiet.err", err.String())
}

func TestPublishJSON(t *testing.T) {
	var out bytes.Buffer
	r := &jsonReporter{out: &out}
	r.waiting("a node")
	r.note("a < b")
	for _, e := range jobEvents() {
		r.event(e)
	}
	r.end()
	golden(t, "events.jsonl", out.String())
}

// TestProgressOdd feeds numbers that make no sense and names that obey nothing.
func TestProgressOdd(t *testing.T) {
	evil := strings.Repeat("\x1b[2J名\n", 30)
	var many []node.NodeFrames
	for i := range 100 {
		many = append(many, node.NodeFrames{Name: evil, Frames: uint32(i), Rate: math.NaN(), State: evil})
	}
	for _, e := range []node.Event{
		{Event: "planning"}, {Event: "planned", Name: evil}, {Event: "assembling"},
		{Event: "progress"}, {Event: "progress", Done: 9, Frames: 3, Rate: math.Inf(1), Seconds: math.NaN()},
		{Event: "progress", Done: math.MaxUint32, Rate: -1, Seconds: math.Inf(1), Nodes: many}, {Event: "unheard-of"},
	} {
		for _, width := range []int{1, 10, 80, 500} {
			var p progress
			p.apply(e, time.Time{})
			lines := p.lines(width, time.Time{}, style{})
			if len(lines) > maxNodes+1 {
				t.Errorf("%s: %d lines", e.Event, len(lines))
			}
			for _, line := range lines {
				if strings.ContainsAny(line, "\x1b\n\r") || !utf8.ValidString(line) {
					t.Errorf("%s: line %q", e.Event, line)
				}
			}
		}
	}
}
