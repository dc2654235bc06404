// SPDX-License-Identifier: MIT

package scheduler

import (
	"cmp"
	"slices"
	"time"

	"meshnode/job"
)

// seekSoon looks for work at once after what happened to this node itself, and now
// and then after what it hears: in a large mesh it hears something all the time.
func (s *Scheduler) seekSoon() {
	if !s.eager && !(s.curious && s.due(s.seekAt)) {
		return
	}
	s.eager, s.curious = false, false
	s.seekAt = s.now + min(time.Duration(s.peers.len())*2*time.Millisecond, maxPause)
	s.seek()
}

// seek finds work for idle slots: free cells, else a part of what a busy peer
// holds, else, at the end of a job, a cell that another one is late with.
func (s *Scheduler) seek() {
	tried := make(map[job.ID]bool)
	for {
		j := s.nextJob(func(j *openJob) bool { return !tried[j.id] && !s.hasWork(j) })
		if j == nil {
			return
		}
		tried[j.id] = true
		if s.adopt(j) {
			s.prepare(j)
			s.fill()
		} else if s.askForSplit(j) {
			s.prepare(j)
		} else {
			s.speculate(j)
		}
	}
}

// hasWork reports whether this node holds cells of a job that it has not begun.
func (s *Scheduler) hasWork(j *openJob) bool {
	held := s.heldBy(j, s.self).cells
	for _, st := range j.work.stretches {
		if st.busy && s.held(j, st.cell) {
			held--
		}
	}
	return held > 0
}

// adopt claims a run of free cells when it is this node's turn: those who could
// take it follow each other by rank, so that mostly one does.
func (s *Scheduler) adopt(j *openJob) bool {
	if !s.canPrepare(j) {
		return false
	}
	t := s.count(j)
	s.wakeAt(t.next)
	if t.kinds[free] == 0 {
		return false
	}
	runs := j.runs(func(i uint32) bool { return s.status(j, i).kind == free && !s.barred(j, i) })
	for _, r := range runs {
		at := s.status(j, r.A).since + time.Duration(s.place(j, r.A))*s.times.AdoptStep
		if s.due(at) {
			s.claim(j, r, j.gen(r), nil)
			return true
		}
	}
	return false
}

// canPrepare reports whether the job's engine is, or may now be, made ready.
func (s *Scheduler) canPrepare(j *openJob) bool {
	return j.work.ready || j.work.preparing || s.due(j.work.retryAt)
}

// place returns how many idle peers come before this node in taking a cell: those
// that would be done with it a second sooner, because they are near or quick, and
// among equals by rank.
func (s *Scheduler) place(j *openJob, cell uint32) int {
	mine := int(s.doneIn(j, s.self, cell))
	n := 0
	for _, p := range s.peers.list {
		if n >= maxAdoptRank {
			break
		}
		if !s.mayAdopt(j, p) {
			continue
		}
		theirs := int(s.doneIn(j, p.id, cell))
		if theirs < mine || theirs == mine && job.Rank(j.id, cell, p.id) < job.Rank(j.id, cell, s.self) {
			n++
		}
	}
	return n
}

// doneIn estimates the seconds that an idle peer needs to be done with a cell.
func (s *Scheduler) doneIn(j *openJob, id job.PeerID, cell uint32) float64 {
	slots, _ := s.size(j, id)
	return s.startup(j, id, cell) + j.grid[cell].Weight()*slots/s.rate(j, id)
}

// mayAdopt reports whether a peer seems to be idle and able to work on a job.
func (s *Scheduler) mayAdopt(j *openJob, p *peer) bool {
	return !p.left && (p.idle > 0 || !s.toldIdle(p)) && s.mayWork(j, p)
}

// toldIdle reports whether a peer has said of late how many slots it has free.
func (s *Scheduler) toldIdle(p *peer) bool {
	return p.idleAt > 0 && s.now < p.idleAt+idleFor*s.every()
}

// mayWork reports whether a peer seems to be able to work on a job.
func (s *Scheduler) mayWork(j *openJob, p *peer) bool {
	if j.out(p.id) || s.sitsOut(j, p.id) {
		return false
	}
	if p.advert == nil { // it is not connected, as most are in a large mesh
		return s.toldIdle(p) && j.member(p.id) != nil
	}
	if p.id == j.submitter {
		m := j.member(p.id)
		return m != nil && m.slots > 0
	}
	return s.maySuit(p.advert, j.manifest.Need) == nil
}

// askForSplit asks the peer that will be busy longest for a part of its range,
// if both would end sooner, and reports whether an answer is awaited.
func (s *Scheduler) askForSplit(j *openJob) bool {
	if j.work.asking != 0 {
		return true
	}
	if !s.canPrepare(j) {
		return false
	}
	mine := s.rate(j, s.self)
	var best *member
	most := 0.0
	for _, l := range s.loads(j) {
		m := j.member(l.peer)
		slots, _ := s.size(j, l.peer)
		if m == nil || l.cells <= int(slots) || !s.there(l.peer) {
			continue // it has begun them all
		}
		rate := s.rate(j, l.peer)
		left := l.weight/rate + s.onTheWay(j, m, l.first)
		both := (left*rate + s.startup(j, s.self, l.last)*mine) / (rate + mine)
		if left-both < s.times.MinGain.Seconds() || left <= most || !s.due(m.askAfter) {
			continue
		}
		best, most = m, left
	}
	if best == nil {
		return false
	}
	s.requestSplit(j, best)
	return true
}

func (s *Scheduler) requestSplit(j *openJob, m *member) {
	m.askAfter = s.now + s.times.Retry
	j.work.asking = s.ask(m.id, j.id, &job.Split{Job: j.id, Slots: uint32(s.slotsFor(j)), Speed: s.advert.Speed}, s.times.Answer)
}

// granted takes the answer to a Split; nil when there was none.
func (s *Scheduler) granted(j *openJob, by job.PeerID, g *job.Grant, raw []byte) {
	j.work.asking = 0
	switch {
	case g == nil || g.Job != j.id || g.To != s.self:
		if m := j.member(by); m != nil {
			m.askAfter = s.now + 2*s.times.Retry
		}
	case g.Range.Len() == 0:
		m := j.member(g.Hint)
		if m == nil || m.out || !s.there(m.id) || s.now < m.askAfter || !s.canWork(j) || s.spare(j) <= 0 || s.hasWork(j) {
			return
		}
		s.requestSplit(j, m)
	case j.inGrid(g.Range) && s.canWork(j):
		s.claim(j, g.Range, g.Gen, raw)
		s.prepare(j)
	}
}

// speculate renders a cell that another peer holds and is late with. It is not
// claimed: whoever is first wins, and the other drops it. Of those who hold nothing the
// first takes the cell that is latest, the second the next one, and so on; when there
// are more of them than late cells, the others help a little later.
func (s *Scheduler) speculate(j *openJob) {
	const soon = 3.0 // seconds; a holder so near the end is not helped
	late := s.late(j, soon)
	if len(late) == 0 {
		return
	}
	turn := s.helpTurn(j)
	next, wait := late[turn%len(late)], float64(turn/len(late))
	if next.left < soon+wait {
		return
	}
	s.renderExtra(j, next.cell)
}

// renderExtra renders a cell that this node does not hold, if an engine is ready.
func (s *Scheduler) renderExtra(j *openJob, cell uint32) {
	s.prepare(j)
	if j.work.ready {
		j.work.stretches = append(j.work.stretches, stretch{next: cell, end: cell + 1, extra: true})
		s.render(j, &j.work.stretches[len(j.work.stretches)-1], cell)
	}
}

// helpTurn returns how many of the peers that could help with late cells, as they hold
// none, come before this node.
func (s *Scheduler) helpTurn(j *openJob) int {
	n := 0
	for _, p := range s.peers.list {
		if p.id > s.self {
			break
		}
		if s.there(p.id) && s.mayWork(j, p) && s.heldBy(j, p.id).cells == 0 {
			n++
		}
	}
	return n
}

// lateCell is a cell that another peer holds, and the seconds until it is expected.
type lateCell struct {
	cell uint32
	left float64
}

// late returns cells that this node would sooner be done with than the peers that
// hold them, of each the last, those first that are expected last.
func (s *Scheduler) late(j *openJob, soon float64) []lateCell {
	var late []lateCell
	for _, l := range s.loads(j) {
		m := j.member(l.peer)
		if m == nil || s.barred(j, l.last) || s.rendering(j, l.last) || s.checking(j, l.last) {
			continue
		}
		rate := s.rate(j, l.peer)
		slots, _ := s.size(j, l.peer)
		all := s.walk(j, l.peer, l.last) + max(l.weight/rate, j.grid[l.last].Weight()/(rate/slots))
		since := (s.now - max(m.moved, j.since)).Seconds()
		left := all - since
		if since > 2*all+soon {
			left = since // late, and nobody knows for how long: the longer, the worse
		}
		mine := s.startup(j, s.self, l.last) + j.grid[l.last].Weight()*s.shareOfSlots(j)/s.rate(j, s.self)
		if left >= max(soon, mine+s.times.MinGain.Seconds()) {
			late = append(late, lateCell{l.last, left})
		}
	}
	slices.SortStableFunc(late, func(a, b lateCell) int { return cmp.Compare(b.left, a.left) })
	return late
}

// rendering reports whether a cell is being rendered here.
func (s *Scheduler) rendering(j *openJob, cell uint32) bool {
	for _, st := range j.work.stretches {
		if st.busy && st.cell == cell {
			return true
		}
	}
	return false
}
