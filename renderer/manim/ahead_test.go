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
	dir := t.TempDir()
	const scene = `
import time
from manim import *

class OnePlay(Scene):
    def construct(self):
        self.play(Rotate(Square().add_updater(lambda m: time.sleep(0.02)), PI), run_time=8)
`
	if err := os.WriteFile(filepath.Join(dir, "scene.py"), []byte(scene), 0o600); err != nil {
		t.Fatal(err)
	}
	plan, err := e.Plan(t.Context(), renderer.Request{
		Args: []string{"scene.py", "OnePlay", "-ql", "--seed", "1", "--media_dir", filepath.Join(dir, "media")},
		Dir:  dir, Env: os.Environ(), CellFrames: 5, Ahead: 1,
	}, nil)
	if err != nil {
		t.Fatal(err)
	}
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
