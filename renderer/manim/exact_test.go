// SPDX-License-Identifier: MIT

package manim

import (
	"crypto/sha256"
	"encoding/json"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"strings"
	"testing"

	"meshnode/job"
	"meshnode/renderer"
)

// TestFramesEqualStock compares the engine with stock Manim, frame by frame,
// over scenes that cutting or forking could get wrong.
func TestFramesEqualStock(t *testing.T) {
	t.Parallel()
	python := os.Getenv("MESHNODE_PYTHON")
	if python == "" {
		t.Skip("MESHNODE_PYTHON names no Python with Manim")
	}
	if testing.Short() {
		t.Skip("renders every scene twice")
	}
	scenes := []string{"StopCondition", "Randomness", "ThreeDMovedBeforeFirstDrawing", "SplitScreen", "WritesFiles", "SeesItself"}
	out, err := exec.CommandContext(t.Context(), python, append([]string{"testdata/compare.py", "testdata/scenes/nasty.py"}, scenes...)...).CombinedOutput()
	if err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

// TestGridIsTheEngines: the engine cuts where job.Grid cuts.
func TestGridIsTheEngines(t *testing.T) {
	python := os.Getenv("MESHNODE_PYTHON")
	if python == "" {
		var err error
		if python, err = exec.LookPath("python3"); err != nil {
			t.Skip("no Python")
		}
	}
	type table struct {
		Plays      []job.Play `json:"plays"`
		FPS        float64    `json:"fps"`
		CellFrames uint32     `json:"cell_frames"`
	}
	seed := rand.Uint64()
	random := rand.New(rand.NewPCG(seed, 0))
	tables := make([]table, 200)
	rates := []float64{15, 24, 29.97, 24.5, 30, 60, 0.4, 1000}
	for i := range tables {
		tables[i] = table{FPS: rates[random.IntN(len(rates))], CellFrames: random.Uint32N(3) * random.Uint32N(40)}
		for range random.IntN(6) {
			tables[i].Plays = append(tables[i].Plays, job.Play{Frames: random.Uint32N(400) * random.Uint32N(20), Frozen: random.IntN(3) == 0})
		}
	}
	in, err := json.Marshal(tables)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), python, "-c", `
import json, sys
sys.path.insert(0, "engine")
import grid
for t in json.load(sys.stdin):
    plays = [grid.Play(p["frames"], p["frozen"]) for p in t["plays"] or []]
    print(json.dumps([[c.play, c.first, c.frames] for c in grid.cells(plays, t["fps"], t["cell_frames"])]))
`)
	cmd.Stdin = strings.NewReader(string(in))
	cmd.Env = append(os.Environ(), "PYTHONDONTWRITEBYTECODE=1")
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	if len(lines) != len(tables) {
		t.Fatalf("%d answers to %d tables", len(lines), len(tables))
	}
	for i, line := range lines {
		var got [][3]uint32
		if err := json.Unmarshal([]byte(line), &got); err != nil {
			t.Fatal(err)
		}
		want := [][3]uint32{}
		for _, c := range job.Grid(tables[i].Plays, tables[i].FPS, tables[i].CellFrames) {
			want = append(want, [3]uint32{c.Play, c.First, c.Frames})
		}
		w, _ := json.Marshal(want)
		if g, _ := json.Marshal(got); string(g) != string(w) {
			t.Errorf("seed %d: table %+v: the engine has %s, job.Grid %s", seed, tables[i], g, w)
		}
	}
}

// TestPartsOfPlays: however a play is cut, its parts decode with the headers of
// the whole, and look no worse (by 0.5 dB at most); the whole is as Manim's.
func TestPartsOfPlays(t *testing.T) {
	python := os.Getenv("MESHNODE_PYTHON")
	if python == "" {
		t.Skip("MESHNODE_PYTHON names no Python with Manim")
	}
	cmd := exec.CommandContext(t.Context(), python, "testdata/parts.py", t.TempDir())
	cmd.Env = append(os.Environ(), "PYTHONDONTWRITEBYTECODE=1")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

// TestBakedConfiguration: what Manim takes from manim.cfg when it is imported
// reaches a sandboxed walker too, which must become a fresh process for it.
func TestBakedConfiguration(t *testing.T) {
	t.Parallel()
	r := realRenderer(t)
	defer r.Close()
	if _, err := r.Sandbox(t.Context()); err != nil {
		t.Skip(err)
	}
	dir := t.TempDir()
	writeScenes(t, dir)
	if err := os.WriteFile(filepath.Join(dir, "manim.cfg"), []byte("[CLI]\nframe_height = 6\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	own, err := r.Take(t.Context(), renderer.Own, firstOf(t, r))
	if err != nil {
		t.Fatal(err)
	}
	defer own.Close()
	args := []string{"scenes.py", "Moves", "-ql", "--seed", "1", "--media_dir", filepath.Join(dir, "media")}
	plan, err := own.Plan(t.Context(), renderer.Request{Args: args, Dir: dir, Env: os.Environ()}, nil)
	if err != nil {
		t.Fatal(err)
	}
	foreign, err := r.Take(t.Context(), renderer.Foreign, firstOf(t, r))
	if err != nil {
		t.Fatal(err)
	}
	defer foreign.Close()
	for _, f := range plan.Files {
		data, err := os.ReadFile(f.Source)
		if err != nil {
			t.Fatal(err)
		}
		if err := foreign.In().MkdirAll(path.Dir(f.Path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := foreign.In().WriteFile(f.Path, data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	m := &job.Manifest{Spec: plan.Spec, Plays: plan.Plays, FPS: plan.FPS, CellFrames: plan.CellFrames}
	if err := foreign.Load(t.Context(), m, nil); err != nil {
		t.Fatal(err)
	}
	var digests [2][sha256.Size]byte
	for i, e := range []renderer.Engine{own, foreign} {
		out, err := e.Render(t.Context(), 1)
		if err != nil {
			t.Fatalf("engine %d: %v", i, err)
		}
		f, _, err := renderer.OpenOutput(e.Out(), out.Files[0], 64<<20)
		if err != nil {
			t.Fatal(err)
		}
		data, err := io.ReadAll(f)
		f.Close()
		if err != nil {
			t.Fatal(err)
		}
		digests[i] = sha256.Sum256(data)
	}
	if digests[0] != digests[1] {
		t.Error("the cell differs between the submitter and the sandbox")
	}
}
