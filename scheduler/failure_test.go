// SPDX-License-Identifier: MIT

package scheduler

import (
	"slices"
	"testing"
	"time"

	"meshnode/job"
)

// newBlamed returns a submitter whose peers have claimed nothing in time.
func newBlamed(t *testing.T, slots uint32, peers ...job.PeerID) *referee {
	r := newSubmitter(t, Submit{LocalSlots: slots}, 40, peers...)
	r.now += 3 * time.Second
	r.step(Tick{})
	taken[Render](r)
	return r
}

// blame has a peer claim a cell, and fail it.
func (r *referee) blame(peer job.PeerID, cell, gen uint32) {
	cells := job.Range{A: cell, B: cell + 1}
	r.step(Received{job.Signed{From: peer, Msg: &job.Claim{Job: r.job, Range: cells, Gen: gen}}})
	r.step(Received{job.Signed{From: peer, Msg: &job.Released{Job: r.job, Range: cells, Gen: gen, Cause: job.CauseFailed, Reason: "says " + string(peer)}}})
}

// Peers that say that a cell cannot be rendered do not end a job, however many, and
// whatever they say: it is tried here, before all else, and counts.
func TestBlame(t *testing.T) {
	for _, slots := range []uint32{0, 1} {
		r := newBlamed(t, slots, "e1", "e2", "e3", "e4", "honest")
		last := uint32(r.cells - 1)
		for i, peer := range []job.PeerID{"e1", "e2", "e3", "e4"} {
			r.blame(peer, last, 10+uint32(i))
		}
		r.step(Rendered{r.job, 0, job.CIDOf([]byte("0")), 1, 1}) // its slot was taken, if it has one
		if tries := taken[Render](r); len(tries) != 1 || tries[0].Cell != last {
			t.Errorf("%d slots: %+v are rendered here, not the cell that was failed", slots, tries)
		}
		r.step(Rendered{r.job, last, job.CIDOf([]byte("last")), 1, 1})
		if !r.find(r.job).cells[last].collected || len(taken[Fail](r)) != 0 {
			t.Errorf("%d slots: what was rendered here does not count, or peers have ended the job", slots)
		}
	}
}

// A cell that fails on two peers and here ends the job with what was said here, though
// peers have said more than is remembered.
func TestFailsHereToo(t *testing.T) {
	for _, slots := range []uint32{0, 1} {
		r := newBlamed(t, slots, "e1", "e2", "honest")
		last := uint32(r.cells - 1)
		for gen := range uint32(maxReleased) {
			r.blame("e1", last, 10+gen)
		}
		r.blame("e2", last, 30)
		r.step(Rendered{r.job, 0, job.CIDOf([]byte("0")), 1, 1})
		r.step(RenderFailed{Job: r.job, Cell: last, Reason: "the scene's own words"})
		r.blame("e2", last, 40)
		if f := taken[Fail](r); len(f) != 1 || f[0].Reason != "the scene's own words" {
			t.Errorf("%d slots: %+v", slots, f)
		}
	}
}

// Where nothing is to be rendered here, cells that peers have failed are tried one at a
// time.
func TestBlameOneAtATime(t *testing.T) {
	r := newBlamed(t, 0, "e1", "e2")
	for cell := range uint32(3) {
		r.blame("e1", cell, 10)
		r.blame("e2", cell, 20)
	}
	var tried []uint32
	for range 5 {
		now := taken[Render](r)
		if len(now) == 0 {
			break
		}
		if len(now) != 1 || r.slots() != 2 { // one for others
			t.Fatalf("%d at a time, of %d slots", len(now), r.slots())
		}
		tried = append(tried, now[0].Cell)
		r.step(Rendered{r.job, now[0].Cell, job.CIDOf([]byte{byte(now[0].Cell)}), 1, 1})
	}
	if !slices.Equal(tried, []uint32{0, 1, 2}) || len(r.find(r.job).work.stretches) != 0 {
		t.Errorf("tried %v, and %d stretches are left", tried, len(r.find(r.job).work.stretches))
	}
}
