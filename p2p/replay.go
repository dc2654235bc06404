// SPDX-License-Identifier: MIT

package p2p

import (
	"encoding/binary"
	"time"
)

// Gossipsub knows a message again for two minutes only, and the signature of an old one
// holds for ever: whoever has recorded what a peer published could have it said again
// after the peer is gone, at the expense of its rate. So messages that are older than
// what was heard of their author a while ago are not heard.
//
// Numbers of messages rise by one from the nanosecond in which the run of their author
// began, so they tell of the order within a run, and of the run, but not of the time.
const (
	seenFor = 120 * time.Second // for which gossipsub knows a message
	// Messages of one author overtake each other. One that comes so long after a later
	// one is dropped; what was heard is known to be old before three times as long.
	settleTime = seenFor / 4
	// Numbers of a run are nearer than this to the beginning that its advert tells:
	// 10^11 messages, and what the clock was moved by in between.
	runSpan = uint64(100 * time.Second)
)

// order is what was heard of an author's numbers.
type order struct {
	run     uint64    // the beginning of its run, by its advert; 0: it has sent none
	away    bool      // it is not connected: the advert of its next run may have come to others only
	newest  uint64    // highest number heard,
	earlier uint64    // until since,
	settled uint64    // and at least a settleTime before: what is not above is old
	since   time.Time // less than a settleTime before the last message
}

// take notes a number, unless it is an old one.
func (o *order) take(number uint64, settle time.Duration, now time.Time) bool {
	if quiet := now.Sub(o.since); quiet >= settle {
		o.settled = o.earlier
		if quiet >= 2*settle {
			o.settled = o.newest
		}
		o.earlier, o.since = o.newest, now
	}
	if number <= o.settled || o.run != 0 && !within(number, o.run) && !(o.away && number > o.run) {
		return false
	}
	o.newest = max(o.newest, number)
	return true
}

// begin notes the run that an author's advert tells of.
func (o *order) begin(run uint64) {
	if o.newest > run && (run < o.run || !within(o.newest, run)) {
		*o = order{} // its clock was put back: its numbers begin anew
	}
	o.run, o.away = run, false
}

func within(number, run uint64) bool { return number-run+runSpan < 2*runSpan }

// numberOf returns the number of a gossiped message; ok is false if it has none.
func numberOf(seqno []byte) (number uint64, ok bool) {
	if len(seqno) != 8 {
		return 0, false
	}
	return binary.BigEndian.Uint64(seqno), true
}
