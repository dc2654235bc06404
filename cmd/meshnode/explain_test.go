// SPDX-License-Identifier: MIT

package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"meshnode/node"
)

// explaining is a node that answers explain with these events.
func explaining(t *testing.T, home string, events ...node.Event) {
	t.Helper()
	f := newFakeNode(home)
	mux := http.NewServeMux()
	mux.HandleFunc("POST /v1/explain", func(w http.ResponseWriter, _ *http.Request) {
		for _, e := range events {
			_ = json.NewEncoder(w).Encode(e)
		}
	})
	mux.Handle("/", f.handler())
	serveAt(t, home, mux)
}

func explanation() *node.Explanation {
	return &node.Explanation{
		Name: "SineCurve", Frames: 570, Cells: 10, FPS: 60, Width: 1920, Height: 1080,
		Plays: []node.PlayCost{
			{Name: "Create(Circle)", Frames: 510, Walk: 4.26, Outlines: 2.2, Raster: 3.86, Encode: 15.64, Drawn: 36},
			{Name: "Wait(Mobject)", Frames: 60, Frozen: true, Walk: 0.13, Raster: 0.04, Encode: 1.36},
		},
		Walk: 4.39, Outlines: 2.2, Raster: 3.9, Encode: 17, Longest: 2.3, Drawn: 36, Slots: 2,
		Forecast: []node.Estimate{{Nodes: 1, Seconds: 17.1}, {Nodes: 2, Seconds: 12.4}, {Nodes: 3, Seconds: 12.1}, {Nodes: 4, Seconds: 12}},
		Enough:   2,
	}
}

func TestExplain(t *testing.T) {
	home := t.TempDir()
	explaining(t, home,
		node.Event{Event: "planning"}, node.Event{Event: "log", Text: "Manim Community"}, node.Event{Event: "note", Text: "no seed was given"},
		node.Event{Event: "sampling", Name: "SineCurve"}, node.Event{Event: "explained", Explanation: explanation()})
	c := newCommand(t, home, "explain", "scene.py", "SineCurve", "-qh")
	c.finish(t, 0)
	const want = `SineCurve: 570 frames in 2 plays, 1920x1080 at 60 fps, 10 cells. CPU seconds, by 36 frames drawn:

PLAY  WHAT                       FRAMES     WALK      TEX   RASTER   ENCODE    TOTAL
   0  Create(Circle)                510     4.26     2.20     3.86    15.64    25.96
   1  ~ Wait(Mobject)                60     0.13     0.00     0.04     1.36     1.53
      all                           570     4.39     2.20     3.90    17.00    27.49
~ not drawn: taken to cost what the others do

NODES OF 2        1      2      3      4
SECONDS        17.1   12.4   12.1   12.0

What limits the gain: the plan, before which nothing is shared, 6.6 s (walk 4.4 s, TeX and text 2.2 s); the walk of each node to its part, up to 4.4 s (walking is 17 % of all work); the longest cell, which one core draws, 2.3 s.
2 nodes like this one: another saves less than 5 %.
`
	if got := c.stdout.String(); got != want {
		t.Errorf("printed:\n%s\nwant:\n%s", got, want)
	}
	for _, line := range []string{"Manim Community\n", "meshnode: no seed was given\n"} {
		if !strings.Contains(c.stderr.String(), line) {
			t.Errorf("told %q, want %q", &c.stderr, line)
		}
	}

	c = newCommand(t, home, "explain", "--json", "scene.py")
	c.finish(t, 0)
	var got node.Explanation
	if err := json.Unmarshal(c.stdout.Bytes(), &got); err != nil || got.Frames != 570 || len(got.Plays) != 2 || strings.Count(c.stdout.String(), "\n") != 1 {
		t.Errorf("printed %q, %v", &c.stdout, err)
	}
}

func TestExplainFails(t *testing.T) {
	for _, test := range []struct {
		event node.Event
		code  int
		want  string
	}{
		{node.Event{Event: "failed", Kind: node.FailedScene, Text: "Traceback: it broke"}, 1, "Traceback: it broke\n"},
		{node.Event{Event: "failed", Kind: node.FailedUsage, Text: "explain takes one scene at a time"}, 2, "meshnode: explain takes one scene"},
	} {
		home := t.TempDir()
		explaining(t, home, test.event)
		c := newCommand(t, home, "explain", "scene.py", "--json")
		c.finish(t, test.code)
		if c.stdout.Len() > 0 || !strings.HasPrefix(c.stderr.String(), test.want) {
			t.Errorf("printed %q, told %q", &c.stdout, &c.stderr)
		}
	}
	newCommand(t, t.TempDir(), "explain").finish(t, 2)
	newCommand(t, t.TempDir(), "explain", "none.py").finish(t, 2)
}

// TestExplainManyPlays: the table has those that cost most, and the sum of the
// rest.
func TestExplainManyPlays(t *testing.T) {
	e := explanation()
	e.Plays = nil
	for i := range 100 {
		e.Plays = append(e.Plays, node.PlayCost{Name: fmt.Sprintf("play %d", i), Frames: 1, Raster: float64(i % 50), Drawn: 1})
	}
	var out strings.Builder
	printExplanation(&out, e)
	text := out.String()
	if strings.Count(text, " play ") != maxPlays || !strings.Contains(text, "  49  play 49 ") || strings.Contains(text, "play 51 ") || !strings.Contains(text, "60 more ") {
		t.Errorf("printed:\n%s", text)
	}
}

func TestExplainAStill(t *testing.T) {
	var out strings.Builder
	printExplanation(&out, &node.Explanation{Name: "Still"})
	if !strings.HasPrefix(out.String(), "Still: nothing to share") || strings.Count(out.String(), "\n") != 1 {
		t.Errorf("printed %q", &out)
	}
}
