// SPDX-License-Identifier: MIT

package scheduler

import "meshnode/job"

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
	return s.typicalRate(j) * slots * speed
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
	var slot float64
	if known = w.weight > 0; known {
		slot = w.weight / w.seconds
	} else {
		_, speed := s.size(j, s.self)
		slot = s.typicalRate(j) * speed
	}
	for _, st := range w.stretches {
		took := (s.now - st.at).Seconds()
		if weight := j.grid[st.cell].Weight(); st.busy && weight < slot*took {
			slot, known = weight/took, true
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

// typicalRate estimates the weight per second of one slot of typical speed.
func (s *Scheduler) typicalRate(j *openJob) float64 {
	sum, n := 0.0, 0.0
	for _, m := range j.members {
		if m.rate > 0 && m.id != s.self {
			slots, speed := s.size(j, m.id)
			sum += m.rate / (slots * speed)
			n++
		}
	}
	if w := &j.work; w.weight > 0 {
		_, speed := s.size(j, s.self)
		sum += w.weight / w.seconds / speed
		n++
	}
	if n == 0 {
		return 1 / secondsOf(j.manifest)
	}
	return sum / n
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
	last   uint32 // the last of its cells
}

// loads returns what peers other than this node hold, in order of their cells.
func (s *Scheduler) loads(j *openJob) []load {
	var out []load
	index := make(map[job.PeerID]int)
	for i := range uint32(len(j.cells)) {
		st := s.status(j, i)
		if st.kind != claimed || st.peer == s.self {
			continue
		}
		k, ok := index[st.peer]
		if !ok {
			k = len(out)
			index[st.peer] = k
			out = append(out, load{peer: st.peer})
		}
		out[k].weight += j.grid[i].Weight()
		out[k].cells++
		out[k].last = i
	}
	return out
}

// startup estimates the seconds that a peer needs before it can render at a cell.
func (s *Scheduler) startup(j *openJob, id job.PeerID, at uint32) float64 {
	const (
		load  = 1.0 // engine and assets
		claim = 0.1 // messages
	)
	_, speed := s.size(j, id)
	reach, t := uint32(0), load
	if m := j.member(id); m != nil && m.reach > 0 {
		reach, t = m.reach, claim
	}
	if id == s.self && j.work.ready {
		t = claim
	}
	return t + j.walk(reach, at)/speed
}

// queue returns the seconds of work that this node holds.
func (s *Scheduler) queue() float64 {
	t := 0.0
	for _, j := range s.jobs {
		weight := 0.0
		for i := range uint32(len(j.cells)) {
			if s.held(j, i) {
				weight += j.grid[i].Weight()
			}
		}
		if weight > 0 {
			t += weight / s.rate(j, s.self)
		}
	}
	return min(t, 1e9)
}
