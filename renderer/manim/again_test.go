// SPDX-License-Identifier: MIT

package manim

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"meshnode/renderer"
)

// Moody asks for what is another in each process: what a first plan was told, one
// that is made again is told too.
const moody = `
import time, random, uuid
import numpy as np
from manim import *

class Moody(Scene):
    def construct(self):
        rng = np.random.default_rng()
        dot = Dot([rng.uniform(-3, 3), random.uniform(-2, 2), 0])
        if uuid.uuid4().int % 2:
            self.play(FadeIn(dot), run_time=0.4)
        self.play(dot.animate.shift(RIGHT * (time.time() % 1)), run_time=0.4)
        self.play(Create(Square()), run_time=0.2)
        self.wait(0.5)
`

func TestPlannedAgain(t *testing.T) {
	t.Parallel()
	r := realRenderer(t)
	defer r.Close()
	dir := t.TempDir()
	file := filepath.Join(dir, "moody.py")
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	var chosen []byte
	plan := func(again *renderer.Earlier) (*renderer.Plan, map[string][]byte, error) {
		t.Helper()
		e, err := r.Take(t.Context(), renderer.Own, firstOf(t, r))
		if err != nil {
			t.Fatal(err)
		}
		defer e.Close()
		p, err := e.Plan(t.Context(), renderer.Request{
			Args: []string{"moody.py", "Moody", "-ql", "--media_dir", filepath.Join(dir, "media")}, Dir: dir, Env: os.Environ(), Again: again,
			Chosen: chosen,
		}, nil)
		assets := make(map[string][]byte)
		if err == nil {
			for _, f := range p.Files {
				if assets[f.Path], err = os.ReadFile(f.Source); err != nil {
					t.Fatal(err)
				}
			}
		}
		return p, assets, err
	}
	write(moody)
	first, assets, err := plan(nil)
	if err != nil {
		t.Fatal(err)
	}
	earlier := &renderer.Earlier{Spec: first.Spec, Plays: first.Plays, File: func(path string) ([]byte, error) { return assets[path], nil }}
	second, same, err := plan(earlier)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(first.Spec, second.Spec) || len(assets) != len(same) {
		t.Errorf("the plan is\n%s\nthen\n%s", first.Spec, second.Spec)
	}
	for path, data := range assets {
		if !bytes.Equal(data, same[path]) {
			t.Errorf("the file %s is another in the second plan", path)
		}
	}
	chosen = first.Spec // which alone holds it to nothing, but chooses the same
	third, _, err := plan(nil)
	if chosen = nil; err != nil || !bytes.Equal(first.Spec, third.Spec) || !slices.Equal(first.Plays, third.Plays) {
		t.Errorf("error %v, the plan is\n%s\nwith the same choices\n%s", err, first.Spec, third.Spec)
	}
	for text, want := range map[string]string{
		strings.Replace(moody, "Square()", "Circle()", 1):                                    "differs from the plan",
		strings.Replace(moody, "self.wait(0.5)", "self.wait(1)", 1):                          "frames here",
		strings.Replace(moody, "        self.wait(0.5)\n", "", 1):                            "the scene ends after",
		strings.Replace(moody, "self.wait(0.5)", "self.wait(0.5); self.play(Write(dot))", 1): "does not exist in the plan",
	} {
		write(text)
		var changed *renderer.ChangedError
		if _, _, err := plan(earlier); !errors.As(err, &changed) || !strings.Contains(changed.Text, want) {
			t.Errorf("a scene with other plays: %v, should say %q", err, want)
		}
	}
}
