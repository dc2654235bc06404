// SPDX-License-Identifier: MIT

package manim

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"meshnode/job"
	"meshnode/renderer"
)

// planText writes a script to a folder, and plans a scene of it in an own engine.
func planText(t *testing.T, e *engine, dir, script, scene string, req renderer.Request) *renderer.Plan {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, "scene.py"), []byte(script), 0o600); err != nil {
		t.Fatal(err)
	}
	req.Args = []string{"scene.py", scene, "-ql", "--seed", "1", "--media_dir", filepath.Join(dir, "media")}
	req.Dir, req.Env = dir, os.Environ()
	plan, err := e.Plan(t.Context(), req, nil)
	if err != nil {
		t.Fatal(err)
	}
	return plan
}

// TestDrawnAhead: cells of a play are drawn before its walk has come to its end,
// and count like others.
func TestDrawnAhead(t *testing.T) {
	t.Parallel()
	r := realRenderer(t)
	defer r.Close()
	e, err := r.start(t.Context(), renderer.Own, firstOf(t, r), "0")
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	const scene = `
import time
from manim import *

class OnePlay(Scene):
    def construct(self):
        self.play(Rotate(Square().add_updater(lambda m: time.sleep(0.02)), PI), run_time=8)
`
	plan := planText(t, e, t.TempDir(), scene, "OnePlay", renderer.Request{CellFrames: 5, Ahead: 1})
	cells := job.Grid(plan.Plays, plan.FPS, plan.CellFrames)
	if len(cells) != 24 {
		t.Fatalf("%d cells, want 24 of 5 frames", len(cells))
	}
	e.mu.Lock()
	early := len(e.hub.early)
	e.mu.Unlock()
	if early < 3 { // one might have begun when the play was over
		t.Errorf("%d cells were drawn while the play was walked", early)
	}
	if _, err := r.Sandbox(t.Context()); err != nil {
		t.Skip(err)
	}
	foreign := elsewhere(t, r, plan, nil)
	for _, c := range []uint32{0, 1} {
		got, err := cellBytes(t, e, c)
		if err != nil {
			t.Fatal(err)
		}
		want, err := cellBytes(t, foreign, c)
		if err != nil || !bytes.Equal(got, want) {
			t.Errorf("cell %d is not what another engine draws: %v", c, err)
		}
	}
}
