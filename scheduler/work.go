// SPDX-License-Identifier: MIT

package scheduler

import (
	"fmt"
	"slices"
	"time"

	"meshnode/job"
)

// work is what this node does for a job.
type work struct {
	ready     bool // an engine is loaded
	preparing bool
	since     time.Duration // of preparing
	tries     int           // preparations that failed
	retryAt   time.Duration // no preparation before
	out       bool          // this node must not, or cannot, work on the job
	limit     uint32        // slots that memory allows; 0: not known to be fewer than all

	stretches []stretch
	done      []uint32 // cells that this node has finished
	grants    []grant
	top       uint32  // the highest generation that this node has claimed under,
	floor     uint32  // and in an earlier life: some of its claims may be void
	asking    uint64  // a Split is on its way
	seconds   float64 // spent on recent cells, fading
	weight    float64 // of those cells
}

// grant is a range that this node got by a split, with the proof.
type grant struct {
	cells job.Range
	gen   uint32
	raw   []byte
}

// canWork reports whether this node may take cells of a job now.
func (s *Scheduler) canWork(j *openJob) bool {
	switch {
	case j.work.out || j.out(s.self) || s.leaving || s.sitsOut(j, s.self):
		return false
	case j.own():
		return j.mine.localSlots > 0 && !j.mine.assembling
	case j.keep.finishing: // this node's user wants it, however it fares with others' jobs
		well := s.advert
		well.Sick = ""
		return s.suits(&well, j.manifest.Need) == nil
	}
	return !s.sick && s.suits(&s.advert, j.manifest.Need) == nil
}

// claim makes this node the holder of those cells of a range that are not
// finished, have not failed here, and for which no higher claim is known.
func (s *Scheduler) claim(j *openJob, r job.Range, gen uint32, raw []byte) {
	x := s.lasting(claim{peer: s.self, gen: gen, granted: raw != nil})
	var taken job.Ranges
	for i := r.A; i < r.B; i++ {
		c := &j.cells[i]
		planned := gen == 0 && c.top.peer == s.self
		if !planned && (!j.higher(x, c.top) || s.status(j, i).kind >= finished || s.barred(j, i)) {
			continue
		}
		c.top, c.next = x, claim{}
		j.touch(i)
		taken = taken.Union(job.Ranges{{A: i, B: i + 1}})
	}
	if len(taken) == 0 {
		return
	}
	j.work.top = max(j.work.top, gen)
	if raw != nil {
		j.work.grants = append(j.work.grants, grant{r, gen, raw})
	}
	s.recordClaims(j)
	for _, part := range taken {
		s.do(Publish{&job.Claim{Job: j.id, Range: part, Gen: gen, Grant: raw}})
	}
}

// prepare gets assets and an engine for a job, once.
func (s *Scheduler) prepare(j *openJob) {
	w := &j.work
	if w.ready || w.preparing || !s.due(w.retryAt) {
		return
	}
	w.preparing, w.since = true, s.now
	env, _ := s.advert.Environment(j.manifest.Need, s.like) // there is one: canWork
	s.do(Prepare{j.id, s.sources(j.submitter), env.Fingerprint})
}

func (s *Scheduler) prepared(ev Prepared) {
	j := s.find(ev.Job)
	if j == nil || !j.work.preparing {
		return
	}
	j.work.preparing = false
	if ev.Err != nil {
		s.unprepared(j, ev.Err.Error())
		return
	}
	j.work.ready, j.work.tries = true, 0
}

// unprepared gives back what was claimed, and waits before the next try.
func (s *Scheduler) unprepared(j *openJob, reason string) {
	const tries = 3
	w := &j.work
	w.tries++
	w.retryAt = s.now + s.times.Repeat<<w.tries
	if w.tries < tries {
		s.giveUp(j, job.CauseBusy, reason)
	} else if j.own() { // nobody else can assemble it
		s.fail(j, reason)
	} else {
		s.quit(j, reason)
	}
}

// giveUp gives back all cells of a job that this node holds.
func (s *Scheduler) giveUp(j *openJob, cause job.Cause, reason string) {
	held := s.claims(j)
	for _, c := range held {
		for i := c.Range.A; i < c.Range.B; i++ {
			s.release(j, i, s.self, c.Gen)
		}
	}
	for i := range j.work.stretches {
		if st := &j.work.stretches[i]; st.busy {
			s.do(Drop{j.id, st.cell})
		}
	}
	j.work.stretches = nil
	if len(held) == 0 {
		return
	}
	s.recordClaims(j)
	for _, c := range held {
		s.do(Publish{&job.Released{Job: j.id, Range: c.Range, Gen: c.Gen, Cause: cause, Reason: job.Clip(reason)}})
	}
}

// quit ends this node's work on a job that goes on without it.
func (s *Scheduler) quit(j *openJob, reason string) {
	j.work.out = true
	s.giveUp(j, job.CauseBusy, reason)
}

// leave hands over all that this node holds: it is about to end.
func (s *Scheduler) leave() {
	s.leaving = true
	for _, j := range s.jobs {
		s.giveUp(j, job.CauseBusy, "the node is stopping")
	}
}

// giveUpForeign gives back what this node holds of other nodes' jobs.
func (s *Scheduler) giveUpForeign(reason string) {
	for _, j := range s.jobs {
		if !j.own() {
			s.giveUp(j, job.CauseBusy, reason)
		}
	}
}

// watchWork holds the timers of this node's work.
func (s *Scheduler) watchWork(j *openJob) {
	w := &j.work
	if w.preparing && s.due(w.since+s.times.Prepare) {
		w.preparing = false
		s.unprepared(j, "the job's assets or engine were not ready in time")
	}
	if !w.ready && !w.preparing && (j.own() || s.canWork(j) && s.heldBy(j, s.self).cells > 0) {
		s.prepare(j)
	}
	for _, st := range slices.Clone(w.stretches) {
		if limit := s.renderTime(j, st.cell); st.busy && s.due(st.at+limit) {
			s.do(Drop{j.id, st.cell})
			s.failedHere(j, st.cell, fmt.Sprintf("cell %d took more than %v", st.cell, limit.Round(time.Second)))
		}
	}
}

func (s *Scheduler) rendered(ev Rendered) {
	j := s.find(ev.Job)
	if j == nil || int(ev.Cell) >= len(j.cells) {
		return
	}
	if s.rendering(j, ev.Cell) && s.tooQuick(j, ev) {
		s.failedHere(j, ev.Cell, fmt.Sprintf("cell %d ended after %.4f s, which is too quick: nothing can have been drawn", ev.Cell, ev.Seconds))
		return
	}
	s.idle(j, ev.Cell)
	if ev.Seconds > 0 {
		const fade = 0.7
		j.work.seconds = j.work.seconds*fade + ev.Seconds
		j.work.weight = j.work.weight*fade + j.grid[ev.Cell].Weight()
		j.tally.rated = false
	}
	if j.keep.finishing { // the slot is free for the next cell that nobody has
		j.keep.nextAt = s.now
	}
	if j.cells[ev.Cell].collected && !j.keep.finishing || j.out(s.self) {
		return
	}
	d := done{peer: s.self, output: ev.Output, size: ev.Size, gen: j.cells[ev.Cell].doneGen(s.self), at: s.now}
	if !s.addDone(j, ev.Cell, d) && !j.own() {
		return
	}
	if j.own() {
		s.keep(j, ev.Cell, &d)
	} else {
		s.recordCell(j, ev.Cell)
	}
	if j.lives > 0 {
		j.lives = 0
		s.recordJob(j)
	}
	s.do(Publish{&job.Done{Job: j.id, Cell: ev.Cell, Output: ev.Output, Size: ev.Size, Gen: d.gen}})
}

// watchSubmitter gives up a job whose submitter has been silent for very long.
func (s *Scheduler) watchSubmitter(j *openJob) {
	last := j.since
	if p := s.peer(j.submitter); p != nil {
		if !p.left && p.advert != nil {
			return
		}
		last = max(last, p.heard)
	}
	if s.due(last + s.times.Orphan) {
		s.forget(j, job.Signed{})
	}
}
