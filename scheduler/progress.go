// SPDX-License-Identifier: MIT

package scheduler

import (
	"slices"

	"meshnode/job"
)

// progress repeats this node's claims while there is a job it may work on, or
// that needs what it has done.
func (s *Scheduler) progress() {
	if s.nextProgress > 0 && !s.due(s.nextProgress) {
		return
	}
	if !slices.ContainsFunc(s.jobs, s.takesPart) {
		s.nextProgress = 0
		return
	}
	if s.nextProgress == 0 {
		s.nextProgress = s.now + s.every()
		s.wakeAt(s.nextProgress)
		return
	}
	s.nextProgress = s.now + s.every()
	s.wakeAt(s.nextProgress)
	p := &job.Progress{}
	if !s.leaving {
		p.Idle = uint32(max(0, s.spareSlots()))
	}
	ranges := 0
	for _, j := range s.jobs {
		p.Held = s.heldOf(j, p.Held, &ranges)
	}
	s.do(Publish{p})
}

// takesPart reports whether others should hear of this node in a job.
func (s *Scheduler) takesPart(j *openJob) bool {
	if j.open == 0 { // who is silent is taken for gone
		return j.own() && s.awaitsChecks(j)
	}
	if s.canWork(j) {
		return true
	}
	return slices.ContainsFunc(j.work.done, func(i uint32) bool { return !j.cells[i].collected })
}

// maxProgressRanges keeps a Progress far below job.MaxMessage.
const maxProgressRanges = 2048

// heldOf appends what this node holds of a job, one entry for each generation.
func (s *Scheduler) heldOf(j *openJob, held []job.Held, ranges *int) []job.Held {
	first := len(held)
	rate := 0.0
	for _, c := range s.claims(j) {
		if *ranges++; *ranges > maxProgressRanges {
			break
		}
		k := slices.IndexFunc(held[first:], func(h job.Held) bool { return h.Gen == c.Gen })
		if k < 0 {
			if len(held) >= job.MaxHeld {
				break
			}
			if len(held) == first {
				if r, known := s.ownRate(j); known {
					rate = r
				}
			}
			held = append(held, job.Held{Job: j.id, Range: c.Range, Gen: c.Gen, Left: job.Ranges{c.Range}, Rate: rate})
			continue
		}
		if h := &held[first+k]; len(h.Left) < job.MaxRanges {
			h.Range.B = c.Range.B
			h.Left = append(h.Left, c.Range)
		}
	}
	return held
}

// claims returns what this node holds of a job, one claim for each run of cells
// of a generation.
func (s *Scheduler) claims(j *openJob) []job.Claim {
	var out []job.Claim
	h := s.heldBy(j, s.self)
	for i := h.low; i < h.end; i++ {
		if !s.held(j, i) {
			continue
		}
		gen := j.cells[i].top.gen
		if n := len(out); n > 0 && out[n-1].Range.B == i && out[n-1].Gen == gen {
			out[n-1].Range.B++
		} else {
			out = append(out, job.Claim{Job: j.id, Range: job.Range{A: i, B: i + 1}, Gen: gen})
		}
	}
	for i := range out {
		for _, g := range j.work.grants {
			if g.gen == out[i].Gen && g.cells.A <= out[i].Range.A && out[i].Range.B <= g.cells.B {
				out[i].Grant = g.raw
			}
		}
	}
	return out
}
