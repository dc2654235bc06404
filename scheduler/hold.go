// SPDX-License-Identifier: MIT

package scheduler

import (
	"fmt"
	"slices"
	"time"

	"meshnode/job"
)

// keeping is what a node does for cells that others have rendered and that the
// submitter has not collected, because it is away: it keeps copies, so that one
// more crash loses nothing; and when its user wants to finish the job here, of all
// cells, to make the film of them.
type keeping struct {
	fetches    []fetch
	retries    []retry
	nextAt     time.Duration // when to look again
	finishing  bool
	since      time.Duration // of finishing
	assembling bool
}

// maxKeeps bounds the copies under way of one job.
const maxKeeps = 8

// keepCopies fetches cells that have waited for long for their submitter and that
// only one peer has, when it is this node's turn by rank.
func (s *Scheduler) keepCopies(j *openJob) {
	k := &j.keep
	for _, f := range slices.Clone(k.fetches) {
		if s.due(f.since + s.times.Prepare) {
			s.notKept(j, f.cell, f.output, false)
		}
	}
	if s.leaving || !k.finishing && s.alive(j.submitter) {
		return
	}
	finished := s.count(j).finished
	if !k.finishing && len(finished) == 0 || !s.due(k.nextAt) {
		return
	}
	k.nextAt = s.now + s.times.Progress
	s.wakeAt(k.nextAt)
	k.retries = slices.DeleteFunc(k.retries, func(r retry) bool { return !s.wantsCopy(j, r.cell) })
	if k.finishing {
		s.finishHere(j)
		return
	}
	if s.suits(&s.advert, j.manifest.Need) != nil {
		return
	}
	for _, i := range slices.Sorted(slices.Values(finished)) {
		if len(k.fetches) >= maxKeeps {
			return
		}
		holders, since := s.holders(j, i)
		if len(holders) != 1 || holders[0] == s.self || s.now < since+s.times.Keep {
			continue
		}
		if turn := time.Duration(1 + s.keepPlace(j, i)); s.now >= since+turn*s.times.Keep {
			s.keepCopy(j, i, holders)
		}
	}
}

// wantsCopy reports whether a cell that could not be had is still worth another try.
func (s *Scheduler) wantsCopy(j *openJob, i uint32) bool {
	have, _ := s.holders(j, i)
	if slices.Contains(have, s.self) {
		return false
	}
	return j.keep.finishing && len(have) > 0 || len(have) == 1 && s.status(j, i).kind == finished
}

// holders returns the peers that are there and have a cell, and since when one of
// them has.
func (s *Scheduler) holders(j *openJob, i uint32) (have []job.PeerID, since time.Duration) {
	since = forever
	for k := range j.cells[i].done {
		d := &j.cells[i].done[k]
		if !d.bad && !j.out(d.peer) && (d.peer == s.self || s.alive(d.peer)) {
			have = append(have, d.peer)
			since = min(since, d.at)
		}
	}
	return have, since
}

// keepPlace returns how many peers come before this node in keeping a copy.
func (s *Scheduler) keepPlace(j *openJob, i uint32) int {
	mine := job.Rank(j.id, i, s.self)
	n := 0
	for _, p := range s.peers.list {
		has := slices.ContainsFunc(j.cells[i].done, func(d done) bool { return d.peer == p.id })
		if !has && p.advert != nil && s.alive(p.id) && s.maySuit(p.advert, j.manifest.Need) == nil && job.Rank(j.id, i, p.id) < mine {
			n++
		}
	}
	return n
}

// keepCopy fetches a cell of another node's job. While many could not be had, these
// come first: there is an end to their tries.
func (s *Scheduler) keepCopy(j *openJob, i uint32, from []job.PeerID) {
	k := &j.keep
	if len(k.fetches) >= maxKeeps || slices.ContainsFunc(k.fetches, func(f fetch) bool { return f.cell == i }) {
		return
	}
	if n := ofCell(k.retries, i); n < 0 && len(k.retries) >= maxFetches || n >= 0 && s.now < k.retries[n].after {
		return
	}
	for _, d := range j.cells[i].done {
		if d.peer == from[0] {
			k.fetches = append(k.fetches, fetch{i, d.output, s.now})
			s.do(Fetch{Job: j.id, Cell: i, CID: d.output, Size: d.size, From: from})
			return
		}
	}
}

// kept takes a copy that has arrived. When it does not count, what it is a copy of does
// not either: it would be fetched for ever.
func (s *Scheduler) kept(j *openJob, ev Fetched) {
	c := &j.cells[ev.Cell]
	for _, d := range c.done {
		by, word := d.author()
		if d.output != ev.CID || d.bad || j.revoked(by) {
			continue
		}
		own := done{peer: s.self, output: d.output, size: d.size, gen: max(d.gen, c.doneGen(s.self)), at: s.now}
		if by != s.self {
			own.of, own.word = by, word
		}
		if s.addDone(j, ev.Cell, own) {
			s.recordCell(j, ev.Cell)
			s.do(Publish{&job.Done{Job: j.id, Cell: ev.Cell, Output: own.output, Size: own.size, Gen: own.gen, Of: own.word}})
		}
		break
	}
	if !slices.Contains(j.work.done, ev.Cell) {
		s.discard(j, ev.Cell, ev.CID)
	}
	if j.keep.finishing {
		j.keep.nextAt = s.now
	}
}

// dropCopies takes back this node's copies of what a peer has rendered.
func (s *Scheduler) dropCopies(j *openJob, by job.PeerID) {
	var cells []uint32
	for _, i := range j.work.done {
		for _, d := range j.cells[i].done {
			if d.peer == s.self && d.of == by {
				cells = append(cells, i)
			}
		}
	}
	for _, r := range job.RangesOf(cells...) {
		s.lostDone(j, r)
	}
}

// notKept lets a copy that could not be had wait. After some tries it is not to be
// had, unless it could not be taken here. Who makes the film then does not wait for
// another cell of a peer that is there and does not give what it says that it has.
func (s *Scheduler) notKept(j *openJob, cell uint32, output job.CID, here bool) {
	k := &j.keep
	k.fetches = slices.DeleteFunc(k.fetches, func(f fetch) bool { return f.cell == cell })
	n := ofCell(k.retries, cell)
	if n < 0 {
		n = len(k.retries)
		k.retries = append(k.retries, retry{cell: cell, first: s.now})
	}
	r := &k.retries[n]
	r.after = s.now + s.times.Keep
	if here {
		r.tries, r.first = 0, s.now
		return
	}
	if r.tries++; r.tries < maxFetchTries || s.now < r.first+s.ttl() {
		return
	}
	k.retries = slices.Delete(k.retries, n, n+1)
	for _, id := range s.discard(j, cell, output) {
		if k.finishing && s.alive(id) {
			s.leaveOut(j, id)
		}
	}
}

// discard notes that an output of a cell is not to be had from others, or does not count,
// and returns who has announced it.
func (s *Scheduler) discard(j *openJob, cell uint32, output job.CID) (by []job.PeerID) {
	for k := range j.cells[cell].done {
		if d := &j.cells[cell].done[k]; d.output == output && d.peer != s.self {
			by = append(by, d.peer)
			d.spoil(s.now)
		}
	}
	j.touch(cell)
	return by
}

// leaveOut has nothing of a peer count where the film is made.
func (s *Scheduler) leaveOut(j *openJob, id job.PeerID) {
	for i := range j.cells {
		for k := range j.cells[i].done {
			if d := &j.cells[i].done[k]; d.peer == id {
				d.spoil(s.now)
			}
		}
	}
	if m := j.member(id); m != nil && !m.out {
		m.out, m.outAt = true, s.now
		s.do(Tell{j.id, fmt.Sprintf("nothing that %s renders counts here any more: its output cannot be fetched", s.name(id))})
	}
	j.tally.epoch++
}

// spoil notes that the bytes of a Done are not to be had.
func (d *done) spoil(now time.Duration) {
	if !d.bad {
		d.bad, d.badAt = true, now
	}
}

// keepEnded reports whether a fetch was for a copy.
func (j *openJob) keepEnded(cell uint32, output job.CID) bool {
	n := len(j.keep.fetches)
	j.keep.fetches = slices.DeleteFunc(j.keep.fetches, func(f fetch) bool { return f.cell == cell && f.output == output })
	return len(j.keep.fetches) < n
}

// finish makes this node the one that makes the film of a job whose submitter does
// not come back. Said again it hands the cells out again: whoever had them may be gone.
func (s *Scheduler) finish(ev Finish) {
	j := s.find(ev.Job)
	if j == nil || j.own() {
		return
	}
	j.keep.finishing, j.keep.assembling, j.keep.since, j.keep.nextAt = true, false, s.now, s.now
	s.recordJob(j)
	for _, p := range s.peers.list { // who has what the submitter had collected?
		s.miss(p.id)
	}
}

// finishHere fetches all cells. What the submitter had collected, and nobody who
// is there has, is rendered here.
func (s *Scheduler) finishHere(j *openJob) {
	k := &j.keep
	if k.assembling {
		return
	}
	cells := make(map[uint32]job.CID, len(j.cells))
	for i := range uint32(len(j.cells)) {
		for _, d := range j.cells[i].done {
			if d.peer == s.self {
				cells[i] = d.output
			}
		}
		if cells[i] != "" {
			continue
		}
		if have, _ := s.holders(j, i); len(have) > 0 {
			s.keepCopy(j, i, have)
		} else if j.cells[i].collected && s.now >= k.since+s.times.Pull && !s.rendering(j, i) && s.canWork(j) && s.spare(j) > 0 {
			s.renderExtra(j, i)
		}
	}
	if len(cells) == len(j.cells) {
		k.assembling = true
		s.do(Tell{j.id, fmt.Sprintf("all %d cells are here", len(cells))}, Assemble{Job: j.id, Cells: cells})
	}
}
