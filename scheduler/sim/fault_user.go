// SPDX-License-Identifier: MIT

package sim

import (
	"meshnode/job"
	"meshnode/scheduler"
)

// setSlots gives a node other slots: its owner works on it, or memory is short.
func (s *Sim) setSlots(a arguments) {
	a.nodes[0].advertise(func(ad *job.Advert) { ad.Slots = uint32(a.numbers[0]) })
}

// pause lets a node take no cells of others, and unpause again.
func (s *Sim) pause(a arguments) { a.nodes[0].advertise(func(ad *job.Advert) { ad.Paused = true }) }

func (s *Sim) unpause(a arguments) {
	n := a.nodes[0]
	if n.advert.Paused || n.advert.Slots != n.Slots {
		n.advertise(func(ad *job.Advert) { ad.Paused, ad.Slots = false, n.Slots })
	}
}

// abort is the user's wish to end a job.
func (s *Sim) abort(a arguments) {
	for _, j := range s.jobs {
		if j.Number != int(a.numbers[0]) {
			continue
		}
		if n := j.submitter; n.up && (j.planning || j.offered) && !j.ended() {
			j.aborted, j.gone = true, j.planning
			n.step(scheduler.Abort{Nonce: j.nonce, Reason: "canceled"})
		}
	}
}

// finish is the wish of a node's user to make the film of a job whose submitter
// does not come back.
func (s *Sim) finish(a arguments) {
	for _, j := range s.jobs {
		if n := a.nodes[0]; j.Number == int(a.numbers[0]) && n.up && n.sched.Has(j.id) && !j.submitter.up {
			j.finisher = n
			n.step(scheduler.Finish{Job: j.id})
		}
	}
}
