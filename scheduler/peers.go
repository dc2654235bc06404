// SPDX-License-Identifier: MIT

package scheduler

import (
	"fmt"
	"time"

	"meshnode/job"
)

// peer is what this node knows of another one.
type peer struct {
	id     job.PeerID
	advert *job.Advert // nil: it has not joined
	left   bool
	leftAt time.Duration
	heard  time.Duration // last message of its own
	silent bool          // nothing heard for a time to live, after it had been heard
	lostAt time.Duration // when it last left or fell silent
	idle   uint32        // free slots, by its last Progress
	idleAt time.Duration // when it said so; 0: never
	pulled time.Duration // when it was last asked for its state
	missed bool          // it may know what we do not: pull
	counts bool          // see countCrowd
}

func (s *Scheduler) peer(id job.PeerID) *peer { return s.peers.find(id) }

// meet returns the peer, remembered from now on if there is room; else nil. There is
// more of it for one that is connected.
func (s *Scheduler) meet(id job.PeerID, connected bool) *peer {
	if p := s.peer(id); p != nil {
		return p
	}
	if id == s.self || s.peers.len() >= maxPeers && !s.dropPeer(connected) {
		return nil
	}
	p := &peer{id: id, heard: s.now}
	s.silentAt = min(s.silentAt, s.now+s.times.TTL)
	s.peers.add(id, p)
	s.forgetWork(id) // what it has finished may be had again
	return p
}

func (s *Scheduler) peerJoined(ev PeerJoined) {
	p := s.meet(ev.Peer, true)
	if p == nil {
		return
	}
	again := p.advert != nil && !p.left
	p.advert, p.left, p.silent, p.heard = ev.Advert, false, false, s.now
	s.silentAt = min(s.silentAt, s.now+s.times.TTL)
	s.forgetStatus()
	if p.advert != nil {
		s.compareAgain(p.advert.Environments)
		s.compare(s.advert.Environments, p.advert.Environments, p.id)
	}
	s.forgetRates()
	if again {
		return
	}
	s.miss(p.id)
	s.pullAfter = s.now
	for _, c := range s.plans {
		c.callAt = min(c.callAt, s.now)
	}
	for _, j := range s.jobs {
		if j.own() {
			j.offerAt = min(j.offerAt, max(s.now, j.offerSent+s.times.Progress))
		}
	}
}

func (s *Scheduler) peerLeft(id job.PeerID) {
	p := s.peer(id)
	if p == nil || p.left {
		return
	}
	p.left, p.leftAt, p.lostAt, p.idle = true, s.now, s.now, 0
	s.forgetStatus()
	for _, j := range s.jobs {
		if j.own() && s.heldBy(j, id).cells > 0 {
			s.do(Tell{j.id, fmt.Sprintf("%s has left: its cells go to others", s.name(id))})
		}
	}
}

// heard notes that a peer is there. A message that was on its way when the peer
// left does not bring it back.
func (s *Scheduler) heard(id job.PeerID) {
	p := s.meet(id, false)
	if p == nil || p.left && s.now < p.leftAt+s.times.Progress {
		return
	}
	if p.left || p.silent {
		s.forgetStatus()
	}
	p.left, p.silent, p.heard = false, false, s.now
	s.silentAt = min(s.silentAt, s.now+s.times.TTL)
}

// notice finds the peers that have fallen silent.
func (s *Scheduler) notice() {
	if s.now < s.silentAt {
		return
	}
	s.silentAt = forever
	for _, p := range s.peers.list {
		if p.left || p.silent {
			continue
		}
		at := p.heard + s.ttl()
		if s.now >= at {
			p.silent, p.lostAt = true, at
		} else {
			s.silentAt = min(s.silentAt, at)
		}
	}
}

// every is the time between repetitions of claims. What a node hears in a second
// would grow with the mesh otherwise, and what goes through the network with its
// square.
func (s *Scheduler) every() time.Duration {
	const slowest = 5
	return s.times.Progress * time.Duration(min(max(s.crowd, largeMesh), slowest*largeMesh)) / largeMesh
}

// ttl is the time for which a claim lasts without being repeated.
func (s *Scheduler) ttl() time.Duration {
	if s.crowd > largeMesh {
		return max(2*s.times.TTL, 5*s.every())
	}
	return s.times.TTL
}

// left reports whether a peer is known to have gone, and when.
func (s *Scheduler) left(id job.PeerID) (time.Duration, bool) {
	if p := s.peer(id); p != nil && p.left {
		return p.leftAt, true
	}
	return 0, false
}

// alive reports whether a peer has said something of late.
func (s *Scheduler) alive(id job.PeerID) bool {
	p := s.peer(id)
	return p != nil && !p.left && s.now < p.heard+s.ttl()
}

// there reports whether a peer can be expected to answer.
func (s *Scheduler) there(id job.PeerID) bool {
	p := s.peer(id)
	return p != nil && !p.left && (p.advert != nil || !p.silent)
}

func (s *Scheduler) name(id job.PeerID) string {
	if id == s.self {
		return "this node"
	}
	if p := s.peer(id); p != nil && p.advert != nil && p.advert.Name != "" {
		return p.advert.Name
	}
	return id.Short()
}

// resources takes this node's own advert. Cells of others that it may not
// render any more are given back.
func (s *Scheduler) resources(a *job.Advert) {
	s.advert = *a
	s.compareAgain(a.Environments)
	for _, p := range s.peers.list {
		if p.connected() {
			s.compare(a.Environments, p.advert.Environments, p.id)
		}
	}
	s.forgetRates()
	for _, j := range s.jobs {
		if !j.own() && !s.canWork(j) {
			s.giveUp(j, job.CauseBusy, "")
		}
	}
	s.shrink()
}
