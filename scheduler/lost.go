// SPDX-License-Identifier: MIT

package scheduler

import (
	"slices"

	"meshnode/job"
)

// lost takes back what this node said of cells whose bytes it has no more.
func (s *Scheduler) lost(ev Lost) {
	j := s.find(ev.Job)
	if j == nil {
		return
	}
	if j.own() {
		s.lostCollected(j, ev.Cells)
		return
	}
	j.keep.assembling, j.keep.nextAt = false, s.now
	for _, r := range job.RangesOf(ev.Cells...) {
		if j.inGrid(r) {
			s.lostDone(j, r)
		}
	}
}

// lostCollected begins a new epoch, in which those cells are not collected.
func (s *Scheduler) lostCollected(j *openJob, cells []uint32) {
	var pages []uint32
	for _, i := range cells {
		if int(i) >= len(j.cells) || !j.cells[i].collected {
			continue
		}
		c := &j.cells[i]
		s.notToCheck(j, i)
		c.collected = false
		j.touch(i)
		j.mine.outputs[i] = ""
		j.open++
		s.dropDone(j, i, s.self, ^uint32(0))
		pages = append(pages, i)
	}
	if len(pages) == 0 {
		return
	}
	for _, m := range j.members.list { // it may have said Done of what was not missing then
		s.miss(m.id)
	}
	j.beginAgain(s.now)
	j.mine.assembling, j.mine.unsaid = false, true
	j.epoch++
	s.recordJob(j)
	for k, i := range pages {
		if k == 0 || i/PageCells != pages[k-1]/PageCells {
			s.recordCell(j, i)
		}
	}
}

// lostDone takes back the Dones of a range.
func (s *Scheduler) lostDone(j *openJob, r job.Range) {
	had := false
	gen := uint32(0)
	for i := r.A; i < r.B; i++ {
		for _, d := range j.cells[i].done {
			if d.peer == s.self {
				had, gen = true, max(gen, d.gen, j.cells[i].top.gen)
			}
		}
	}
	if !had {
		return
	}
	for i := r.A; i < r.B; i++ {
		s.void(j, i, s.self, gen)
	}
	for i := r.A; i < r.B; i++ {
		if i == r.A || i%PageCells == 0 {
			s.recordCell(j, i)
		}
	}
	s.recordClaims(j)
	s.do(Publish{&job.Released{Job: j.id, Range: r, Gen: gen, Cause: job.CauseLost}})
}

// void makes claims and Dones of a cell by a peer nothing, up to a generation.
func (s *Scheduler) void(j *openJob, i uint32, peer job.PeerID, gen uint32) {
	s.release(j, i, peer, gen)
	c := &j.cells[i]
	c.lost = addMark(c.lost, mark{peer, gen})
	s.dropDone(j, i, peer, gen)
}

// doneGen returns the generation of a new Done of a cell: one that is not void
// because the peer has lost the cell before.
func (c *cell) doneGen(peer job.PeerID) uint32 {
	gen := c.top.gen
	for _, m := range c.lost {
		if m.peer == peer {
			gen = max(gen, m.gen+1)
		}
	}
	return gen
}

// dropDone forgets a peer's Done of a cell, up to a generation.
func (s *Scheduler) dropDone(j *openJob, i uint32, peer job.PeerID, gen uint32) {
	c := &j.cells[i]
	for k, d := range c.done {
		if d.peer == peer && d.gen <= gen {
			c.done = append(c.done[:k:k], c.done[k+1:]...)
			if peer == s.self {
				j.work.done = slices.DeleteFunc(j.work.done, func(o uint32) bool { return o == i })
			}
			j.touch(i)
			return
		}
	}
}
