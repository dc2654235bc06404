// SPDX-License-Identifier: MIT

package scheduler

import (
	"cmp"
	"math"
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
// can be done. A peer has to end its queue, load the job, walk to its first cell
// on one core, and then walks and renders its cells on all its slots. Peers with
// slow cores come first: all of a peer's slots wait for the walk, and that costs
// least where cores are fast. The submitter comes last: it has walked already.
func Layout(o *job.Offer, m *job.Manifest) []Share {
	grid := m.Grid()
	team := rank(o, m.Submitter)
	if len(team) == 0 || len(grid) == 0 {
		return nil
	}
	cost := newCost(grid, m)
	cuts := cost.layout(team)
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
	start float64 // seconds until it can begin
	there bool    // it has walked through the whole job
	order uint64  // breaks ties
}

// rank returns the roster's peers that have slots in the order of their ranges.
func rank(o *job.Offer, submitter job.PeerID) []worker {
	typical := typicalSpeed(o)
	var team []worker
	for _, r := range o.Roster {
		if r.Slots == 0 {
			continue
		}
		w := worker{
			peer: r.Peer, slots: float64(r.Slots), speed: relative(r.Speed, typical), start: r.Queue,
			there: r.Peer == submitter, order: job.Rank(o.Job, 0, r.Peer),
		}
		if !w.there {
			w.start += loadSeconds
		}
		team = append(team, w)
	}
	slices.SortFunc(team, func(a, b worker) int {
		if a.there != b.there {
			if b.there {
				return -1
			}
			return 1
		}
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
}

// What is assumed before anything is measured: seconds to render a frame of a
// moving play, with a part for each pixel (Manim took about 0.015 s at 854 x 480
// and 0.055 s at 1920 x 1080), and to get a job's assets into a warm engine.
const (
	frameSeconds = 0.005
	pixelSeconds = 25e-9
	loadSeconds  = 0.5
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
		c.render[i+1] = c.render[i] + cell.Weight()*perWeight
		c.walk[i+1] = c.walk[i] + float64(cell.Frames)*perFrame
	}
	return c
}

// end returns when a worker is done with the cells in [a, b).
func (c *cost) end(w worker, a, b uint32) float64 {
	n := float64(b - a)
	cell := (c.render[b] - c.render[a]) / max(n, 1)
	work := math.Ceil(n/w.slots) * cell // a cell is not divided
	walk := (c.walk[b] - c.walk[a]) / w.slots
	if !w.there {
		walk += c.walk[a]
	}
	return w.start + (work+walk)/w.speed
}

// layout returns the ends of the ranges with which a team is done first.
func (c *cost) layout(team []worker) []uint32 {
	total := uint32(len(c.render) - 1)
	low, high := 0.0, 0.0
	for _, w := range team {
		if t := c.end(w, 0, total); high == 0 || t < high {
			high = t // one peer alone can do it
		}
	}
	for range 50 { // it cannot if its place in the order costs it too long a walk
		if cut := c.cut(team, high, false); cut[len(cut)-1] == total {
			break
		}
		low, high = high, 2*high
	}
	for range 50 {
		mid := (low + high) / 2
		if cut := c.cut(team, mid, false); cut[len(cut)-1] == total {
			high = mid
		} else {
			low = mid
		}
	}
	cuts := c.cut(team, high, true)
	if cuts[len(cuts)-1] != total {
		cuts = c.cut(team, high, false)
	}
	return cuts
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
