// SPDX-License-Identifier: MIT

package manim

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"meshnode/job"
	"meshnode/renderer"
)

// TestUnforkable: where the system passes no descriptors, or starts no processes, because
// of what other programs do, no walker dies of it, and the same frames are drawn.
func TestUnforkable(t *testing.T) {
	t.Parallel()
	r := realRenderer(t)
	r.urgent = true // the tests of a busy machine would take too long
	defer r.Close()
	const scene = `
import errno, os, socket
from manim import *

def fail(*args):
    raise OSError(errno.ETOOMANYREFS, "too many")

how = open("how.txt").read()
if how == "send":
    socket.send_fds = fail
if how == "fork":
    os.fork = fail

class Turns(Scene):
    def construct(self):
        for _ in range(3):
            self.play(Rotate(Square(), PI), run_time=0.4)
`
	outputs := func(t *testing.T, how string) (cells [][]byte, notes string) {
		e, err := r.start(t.Context(), renderer.Own, firstOf(t, r), "0")
		if err != nil {
			t.Fatal(err)
		}
		defer e.Close()
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, "how.txt"), []byte(how), 0o600); err != nil {
			t.Fatal(err)
		}
		var mu sync.Mutex // guards notes
		plan := planText(t, e, dir, scene, "Turns", renderer.Request{
			CellFrames: 3, Ahead: 1,
			Console: func(line string) {
				mu.Lock()
				defer mu.Unlock()
				notes += line + "\n"
			},
		})
		cells = make([][]byte, len(job.Grid(plan.Plays, plan.FPS, plan.CellFrames)))
		engines := []renderer.Engine{e}
		if _, err := r.Sandbox(t.Context()); err == nil {
			engines = append(engines, elsewhere(t, r, plan, nil))
		}
		for _, e := range engines {
			var all sync.WaitGroup
			for c := range cells {
				all.Go(func() {
					cell, err := cellBytes(t, e, uint32(c))
					if err != nil || cells[c] != nil && !bytes.Equal(cell, cells[c]) {
						t.Errorf("%q: cell %d has other bytes elsewhere, or none: %v", how, c, err)
					}
					cells[c] = cell
				})
			}
			all.Wait()
		}
		mu.Lock()
		defer mu.Unlock()
		return cells, notes
	}
	want, notes := outputs(t, "")
	if strings.Contains(notes, "forked") || len(want) != 6 {
		t.Errorf("undisturbed: %d cells, and %q", len(want), notes)
	}
	for _, what := range []string{"send", "fork"} {
		got, notes := outputs(t, what)
		if strings.Count(notes, "lets no walker be forked") != 1 {
			t.Errorf("%s: the user is told %q", what, notes)
		}
		for i := range min(len(got), len(want)) {
			if !bytes.Equal(got[i], want[i]) {
				t.Errorf("%s: cell %d has other bytes", what, i)
			}
		}
	}
}
