// SPDX-License-Identifier: MIT

package blockstore

import (
	"maps"
	"slices"
	"time"

	"meshnode/job"
)

// asking decides which peer is asked for which block: the policy of one fetch
// between machines. It does no I/O and reads no clock; one goroutine owns it.
//
// Each block is asked of one peer at a time. A peer that is silent for its
// patience is late: what it was asked for is asked of others, and of it only
// when there is nobody else. A block that no peer is left for is given up.
type asking struct {
	wants   map[job.CID]*want // neither here nor given up
	queue   []job.CID         // those of wants that nobody is asked for, the next one last
	sources []*source
}

// want is a block to be had.
type want struct {
	at    *source             // asked now; nil in the queue
	asked map[job.PeerID]int  // how often each was asked
	not   map[job.PeerID]bool // those that do not have it
}

// source is a peer that may be asked.
type source struct {
	id       job.PeerID
	named    bool             // the caller expects the blocks there
	asked    []job.CID        // now
	owes     map[job.CID]bool // what it was asked for, now or before, and has not answered
	heard    time.Time        // when it last answered, or was first asked after that
	patience time.Duration
	late     bool
	gone     bool
}

const (
	// perSource is how many blocks one peer is asked for at a time: enough to
	// fill a gigabit link for 0.1 s.
	perSource = 16

	// A silent peer is waited for this long, twice as long each time it is late.
	minPatience = 3 * time.Second
	maxPatience = 24 * time.Second
)

func newAsking(cids []job.CID) *asking {
	a := &asking{wants: make(map[job.CID]*want, len(cids))}
	for _, cid := range cids {
		if a.wants[cid] == nil {
			a.wants[cid] = &want{asked: make(map[job.PeerID]int), not: make(map[job.PeerID]bool)}
			a.queue = append(a.queue, cid)
		}
	}
	slices.Reverse(a.queue)
	return a
}

// joined adds a peer, or takes note that it is back.
func (a *asking) joined(id job.PeerID, named, late bool) {
	if s := a.source(id); s != nil {
		s.gone = false
		return
	}
	a.sources = append(a.sources, &source{id: id, named: named, late: late, patience: minPatience, owes: make(map[job.CID]bool)})
}

// lost takes note that a peer cannot be reached.
func (a *asking) lost(id job.PeerID) {
	if s := a.source(id); s != nil {
		s.gone = true
		a.queue = append(a.queue, a.takeBack(s)...)
	}
}

// got takes note of a block. If it is to be kept, it returns true and the other peers
// that were asked for it. One that nobody is asked for now is kept if somebody was, and
// there is room for it.
func (a *asking) got(cid job.CID, from job.PeerID, now time.Time, room int) (others []job.PeerID, keep bool) {
	if s := a.source(from); s != nil && s.answered(cid, now) {
		s.late, s.patience = false, minPatience
	}
	w := a.wants[cid]
	if w == nil || w.at == nil && (len(w.asked) == 0 || room <= 0) {
		return nil, false
	}
	delete(a.wants, cid)
	a.unask(cid, w)
	delete(w.asked, from)
	return slices.Collect(maps.Keys(w.asked)), true
}

// answered takes note of what a peer says of a block. Only an answer to what it was asked
// is a sign that it will give the rest.
func (s *source) answered(cid job.CID, now time.Time) bool {
	if !s.owes[cid] {
		return false
	}
	delete(s.owes, cid)
	s.heard = now
	return true
}

// refused takes note that a peer does not have a block.
func (a *asking) refused(cid job.CID, from job.PeerID, now time.Time) {
	s, w := a.source(from), a.wants[cid]
	if s == nil || w == nil || w.not[from] {
		return
	}
	s.answered(cid, now)
	w.not[from] = true
	if w.at == s {
		a.unask(cid, w)
		a.queue = append(a.queue, cid)
	}
}

// overdue makes late those peers that have been silent for too long.
func (a *asking) overdue(now time.Time) {
	for _, s := range a.sources {
		if len(s.asked) > 0 && now.Sub(s.heard) >= s.patience {
			s.late = true
			s.patience = min(2*s.patience, maxPatience)
			a.queue = append(a.takeBack(s), a.queue...) // at the end, or it would be in the way for ever
		}
	}
}

// wake returns when overdue has something to do.
func (a *asking) wake() (at time.Time, ok bool) {
	for _, s := range a.sources {
		if due := s.heard.Add(s.patience); len(s.asked) > 0 && (!ok || due.Before(at)) {
			at, ok = due, true
		}
	}
	return at, ok
}

// maxPassed is how many blocks next passes over because those who may have them
// are busy. It bounds the work for a set of thousands of blocks.
const maxPassed = 256

// next returns what to ask now, of at most room blocks, and takes it as asked.
func (a *asking) next(now time.Time, room int) map[job.PeerID][]job.CID {
	asks := make(map[job.PeerID][]job.CID)
	var passed []job.CID
	for len(a.queue) > 0 && room > 0 && len(passed) < maxPassed && a.anyFree() {
		cid := a.queue[len(a.queue)-1]
		a.queue = a.queue[:len(a.queue)-1]
		w := a.wants[cid]
		if w == nil { // it came from a peer that was no longer asked
			continue
		}
		s, ok := a.choose(w)
		switch {
		case !ok:
			delete(a.wants, cid)
		case len(s.asked) == perSource:
			passed = append(passed, cid)
		default:
			if len(s.asked) == 0 {
				s.heard = now
			}
			s.asked = append(s.asked, cid)
			w.at = s
			w.asked[s.id]++
			s.owes[cid] = true
			asks[s.id] = append(asks[s.id], cid)
			room--
		}
	}
	slices.Reverse(passed)
	a.queue = append(a.queue, passed...)
	return asks
}

// underWay returns how many blocks are asked for now.
func (a *asking) underWay() (n int) {
	for _, s := range a.sources {
		n += len(s.asked)
	}
	return n
}

// anyFree says whether asking somebody for something is possible, or whether
// there is nobody at all, so that next has something to do.
func (a *asking) anyFree() bool {
	full := false
	for _, s := range a.sources {
		if !s.gone && len(s.asked) < perSource {
			return true
		}
		full = full || !s.gone
	}
	return !full
}

// choose returns the peer to ask for a block, the first in this order: those
// that are not late, those late ones that are not full, those that were asked
// for it less often, those that the caller named, those that are asked for less
// now. Nobody is asked twice before another is asked once: that gets every
// block in the end.
func (a *asking) choose(w *want) (best *source, ok bool) {
	var lowest [5]int
	for _, s := range a.sources {
		if s.gone || w.not[s.id] {
			continue
		}
		rank := [...]int{0, 0, w.asked[s.id], 0, len(s.asked)}
		if s.late {
			rank[0] = 1
			rank[1] = len(s.asked) / perSource
		}
		if !s.named {
			rank[3] = 1
		}
		if best == nil || slices.Compare(rank[:], lowest[:]) < 0 {
			best, lowest = s, rank
		}
	}
	return best, best != nil
}

// unask takes a want from the peer that is asked for it, if there is one.
func (a *asking) unask(cid job.CID, w *want) {
	if s := w.at; s != nil {
		s.asked = slices.DeleteFunc(s.asked, func(c job.CID) bool { return c == cid })
		w.at = nil
	}
}

// takeBack takes from a peer all that it is asked for, in the queue's order.
func (a *asking) takeBack(s *source) []job.CID {
	asked := s.asked
	for _, cid := range asked {
		a.wants[cid].at = nil
	}
	s.asked = nil
	slices.Reverse(asked)
	return asked
}

func (a *asking) source(id job.PeerID) *source {
	i := slices.IndexFunc(a.sources, func(s *source) bool { return s.id == id })
	if i < 0 {
		return nil
	}
	return a.sources[i]
}
