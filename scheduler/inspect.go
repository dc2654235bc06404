// SPDX-License-Identifier: MIT

package scheduler

import (
	"slices"

	"meshnode/job"
)

// CellState is what a node takes a cell for.
type CellState struct {
	Kind string     // "free", "claimed", "finished" or "collected"
	Peer job.PeerID // who holds or has rendered it; "" where that is not known
	Gen  uint32     // of the claim that holds, or did last
	Mine bool       // this node has said Done of it
}

// String returns the kind's name in [CellState].
func (k kind) String() string { return [...]string{"free", "claimed", "finished", "collected"}[k] }

// Cells returns what this node takes the cells of an open job for, and the epoch
// of its submitter's Collected; nil when there is no such job. It is for tests,
// and for people who want to know why. The result is the caller's.
func (s *Scheduler) Cells(id job.ID) (cells []CellState, epoch uint32) {
	j := s.find(id)
	if j == nil {
		return nil, 0
	}
	for i := range uint32(len(j.cells)) {
		c := &j.cells[i]
		st := s.status(j, i)
		cells = append(cells, CellState{
			Kind: st.kind.String(), Peer: st.peer, Gen: c.top.gen,
			Mine: slices.ContainsFunc(c.done, func(d done) bool { return d.peer == s.self }),
		})
	}
	return cells, j.epoch
}

// Has reports whether a job is open here.
func (s *Scheduler) Has(id job.ID) bool { return s.find(id) != nil }

// Open returns the number of jobs that are open here.
func (s *Scheduler) Open() int { return len(s.jobs) }
