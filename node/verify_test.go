// SPDX-License-Identifier: MIT

package node

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"meshnode/job"
	"meshnode/renderer"
	"meshnode/renderer/synthetic"
)

// A film that was published here is verified by its name alone, another one with its
// scene; what is not as the scene draws it is told in seconds.
func TestVerify(t *testing.T) {
	m := newMesh(t)
	n := m.add(&synthetic.Renderer{}, 2)
	m.settle()
	req, path := m.scene(demo, 2)
	var got events
	n.Publish(t.Context(), req, got.add)
	if got.last().Event != "finished" {
		t.Fatalf("ended with %+v", got.last())
	}
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	verify := func(change func(film []byte), req VerifyRequest) Event {
		t.Helper()
		film := bytes.Clone(whole)
		change(film)
		if req.Film == "" {
			req.Film = path
		}
		if err := os.WriteFile(req.Film, film, 0o600); err != nil {
			t.Fatal(err)
		}
		var got events
		n.Verify(t.Context(), req, got.add)
		return got.last()
	}
	as := func([]byte) {}
	grid := job.Grid(demo.Plays, demo.FPS, 5)
	all := uint32(len(grid))

	v := verify(as, VerifyRequest{}).Verification
	if v == nil || !v.OK || !v.Known || v.Altered || v.Cells != all || v.Checked != EnoughCells || v.Same != EnoughCells || v.Seed == 0 {
		t.Fatalf("as it was made: %+v", v)
	}
	again := verify(as, VerifyRequest{Seed: 7, Cells: 3}).Verification
	if again == nil || !again.OK || again.Seed != 7 || again.Checked != 3 {
		t.Errorf("of three: %+v", again)
	}

	flip := func(film []byte) { film[3000*4+17] ^= 1 } // in the fifth cell
	at := grid[4]
	want := Different{From: milli(float64(at.First) / 30), To: milli(float64(at.First+at.Frames) / 30), PSNR: 10, Why: "other bytes"}
	v = verify(flip, VerifyRequest{All: true}).Verification
	if v == nil || v.OK || !v.Altered || v.Checked != all || v.Same != all-1 || !slices.Equal(v.Differ, []Different{want}) {
		t.Errorf("with a byte changed: %+v", v)
	}

	encode := func(film []byte) { copy(film, bytes.ToUpper(film[:3000])) }
	v = verify(encode, VerifyRequest{All: true}).Verification
	if v == nil || v.OK || v.Alike != 0 || len(v.Differ) != 1 || v.Differ[0].From != 0 {
		t.Errorf("with a cell of another encoder, of which there was none: %+v", v)
	}
	n.mu.Lock()
	n.history[len(n.history)-1].Making.Exact = false
	n.mu.Unlock()
	v = verify(encode, VerifyRequest{All: true}).Verification
	if v == nil || v.OK || !v.Altered {
		t.Errorf("the same where others may have had part in the film that was written: %+v", v)
	}
	n.mu.Lock()
	n.history[len(n.history)-1].Last.SHA256, err = hashFile(path)
	n.mu.Unlock()
	if err != nil {
		t.Fatal(err)
	}
	v = verify(encode, VerifyRequest{All: true}).Verification
	if v == nil || !v.OK || v.Altered || v.Alike != 1 {
		t.Errorf("the same where it is the film that was written: %+v", v)
	}
	elsewhere := VerifyRequest{All: true, Film: filepath.Join(t.TempDir(), "copy.film"), Scene: &req}
	v = verify(encode, elsewhere).Verification
	if v == nil || !v.OK || v.Known || v.Alike != 1 {
		t.Errorf("the same of a film that nothing is known of: %+v", v)
	}

	for what, req := range map[string]VerifyRequest{
		"no film": {Film: filepath.Join(t.TempDir(), "none.film")}, "a folder": {Film: t.TempDir()},
	} {
		var got events
		if n.Verify(t.Context(), req, got.add); got.last().Kind != FailedUsage {
			t.Errorf("%s: %+v", what, got.last())
		}
	}
	elsewhere.Scene = nil
	if last := verify(as, elsewhere); last.Kind != FailedUsage {
		t.Errorf("a film that nothing is known of, without its scene: %+v", last)
	}
	if len(n.Jobs()) != 1 {
		t.Errorf("jobs %+v: a verification is none", n.Jobs())
	}
}

// Of films with one wrong cell in five, at least 95 of 100 are found out by the usual
// number of cells.
func TestEnoughCells(t *testing.T) {
	const films, cells = 2000, 200
	grid := make([]job.Cell, cells)
	for i := range grid {
		grid[i].Index = uint32(i)
	}
	caught := 0
	for seed := range uint64(films) {
		if slices.ContainsFunc(choose(grid, VerifyRequest{}, seed+1), func(c job.Cell) bool { return c.Index%5 == 0 }) {
			caught++
		}
	}
	if caught < films*95/100 {
		t.Errorf("%d of %d were found out", caught, films)
	}
}

// Frames that are missing, too many or shown at other times are told of, too.
func TestJudge(t *testing.T) {
	cells := []renderer.FilmCell{{First: 0, Frames: 10}}
	for what, test := range map[string]struct {
		c    renderer.Comparison
		want []Different
	}{
		"cut":      {renderer.Comparison{Frames: 80, Steady: true}, []Different{{From: 8, To: 10, Why: "the film has 80 frames, the scene 100"}}},
		"longer":   {renderer.Comparison{Frames: 110, Steady: true}, []Different{{From: 10, To: 11, Why: "the film has 110 frames, the scene 100"}}},
		"unsteady": {renderer.Comparison{Frames: 100}, []Different{{From: 0, To: 10, Why: "frames are shown at other times"}}},
		"right":    {renderer.Comparison{Frames: 100, Steady: true}, nil},
	} {
		test.c.Cells = []renderer.CellComparison{{Same: true}}
		v := Verification{Frames: 100}
		v.judge(&test.c, cells, 10, true)
		if !slices.Equal(v.Differ, test.want) || v.OK != (len(test.want) == 0) {
			t.Errorf("%s: %+v", what, v)
		}
	}
}
