// SPDX-License-Identifier: MIT

package scheduler

import "slices"

// CellCost is what a cell costs on one core, in seconds.
type CellCost struct {
	Render float64 // drawing and encoding it
	Walk   float64 // stepping through it
}

// Forecast returns, for one to most equal nodes with so many slots, the seconds
// from an offer until the last of its cells is rendered. The submitter is one of
// the nodes. They share the cells as Layout does where it knows what cells cost:
// what splits win later is what Layout, which does not know, has lost.
func Forecast(cells []CellCost, slots, most int) []float64 {
	c := cost{render: make([]float64, len(cells)+1), walk: make([]float64, len(cells)+1)}
	for i, cell := range cells {
		c.render[i+1] = c.render[i] + cell.Render
		c.walk[i+1] = c.walk[i] + cell.Walk
	}
	out := make([]float64, most)
	for n := 0; n < most && len(cells) > 0; n++ {
		team := slices.Repeat([]worker{{slots: float64(slots), speed: 1, start: loadSeconds}}, n+1)
		team[n].start, team[n].there = 0, true
		a := uint32(0)
		for i, b := range c.layout(team) {
			if b > a {
				out[n] = max(out[n], team[i].renders(cells[a:b], c.walk[a]))
			}
			a = b
		}
		if n > 0 { // a node that would not help is left out
			out[n] = min(out[n], out[n-1])
		}
	}
	return out
}

// renders returns when a worker is done with a range that lies so many seconds
// of walking from the start, if it renders each cell on the slot that is free
// first.
func (w worker) renders(cells []CellCost, walk float64) float64 {
	start := w.start
	if !w.there {
		start += walk
	}
	free := slices.Repeat([]float64{start}, int(w.slots)) // when each slot is
	for _, cell := range cells {
		next := slices.Index(free, slices.Min(free))
		free[next] += cell.Render + cell.Walk
	}
	return slices.Max(free)
}
