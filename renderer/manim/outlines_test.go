// SPDX-License-Identifier: MIT

package manim

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"meshnode/job"
	"meshnode/renderer"
)

// TestOutlinesInTurn: walkers make outlines one at a time, none finds one that is being
// written, and one that is killed meanwhile does not hold up the others.
func TestOutlinesInTurn(t *testing.T) {
	t.Parallel()
	r := realRenderer(t)
	defer r.Close()
	e, err := r.start(t.Context(), renderer.Own, firstOf(t, r), "0")
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	dir := t.TempDir()
	const scene = `
import itertools, manimpango.utils, os, signal, time
from manim import *

COUNT, LEADER, HASH = itertools.count(), os.getpid(), Text._text2hash

def note(what):
    try:
        os.close(os.open(what, os.O_CREAT | os.O_EXCL | os.O_WRONLY))
        return True
    except FileExistsError:
        return False

def slow(self, color):
    turn = f"{os.getpid()}.{next(COUNT)}"
    if os.getpid() != LEADER and note("killed"):
        os.kill(os.getpid(), signal.SIGKILL)
    note("begin." + turn)
    time.sleep(0.01)
    note("end." + turn)
    return HASH(self, color)

def slowly(path, mode):
    file = open(path, mode)
    time.sleep(0.015)
    return file

Text._text2hash = slow
manimpango.utils.open = slowly

class Words(Scene):
    def construct(self):
        self.play(Rotate(Square().add_updater(lambda m: Text("mesh")), PI), run_time=1)
`
	plan := planText(t, e, dir, scene, "Words", renderer.Request{CellFrames: 3, Ahead: 2})
	for c := range job.Grid(plan.Plays, plan.FPS, plan.CellFrames) {
		if _, err := e.Render(t.Context(), uint32(c)); err != nil {
			t.Errorf("cell %d: %v", c, err)
		}
	}
	if _, err := os.Stat(filepath.Join(dir, "killed")); err != nil {
		t.Error("no walker was killed in its turn")
	}
	begins, _ := filepath.Glob(filepath.Join(dir, "begin.*"))
	if len(begins) < 15 {
		t.Errorf("%d outlines were made, want those of 15 frames at least", len(begins))
	}
	type turn struct{ begin, end time.Time }
	var turns []turn
	for _, begin := range begins {
		turns = append(turns, turn{changed(t, begin), changed(t, strings.Replace(begin, "begin.", "end.", 1))})
	}
	for i, a := range turns {
		for _, b := range turns[:i] {
			if a.begin.Before(b.end) && b.begin.Before(a.end) {
				t.Fatalf("two walkers made outlines at once, %v to %v and %v to %v", a.begin, a.end, b.begin, b.end)
			}
		}
	}
}

func changed(t *testing.T, path string) time.Time {
	t.Helper()
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	return info.ModTime()
}
