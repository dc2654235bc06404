// SPDX-License-Identifier: MIT

package manim

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"meshnode/renderer"
)

// TestPlanSaysWhatCanBeWatched: only an mp4 of cells alone, and whether Manim
// would open it.
func TestPlanSaysWhatCanBeWatched(t *testing.T) {
	t.Parallel()
	const script = `
from manim import *

class Silent(Scene):
    def construct(self):
        self.play(Create(Square()), run_time=0.2)

class Sounds(Scene):
    def construct(self):
        import wave
        with wave.open("beep.wav", "wb") as beep:
            beep.setparams((1, 2, 8000, 0, "NONE", ""))
            beep.writeframes(bytes(8000))
        self.add_sound("beep.wav")
        self.play(Create(Square()), run_time=0.2)
`
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "scenes.py"), []byte(script), 0o600); err != nil {
		t.Fatal(err)
	}
	r := realRenderer(t)
	defer r.Close()
	stock := exec.CommandContext(t.Context(), os.Getenv("MESHNODE_PYTHON"), "-m", "manim", "render", "scenes.py", "Silent", "-ql", "--media_dir", "rendered")
	stock.Dir = dir
	if out, err := stock.CombinedOutput(); err != nil {
		t.Fatalf("manim: %v\n%s", err, out)
	}
	for _, test := range []struct {
		args                   []string
		stream, sound, preview bool
	}{
		{[]string{"Silent", "-p"}, true, false, true},
		{[]string{"Silent", "-p", "--preview_command", "vlc"}, true, false, false},
		{[]string{"Silent", "--format", "gif", "-p"}, false, false, true},
		{[]string{"Sounds", "-p"}, true, true, true},
		{[]string{"Silent", "--media_dir", "rendered"}, false, false, false}, // its play is not among the cells
	} {
		e, err := r.Take(t.Context(), renderer.Own, firstOf(t, r))
		if err != nil {
			t.Fatal(err)
		}
		args := append([]string{"scenes.py", "-ql", "--seed", "1", "--media_dir", "media"}, test.args...)
		plan, err := e.Plan(t.Context(), renderer.Request{Args: args, Dir: dir, Env: os.Environ()}, nil)
		switch {
		case err != nil:
			t.Errorf("%q: %v", test.args, err)
		case plan.Stream != test.stream || plan.Sound != test.sound || plan.Preview != test.preview:
			t.Errorf("%q: stream %v, sound %v, preview %v", test.args, plan.Stream, plan.Sound, plan.Preview)
		}
		if err := e.Close(); err != nil {
			t.Error(err)
		}
	}
}
