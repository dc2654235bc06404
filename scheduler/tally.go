// SPDX-License-Identifier: MIT

package scheduler

import (
	"time"

	"meshnode/job"
)

// tally counts what follows from the states of a job's cells, so that a step costs
// by what has changed and not by how many cells there are. It is kept up to date
// by [Scheduler.count]; what a cell is may change by a fact about it ([openJob.touch]),
// by peers that come and go ([Scheduler.forgetStatus]), and by time alone.
type tally struct {
	epoch    uint32        // of what is known; a cell's memo of another is out of date
	counted  uint32        // the epoch that was counted
	touched  []uint32      // cells to look at again
	next     time.Duration // before then time alone changes nothing
	kinds    [kept + 1]int // cells of each kind
	finished []uint32      // the finished ones, in no order

	typical      float64 // see typicalRate
	typicalKnown bool
	rated        bool // typical is up to date
}

// memo is what is remembered of a cell's state.
type memo struct {
	status
	epoch   uint32 // of the tally; 0: to be derived again
	waits   bool   // in tally.touched
	counted bool   // in the tally, as status says
	held    bool   // in what its peer holds
	place   int    // in tally.finished
}

// holding is what a member holds. The bounds may be wider than needed.
type holding struct {
	cells    int
	weight   float64
	low, end uint32
}

// touch says that the state of a cell may have changed.
func (j *openJob) touch(i uint32) {
	m := &j.cells[i].memo
	m.epoch = 0
	if !m.waits {
		m.waits = true
		j.tally.touched = append(j.tally.touched, i)
	}
}

// forgetStatus says that peers have come or gone.
func (s *Scheduler) forgetStatus() {
	for _, j := range s.jobs {
		j.tally.epoch++
	}
}

// status returns what a cell is.
func (s *Scheduler) status(j *openJob, i uint32) status {
	m := &j.cells[i].memo
	if m.epoch != j.tally.epoch || s.now >= m.until {
		j.take(i, s.derive(j, i))
	}
	return m.status
}

// take takes the state of a cell into the tally, in place of what it was.
func (j *openJob) take(i uint32, now status) {
	t, m := &j.tally, &j.cells[i].memo
	m.epoch = t.epoch
	t.next = min(t.next, now.until)
	was := m.status
	m.status = now
	if m.counted && was.kind == now.kind && was.peer == now.peer && (m.held || now.kind != claimed) {
		return
	}
	if m.counted {
		t.kinds[was.kind]--
		switch was.kind {
		case claimed:
			if h := j.holding(was.peer); m.held && h != nil {
				h.cells--
				h.weight -= j.grid[i].Weight()
			}
		case finished:
			last := len(t.finished) - 1
			t.finished[m.place] = t.finished[last]
			j.cells[t.finished[last]].memo.place = m.place
			t.finished = t.finished[:last]
		}
	}
	m.counted, m.held = true, false
	t.kinds[now.kind]++
	switch now.kind {
	case claimed:
		if h := j.holding(now.peer); h != nil {
			if h.cells == 0 {
				h.low, h.end = i, i+1
			}
			m.held = true
			h.cells++
			h.weight += j.grid[i].Weight()
			h.low, h.end = min(h.low, i), max(h.end, i+1)
		}
	case finished:
		m.place = len(t.finished)
		t.finished = append(t.finished, i)
	}
}

func (j *openJob) holding(id job.PeerID) *holding {
	if m := j.member(id); m != nil {
		return &m.holding
	}
	return nil
}

// count brings a job's counts up to date, and returns them.
func (s *Scheduler) count(j *openJob) *tally {
	t := &j.tally
	if t.counted != t.epoch || s.now >= t.next {
		t.counted, t.next = t.epoch, forever
		for i := range uint32(len(j.cells)) {
			t.next = min(t.next, s.status(j, i).until)
		}
	}
	for _, i := range t.touched {
		j.cells[i].memo.waits = false
		s.status(j, i)
	}
	t.touched = t.touched[:0]
	return t
}

// heldBy returns what a peer holds of a job; its bounds enclose it closely.
func (s *Scheduler) heldBy(j *openJob, id job.PeerID) holding {
	s.count(j)
	h := j.holding(id)
	if h == nil || h.cells == 0 {
		return holding{}
	}
	mine := func(i uint32) bool {
		m := &j.cells[i].memo
		return m.kind == claimed && m.peer == id
	}
	for !mine(h.low) {
		h.low++
	}
	for !mine(h.end - 1) {
		h.end--
	}
	return *h
}
