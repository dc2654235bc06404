// SPDX-License-Identifier: MIT

package scheduler

import (
	"slices"
	"time"

	"meshnode/job"
)

// cell holds the facts of one cell. What it is follows from them; see status.
type cell struct {
	top       claim // the claim that holds, or did last; peer "": released, or never claimed
	next      claim // a higher claim made without the holder's grant: it holds once top has ended
	done      []done
	released  []mark        // claims that are void
	lost      []mark        // Dones that are void
	failed    []mark        // claims under which rendering failed
	failedAt  time.Duration // the last time
	counted   bool          // as a fault of this node
	collected bool
	from      job.PeerID // who rendered it; of collected cells, if known
	word      []byte     // its Done, of cells that may be checked: whatever it says later,
	alike     bool       // and that it drew to the byte what this node draws, by its advert then

	memo memo
}

// claim is a peer's hold of one cell.
type claim struct {
	peer    job.PeerID
	gen     uint32
	granted bool
	since   time.Duration // when it was first heard
	until   time.Duration // when it ends unless it is repeated
}

// done is a peer's word that it has rendered a cell.
type done struct {
	peer   job.PeerID
	output job.CID
	size   uint64
	gen    uint32 // of the cell's claims by then
	at     time.Duration
	raw    []byte     // nil: of this node
	of     job.PeerID // who has rendered it, if this is a copy: not peer, maybe this node; else "",
	word   []byte     // and the Done of that peer
	bad    bool       // its bytes cannot be had, or are not a cell
	badAt  time.Duration
}

// author returns who has rendered what a Done is of, and that peer's own Done, nil if it
// is this node.
func (d *done) author() (peer job.PeerID, word []byte) {
	if d.of != "" {
		return d.of, d.word
	}
	return d.peer, d.raw
}

// mark names claims of a peer.
type mark struct {
	peer job.PeerID
	gen  uint32
}

// status is what a cell is now, by everything that this node knows.
type status struct {
	kind  kind
	peer  job.PeerID    // who holds it, or has done it
	since time.Duration // when it became free
	until time.Duration // before then only an event changes it
}

type kind uint8

const (
	free kind = iota
	claimed
	finished // done by a peer from which it can be had
	kept     // collected
)

// derive finds what a cell is from the facts.
func (s *Scheduler) derive(j *openJob, i uint32) status {
	c := &j.cells[i]
	if c.collected {
		return status{kind: kept, peer: c.from, until: forever}
	}
	since := j.since
	for k := range c.done {
		d := &c.done[k]
		end := s.doneEnd(j, d)
		if s.now < end {
			return status{kind: finished, peer: d.peer, until: end}
		}
		since = max(since, end)
	}
	s.settle(j, c)
	end := s.claimEnd(j, &c.top)
	if s.now < end {
		return status{kind: claimed, peer: c.top.peer, until: end}
	}
	return status{kind: free, since: max(since, end), until: forever}
}

// doneEnd returns the time at which a finished cell is free again: some time
// after its holder is gone, in which the submitter may still get it from others.
func (s *Scheduler) doneEnd(j *openJob, d *done) time.Duration {
	if m := j.member(d.peer); m != nil && m.out && m.revoked.Msg != nil {
		return m.outAt
	}
	switch p := s.peer(d.peer); {
	case d.bad:
		return d.badAt
	case d.peer == s.self:
		return forever
	case p == nil:
		return d.at + s.ttl() + s.times.Grace
	case p.left:
		return p.leftAt + s.times.Grace
	default:
		return max(p.heard, d.at) + s.ttl() + s.times.Grace
	}
}

// claimEnd returns the time until which a claim holds, or held.
func (s *Scheduler) claimEnd(j *openJob, c *claim) time.Duration {
	switch {
	case c.peer == "":
		return c.until
	case c.peer == s.self:
		return forever
	}
	end := c.until
	if at, gone := s.left(c.peer); gone {
		end = min(end, at)
	}
	if m := j.member(c.peer); m != nil {
		if end = min(end, s.stalledAt(j, m)); m.out {
			end = min(end, m.outAt)
		}
	}
	return end
}

// settle lets the next claim take over when the top one has ended.
func (s *Scheduler) settle(j *openJob, c *cell) {
	if c.next.peer != "" && s.now >= s.claimEnd(j, &c.top) {
		c.top, c.next = c.next, claim{}
	}
}

// admit takes a peer's claim of a cell, granted by the peer named (""): none).
//
// A claim holds over another only if it is higher, and if the holder has granted
// it or is seen here to have ended. Between equal generations, as two adopters
// may make them, order alone decides, unless only the lower one is repeated.
func (s *Scheduler) admit(j *openJob, i uint32, x claim, grantedBy job.PeerID) {
	c := &j.cells[i]
	if top := &c.top; top.peer == x.peer && top.gen == x.gen && c.next.peer == "" && c.memo.kind != free && s.now < c.memo.until && c.memo.epoch == j.tally.epoch {
		top.until, top.granted = max(top.until, x.until), top.granted || x.granted // the holder repeats it: by far the most frequent case
		return
	}
	if covers(c.released, x.peer, x.gen) {
		return
	}
	s.settle(j, c)
	j.touch(i)
	for _, known := range []*claim{&c.top, &c.next} {
		if known.peer == x.peer && known.gen == x.gen {
			known.until = max(known.until, x.until)
			known.granted = known.granted || x.granted
			return
		}
	}
	top := &c.top
	ended := s.now >= s.claimEnd(j, top)
	switch {
	case x.gen == 0 || x.gen > top.gen+maxGenJump: // generation 0 is the plan's, and known from the start
	case !j.higher(x, *top) && !(ended && x.gen == top.gen && top.peer != ""):
	case x.peer == top.peer || ended,
		x.gen == top.gen,
		x.granted && grantedBy == top.peer,
		top.peer == s.self && s.contestable(top, x.peer):
		c.top = x
		if c.next.peer != "" && !j.higher(c.next, x) {
			c.next = claim{}
		}
	case c.next.peer == "" || j.higher(x, c.next) || s.now >= s.claimEnd(j, &c.next):
		c.next = x
	}
}

// higher reports whether claim x orders above y.
func (j *openJob) higher(x, y claim) bool {
	switch {
	case x.gen != y.gen:
		return x.gen > y.gen
	case y.peer == "": // released: it takes a higher generation
		return false
	case x.granted != y.granted:
		return x.granted
	}
	a, b := job.Rank(j.id, x.gen, x.peer), job.Rank(j.id, y.gen, y.peer)
	return a < b || a == b && x.peer < y.peer
}

// contestable reports whether another peer may honestly have taken an own claim
// for lost: because it is new, and may not have arrived there in time, or
// because the two nodes have lost sight of each other since it was made.
func (s *Scheduler) contestable(own *claim, by job.PeerID) bool {
	if s.now < own.since+s.ttl() {
		return true
	}
	p := s.peer(by)
	return p != nil && p.lostAt >= own.since && p.lostAt > 0
}

// covers reports whether marks make void what a peer did under a generation.
func covers(marks []mark, peer job.PeerID, gen uint32) bool {
	return slices.ContainsFunc(marks, func(m mark) bool { return m.peer == peer && gen <= m.gen })
}

// addMark keeps the highest generation of each peer.
func addMark(marks []mark, m mark) []mark {
	if k := slices.IndexFunc(marks, func(o mark) bool { return o.peer == m.peer }); k >= 0 {
		marks[k].gen = max(marks[k].gen, m.gen)
		return marks
	}
	if len(marks) >= maxReleased {
		marks = slices.Delete(marks, 0, 1)
	}
	return append(marks, m)
}

// release makes a peer's claims of a cell up to a generation void.
func (s *Scheduler) release(j *openJob, i uint32, peer job.PeerID, gen uint32) {
	c := &j.cells[i]
	j.touch(i)
	c.released = addMark(c.released, mark{peer, gen})
	if c.next.peer == peer && c.next.gen <= gen {
		c.next = claim{}
	}
	if c.top.peer == peer && c.top.gen <= gen {
		c.top = claim{gen: c.top.gen, since: s.now, until: s.now}
		s.settle(j, c)
	}
}

// gen returns the generation of a new claim of all cells in [a, b).
func (j *openJob) gen(r job.Range) uint32 {
	gen := j.work.floor
	for i := r.A; i < r.B; i++ {
		c := &j.cells[i]
		gen = max(gen, c.top.gen, c.next.gen)
		for _, m := range c.released {
			if m.gen < c.top.gen+maxGenJump {
				gen = max(gen, m.gen)
			}
		}
	}
	return gen + 1
}

// runs returns the runs of cells for which is holds.
func (j *openJob) runs(is func(i uint32) bool) []job.Range {
	return runs(0, uint32(len(j.cells)), is)
}

func runs(low, end uint32, is func(i uint32) bool) []job.Range {
	var out []job.Range
	for i := low; i < end; i++ {
		if !is(i) {
			continue
		}
		if n := len(out); n > 0 && out[n-1].B == i {
			out[n-1].B++
		} else {
			out = append(out, job.Range{A: i, B: i + 1})
		}
	}
	return out
}

// held returns the cells that this node is to render.
func (s *Scheduler) held(j *openJob, i uint32) bool {
	st := s.status(j, i)
	return st.kind == claimed && st.peer == s.self
}

// ownRuns returns the runs of cells that this node is to render and for which is
// holds.
func (s *Scheduler) ownRuns(j *openJob, is func(i uint32) bool) []job.Range {
	h := s.heldBy(j, s.self)
	return runs(h.low, h.end, func(i uint32) bool { return s.held(j, i) && is(i) })
}
