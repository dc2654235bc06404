// SPDX-License-Identifier: MIT

package scheduler

import (
	"slices"
	"time"

	"meshnode/job"
)

// stretch is a run of cells that one slot renders in order: a renderer goes on
// cheapest with the next cell. Without a slot it waits for one.
type stretch struct {
	next, end uint32 // cells that it has not begun
	busy      bool
	cell      uint32        // being rendered, while busy
	at        time.Duration // since when
	extra     bool          // another node holds the cell
}

// busy returns the number of cells of a job being rendered here, checks among them.
func (s *Scheduler) busy(j *openJob) int {
	n := j.checksUnderWay()
	for _, st := range j.work.stretches {
		if st.busy {
			n++
		}
	}
	return n
}

// spareSlots returns the slots that are free for jobs of other nodes.
func (s *Scheduler) spareSlots() int {
	all, foreign := 0, 0
	for _, j := range s.jobs {
		n := s.busy(j)
		all += n
		if !j.own() {
			foreign += n
		}
	}
	return min(int(s.advert.Slots)-foreign, s.slots()-all)
}

// slots returns how many cells this node renders at a time, of all jobs.
func (s *Scheduler) slots() int {
	n, beside := s.advert.Slots, 0
	for _, j := range s.jobs {
		if j.own() {
			n = max(n, j.mine.localSlots)
			if s.slotsFor(j) == 0 {
				beside += s.busy(j)
			}
		}
	}
	return int(n) + beside
}

// slotsFor returns how many cells of a job this node renders at a time.
func (s *Scheduler) slotsFor(j *openJob) int {
	n := s.advert.Slots
	if j.own() {
		n = j.mine.localSlots
	}
	if j.work.limit > 0 {
		n = min(n, j.work.limit)
	}
	return int(n)
}

// spare returns how many more cells of a job may be begun now.
func (s *Scheduler) spare(j *openJob) int {
	all := 0
	for _, o := range s.jobs {
		all += s.busy(o)
	}
	n := min(s.slotsFor(j)-s.busy(j), s.slots()-all)
	if !j.own() {
		n = min(n, s.spareSlots())
	}
	return n
}

// fill gives free slots to cells that this node holds: to the submitter with the
// fewest slots, then the one served longest ago; within one, first come first.
func (s *Scheduler) fill() {
	stuck := make(map[job.ID]bool) // spare slots, but no cell to begin
	for {
		j := s.nextJob(func(j *openJob) bool { return !stuck[j.id] && j.work.ready })
		if j == nil {
			return
		}
		if !s.begin(j) {
			stuck[j.id] = true
		}
	}
}

// nextJob returns the job whose turn it is among those that suit and have a spare
// slot, or nil.
func (s *Scheduler) nextJob(suits func(*openJob) bool) *openJob {
	var best *openJob
	bestBusy, bestTurn := 0, uint64(0)
	for _, j := range s.jobs {
		if !s.canWork(j) || s.spare(j) <= 0 || !suits(j) {
			continue
		}
		busy := 0
		for _, o := range s.jobs {
			if o.submitter == j.submitter {
				busy += s.busy(o)
			}
		}
		turn := s.turnOf(j.submitter)
		if best == nil || busy < bestBusy || busy == bestBusy && turn < bestTurn {
			best, bestBusy, bestTurn = j, busy, turn
		}
	}
	return best
}

func (s *Scheduler) turnOf(submitter job.PeerID) uint64 {
	for _, v := range s.served {
		if v.submitter == submitter {
			return v.turn
		}
	}
	return 0
}

// begin renders the next cell of a job, and reports whether there was one.
func (s *Scheduler) begin(j *openJob) bool {
	st := s.nextStretch(j)
	if st == nil {
		return false
	}
	s.render(j, st, st.next)
	return true
}

func (s *Scheduler) render(j *openJob, st *stretch, cell uint32) {
	st.busy, st.cell, st.at, st.next = true, cell, s.now, cell+1
	if j.own() {
		j.mine.checks.turn = false
	}
	s.turn++
	if i := slices.IndexFunc(s.served, func(v service) bool { return v.submitter == j.submitter }); i >= 0 {
		s.served[i].turn = s.turn
	} else {
		if len(s.served) >= maxJobs {
			s.served = slices.Delete(s.served, 0, 1)
		}
		s.served = append(s.served, service{j.submitter, s.turn})
	}
	s.do(Render{j.id, cell})
}

// nextStretch returns the stretch that a free slot goes on with, its next cell
// ready to begin: one that waits for a slot, else a new one from the cells that
// are in none, else the second half of the longest. New stretches are short, so
// that the node's range keeps one end from which a split can take.
func (s *Scheduler) nextStretch(j *openJob) *stretch {
	w := &j.work
	h := s.heldBy(j, s.self)
	waits := make([]bool, h.end-h.low) // held, and not begun
	for i := range waits {
		waits[i] = s.held(j, h.low+uint32(i)) && !s.checking(j, h.low+uint32(i))
	}
	for _, st := range w.stretches {
		if st.busy && h.low <= st.cell && st.cell < h.end {
			waits[st.cell-h.low] = false
		}
	}
	left := func(i uint32) bool { return h.low <= i && i < h.end && waits[i-h.low] }
	count := func(st *stretch) (n int) {
		for i := st.next; i < st.end; i++ {
			if left(i) {
				n++
			}
		}
		return n
	}
	w.stretches = slices.DeleteFunc(w.stretches, func(st stretch) bool { return !st.busy && count(&st) == 0 })
	for k := range w.stretches {
		if st := &w.stretches[k]; !st.busy {
			for !left(st.next) {
				st.next++
			}
			return st
		}
	}
	loose := slices.Clone(waits)
	for _, st := range w.stretches {
		for i := max(st.next, h.low); i < min(st.end, h.end); i++ {
			loose[i-h.low] = false
		}
	}
	total := 0
	for _, l := range loose {
		if l {
			total++
		}
	}
	if total > 0 {
		length := min((total+s.slotsFor(j)-1)/s.slotsFor(j), maxStretch)
		a := slices.Index(loose, true)
		b := a
		for b < len(loose) && loose[b] && b-a < length {
			b++
		}
		w.stretches = append(w.stretches, stretch{next: h.low + uint32(a), end: h.low + uint32(b)})
		return &w.stretches[len(w.stretches)-1]
	}
	longest, most := -1, 0
	for k := range w.stretches {
		if n := count(&w.stretches[k]); n > most {
			longest, most = k, n
		}
	}
	if longest < 0 {
		return nil
	}
	st := &w.stretches[longest]
	cut := st.next
	for n := 0; n < most/2 || !left(cut); cut++ {
		if left(cut) {
			n++
		}
	}
	half := stretch{next: cut, end: st.end}
	st.end = cut
	w.stretches = append(w.stretches, half)
	return &w.stretches[len(w.stretches)-1]
}

// idle frees the slot of a cell that is not being rendered any more.
func (s *Scheduler) idle(j *openJob, cell uint32) {
	for k := range j.work.stretches {
		if st := &j.work.stretches[k]; st.busy && st.cell == cell {
			if st.busy = false; st.extra {
				j.work.stretches = slices.Delete(j.work.stretches, k, k+1)
			}
			return
		}
	}
}

// shrink gives up the cells begun last, as long as there are more than slots. They
// are still held: a slot takes them later, or somebody splits them off.
func (s *Scheduler) shrink() {
	for {
		foreign := int(s.advert.Slots)
		total := s.slots()
		var youngest *openJob
		var at *stretch
		for _, j := range s.jobs {
			total -= s.busy(j)
			if !j.own() {
				foreign -= s.busy(j)
			}
		}
		if foreign >= 0 && total >= 0 {
			return
		}
		for _, j := range s.jobs {
			if j.own() && total >= 0 {
				continue
			}
			for k := range j.work.stretches {
				if st := &j.work.stretches[k]; st.busy && (at == nil || st.at > at.at) {
					youngest, at = j, st
				}
			}
		}
		if at == nil { // checks are all that is left
			s.dropCheck()
			continue
		}
		s.do(Drop{youngest.id, at.cell})
		s.idle(youngest, at.cell)
	}
}

// stop gives up a cell that is being rendered here: somebody else has it.
func (s *Scheduler) stop(j *openJob, cell uint32) {
	for _, st := range j.work.stretches {
		if st.busy && st.cell == cell {
			s.do(Drop{j.id, cell})
			s.idle(j, cell)
			return
		}
	}
}
