// SPDX-License-Identifier: MIT

package manim

import (
	"encoding/json"
	"math/rand/v2"
	"os"
	"os/exec"
	"strings"
	"testing"

	"meshnode/job"
)

// TestFramesEqualStock compares the engine with stock Manim, frame by frame,
// over scenes that cutting or forking could get wrong.
func TestFramesEqualStock(t *testing.T) {
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
