// SPDX-License-Identifier: MIT

package scheduler

import (
	"slices"

	"meshnode/job"
)

// shun ends what this node has to do with a peer. Later messages of it do not get
// here.
func (s *Scheduler) shun(ev Shunned) {
	s.offered = slices.DeleteFunc(s.offered, func(o *offered) bool { return o.signed.From == ev.Peer })
	for _, j := range slices.Clone(s.jobs) {
		switch {
		case j.submitter == ev.Peer:
			s.quit(j, "")
			s.forget(j, job.Signed{From: ev.Peer})
		case j.own() && ev.Blocked && j.member(ev.Peer) != nil && !j.out(ev.Peer):
			s.revokeFor(j, ev.Peer, "it is blocked here")
		}
	}
}
