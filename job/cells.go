// SPDX-License-Identifier: MIT

package job

import "math"

// Play is one Scene.play or Scene.wait of the frame table: its frames follow
// those of the play before it. Renderers without plays have one, of all frames.
type Play struct {
	Frames uint32 `cbor:"0,keyasint" json:"frames"`           // may be 0: a skipped play
	Frozen bool   `cbor:"1,keyasint,omitempty" json:"frozen"` // all frames are the same picture
}

// Cell is the smallest unit of work, output, storage and checking: a run of
// frames inside one play.
type Cell struct {
	Index  uint32 // place in the grid, from 0
	Play   uint32 // index of its play
	First  uint32 // first frame, counted from the start of the job
	Frames uint32 // at least 1
	Frozen bool   // its play is frozen: one picture, repeated
}

// frozenSeconds is the length of a cell of a frozen play: one picture is drawn
// for it, however long it is.
const frozenSeconds = 30

// Grid cuts the frame table into cells. It is a pure function of the manifest,
// and nothing else in the system cuts anything: every play starts a cell and is
// cut every round(fps) frames from its start (a frozen play every 30 s); a
// remainder under half a cell joins the cell before it. cellFrames > 0 takes
// the place of both lengths. The engine has the same function in Python; both
// are tested against testdata/grid.json.
func Grid(plays []Play, fps float64, cellFrames uint32) []Cell {
	moving := uint32(max(1, math.Round(fps)))
	frozen := uint32(max(1, math.Round(fps*frozenSeconds)))
	if cellFrames > 0 {
		moving, frozen = cellFrames, cellFrames
	}
	var cells []Cell
	first := uint32(0)
	for i, p := range plays {
		length := moving
		if p.Frozen {
			length = frozen
		}
		for left := p.Frames; left > 0; {
			n := left
			if left >= length && !(left-length > 0 && 2*(left-length) < length) {
				n = length
			}
			cells = append(cells, Cell{uint32(len(cells)), uint32(i), first, n, p.Frozen})
			first += n
			left -= n
		}
	}
	return cells
}

// Weight estimates the cost of rendering the cell, in frames of a moving play.
// A frozen cell draws one picture, and encoding a picture that does not change
// costs about a quarter of one that does.
func (c Cell) Weight() float64 {
	if c.Frozen {
		return 1 + float64(c.Frames)/4
	}
	return float64(c.Frames)
}
