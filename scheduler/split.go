// SPDX-License-Identifier: MIT

package scheduler

import (
	"sort"

	"meshnode/job"
)

// split answers a peer that asks for a part of this node's range. This node
// alone knows how far it is, so no two peers can be given the same cells.
func (s *Scheduler) split(id uint64, thief job.PeerID, msg *job.Split) {
	refusal := &job.Grant{Job: msg.Job, To: thief}
	j := s.find(msg.Job)
	if j == nil || j.out(thief) || s.sitsOut(j, thief) || msg.Slots == 0 {
		s.do(Reply{id, refusal})
		return
	}
	if m := s.enroll(j, thief); m != nil {
		m.slots, m.speed, j.tally.rated = msg.Slots, msg.Speed, false
	}
	r := s.splitPoint(j, thief)
	if r.Len() == 0 {
		refusal.Hint = s.hint(j, thief)
		s.do(Reply{id, refusal})
		return
	}
	g := &job.Grant{Job: j.id, To: thief, Range: r, Gen: j.gen(r)}
	for i := r.A; i < r.B; i++ {
		c := &j.cells[i]
		c.top, c.next = s.provisional(claim{peer: thief, gen: g.Gen, granted: true}), claim{}
		j.touch(i)
	}
	s.recordClaims(j)
	s.do(Reply{id, g})
}

// splitPoint returns the range to give away: the end of the heaviest run of cells
// not begun, from the point where this node and the thief would end together. It
// is empty when that is not at least MinGain sooner.
func (s *Scheduler) splitPoint(j *openJob, thief job.PeerID) job.Range {
	var run job.Range
	heaviest, waiting := 0.0, 0.0
	for _, r := range s.ownRuns(j, func(i uint32) bool { return !s.rendering(j, i) && !s.checking(j, i) }) {
		for i := r.A; i < r.B; i++ { // a cell that failed there is not given back
			if j.cells[i].failedOn(thief) {
				r.A = i + 1
			}
		}
		if r.Len() == 0 {
			continue
		}
		w := j.weigh(r.A, r.B)
		waiting += w
		if w > heaviest {
			run, heaviest = r, w
		}
	}
	if run.Len() == 0 {
		return job.Range{}
	}
	own := s.rate(j, s.self)
	ownSlot := own / s.shareOfSlots(j)
	begun, longest := 0.0, 0.0 // weight of what is being rendered
	for _, st := range j.work.stretches {
		if st.busy {
			took := (s.now - st.at).Seconds()
			took -= s.walk(j, s.self, st.cell) // it walked there first, or still does
			left := max(j.grid[st.cell].Weight()-took*ownSlot, 0)
			begun += left
			longest = max(longest, left/ownSlot)
		}
	}
	rate := s.rate(j, thief)
	slots, _ := s.size(j, thief)
	// Ends of both, in seconds from now, when the thief gets [p, run.B).
	mine := func(p uint32) float64 {
		return max((begun+waiting-j.weigh(p, run.B))/own, longest)
	}
	theirs := func(p uint32) float64 {
		if p == run.B {
			return 0
		}
		last := j.grid[run.B-1].Weight() * slots / rate // a cell is not divided
		return s.startup(j, thief, p) + max(j.weigh(p, run.B)/rate, last)
	}
	p := run.A + uint32(sort.Search(run.Len(), func(n int) bool {
		at := run.A + uint32(n)
		return theirs(at) <= mine(at)
	}))
	both := func(p uint32) float64 { return max(mine(p), theirs(p)) }
	if p > run.A && both(p-1) < both(p) {
		p--
	}
	if mine(run.B)-both(p) < s.times.MinGain.Seconds() {
		return job.Range{}
	}
	return job.Range{A: p, B: run.B}
}

// hint returns the peer that will be busy longest, for a thief to ask instead.
func (s *Scheduler) hint(j *openJob, thief job.PeerID) job.PeerID {
	var best job.PeerID
	most := 2 * s.times.MinGain.Seconds()
	for _, l := range s.loads(j) {
		if t := l.weight / s.rate(j, l.peer); l.peer != thief && l.cells > 1 && t > most && s.there(l.peer) {
			best, most = l.peer, t
		}
	}
	return best
}
