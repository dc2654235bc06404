// SPDX-License-Identifier: MIT

package job

import (
	"encoding/json"
	"flag"
	"math/rand/v2"
	"os"
	"reflect"
	"slices"
	"testing"
)

var update = flag.Bool("update", false, "write the golden files anew")

// gridCase is one entry of testdata/grid.json, which the engine's own function
// is tested against too.
type gridCase struct {
	Plays      []Play     `json:"plays"`
	FPS        float64    `json:"fps"`
	CellFrames uint32     `json:"cell_frames"`
	Cells      []gridCell `json:"cells"`
}

type gridCell struct {
	Play   uint32 `json:"play"`
	First  uint32 `json:"first"`
	Frames uint32 `json:"frames"`
}

func gridCases() []gridCase {
	moving := func(frames ...uint32) (plays []Play) {
		for _, n := range frames {
			plays = append(plays, Play{Frames: n})
		}
		return plays
	}
	cases := []gridCase{
		{Plays: moving(), FPS: 60},
		{Plays: moving(0), FPS: 60},
		{Plays: moving(1), FPS: 60},
		{Plays: moving(60), FPS: 60},
		{Plays: moving(89), FPS: 60}, // a remainder under half a cell joins
		{Plays: moving(90), FPS: 60}, // half a cell does not
		{Plays: moving(149, 150, 151), FPS: 60},
		{Plays: moving(30, 0, 31, 45), FPS: 30},
		{Plays: moving(15, 22, 23, 7, 8), FPS: 15}, // 15 is odd: half is 7.5
		{Plays: moving(100), FPS: 23.976},
		{Plays: moving(100), FPS: 29.97},
		{Plays: moving(5), FPS: 0.4},
		{Plays: moving(5), FPS: 2.5}, // rounds away from zero
		{Plays: []Play{{Frames: 600, Frozen: true}, {Frames: 60}}, FPS: 60},
		{Plays: []Play{{Frames: 1799, Frozen: true}, {Frames: 1800, Frozen: true}, {Frames: 2699, Frozen: true}, {Frames: 2700, Frozen: true}}, FPS: 60},
		{Plays: moving(12, 13, 3), FPS: 60, CellFrames: 5},
		{Plays: []Play{{Frames: 12, Frozen: true}, {Frames: 2}}, FPS: 15, CellFrames: 5},
		{Plays: moving(3, 1, 2), FPS: 60, CellFrames: 1},
		{Plays: moving(500), FPS: 60, CellFrames: 10_000_000},
	}
	rng := rand.New(rand.NewPCG(1, 2))
	for range 30 {
		c := gridCase{FPS: []float64{15, 24, 30, 60, 59.94, 1}[rng.IntN(6)]}
		if rng.IntN(3) == 0 {
			c.CellFrames = 3 + rng.Uint32N(20)
		}
		for range rng.IntN(6) {
			c.Plays = append(c.Plays, Play{Frames: rng.Uint32N(100), Frozen: rng.IntN(4) == 0})
		}
		cases = append(cases, c)
	}
	for i := range cases {
		if cases[i].Plays == nil {
			cases[i].Plays = []Play{}
		}
		cases[i].Cells = []gridCell{}
		for _, c := range Grid(cases[i].Plays, cases[i].FPS, cases[i].CellFrames) {
			cases[i].Cells = append(cases[i].Cells, gridCell{c.Play, c.First, c.Frames})
		}
	}
	return cases
}

func TestGridGolden(t *testing.T) {
	const file = "testdata/grid.json"
	got := gridCases()
	if *update {
		b, err := json.Marshal(got)
		if err != nil {
			t.Fatal(err)
		}
		b = slices.Concat([]byte("[\n"), joinLines(b), []byte("\n]\n"))
		if err := os.WriteFile(file, b, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var want []gridCase
	if err := json.Unmarshal(b, &want); err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(got, want) {
		for i := range min(len(got), len(want)) {
			if !reflect.DeepEqual(got[i], want[i]) {
				t.Fatalf("case %d:\ngot  %+v\nwant %+v", i, got[i], want[i])
			}
		}
		t.Fatalf("%d cases, the file has %d", len(got), len(want))
	}
}

// joinLines puts each case on a line of its own.
func joinLines(array []byte) []byte {
	var cases []json.RawMessage
	if err := json.Unmarshal(array, &cases); err != nil {
		panic(err)
	}
	var out []byte
	for i, c := range cases {
		if i > 0 {
			out = append(out, ",\n"...)
		}
		out = append(out, c...)
	}
	return out
}

// TestGridProperties holds the rules of the grid for random frame tables.
func TestGridProperties(t *testing.T) {
	for seed := range uint64(2000) {
		rng := rand.New(rand.NewPCG(seed, 0))
		m := &Manifest{FPS: 1 + 99*rng.Float64()}
		if rng.IntN(2) == 0 {
			m.CellFrames = 1 + rng.Uint32N(100)
		}
		for range 1 + rng.IntN(20) {
			m.Plays = append(m.Plays, Play{Frames: rng.Uint32N(1000), Frozen: rng.IntN(3) == 0})
		}
		moving, frozen := cellLengths(m.FPS, m.CellFrames)
		at, count := uint32(0), uint32(0)
		starts := map[uint32]uint32{} // first frame of each play
		first := uint32(0)
		for i, p := range m.Plays {
			starts[uint32(i)] = first
			first += p.Frames
			if p.Frozen {
				count += cellsOf(p.Frames, frozen)
			} else {
				count += cellsOf(p.Frames, moving)
			}
		}
		grid := m.Grid()
		for i, c := range grid {
			play := m.Plays[c.Play]
			length := moving
			if play.Frozen {
				length = frozen
			}
			end := starts[c.Play] + play.Frames
			switch {
			case c.Index != uint32(i) || c.First != at || c.Frozen != play.Frozen:
				t.Fatalf("seed %d: cell %d is %+v, frames so far %d", seed, i, c, at)
			case c.First < starts[c.Play] || c.First+c.Frames > end:
				t.Fatalf("seed %d: cell %d leaves its play: %+v", seed, i, c)
			case (c.First-starts[c.Play])%length != 0:
				t.Fatalf("seed %d: cell %d does not start at a cut: %+v", seed, i, c)
			case c.First+c.Frames < end && c.Frames != length:
				t.Fatalf("seed %d: cell %d inside its play has %d frames, not %d", seed, i, c.Frames, length)
			case 2*c.Frames >= 3*length || 2*c.Frames < length && c.Frames != play.Frames:
				t.Fatalf("seed %d: cell %d of %d frames, cells have %d", seed, i, c.Frames, length)
			case c.Weight() <= 0:
				t.Fatalf("seed %d: weight of %+v", seed, c)
			}
			at += c.Frames
		}
		if at != m.Frames() || uint32(len(grid)) != count {
			t.Fatalf("seed %d: %d frames in %d cells, want %d in %d", seed, at, len(grid), m.Frames(), count)
		}
	}
}
