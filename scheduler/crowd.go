// SPDX-License-Identifier: MIT

package scheduler

import "meshnode/job"

// Keys cost nothing, and gossip of thousands of them comes through one connection. So
// who is connected, or works, goes before who only talks: of 1,024 places none is
// taken from those, and claims are repeated less often only where there are many of
// them.

// connected reports whether a peer has joined this node.
func (p *peer) connected() bool { return p.advert != nil && !p.left }

// countCrowd finds, once a second, which peers make this mesh a large one.
func (s *Scheduler) countCrowd() {
	if s.now < s.crowdAt {
		return
	}
	s.crowdAt = s.now + s.times.Progress
	for _, p := range s.peers.list {
		p.counts = p.connected()
	}
	for _, j := range s.jobs {
		for _, m := range j.members.list {
			if p := s.peer(m.id); p != nil && !p.left && !p.silent && m.works() {
				p.counts = true
			}
		}
	}
	before := s.ttl()
	s.crowd = 0
	for _, p := range s.peers.list {
		if p.counts {
			s.crowd++
		}
	}
	if s.ttl() != before { // what peers have finished lasts as long
		s.forgetStatus()
	}
}

// works reports whether a peer holds cells of a job, or says that it has finished some.
func (m *member) works() bool { return m.holding.cells > 0 || m.finished }

// dropPeer makes room for a peer: by forgetting one that is not there; or one that is
// not connected and does not work, if need be any that is not connected, when the new
// one is. Of several it is the one that was not heard for longest.
func (s *Scheduler) dropPeer(connected bool) bool {
	const never = 3
	rank := func(p *peer) int {
		switch {
		case p.left || p.advert == nil && p.silent:
			return 0
		case p.advert != nil:
			return never
		case !p.counts:
			return 1
		case connected:
			return 2
		}
		return never
	}
	worst, at := never, 0
	for i, p := range s.peers.list {
		if r := rank(p); r < worst || r == worst && r < never && p.heard < s.peers.list[at].heard {
			worst, at = r, i
		}
	}
	if worst == never {
		return false
	}
	id := s.peers.ids[at]
	s.peers.remove(at)
	s.forgetWork(id)
	return true
}

// forgetWork says that what a peer has finished, or holds, lasts for another time than
// before. Of most peers that is nothing.
func (s *Scheduler) forgetWork(id job.PeerID) {
	for _, j := range s.jobs {
		if m := j.member(id); m != nil && m.works() {
			j.tally.epoch++
		}
	}
}

// enroll returns what a peer is to a job, remembered from now on if there is room; else
// nil. There is, as long as some member is not connected and has done nothing; and for
// a peer that is connected, as long as some member is not, unless it is to be checked.
func (s *Scheduler) enroll(j *openJob, id job.PeerID) *member {
	if m := j.member(id); m != nil || j.members.len() < maxMembers {
		return j.meet(id)
	}
	p := s.peer(id)
	connected := p != nil && p.connected()
	const never = 3
	rank := func(m *member) int {
		p := s.peer(m.id)
		switch {
		case m.id == s.self || m.id == j.submitter || p != nil && p.connected():
			return never
		case len(m.drawn) > 0: // it is to be checked
			return never
		case !m.works() && !m.blamed():
			return 0
		case !connected:
			return never
		case !m.works():
			return 1
		}
		return 2
	}
	worst, at := never, 0
	for i, m := range j.members.list {
		if r := rank(m); r < worst {
			worst, at = r, i
		}
	}
	if worst == never {
		return nil
	}
	j.dismiss(at)
	return j.meet(id)
}

// blamed reports whether there is something about a member that it might like to have
// forgotten.
func (m *member) blamed() bool { return m.out || m.faults+m.sitOuts > 0 }

// dismiss forgets a member. Its claims last as long as others', but are not counted
// any more.
func (j *openJob) dismiss(at int) {
	m := j.members.list[at]
	if h := m.holding; h.cells > 0 {
		for i := h.low; i < h.end; i++ {
			if memo := &j.cells[i].memo; memo.peer == m.id {
				memo.held = false
			}
		}
	}
	j.members.remove(at)
}
