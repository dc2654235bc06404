// SPDX-License-Identifier: MIT

package scheduler

import (
	"cmp"
	"slices"
	"sort"

	"meshnode/job"
)

// Share is the planned range of one peer.
type Share struct {
	Peer  job.PeerID
	Range job.Range
}

// Layout returns the planned ranges of a job's cells, in ascending order and
// without gaps. It is a pure function of the offer and its manifest, the same
// on every node; peers for which there is nothing to gain are left out.
//
// It finds the earliest time T by which the peers, each rendering one range,
// can be done. A peer has to wait for its queue, walk to its first cell on one
// core, and then walks and renders its cells on all its slots. Peers with slow
// cores come first: all of a peer's slots wait for the walk, and a long wait
// costs least where cores are fast.
func Layout(o *job.Offer, m *job.Manifest) []Share {
	grid := m.Grid()
	team := rank(o)
	if len(team) == 0 || len(grid) == 0 {
		return nil
	}
	cost := newCost(grid, m)
	total := uint32(len(grid))
	low, high := 0.0, 0.0
	for _, w := range team {
		if t := cost.end(w, 0, total); high == 0 || t < high {
			high = t // one peer alone can do it
		}
	}
	for range 50 {
		mid := (low + high) / 2
		if cut := cost.cut(team, mid, false); cut[len(cut)-1] == total {
			high = mid
		} else {
			low = mid
		}
	}
	cuts := cost.cut(team, high, true)
	if cuts[len(cuts)-1] != total {
		cuts = cost.cut(team, high, false)
	}
	var shares []Share
	a := uint32(0)
	for i, b := range cuts {
		if b > a {
			shares = append(shares, Share{team[i].peer, job.Range{A: a, B: b}})
			a = b
		}
	}
	return shares
}

// worker is a peer of the roster; speed is relative to the typical core of the
// roster.
type worker struct {
	peer  job.PeerID
	slots float64
	speed float64
	queue float64
	order uint64 // breaks ties
}

// rank returns the roster's peers that have slots, slow cores first.
func rank(o *job.Offer) []worker {
	typical := typicalSpeed(o)
	var team []worker
	for _, r := range o.Roster {
		if r.Slots > 0 {
			team = append(team, worker{r.Peer, float64(r.Slots), relative(r.Speed, typical), r.Queue, job.Rank(o.Job, 0, r.Peer)})
		}
	}
	slices.SortFunc(team, func(a, b worker) int {
		return cmp.Or(cmp.Compare(a.speed, b.speed), cmp.Compare(a.order, b.order), cmp.Compare(a.peer, b.peer))
	})
	return team
}

// typicalSpeed returns the median of the known speeds of a roster, or 0.
func typicalSpeed(o *job.Offer) float64 {
	var known []float64
	for _, r := range o.Roster {
		if r.Slots > 0 && r.Speed > 0 {
			known = append(known, r.Speed)
		}
	}
	if len(known) == 0 {
		return 0
	}
	slices.Sort(known)
	return known[len(known)/2]
}

// relative returns a speed in units of the typical one; an unknown speed is
// taken to be typical. No peer is believed to be more than 100 times off.
func relative(speed, typical float64) float64 {
	if speed <= 0 || typical <= 0 {
		return 1
	}
	return min(max(speed/typical, 0.01), 100)
}

// cost estimates times on a typical core. Every node must compute the same
// numbers, so it is plain float64 arithmetic in a fixed order.
type cost struct {
	render []float64 // seconds to render the cells before i
	walk   []float64 // seconds to walk to cell i
	most   float64   // seconds of the heaviest cell
}

// Seconds to render a frame of a moving play, before anything is measured: a
// fixed part, and one by the pixel. Manim took about 0.015 s at 854 x 480 and
// 0.055 s at 1920 x 1080.
const (
	frameSeconds = 0.005
	pixelSeconds = 25e-9
)

// secondsOf estimates the seconds that one weight of a job takes.
func secondsOf(m *job.Manifest) float64 {
	return frameSeconds + pixelSeconds*float64(m.Width)*float64(m.Height)
}

func newCost(grid []job.Cell, m *job.Manifest) cost {
	n := len(grid)
	c := cost{render: make([]float64, n+1), walk: make([]float64, n+1)}
	perFrame := m.Walk / float64(m.Frames())
	perWeight := secondsOf(m)
	for i, cell := range grid {
		t := cell.Weight() * perWeight
		c.render[i+1] = c.render[i] + t
		c.walk[i+1] = c.walk[i] + float64(cell.Frames)*perFrame
		c.most = max(c.most, t)
	}
	return c
}

// end returns when a worker is done with the cells in [a, b).
func (c *cost) end(w worker, a, b uint32) float64 {
	work := c.render[b] - c.render[a]
	work = max(work/w.slots, min(work, c.most)) // a cell is not divided
	return w.queue + (c.walk[a]+work+(c.walk[b]-c.walk[a])/w.slots)/w.speed
}

// cut gives each worker in turn as many cells as it can do in time t, and
// returns the ends of the ranges. With spread, one cell is kept for each later
// worker that could do it in time, so that nobody is left idle for nothing.
func (c *cost) cut(team []worker, t float64, spread bool) []uint32 {
	total := uint32(len(c.render) - 1)
	later := make([]uint32, len(team)+1) // useful workers after each
	if spread {
		for i := len(team) - 1; i > 0; i-- {
			later[i] = later[i+1]
			if c.end(team[i], total-1, total) <= t {
				later[i]++
			}
		}
	}
	cuts := make([]uint32, len(team))
	a := uint32(0)
	for i, w := range team {
		most := total
		if keep := later[i+1]; keep > 0 {
			most = max(min(a+1, total), total-min(keep, total))
		}
		n := sort.Search(int(most-min(a, most)), func(n int) bool { return c.end(w, a, a+uint32(n)+1) > t })
		a += uint32(n)
		cuts[i] = a
	}
	return cuts
}
