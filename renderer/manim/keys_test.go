// SPDX-License-Identifier: MIT

package manim

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"meshnode/job"
	"meshnode/renderer"
)

// parts is a scene of five cells, the fourth of which draws by itself.
const parts = `
from manim import *

class Glow(Circle):
    def get_fill_rgbas(self):
        return super().get_fill_rgbas() * 0.5

class Badge(Square):
    def grow(self):
        return self.scale(2)

class Parts(ThreeDScene):
    def construct(self):
        self.play(Create(Badge().grow()), run_time=0.4)
        self.wait(0.4)
        self.clear()
        self.play(FadeIn(Text("word")), run_time=0.4)
        self.clear()
        self.play(FadeIn(Glow(fill_opacity=1)), run_time=0.4)
        self.clear()
        self.play(FadeIn(Triangle()), run_time=0.4)
`

// TestKeys: the keys of cells change where what is shown does, and only there; where
// a scene draws by itself there are none.
func TestKeys(t *testing.T) {
	t.Parallel()
	r := realRenderer(t)
	defer r.Close()
	dir := t.TempDir()
	keys := func(text string, args ...string) ([]job.Key, string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, "parts.py"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		e, err := r.Take(t.Context(), renderer.Own, firstOf(t, r))
		if err != nil {
			t.Fatal(err)
		}
		defer e.Close()
		p, err := e.Plan(t.Context(), renderer.Request{
			Args: append([]string{"parts.py", "Parts", "-ql", "--seed", "1", "--media_dir", filepath.Join(dir, "media")}, args...),
			Dir:  dir, Env: os.Environ(), Keys: &renderer.Keying{Salt: "test"},
		}, nil)
		if err != nil {
			t.Fatal(err)
		}
		return p.Keys, p.Inputs
	}
	base, inputs := keys(parts)
	if len(base) != 5 || inputs == "" {
		t.Fatalf("keys %v, inputs %q", base, inputs)
	}
	edited := func(pairs ...string) string { return strings.NewReplacer(pairs...).Replace(parts) }
	for _, c := range []struct {
		name, text string
		args       []string
		changed    []int // cells
	}{
		{"nothing", parts, nil, nil},
		{"the last play", edited("Triangle()", "Star()"), nil, []int{4}},
		{"a class of the scene's own", edited("scale(2)", "scale(3)"), nil, []int{0, 1}},
		{"the camera", edited("        self.wait(0.4)", "        self.set_camera_orientation(phi=0.3)\n        self.wait(0.4)"), nil, []int{1, 2, 4}},
		{"the encoder", parts, []string{"--format", "webm"}, []int{0, 1, 2, 4}},
	} {
		got, _ := keys(c.text, c.args...)
		for i := range base {
			if drawsItself := i == 3; drawsItself != (got[i] == job.Key{}) {
				t.Errorf("%s: the key of cell %d is %s", c.name, i, got[i])
			}
			if differs := got[i] != base[i]; differs != slices.Contains(c.changed, i) {
				t.Errorf("%s: the key of cell %d: changed is %t", c.name, i, differs)
			}
		}
	}
	got, _ := keys(edited("class Parts", "VMobject.get_stroke_width = lambda self, background=False: 3\n\nclass Parts"))
	if slices.ContainsFunc(got, func(k job.Key) bool { return k != job.Key{} }) {
		t.Errorf("with another method of Manim's the keys are %v", got)
	}
	if got, inputs := keys(parts, "--disable_caching"); len(got) > 0 || inputs != "" {
		t.Errorf("with --disable_caching there are keys %v, inputs %q", got, inputs)
	}
}
