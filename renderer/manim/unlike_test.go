// SPDX-License-Identifier: MIT

package manim

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"meshnode/job"
	"meshnode/renderer"
)

// planUnlike plans a scene of testdata/scenes/unlike.py.
func planUnlike(t *testing.T, r *Renderer, dir, scene string, req renderer.Request) (renderer.Engine, *renderer.Plan, error) {
	t.Helper()
	own, err := r.Take(t.Context(), renderer.Own, firstOf(t, r))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { own.Close() })
	req.Args = []string{"unlike.py", scene, "-ql", "--seed", "1", "--media_dir", filepath.Join(dir, "media")}
	req.Dir, req.Env = dir, append(os.Environ(), "TEST_THEME=#ff0000", "PYTHONHASHSEED=5", "TZ=Asia/Kolkata")
	plan, err := own.Plan(t.Context(), req, nil)
	return own, plan, err
}

// TestWalksAreCompared: what a scene asks of its computer is answered alike on
// every walk, or a walk that differs is found out before a cell of it counts; a
// second walk on the same computer tells whose fault it is.
func TestWalksAreCompared(t *testing.T) {
	t.Parallel()
	r := realRenderer(t)
	t.Cleanup(func() { r.Close() })
	if _, err := r.Sandbox(t.Context()); err != nil {
		t.Skip(err)
	}
	for _, test := range []struct {
		scene   string
		note    string // that the plan tells, "": none
		differs string // how it plays elsewhere, "": as planned
		again   bool   // and on the submitter itself
	}{
		{scene: "SetOfMobjects"},
		{scene: "HashOrder"},
		{scene: "Clock", note: "the scene reads the clock (time.time in unlike.py, line "},
		{scene: "Dates", note: "the scene reads the clock"},
		{scene: "Chance", note: "the scene draws numbers that no seed fixes (random.Random() in unlike.py, line "},
		{scene: "TimedLength", note: "the scene reads the clock"},
		{scene: "Remembers", note: "the scene writes files"},
		{scene: "Connects", note: "the scene uses the network (127.0.0.1, port 9)"},
		{scene: "SetOfThings", differs: "play 0 (FadeIn(Group)) differs from the plan after 6 frames: other points of 60 Dot", again: true},
		{scene: "Trembles", differs: "play 0 (UpdateFromAlphaFunc(Dot)) differs from the plan after ", again: true},
		{scene: "Theme", differs: "play 1 (FadeIn(Square)) differs from the plan after 5 frames: other colours or strokes of 1 Square"},
		{scene: "NeedsTheme", differs: "the scene fails here, but not where it was planned: KeyError: 'TEST_THEME'"},
	} {
		t.Run(test.scene, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			if err := os.CopyFS(dir, os.DirFS("testdata/scenes")); err != nil {
				t.Fatal(err)
			}
			own, plan, err := planUnlike(t, r, dir, test.scene, renderer.Request{CellFrames: 6})
			if err != nil {
				t.Fatal(err)
			}
			if !slices.ContainsFunc(plan.Notes, func(note string) bool { return strings.HasPrefix(note, test.note) }) {
				t.Errorf("notes %q", plan.Notes)
			}
			foreign := elsewhere(t, r, plan, func(string) ([]byte, error) { return nil, errors.New("not to be lent") })
			grid := job.Grid(plan.Plays, plan.FPS, plan.CellFrames)
			last := grid[len(grid)-1].Index
			found := ""
			for _, c := range grid {
				want, err := cellBytes(t, own, c.Index)
				if err != nil && !(test.again && errors.Is(err, renderer.ErrDiverged)) {
					t.Fatal(err)
				}
				got, err := cellBytes(t, foreign, c.Index)
				if errors.Is(err, renderer.ErrDiverged) {
					found = err.Error()
				} else if err != nil {
					t.Fatal(err)
				} else if !bytes.Equal(got, want) {
					t.Errorf("cell %d of %d differs", c.Index, last)
				}
			}
			if test.differs == "" && found != "" || !strings.Contains(found, test.differs) {
				t.Errorf("found %q, want %q", found, test.differs)
			}
			if err := own.Check(t.Context()); errors.Is(err, renderer.ErrDiverged) != test.again || !test.again && err != nil {
				t.Errorf("the second walk: %v", err)
			}
		})
	}
}

// TestQuestionsAreRefused: nobody could answer them.
func TestQuestionsAreRefused(t *testing.T) {
	t.Parallel()
	r := realRenderer(t)
	defer r.Close()
	dir, err := filepath.Abs("testdata/scenes")
	if err != nil {
		t.Fatal(err)
	}
	for scene, want := range map[string]string{
		"Asks":  "the scene asks for input (unlike.py, line ",
		"Shell": "the scene opens a shell (unlike.py, line ",
	} {
		_, _, err := planUnlike(t, r, dir, scene, renderer.Request{})
		var usage *renderer.UsageError
		if !errors.As(err, &usage) || !strings.HasPrefix(usage.Text, want) {
			t.Errorf("%s: %v", scene, err)
		}
	}
}

// TestAloneIsStock: a scene that is rendered in one walk is what `manim` makes
// of it, byte for byte.
func TestAloneIsStock(t *testing.T) {
	r := realRenderer(t)
	defer r.Close()
	dir, err := filepath.Abs("testdata/scenes")
	if err != nil {
		t.Fatal(err)
	}
	media := [2]string{t.TempDir(), t.TempDir()}
	args := []string{"nasty.py", "Sections", "-ql", "--save_sections", "--media_dir"}
	env := append(os.Environ(), "PYTHONHASHSEED=0")
	own, err := r.Take(t.Context(), renderer.Own, firstOf(t, r))
	if err != nil {
		t.Fatal(err)
	}
	defer own.Close()
	frames := uint32(0)
	plan, err := own.Plan(t.Context(), renderer.Request{Args: append(args, media[0]), Dir: dir, Env: env, Alone: true},
		func(p renderer.PlanProgress) { frames = p.Frames })
	if err != nil {
		t.Fatal(err)
	}
	if !plan.Whole || frames == 0 {
		t.Errorf("whole %v, told of %d frames", plan.Whole, frames)
	}
	film, err := own.Assemble(t.Context(), nil, false)
	if err != nil {
		t.Fatal(err)
	}
	stock := exec.CommandContext(t.Context(), os.Getenv("MESHNODE_PYTHON"), append([]string{"-m", "manim", "render"}, append(args, media[1])...)...)
	stock.Dir, stock.Env = dir, env
	if out, err := stock.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	var files [2]map[string]string
	for i, folder := range media {
		files[i] = make(map[string]string)
		err := filepath.WalkDir(folder, func(path string, d os.DirEntry, err error) error {
			if err != nil || d.IsDir() || strings.HasSuffix(path, "_list.txt") { // absolute paths
				return err
			}
			data, err := os.ReadFile(path)
			name, _ := filepath.Rel(folder, path)
			files[i][name] = string(data)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	for name := range files[1] {
		if files[0][name] != files[1][name] {
			t.Errorf("%s differs from stock", name)
		}
	}
	if len(files[0]) != len(files[1]) || len(film.Files) != 1 {
		t.Errorf("%d files, stock has %d; film %v", len(files[0]), len(files[1]), film.Files)
	}
}
