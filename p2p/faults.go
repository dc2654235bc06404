// SPDX-License-Identifier: MIT

package p2p

import (
	"math/rand/v2"
	"time"

	"meshnode/job"
)

// Faults decides what a bad network does to what nodes send: it loses, doubles
// and delays by seed, and partitions and clogs on command. It sends nothing and
// knows no clock, so that a simulation can use it on virtual time. The same
// calls in the same order give the same answers. It is not safe for concurrent
// use.
//
// Set the exported fields at any time.
type Faults struct {
	Loss      float64       // probability that a message is lost, 0 to 1
	Duplicate float64       // probability that a message that arrives does so twice
	Straggle  float64       // probability that a copy takes up to ten times MaxDelay
	MinDelay  time.Duration // of a copy on its way,
	MaxDelay  time.Duration // and at most: delays differ, so messages overtake each other
	Rate      int64         // bytes per second of a path, which add to the delay; 0: no limit

	rng     *rand.Rand
	group   map[job.PeerID]int // of a partition; nodes not in it are group 0
	clogged map[path]bool
}

// path is one direction between two nodes.
type path struct{ from, to job.PeerID }

// retransmit is what a lost packet costs a stream: TCP's least timeout.
const retransmit = 200 * time.Millisecond

// NewFaults returns a network without faults: everything arrives at once.
func NewFaults(seed uint64) *Faults {
	return &Faults{rng: rand.New(rand.NewPCG(seed, 0x6d657368)), clogged: make(map[path]bool)}
}

// Deliveries returns the delay of each copy of a message of size bytes that
// arrives: none, one or two.
func (f *Faults) Deliveries(from, to job.PeerID, size int) []time.Duration {
	if f.stuck(from, to) || f.chance(f.Loss) {
		return nil
	}
	delays := []time.Duration{f.delay(size)}
	if f.chance(f.Duplicate) {
		delays = append(delays, f.delay(size))
	}
	return delays
}

// Stream returns the delay of size bytes on a stream, which are never lost or
// doubled: a loss costs time instead. ok is false while nothing gets through.
func (f *Faults) Stream(from, to job.PeerID, size int) (delay time.Duration, ok bool) {
	if f.stuck(from, to) {
		return 0, false
	}
	delay = f.delay(size)
	for wait := retransmit; f.chance(f.Loss) && wait < time.Minute; wait *= 2 {
		delay += wait
	}
	return delay, true
}

// Partition cuts the connections between the groups, in place of an earlier
// partition. All nodes that are in none of them form one more group.
func (f *Faults) Partition(groups ...[]job.PeerID) {
	f.group = make(map[job.PeerID]int)
	for i, members := range groups {
		for _, id := range members {
			f.group[id] = i + 1
		}
	}
}

// Heal ends the partition, and unclogs every path.
func (f *Faults) Heal() {
	clear(f.group)
	clear(f.clogged)
}

// Clog lets nothing through in one direction, though the connection stands, as
// when a machine hangs or a firewall drops packets.
func (f *Faults) Clog(from, to job.PeerID) { f.clogged[path{from, to}] = true }

// Unclog undoes Clog.
func (f *Faults) Unclog(from, to job.PeerID) { delete(f.clogged, path{from, to}) }

// Cut reports whether a partition is between two nodes.
func (f *Faults) Cut(a, b job.PeerID) bool { return f.group[a] != f.group[b] }

func (f *Faults) stuck(from, to job.PeerID) bool {
	return f.Cut(from, to) || f.clogged[path{from, to}]
}

// chance draws only where there is one, so that faults that are off do not
// change those that are on.
func (f *Faults) chance(p float64) bool { return p > 0 && f.rng.Float64() < p }

func (f *Faults) delay(size int) time.Duration {
	d := f.MinDelay
	if spread := f.MaxDelay - f.MinDelay; spread > 0 {
		d += time.Duration(f.rng.Int64N(int64(spread) + 1))
	}
	if f.chance(f.Straggle) {
		d += time.Duration(f.rng.Int64N(int64(9*f.MaxDelay) + 1))
	}
	if f.Rate > 0 {
		d += time.Duration(float64(size) / float64(f.Rate) * float64(time.Second))
	}
	return d
}
