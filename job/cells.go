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

// minCell is the least length of a cell. Every cut inside a play costs a key frame
// and what the encoder could have learned from the other side; docs/design.md
// has the figures.
const minCell = 60

// frozenSeconds is the length of a cell of a frozen play: one picture is drawn
// for it, however long it is.
const frozenSeconds = 30

// Grid cuts the frame table into cells. It is a pure function of the manifest,
// and nothing else in the system cuts anything: every play starts a cell and is
// cut every 60 frames from its start (every second above 60 fps, a frozen play
// every 30 s); a remainder under half a cell joins the cell before it.
// cellFrames > 0 takes the place of both lengths. The engine has the same
// function in Python; both are tested against testdata/grid.json.
func Grid(plays []Play, fps float64, cellFrames uint32) []Cell {
	moving, frozen := cellLengths(fps, cellFrames)
	var cells []Cell
	first := uint32(0)
	for i, p := range plays {
		length := moving
		if p.Frozen {
			length = frozen
		}
		left := p.Frames
		for n := cellsOf(p.Frames, length); n > 0; n-- {
			frames := length
			if n == 1 {
				frames = left
			}
			left -= frames
			cells = append(cells, Cell{uint32(len(cells)), uint32(i), first, frames, p.Frozen})
			first += frames
		}
	}
	return cells
}

// cellLengths returns the frames of a cell of moving and of frozen plays.
func cellLengths(fps float64, cellFrames uint32) (moving, frozen uint32) {
	if cellFrames > 0 {
		return cellFrames, cellFrames
	}
	return uint32(max(minCell, math.Round(fps))), uint32(max(minCell, math.Round(fps*frozenSeconds)))
}

// cellsOf returns the number of cells of a play.
func cellsOf(frames, length uint32) uint32 {
	n, rest := frames/length, frames%length
	if rest > 0 && (n == 0 || 2*uint64(rest) >= uint64(length)) {
		n++
	}
	return n
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
