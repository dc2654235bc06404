// SPDX-License-Identifier: MIT

package scheduler

import (
	"slices"

	"meshnode/job"
)

// rate estimates the weight per second that a peer renders of a job on all its
// slots: what it measures, else what others measure, by its speed, else a guess.
func (s *Scheduler) rate(j *openJob, id job.PeerID) float64 {
	if id == s.self {
		rate, _ := s.ownRate(j)
		return rate
	}
	if m := j.member(id); m != nil && m.rate > 0 {
		return m.rate
	}
	slots, speed := s.size(j, id)
	typical, _ := s.typicalRate(j)
	return typical * slots * speed
}

// plausible keeps a rate that a peer tells of itself from spoiling every estimate.
func (j *openJob) plausible(rate float64) float64 {
	const most = 1000 // times the guess
	return min(rate, most/secondsOf(j.manifest))
}

// ownRate is the rate of this node, and whether it is more than a guess. A cell
// that takes longer than it should says something before it is finished.
func (s *Scheduler) ownRate(j *openJob) (rate float64, known bool) {
	w := &j.work
	_, speed := s.size(j, s.self)
	var slot float64
	if known = w.weight > 0; known {
		slot = w.weight / w.seconds
	} else {
		typical, _ := s.typicalRate(j)
		slot = typical * speed
	}
	reach := uint32(0)
	if m := j.member(s.self); m != nil {
		reach = m.reach
	}
	for _, st := range w.stretches {
		took := (s.now - st.at).Seconds() - j.walk(reach, st.cell)/speed
		if weight := j.grid[st.cell].Weight(); st.busy && weight < slot*took {
			slot, known = weight/(2*took-weight/slot), true // the longer it is late, the longer it will be
		}
	}
	return slot * s.shareOfSlots(j), known
}

// shareOfSlots returns how many slots a job has here while other submitters' jobs
// have cells here too.
func (s *Scheduler) shareOfSlots(j *openJob) float64 {
	submitters := []job.PeerID{j.submitter}
	for _, o := range s.jobs {
		if o.submitter != j.submitter && s.busy(o) > 0 {
			submitters = append(submitters, o.submitter)
		}
	}
	return max(float64(s.slotsFor(j))/float64(len(submitters)), 1)
}

// typicalRate estimates the weight per second of one slot of typical speed: the
// median of what nodes have measured, so that no single one can spoil it, or a
// guess when nobody has.
func (s *Scheduler) typicalRate(j *openJob) (rate float64, known bool) {
	t := &j.tally
	if !t.rated {
		t.typical, t.typicalKnown = s.measureRates(j)
		t.rated = true
	}
	return t.typical, t.typicalKnown
}

// forgetRates says that what nodes are has changed.
func (s *Scheduler) forgetRates() {
	for _, j := range s.jobs {
		j.tally.rated = false
	}
}

func (s *Scheduler) measureRates(j *openJob) (rate float64, known bool) {
	var rates []float64
	for _, m := range j.members.list {
		if m.rate > 0 && m.id != s.self {
			slots, speed := s.size(j, m.id)
			rates = append(rates, m.rate/(slots*speed))
		}
	}
	if w := &j.work; w.weight > 0 {
		_, speed := s.size(j, s.self)
		rates = append(rates, w.weight/w.seconds/speed)
	}
	if len(rates) == 0 {
		return 1 / secondsOf(j.manifest), false
	}
	slices.Sort(rates)
	return rates[len(rates)/2], true
}

// size returns a peer's slots for a job, at least one, and the speed of each in
// units of the roster's typical one.
func (s *Scheduler) size(j *openJob, id job.PeerID) (slots, speed float64) {
	var n uint32
	var v float64
	m := j.member(id)
	p := s.peer(id)
	switch {
	case id == s.self:
		n, v = uint32(max(0, s.slotsFor(j))), s.advert.Speed
	case m != nil && m.slots > 0:
		n, v = m.slots, m.speed
	case p != nil && p.advert != nil:
		n, v = p.advert.Slots, p.advert.Speed
	}
	return float64(max(n, 1)), relative(v, j.typical)
}

// load is what a peer has left of a job.
type load struct {
	peer   job.PeerID
	weight float64
	cells  int
	first  uint32 // the first and the last of its cells
	last   uint32
}

// loads returns what peers other than this node hold.
func (s *Scheduler) loads(j *openJob) []load {
	s.count(j)
	var out []load
	for _, m := range j.members.list {
		if m.holding.cells > 0 && m.id != s.self {
			h := s.heldBy(j, m.id)
			out = append(out, load{peer: m.id, weight: h.weight, cells: h.cells, first: h.low, last: h.end - 1})
		}
	}
	return out
}

// startup estimates the seconds that a peer needs before it can render at a cell.
func (s *Scheduler) startup(j *openJob, id job.PeerID, at uint32) float64 {
	const (
		load  = 1.0 // engine and assets
		claim = 0.1 // messages
	)
	t := load
	if m := j.member(id); m != nil && m.reach > 0 || id == s.self && j.work.ready {
		t = claim
	}
	return t + s.walk(j, id, at)
}

// walk estimates the seconds that a peer needs to walk to a cell.
func (s *Scheduler) walk(j *openJob, id job.PeerID, at uint32) float64 {
	reach := uint32(0)
	if m := j.member(id); m != nil {
		reach = m.reach
	}
	if at <= reach {
		return 0
	}
	return j.walk(reach, at) / s.pace(j, id)
}

// pace estimates the speed of a peer's slots in units of the typical one, by what it
// measures, else by what it says.
func (s *Scheduler) pace(j *openJob, id job.PeerID) float64 {
	slots, speed := s.size(j, id)
	typical, known := s.typicalRate(j)
	m := j.member(id)
	switch {
	case !known:
		return speed
	case id == s.self:
		if rate, measured := s.ownRate(j); measured {
			return rate / s.shareOfSlots(j) / typical
		}
	case m != nil && m.rate > 0:
		return m.rate / slots / typical
	}
	return speed
}

// onTheWay estimates the seconds that a peer still walks to the first of its cells.
func (s *Scheduler) onTheWay(j *openJob, m *member, first uint32) float64 {
	if m.reach > first {
		return 0
	}
	return max(0, s.startup(j, m.id, first)-(s.now-m.moved).Seconds())
}

// queue returns the seconds of work that this node holds.
func (s *Scheduler) queue() float64 {
	t := 0.0
	for _, j := range s.jobs {
		weight := s.heldBy(j, s.self).weight
		if weight > 0 {
			t += weight / s.rate(j, s.self)
		}
	}
	return min(t, 1e9)
}
