// SPDX-License-Identifier: MIT

package scheduler

import (
	"fmt"
	"slices"
	"time"

	"meshnode/job"
)

// The failure policy. A cell has one budget of tries for whatever goes wrong with
// it, time-outs included; who fails it leaves it to others. A peer that fails
// cells which others can render is taken out of the job for a while, and one that
// does so in the jobs of several submitters is sick.
const (
	maxFailures = 3 // tries of a cell, each on another peer if there are others, before its job fails
	maxFaults   = 3 // cells that a peer fails before it sits out
	maxSitOuts  = 6 // doublings of the time that it sits out
	sickCells   = 3 // cells failed here that others rendered,
	sickJobs    = 2 // of jobs of so many submitters, before this node is sick
)

// fault is a cell that failed here and was rendered elsewhere.
type fault struct {
	submitter job.PeerID
	at        time.Duration
}

func (s *Scheduler) renderFailed(ev RenderFailed) {
	j := s.find(ev.Job)
	if j == nil || int(ev.Cell) >= len(j.cells) || !s.rendering(j, ev.Cell) {
		return
	}
	switch ev.Class {
	case Diverged:
		s.idle(j, ev.Cell)
		if j.own() {
			s.alone(j, "the scene plays differently each time: "+ev.Reason)
			return
		}
		s.giveUp(j, job.CauseDiverged, ev.Reason)
		j.work.out = true
	case Environment: // nothing is wrong with the cell
		s.idle(j, ev.Cell)
		s.sitOut(j, s.self, ev.Reason)
	case Memory:
		if busy := s.busy(j); busy > 1 {
			j.work.limit = uint32(busy - 1)
			s.idle(j, ev.Cell)
			return
		}
		fallthrough
	default:
		s.failedHere(j, ev.Cell, ev.Reason)
	}
}

// failedHere gives back a cell that could not be rendered here.
func (s *Scheduler) failedHere(j *openJob, cell uint32, reason string) {
	s.idle(j, cell)
	gen := j.cells[cell].top.gen
	s.release(j, cell, s.self, gen)
	s.noteFailure(j, s.self, cell, gen)
	s.recordClaims(j)
	s.do(Publish{&job.Released{Job: j.id, Range: job.Range{A: cell, B: cell + 1}, Gen: gen, Cause: job.CauseFailed, Reason: job.Clip(reason)}})
	s.failedBy(j, s.self, cell, reason)
}

// noteFailure keeps that a peer failed a cell under a claim, and reports whether
// that is new.
func (s *Scheduler) noteFailure(j *openJob, peer job.PeerID, cell, gen uint32) bool {
	c, failure := &j.cells[cell], mark{peer, gen}
	if slices.Contains(c.failed, failure) {
		return false
	}
	if len(c.failed) >= maxReleased { // none says so often that others are not heard, this node first of all
		k := slices.IndexFunc(c.failed, func(m mark) bool { return m.peer != s.self && c.failedOften(m.peer) })
		if k < 0 && peer == s.self {
			k = slices.IndexFunc(c.failed, func(m mark) bool { return m.peer != s.self })
		}
		if k < 0 {
			return false
		}
		c.failed = slices.Delete(c.failed, k, k+1)
	}
	c.failed, c.failedAt = append(c.failed, failure), s.now
	if !slices.Contains(j.failing, cell) {
		j.failing = append(j.failing, cell)
	}
	return true
}

// failedBy does what follows when a peer has failed a cell that it held.
func (s *Scheduler) failedBy(j *openJob, peer job.PeerID, cell uint32, reason string) {
	m := j.meet(peer)
	if m == nil {
		return
	}
	if j.own() {
		if peer == s.self || j.mine.reason == "" {
			j.mine.reason = reason
		}
		if k := ofCell(j.mine.here, cell); k >= 0 && peer == s.self {
			r := &j.mine.here[k]
			r.tries++
			r.after = s.now + s.times.Retry
		}
		s.do(Tell{j.id, fmt.Sprintf("%s could not render cell %d: %s", s.name(peer), cell, firstLine(reason))})
	}
	if m.faults++; m.faults >= maxFaults && s.renderedElsewhere(j, peer) {
		s.sitOut(j, peer, fmt.Sprintf("%d cells have failed", m.faults))
	}
}

// renderedElsewhere reports whether others than a peer have finished cells of a
// job: when nobody has, the job may be what is broken.
func (s *Scheduler) renderedElsewhere(j *openJob, peer job.PeerID) bool {
	return slices.ContainsFunc(j.members.list, func(m *member) bool { return m.id != peer && m.finished })
}

// sitOut leaves a peer out of a job for a while, each time for twice as long.
func (s *Scheduler) sitOut(j *openJob, peer job.PeerID, reason string) {
	m := j.meet(peer)
	if m == nil {
		return
	}
	m.faults = 0
	m.backAt = s.now + s.times.SitOut<<min(m.sitOuts, maxSitOuts)
	m.sitOuts++
	if peer == s.self {
		s.giveUp(j, job.CauseBusy, reason)
	}
	if j.own() {
		s.do(Tell{j.id, fmt.Sprintf("%s sits out for %v: %s", s.name(peer), m.backAt-s.now, firstLine(reason))})
	}
}

// sitsOut reports whether a peer is left out of a job for now.
func (s *Scheduler) sitsOut(j *openJob, peer job.PeerID) bool {
	m := j.member(peer)
	return m != nil && m.backAt > 0 && !s.due(m.backAt)
}

// barred reports whether this node must leave a cell to others: it has failed
// here, and they have not had the time to try.
func (s *Scheduler) barred(j *openJob, cell uint32) bool {
	c := &j.cells[cell]
	return c.failedOn(s.self) && s.others(j, cell) && !s.due(c.failedAt+s.times.Render)
}

// failedOn reports whether a cell has failed on a peer.
func (c *cell) failedOn(peer job.PeerID) bool {
	return slices.ContainsFunc(c.failed, func(m mark) bool { return m.peer == peer })
}

// failedOften reports whether a cell has failed more than once on a peer.
func (c *cell) failedOften(peer job.PeerID) bool {
	n := 0
	for _, m := range c.failed {
		if m.peer == peer {
			n++
		}
	}
	return n > 1
}

// hopeless reports whether a job of this node cannot end well: a cell has failed on so
// many nodes, or so often where there are no others, and this one is among them. What
// peers say is not enough: a few keys, which cost nothing, could end any job.
func (s *Scheduler) hopeless(j *openJob) bool {
	if slices.ContainsFunc(j.mine.here, func(r retry) bool { return r.tries >= maxFailures }) {
		return true
	}
	for _, i := range j.failing {
		c := &j.cells[i]
		if len(c.failed) < maxFailures || !c.failedOn(s.self) && !j.work.out || s.status(j, i).kind >= finished {
			continue
		}
		var peers []job.PeerID
		for _, m := range c.failed {
			if !slices.Contains(peers, m.peer) && !j.out(m.peer) {
				peers = append(peers, m.peer)
			}
		}
		if len(peers) >= maxFailures || !s.others(j, i) {
			return true
		}
	}
	return false
}

// renderOnlyHere has a cell of a job of this node rendered by this node: what others
// render of it does not count.
func (s *Scheduler) renderOnlyHere(j *openJob, cell uint32, why string) {
	if j.mine.onlyHere(cell) {
		return
	}
	j.mine.here = append(j.mine.here, retry{cell: cell})
	s.do(Tell{j.id, fmt.Sprintf("cell %d is rendered here: %s", cell, why)})
}

// onlyHere reports whether a cell only counts if this node renders it.
func (m *submission) onlyHere(cell uint32) bool {
	return ofCell(m.here, cell) >= 0
}

// tryHere renders cells of a job of this node here that nobody else can: and those that
// peers say they cannot render, once as many have said so as there may be before the job
// fails, but one. It comes before all else that waits for a slot; where the user wants
// nothing rendered here it is one at a time, beside.
func (s *Scheduler) tryHere(j *openJob) {
	m := j.mine
	m.here = slices.DeleteFunc(m.here, func(r retry) bool { return j.cells[r.cell].collected })
	for _, r := range m.here {
		if !s.rendering(j, r.cell) && s.due(r.after) && s.mayRenderBeside(j) {
			s.renderExtra(j, r.cell)
		}
	}
	if j.work.out {
		return
	}
	for _, i := range j.failing {
		c := &j.cells[i]
		if len(c.failed) < maxFailures-1 || c.failedOn(s.self) || s.rendering(j, i) || s.checking(j, i) || s.status(j, i).kind >= finished {
			continue
		}
		if !s.mayRenderBeside(j) {
			return
		}
		s.renderExtra(j, i)
	}
}

// mayRenderBeside reports whether there is a slot here for a cell of a job of this node
// that only this node can do something for: to try it, or to check it.
func (s *Scheduler) mayRenderBeside(j *openJob) bool {
	switch {
	case !j.work.ready || j.mine.assembling || s.leaving || s.sitsOut(j, s.self):
		return false
	case s.slotsFor(j) == 0:
		return s.busy(j) == 0
	}
	return s.spare(j) > 0
}

// others reports whether a node other than this one may still try a cell.
func (s *Scheduler) others(j *openJob, cell uint32) bool {
	for _, p := range s.peers.list {
		if p.advert == nil || !s.there(p.id) || j.out(p.id) || j.cells[cell].failedOn(p.id) {
			continue
		}
		if m := j.member(p.id); m != nil && s.now >= s.stalledAt(j, m) {
			continue
		}
		if p.id == j.submitter {
			if m := j.member(p.id); m != nil && m.slots > 0 {
				return true
			}
		} else if s.maySuit(p.advert, j.manifest.Need) == nil {
			return true
		}
	}
	return false
}

// renderedByOther counts cells that failed here and that another node has
// rendered: then the fault lies with this node, not with the scene.
func (s *Scheduler) renderedByOther(j *openJob, cell uint32) {
	c := &j.cells[cell]
	if c.counted || !c.failedOn(s.self) {
		return
	}
	c.counted = true
	s.faults = append(s.faults, fault{j.submitter, s.now})
	s.faults = slices.DeleteFunc(s.faults, func(f fault) bool { return s.now >= f.at+s.times.Forgive })
	if len(s.faults) > maxOver {
		s.faults = slices.Delete(s.faults, 0, 1)
	}
	var submitters []job.PeerID
	for _, f := range s.faults {
		if !slices.Contains(submitters, f.submitter) {
			submitters = append(submitters, f.submitter)
		}
	}
	if len(s.faults) < sickCells || len(submitters) < sickJobs || s.sick {
		return
	}
	s.sick, s.wellAt = true, s.now+s.times.Forgive
	s.do(Sick{fmt.Sprintf("%d cells of jobs of %d nodes have failed here, and others have rendered them", len(s.faults), len(submitters))})
	s.giveUpForeign("this node is sick")
}

// recover ends a sickness after some time.
func (s *Scheduler) recover() {
	if s.sick && s.due(s.wellAt) {
		s.sick, s.faults = false, nil
		s.do(Sick{})
	}
}

// renderTime bounds the rendering of a cell: many times what it should take, by
// what this node itself has measured.
func (s *Scheduler) renderTime(j *openJob, cell uint32) time.Duration {
	w := &j.work
	if w.weight == 0 {
		return s.times.Render
	}
	return s.times.Render/15 + seconds(slowest*w.seconds/w.weight*j.grid[cell].Weight())
}

// How much longer, or quicker, a cell may be than expected. It has failed when it
// takes longer; and also when it ends sooner than any renderer could have drawn it:
// an engine that only says so.
const (
	slowest  = 20
	quickest = 1.0 / 1000
)

// tooQuick reports whether a cell cannot have been rendered in so short a time.
func (s *Scheduler) tooQuick(j *openJob, ev Rendered) bool {
	w := &j.work
	if w.weight < 2*j.grid[ev.Cell].Weight() || ev.Seconds <= 0 {
		return false
	}
	expected := w.seconds / w.weight * j.grid[ev.Cell].Weight()
	return expected > 1 && ev.Seconds < expected*quickest
}

// stalledAt returns the time from which a peer's claims of a job do not count,
// because it has not finished anything for so long as no renderer takes: it hangs,
// or only says that it works.
func (s *Scheduler) stalledAt(j *openJob, m *member) time.Duration {
	if m.worked == 0 {
		return forever
	}
	patience := s.times.Render
	if rate, known := s.typicalRate(j); known {
		_, speed := s.size(j, m.id)
		patience = min(patience, s.times.Render/15+seconds(slowest*j.heaviest/(rate*min(speed, 1))))
	}
	return m.worked + patience
}
