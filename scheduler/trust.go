// SPDX-License-Identifier: MIT

package scheduler

import (
	"fmt"
	"math"
	"slices"

	"meshnode/job"
)

// Trust says how far a submitter believes what peers render for a job.
type Trust uint8

// Levels of trust, from most to least.
const (
	TrustMine  Trust = iota // all who may render are the user's own: nothing is checked
	TrustSpot               // a cell of each peer now and then, as far as there is time: who is broken is found out
	TrustKnown              // who has rendered well before is checked little, who has not, more
	TrustOpen               // everybody is checked a lot
)

// String returns the level's name.
func (t Trust) String() string {
	return [...]string{"mine", "spot", "known", "open"}[min(t, TrustOpen)]
}

// ParseTrust returns the level of a name.
func ParseTrust(name string) (Trust, error) {
	for t := TrustMine; t <= TrustOpen; t++ {
		if t.String() == name {
			return t, nil
		}
	}
	return 0, fmt.Errorf("trust %q: give mine, spot, known or open", name)
}

// How many cells of a peer are checked. docs/threats.md has what that costs and
// finds.
const (
	lieOfNew   = 0.2  // chance of a cell to be wrong at which a peer without a record is found out,
	lieOfOpen  = 0.1  // and anybody at TrustOpen,
	missed     = 0.03 // but for so many jobs of a hundred
	wellKnown  = 10   // cells checked and found right before a peer is known
	knownEvery = 16   // of a known peer, one cell and one more of so many
	spotEvery  = 16   // at TrustSpot, one of so many cells of a peer, more or less
)

// quota returns how many cells of a peer, of so many that it has rendered, are to be
// checked. good is how many of its cells have been found right in earlier jobs.
func (t Trust) quota(cells int, good uint32) int {
	switch {
	case t == TrustMine || cells == 0:
		return 0
	case t == TrustSpot:
		return (cells + spotEvery/2) / spotEvery
	case t == TrustOpen:
		return sample(cells, lieOfOpen)
	case good < wellKnown:
		return sample(cells, lieOfNew)
	}
	return 1 + cells/knownEvery
}

// sample returns how many of n cells must be looked at, chosen at random, to see a wrong
// one if there are any, but for a chance of missed: each may be wrong with the same
// chance. In small jobs that is nearly all of them, as one may be the only wrong one.
func sample(n int, chance float64) int {
	right := func(k int) float64 { return math.Pow(1-chance, float64(k)) } // that k cells are
	for k := 1; k < n; k++ {
		if right(k)-right(n) <= missed*(1-right(n)) {
			return k
		}
	}
	return n
}

// standing is how well a peer has rendered for this node's jobs.
type standing struct {
	peer job.PeerID
	good uint32 // cells checked and found right since one was wrong
}

// maxStandings bounds the peers that have one: keys cost nothing.
const maxStandings = 1024

func (s *Scheduler) goodOf(peer job.PeerID) uint32 {
	if i, ok := search(s.standings, peer, func(p standing) job.PeerID { return p.peer }); ok {
		return s.standings[i].good
	}
	return 0
}

// commend notes that cells of a peer were found right.
func (s *Scheduler) commend(peer job.PeerID, cells uint32) {
	if cells == 0 {
		return
	}
	good := s.goodOf(peer) + min(cells, math.MaxUint32-s.goodOf(peer))
	if s.stand(peer, good) {
		s.persist(standingKey(peer), Record{Good: good})
	}
}

// stand sets what is known of a peer, and reports whether there was room for it.
func (s *Scheduler) stand(peer job.PeerID, good uint32) bool {
	i, ok := search(s.standings, peer, func(p standing) job.PeerID { return p.peer })
	if ok {
		s.standings[i].good = good
		return true
	}
	if len(s.standings) >= maxStandings {
		least := 0
		for k := range s.standings {
			if s.standings[k].good < s.standings[least].good {
				least = k
			}
		}
		if s.standings[least].good >= good {
			return false
		}
		s.do(Persist{Key: standingKey(s.standings[least].peer)})
		s.standings = slices.Delete(s.standings, least, least+1)
		i, _ = search(s.standings, peer, func(p standing) job.PeerID { return p.peer })
	}
	s.standings = slices.Insert(s.standings, i, standing{peer, good})
	return true
}

// disgrace forgets what speaks for a peer, and what it has rendered.
func (s *Scheduler) disgrace(peer job.PeerID) {
	s.do(Disgrace{peer})
	if i, ok := search(s.standings, peer, func(p standing) job.PeerID { return p.peer }); ok {
		s.standings = slices.Delete(s.standings, i, i+1)
		s.do(Persist{Key: standingKey(peer)})
	}
}

// StandingPrefix begins the keys of the records of how well peers have rendered. They
// are for Restore, like those of jobs.
const StandingPrefix = "peer/"

func standingKey(peer job.PeerID) string { return StandingPrefix + string(peer) }
