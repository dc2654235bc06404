// SPDX-License-Identifier: MIT

package scheduler

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"meshnode/job"
)

// maxLives is how often a node may end in the middle of a job, without a
// finished cell in between, before it leaves the job to others: a cell may be what
// ends it.
const maxLives = 3

// Restore takes up the jobs that an earlier life of this node has left on disk,
// from what its Persist actions wrote. It is called once, before the first Step;
// its actions are carried out as those of a Step are.
//
// What the node held it holds again: peers that have taken it over meanwhile say
// so, and order decides. What others hold is not known yet, so for a moment
// nothing is taken for free. A job of this node has to be prepared again: Prepare
// means its plan. Records that cannot be read, or without their job, are deleted.
func (s *Scheduler) Restore(now time.Duration, records map[string][]byte) []Action {
	s.now, s.out, s.wake = now, nil, forever
	var j *openJob
	for _, key := range slices.Sorted(maps.Keys(records)) { // a job's own record comes first
		id, sub, _ := strings.Cut(strings.TrimPrefix(key, "job/"), "/")
		r, err := DecodeRecord(records[key])
		switch {
		case err != nil:
		case sub == "":
			if j = s.restoreJob(job.ID(id), r.Job); j != nil {
				s.jobs = append(s.jobs, j)
			}
		case j != nil && j.id == job.ID(id):
			s.restorePart(j, sub, r)
		}
		if j == nil || j.id != job.ID(id) || err != nil {
			s.do(Persist{Key: key})
		} else {
			j.records = append(j.records, key)
		}
	}
	for _, j := range s.jobs {
		s.resume(j)
	}
	s.evaluate()
	return s.out
}

// restoreJob returns the job of a record, or nil when it is damaged.
func (s *Scheduler) restoreJob(id job.ID, r *JobRecord) *openJob {
	if r == nil || r.Offer.Job != id || job.ID(job.CIDOf(r.Manifest)) != id {
		return nil
	}
	m, err := job.DecodeManifest(r.Manifest)
	if err != nil {
		return nil
	}
	j := newJob(id, m, &r.Offer, r.Raw, s.now)
	j.lives, j.keep.finishing, j.keep.since = r.Lives, r.Finishing, s.now
	j.meet(s.self)
	s.layOut(j)
	for i := range j.cells {
		if top := &j.cells[i].top; top.peer == "" || top.peer == s.self {
			*top = s.provisional(claim{}) // anybody may hold it
		}
	}
	if m.Submitter == s.self {
		j.mine = newSubmission(len(j.cells), r.LocalSlots, min(r.Trust, TrustOpen), r.Secret)
		j.epoch = r.Epoch
		for _, v := range r.Revoked {
			s.revoke(j, v.Peer, job.Signed{From: s.self, Msg: &job.Revoked{Job: id, Peer: v.Peer, Reason: v.Reason}})
		}
	}
	s.offerHeard(j)
	return j
}

// restorePart takes one of the records beside a job's own.
func (s *Scheduler) restorePart(j *openJob, sub string, r *Record) {
	for _, c := range r.Claims {
		if sub != "claims" || !j.inGrid(c.Range) {
			continue
		}
		for i := c.Range.A; i < c.Range.B; i++ {
			j.cells[i].top = s.lasting(claim{peer: s.self, gen: c.Gen, granted: c.Grant != nil})
		}
		if c.Grant != nil {
			j.work.grants = append(j.work.grants, grant{c.Range, c.Gen, c.Grant})
		}
	}
	j.work.top, j.work.floor = max(j.work.top, r.Top), max(j.work.floor, r.Top)
	for _, f := range r.Failed {
		if int(f.Cell) < len(j.cells) {
			s.noteFailure(j, s.self, f.Cell, f.Gen)
		}
	}
	kind, page, _ := strings.Cut(sub, "/")
	if _, err := strconv.ParseUint(page, 10, 32); err != nil {
		return
	}
	for _, c := range r.Cells {
		if int(c.Cell) >= len(j.cells) {
			continue
		}
		switch cell := &j.cells[c.Cell]; {
		case kind == "done" && !j.own():
			s.addDone(j, c.Cell, done{peer: s.self, output: c.Output, size: c.Size, gen: c.Gen, at: s.now, of: c.From, word: c.Word})
		case kind == "collected" && j.own() && !cell.collected:
			cell.collected = true
			j.touch(c.Cell)
			j.mine.outputs[c.Cell] = c.Output
			j.open--
			if cell.from = c.From; c.From == "" {
				cell.from = s.self
			}
			cell.word, cell.alike = c.Word, c.Alike
			j.mine.checks.found[c.Cell] = min(c.Found, passed)
			s.toCheck(j, c.Cell)
		}
	}
}

// resume puts on record that another life has begun.
func (s *Scheduler) resume(j *openJob) {
	held := len(s.claims(j)) > 0
	if held {
		j.lives++
	}
	if j.own() {
		j.epoch++ // what was said before may have been more than is still here
		j.mine.unsaid = true
	}
	if held || j.own() {
		s.recordJob(j)
	}
	if j.lives >= maxLives {
		reason := fmt.Sprintf("this node has ended %d times while it worked on the job", j.lives)
		s.do(Tell{j.id, reason + ": it leaves it to others"})
		s.quit(j, reason)
	}
}
