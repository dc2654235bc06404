// SPDX-License-Identifier: MIT

package manim

import (
	"os"
	"path/filepath"
	"testing"

	"meshnode/renderer"
)

// TestCosts: the walk tells what each play has cost it, and cells what drawing
// and encoding them has.
func TestCosts(t *testing.T) {
	const script = `
from manim import *

class Costs(Scene):
    def construct(self):
        text = Text("shapes of letters")
        self.play(Write(text), run_time=0.4)
        self.wait(0.5)
        for _ in range(2000):
            Square().rotate(1)
        self.play(FadeOut(text), run_time=0.4)
`
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "scene.py"), []byte(script), 0o600); err != nil {
		t.Fatal(err)
	}
	r := realRenderer(t)
	defer r.Close()
	e, err := r.Take(t.Context(), renderer.Own, firstOf(t, r))
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	args := []string{"scene.py", "Costs", "-ql", "--seed", "1", "--media_dir", "media"}
	plan, err := e.Plan(t.Context(), renderer.Request{Args: args, Dir: dir, Env: os.Environ()}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if len(plan.Costs) != len(plan.Plays) || len(plan.Plays) != 3 {
		t.Fatalf("%d costs of %d plays", len(plan.Costs), len(plan.Plays))
	}
	first, wait, last := plan.Costs[0], plan.Costs[1], plan.Costs[2]
	if first.Outlines <= 0 || wait.Outlines != 0 || last.Outlines != 0 {
		t.Errorf("outlines are said to be made in %+v", plan.Costs)
	}
	if wait.Walk <= 0 || last.Walk < 2*wait.Walk { // the squares are made before the last
		t.Errorf("the walk is said to go into %+v", plan.Costs)
	}
	if sum := first.Walk + wait.Walk + last.Walk; sum > plan.Walk*1.01 {
		t.Errorf("the plays' walk is %.3f s, the whole %.3f s", sum, plan.Walk)
	}
	for cell := range uint32(3) {
		out, err := e.Render(t.Context(), cell)
		if err != nil {
			t.Fatal(err)
		}
		if out.Raster <= 0 || out.Encode <= 0 {
			t.Errorf("cell %d: raster %v s, encode %v s", cell, out.Raster, out.Encode)
		}
	}
}
