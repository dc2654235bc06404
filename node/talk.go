// SPDX-License-Identifier: MIT

package node

import (
	"sync"
	"time"

	"meshnode/job"
)

// rate is how often something may be said.
type rate struct {
	every time.Duration // on average
	burst int           // at once
}

// Messages that cost more to take in than to say: a Progress goes through the cells
// of all jobs, a Call warms engines, for an Offer a manifest is fetched, a Split goes
// through what is held here, a Pull is answered with a megabyte. What an honest node
// says is a third of that; what is beyond it is not heard.
var tolerated = map[job.Kind]rate{
	job.KindProgress: {time.Second / 4, 16},
	job.KindCall:     {time.Second, 64},
	job.KindOffer:    {time.Second, 16},
	job.KindSplit:    {time.Second / 8, 64},
	job.KindPull:     {time.Second / 2, 64},
}

// Cells that messages name: each costs the scheduler up to 0.2 µs. One peer may hold all
// of the largest job, or collect it, and repeat that every second. All those together
// that are not connected here, as most are in a large mesh, may hold all that can be open,
// as they repeat it every second at most.
var (
	cellsOfPeer   = rate{time.Second / 100_000, 2 * job.MaxLeft}
	cellsOfOthers = rate{time.Second / 400_000, 4 * job.MaxLeft}
)

// maxTalkers bounds the peers whose talking is measured.
const maxTalkers = 1024

// talk measures what peers say. A moment tells how much of a burst is left: it is when
// there will be all of it.
type talk struct {
	mu        sync.Mutex
	of        map[talker]time.Time
	others    time.Time // of the cells of all peers that are not connected
	connected map[job.PeerID]bool
}

// talker is a peer that says one kind of thing; or, with no kind, names cells.
type talker struct {
	peer job.PeerID
	kind job.Kind
}

// spend takes n of a burst, and returns what is left of it, or false: there is not as
// much.
func (r rate) spend(full time.Time, n int, now time.Time) (time.Time, bool) {
	if full.Before(now) {
		full = now
	}
	full = full.Add(time.Duration(n) * r.every)
	return full, full.Sub(now) <= time.Duration(r.burst)*r.every
}

// connects notes that a peer is connected, or is not any more: keys cost nothing,
// connections do.
func (t *talk) connects(p job.PeerID, is bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.connected == nil {
		t.connected = make(map[job.PeerID]bool)
	}
	if is {
		t.connected[p] = true
	} else {
		delete(t.connected, p)
	}
}

// may reports whether a peer may say that now, and notes it.
func (t *talk) may(from job.PeerID, m job.Message, now time.Time) bool {
	r, limited := tolerated[m.Kind()]
	n := cellsIn(m)
	if !limited && n == 0 {
		return true
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	said, named, others := talker{from, m.Kind()}, talker{peer: from}, t.others
	left := make(map[talker]time.Time, 2)
	ok := true
	if limited {
		left[said], ok = r.spend(t.of[said], 1, now)
	}
	if n > 0 && ok {
		left[named], ok = cellsOfPeer.spend(t.of[named], n, now)
		if ok && !t.connected[from] {
			others, ok = cellsOfOthers.spend(others, n, now)
		}
	}
	if !ok {
		return false
	}
	if len(t.of)+len(left) > maxTalkers {
		t.forget(now)
	}
	if t.of == nil {
		t.of = make(map[talker]time.Time)
	}
	for key, full := range left {
		t.of[key] = full
	}
	t.others = others
	return true
}

// cellsIn returns how many cells a message names that the scheduler goes through.
func cellsIn(m job.Message) int {
	n := 0
	switch m := m.(type) {
	case *job.Claim:
		n = m.Range.Len()
	case *job.Released:
		n = m.Range.Len()
	case *job.Collected:
		n = m.Cells.Len()
	case *job.Progress:
		for _, h := range m.Held {
			n += h.Left.Len()
		}
	}
	return n
}

// forget drops those who are quiet; if all talk, somebody.
func (t *talk) forget(now time.Time) {
	for key, full := range t.of {
		if full.Before(now) {
			delete(t.of, key)
		}
	}
	for key := range t.of {
		if len(t.of) < maxTalkers-1 {
			return
		}
		delete(t.of, key)
	}
}
