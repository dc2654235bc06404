// SPDX-License-Identifier: MIT

package scheduler

import (
	"slices"

	"meshnode/job"
)

// Partners returns the peers whom Shunned can be about: those of whom there are jobs or
// offers here, though they may have left long ago, and those that are in jobs of this
// node.
func (s *Scheduler) Partners() []job.PeerID {
	var ids []job.PeerID
	for _, o := range s.offered {
		ids = append(ids, o.signed.From)
	}
	for _, j := range s.jobs {
		if ids = append(ids, j.submitter); j.own() {
			ids = append(ids, j.members.ids...)
		}
	}
	slices.Sort(ids)
	return slices.DeleteFunc(slices.Compact(ids), func(id job.PeerID) bool { return id == s.self })
}

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
