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
	grants    []grant
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
	case j.work.out || j.out(s.self):
		return false
	case j.own():
		return j.mine.localSlots > 0 && !j.mine.assembling
	}
	return s.suits(&s.advert, j.manifest.Need) == nil
}

// claim makes this node the holder of those cells of a range that are not
// finished, and for which no higher claim is known.
func (s *Scheduler) claim(j *openJob, r job.Range, gen uint32, raw []byte) {
	x := s.lasting(claim{peer: s.self, gen: gen, granted: raw != nil})
	var taken job.Ranges
	for i := r.A; i < r.B; i++ {
		c := &j.cells[i]
		planned := gen == 0 && c.top.peer == s.self
		if !planned && (!j.higher(x, c.top) || s.status(j, i).kind >= finished) {
			continue
		}
		c.top, c.next, c.known = x, claim{}, false
		taken = taken.Union(job.Ranges{{A: i, B: i + 1}})
	}
	if len(taken) == 0 {
		return
	}
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
	w.out = w.tries >= tries
	s.giveUp(j, job.CauseBusy, reason)
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
		s.do(Publish{&job.Released{Job: j.id, Range: c.Range, Gen: c.Gen, Cause: cause, Reason: clip(reason)}})
	}
}

// leave ends this node's work on a job that goes on without it.
func (s *Scheduler) leave(j *openJob) {
	j.work.out = true
	s.giveUp(j, job.CauseBusy, "")
}

// watchWork holds the timers of this node's work.
func (s *Scheduler) watchWork(j *openJob) {
	w := &j.work
	if w.preparing && s.due(w.since+s.times.Prepare) {
		w.preparing = false
		s.unprepared(j, "the job's assets or engine were not ready in time")
	}
	if !j.own() && !w.ready && !w.preparing && s.canWork(j) && len(s.claims(j)) > 0 {
		s.prepare(j)
	}
	for _, st := range w.stretches {
		if st.busy && s.due(st.at+s.renderTime(j, st.cell)) {
			s.do(Drop{j.id, st.cell})
			s.failedHere(j, st.cell, job.CauseFailed, fmt.Sprintf("cell %d took more than %v", st.cell, s.renderTime(j, st.cell).Round(time.Second)))
		}
	}
}

// renderTime bounds the rendering of a cell: many times what it should take.
func (s *Scheduler) renderTime(j *openJob, cell uint32) time.Duration {
	w := &j.work
	if w.weight == 0 {
		return s.times.Render
	}
	const factor = 20
	return s.times.Render/15 + seconds(factor*w.seconds/w.weight*j.grid[cell].Weight())
}

func (s *Scheduler) rendered(ev Rendered) {
	j := s.find(ev.Job)
	if j == nil || int(ev.Cell) >= len(j.cells) {
		return
	}
	s.idle(j, ev.Cell)
	if ev.Seconds > 0 {
		const fade = 0.7
		j.work.seconds = j.work.seconds*fade + ev.Seconds
		j.work.weight = j.work.weight*fade + j.grid[ev.Cell].Weight()
	}
	if j.cells[ev.Cell].collected || j.out(s.self) {
		return
	}
	d := done{peer: s.self, output: ev.Output, size: ev.Size, at: s.now}
	s.addDone(j, ev.Cell, d)
	if j.own() {
		s.keep(j, ev.Cell, &d)
	} else {
		s.recordCell(j, ev.Cell)
	}
	s.do(Publish{&job.Done{Job: j.id, Cell: ev.Cell, Output: ev.Output, Size: ev.Size}})
}

func (s *Scheduler) renderFailed(ev RenderFailed) {
	j := s.find(ev.Job)
	if j == nil || !slices.ContainsFunc(j.work.stretches, func(st stretch) bool { return st.busy && st.cell == ev.Cell }) {
		return
	}
	switch ev.Class {
	case Fatal:
		s.failedHere(j, ev.Cell, job.CauseFatal, ev.Reason)
		if j.own() {
			s.fail(j, ev.Reason)
		}
	case Diverged:
		if j.own() {
			s.idle(j, ev.Cell)
			s.alone(j, "the scene plays differently each time: "+ev.Reason)
			return
		}
		s.failedHere(j, ev.Cell, job.CauseDiverged, ev.Reason)
		j.work.out = true
		s.giveUp(j, job.CauseDiverged, ev.Reason)
	case Memory:
		if busy := s.busy(j); busy > 1 {
			j.work.limit = uint32(busy - 1)
			s.idle(j, ev.Cell)
			return
		}
		fallthrough
	default:
		s.failedHere(j, ev.Cell, job.CauseFailed, ev.Reason)
	}
}

// failedHere gives back a cell that could not be rendered here.
func (s *Scheduler) failedHere(j *openJob, cell uint32, cause job.Cause, reason string) {
	s.idle(j, cell)
	gen := j.cells[cell].top.gen
	s.release(j, cell, s.self, gen)
	if cause != job.CauseDiverged {
		j.cells[cell].fail(s.self, gen)
	}
	if j.own() {
		j.mine.reason = reason
		if cause == job.CauseFailed {
			s.do(Tell{j.id, fmt.Sprintf("this node could not render cell %d: %s", cell, firstLine(reason))})
		}
	}
	s.recordClaims(j)
	s.do(Publish{&job.Released{Job: j.id, Range: job.Range{A: cell, B: cell + 1}, Gen: gen, Cause: cause, Reason: clip(reason)}})
}

// barred reports whether this node must leave a cell to others.
func (s *Scheduler) barred(j *openJob, cell uint32) bool {
	failed := slices.ContainsFunc(j.cells[cell].failed, func(m mark) bool { return m.peer == s.self })
	return failed && s.others(j, cell)
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
