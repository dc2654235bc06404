// SPDX-License-Identifier: MIT

package scheduler

import (
	"fmt"
	"math"
)

// Trust says how far a submitter believes what peers render for a job.
type Trust uint8

// Levels of trust, from most to least.
const (
	TrustMine  Trust = iota // all who may render are the user's own: nothing is checked
	TrustSpot               // a cell of each peer now and then, as far as there is time: who is broken is found out
	TrustKnown              // of each peer so many that who alters a fifth of its cells is found out
	TrustOpen               // and who alters a tenth
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
	lieOfKnown = 0.2  // chance of a cell to be wrong at which a peer is found out at TrustKnown,
	lieOfOpen  = 0.1  // and at TrustOpen,
	missed     = 0.03 // but for so many jobs of a hundred
	spotEvery  = 16   // at TrustSpot, one of so many cells of a peer, more or less
)

// quota returns how many cells of a peer, of so many that it has rendered, are to be
// checked. What it has rendered before does not count: who has been honest in ten jobs
// can lie in the eleventh.
func (t Trust) quota(cells int) int {
	switch t {
	case TrustSpot:
		return (cells + spotEvery/2) / spotEvery
	case TrustKnown:
		return sample(cells, lieOfKnown)
	case TrustOpen:
		return sample(cells, lieOfOpen)
	default:
		return 0
	}
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
