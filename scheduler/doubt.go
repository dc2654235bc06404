// SPDX-License-Identifier: MIT

package scheduler

import "meshnode/job"

// A walk that differs from the plan's has one of two reasons: the node is
// unlike the submitter's, or the scene plays differently each time. The
// submitter walks once more to find out, and when it differs from itself renders
// the scene alone, in one walk. Nothing wrong can come of the wait: cells count
// only from walks that are the plan's.

// doubt notes that a peer's walk differs from the plan of a job of this node.
func (s *Scheduler) doubt(j *openJob, reason string) {
	j.mine.doubt = reason
	if !j.mine.rewalking {
		j.mine.rewalking = true
		s.do(Rewalk{j.id})
		return
	}
	s.aloneIfLast(j)
}

func (s *Scheduler) rewalked(ev Rewalked) {
	j := s.find(ev.Job)
	if j == nil || !j.own() || !j.mine.rewalking {
		return
	}
	if ev.Differs != "" {
		s.alone(j, "the scene plays differently each time: "+ev.Differs)
		return
	}
	j.mine.steady = true
	s.aloneIfLast(j)
}

// aloneIfLast takes a job away from the mesh when all who could work on it have
// left, each because its walk differs: nobody else will do better.
func (s *Scheduler) aloneIfLast(j *openJob) {
	if able, _ := s.able(j); j.mine.steady && !able {
		s.alone(j, "the scene plays differently on every other node: "+j.mine.doubt)
	}
}

// alone ends a job of this node for the mesh: this node renders the scene by
// itself.
func (s *Scheduler) alone(j *openJob, reason string) {
	if j.mine.assembling {
		return // all cells are there, of walks that are the plan's
	}
	cancel := &job.Cancel{Job: j.id, Nonce: j.manifest.Nonce, Reason: job.Clip(reason)}
	s.forget(j, job.Signed{From: s.self, Msg: cancel}) // first: after a crash it must not go on
	s.do(Publish{cancel}, RenderAlone{j.id, firstLine(reason)})
}
