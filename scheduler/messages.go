// SPDX-License-Identifier: MIT

package scheduler

import (
	"fmt"
	"slices"

	"meshnode/job"
)

// about returns the job that a fact is about.
func about(m job.Message) (job.ID, bool) {
	switch m := m.(type) {
	case *job.Claim:
		return m.Job, true
	case *job.Released:
		return m.Job, true
	case *job.Done:
		return m.Job, true
	case *job.Collected:
		return m.Job, true
	case *job.Revoked:
		return m.Job, true
	}
	return "", false
}

// early keeps a fact of a job whose manifest is still on its way.
func (s *Scheduler) early(m job.Signed) bool {
	id, ok := about(m.Msg)
	if !ok || s.find(id) != nil {
		return false
	}
	for _, o := range s.offered {
		if o.offer.Job != id {
			continue
		}
		if o.backlogSize += len(m.Raw); o.backlogSize > maxBacklog {
			o.missed = m.From
		} else {
			o.backlog = append(o.backlog, m)
		}
		ok = false
	}
	return !ok
}

// lookup returns the open job that a fact is about. A fact of a job that is not
// known means that this node has missed something which its sender may know.
func (s *Scheduler) lookup(id job.ID, from job.PeerID) *openJob {
	j := s.find(id)
	if j == nil {
		if e := s.ended(id); e != nil {
			s.sayEnded(e)
		} else if !slices.ContainsFunc(s.offered, func(o *offered) bool { return o.offer.Job == id }) {
			s.miss(from)
		}
		return nil
	}
	if j.out(from) {
		return nil
	}
	return j
}

// sayEnded repeats that a job of this node is over, to a peer that has not heard.
func (s *Scheduler) sayEnded(e *ended) {
	if e.last.Msg != nil && e.last.From == s.self && s.now >= e.said+s.times.Retry {
		e.said = s.now
		s.do(Publish{e.last.Msg})
	}
}

// sayCollected repeats what is collected, when a peer claims what is.
func (s *Scheduler) sayCollected(j *openJob, claimed job.Ranges) {
	if !j.own() || j.mine.unsaid {
		return
	}
	for i := range claimed.Cells() {
		if j.cells[i].collected {
			j.mine.unsaid = true
			return
		}
	}
}

// miss asks for a pull from a peer.
func (s *Scheduler) miss(from job.PeerID) {
	if p := s.peer(from); p != nil {
		p.missed, s.missing = true, true
	}
}

func (s *Scheduler) claimed(m job.Signed, msg *job.Claim) {
	j := s.lookup(msg.Job, m.From)
	if j == nil || !j.inGrid(msg.Range) || s.enroll(j, m.From) == nil {
		return
	}
	x := s.lasting(claim{peer: m.From, gen: msg.Gen})
	var by job.PeerID
	if m.Grant != nil {
		if g, ok := m.Grant.Msg.(*job.Grant); ok && g.Job == j.id && g.To == m.From && g.Gen == msg.Gen &&
			g.Range.A <= msg.Range.A && msg.Range.B <= g.Range.B {
			by, x.granted = m.Grant.From, true
		}
	}
	for i := msg.Range.A; i < msg.Range.B; i++ {
		s.admit(j, i, x, by)
	}
	j.member(m.From).begins(s.now)
	s.tellLike(j, j.member(m.From))
	s.sayCollected(j, job.Ranges{msg.Range})
}

func (s *Scheduler) progressed(from job.PeerID, msg *job.Progress) {
	if p := s.peer(from); p != nil {
		p.idle, p.idleAt = msg.Idle, s.now
	}
	for _, j := range s.jobs {
		if m := j.member(from); m != nil && !slices.ContainsFunc(msg.Held, func(h job.Held) bool { return h.Job == j.id }) {
			if m.left = 0; m.worked > 0 && !s.claimsAny(j, from) {
				m.worked = 0
			}
		}
	}
	for i := range msg.Held {
		h := &msg.Held[i]
		j := s.lookup(h.Job, from)
		if j == nil || !j.inGrid(h.Range) {
			continue
		}
		m := s.enroll(j, from)
		if m == nil {
			continue
		}
		if rate := j.plausible(h.Rate); rate != m.rate {
			m.rate, j.tally.rated = rate, false
		}
		left := 0
		for _, o := range msg.Held {
			if o.Job == h.Job {
				left += o.Left.Len()
			}
		}
		if left != m.left {
			m.left, m.moved = left, s.now
		}
		if m.worked == 0 && left > 0 {
			m.worked = s.now
		}
		for c := range h.Left.Cells() {
			s.admit(j, c, s.lasting(claim{peer: from, gen: h.Gen}), "")
		}
		s.sayCollected(j, h.Left)
	}
	s.findLost(from)
}

// claimsAny reports whether a peer has of late claimed cells that are not finished: who
// claims them again and again, and says that it holds none, does not begin anew.
func (s *Scheduler) claimsAny(j *openJob, id job.PeerID) bool {
	for i := range j.cells {
		if top := &j.cells[i].top; top.peer == id && s.now < top.until && s.status(j, uint32(i)).kind < finished {
			return true
		}
	}
	return false
}

// findLost pulls from a peer that has stopped repeating a claim although no Done
// of that cell has come: the Done was lost.
func (s *Scheduler) findLost(from job.PeerID) {
	stale := s.now - s.every()*3/2
	for _, j := range s.jobs {
		h := s.heldBy(j, from)
		for i := h.low; i < h.end; i++ {
			if st := s.status(j, i); st.kind != claimed || st.peer != from {
				continue
			}
			if top := &j.cells[i].top; top.since < stale && top.until < stale+s.ttl() {
				s.miss(from)
				return
			}
		}
	}
}

func (s *Scheduler) released(from job.PeerID, msg *job.Released) {
	j := s.lookup(msg.Job, from)
	if j == nil || !j.inGrid(msg.Range) {
		return
	}
	m := s.enroll(j, from)
	if m == nil {
		return
	}
	for i := msg.Range.A; i < msg.Range.B; i++ {
		c := &j.cells[i]
		held := c.top.peer == from && c.top.gen == msg.Gen
		if msg.Cause == job.CauseLost {
			s.void(j, i, from, msg.Gen)
		} else {
			s.release(j, i, from, msg.Gen)
		}
		if held && msg.Cause == job.CauseFailed { // who did not hold it did not try it
			if s.noteFailure(j, from, i, msg.Gen) {
				s.failedBy(j, from, i, msg.Reason)
			}
		}
	}
	if msg.Cause == job.CauseDiverged && !m.out {
		m.out, m.outAt = true, s.now
		s.forgetStatus()
		if j.own() {
			s.do(Tell{j.id, fmt.Sprintf("%s leaves the job: %s", s.name(from), firstLine(msg.Reason))})
			s.doubt(j, firstLine(msg.Reason))
		}
	}
}

func (s *Scheduler) doneBy(m job.Signed, msg *job.Done) {
	j := s.lookup(msg.Job, m.From)
	if j == nil || int(msg.Cell) >= len(j.cells) || s.enroll(j, m.From) == nil {
		return
	}
	d := done{peer: m.From, output: msg.Output, size: msg.Size, gen: msg.Gen, at: s.now, raw: m.Raw}
	if m.Of != nil && m.Of.From != m.From {
		if d.of, d.word = m.Of.From, m.Of.Raw; j.meet(d.of) == nil {
			return
		}
	}
	s.addDone(j, msg.Cell, d)
}

// addDone notes a finished cell, and reports whether that is new. A peer's first
// word counts.
func (s *Scheduler) addDone(j *openJob, cell uint32, d done) bool {
	c := &j.cells[cell]
	if by, _ := d.author(); j.revoked(by) || covers(c.lost, d.peer, d.gen) {
		return false
	}
	j.touch(cell)
	if k := slices.IndexFunc(c.done, func(o done) bool { return o.peer == d.peer }); k >= 0 {
		if o := &c.done[k]; o.output == d.output { // it is there again, and so may be its bytes
			o.at, o.bad, o.gen = d.at, false, max(o.gen, d.gen)
		}
		return false
	}
	if len(c.done) >= maxDone {
		k := slices.IndexFunc(c.done, func(o done) bool { return s.now >= s.doneEnd(j, &o) })
		if k < 0 && d.peer == s.self { // what is here counts more than one more copy elsewhere
			k = 0
		}
		if k < 0 {
			return false
		}
		c.done = slices.Delete(c.done, k, k+1)
	}
	c.done = append(c.done, d)
	if d.peer == s.self {
		j.work.done = append(j.work.done, cell)
	}
	s.learned++
	if m := j.meet(d.peer); m != nil {
		m.moved = s.now
		m.reach, m.finished = max(m.reach, cell+1), true
		if m.worked > 0 {
			if s.now >= s.stalledAt(j, m) {
				s.forgetStatus() // its claims hold again
			}
			m.worked = s.now
		}
	}
	if d.peer != s.self {
		s.renderedByOther(j, cell)
		if !j.own() || !j.mine.onlyHere(cell) {
			s.stop(j, cell)
		}
	}
	return true
}

func (s *Scheduler) collectedBy(m job.Signed, msg *job.Collected) {
	j := s.find(msg.Job)
	if j == nil || m.From != j.submitter || msg.Epoch < j.epoch {
		return
	}
	if msg.Epoch > j.epoch {
		s.newEpoch(j, msg.Epoch)
	}
	for _, r := range msg.Cells {
		for i := r.A; i < min(r.B, uint32(len(j.cells))); i++ {
			if c := &j.cells[i]; !c.collected {
				c.collected = true
				j.touch(i)
				j.open--
				s.learned++
				if len(c.done) > 0 {
					c.from, _ = c.done[0].author()
				}
				s.renderedByOther(j, i)
				s.stop(j, i)
			}
		}
	}
	if old, ok := j.collected.Msg.(*job.Collected); !ok || old.Cells.Len() <= msg.Cells.Len() {
		j.collected = m
	}
	if msg.Final {
		s.forget(j, m)
	}
}

// newEpoch forgets what a submitter has said that it had collected. What it had
// rendered itself and does not say again is lost.
func (s *Scheduler) newEpoch(j *openJob, epoch uint32) {
	j.epoch, j.collected = epoch, job.Signed{}
	j.beginAgain(s.now)
	for i := range j.cells {
		if c := &j.cells[i]; c.collected {
			c.collected = false
			j.touch(uint32(i))
			j.open++
			s.dropDone(j, uint32(i), j.submitter, ^uint32(0))
		}
	}
}

func (s *Scheduler) revokedBy(m job.Signed, msg *job.Revoked) {
	j := s.find(msg.Job)
	if j == nil || m.From != j.submitter {
		return
	}
	s.revoke(j, msg.Peer, m)
}

// revoke makes nothing count that a peer did for a job and that is not collected.
func (s *Scheduler) revoke(j *openJob, id job.PeerID, word job.Signed) {
	m := j.meet(id)
	if m == nil || m.revoked.Msg != nil {
		return
	}
	m.out, m.outAt, m.revoked = true, s.now, word
	s.forgetStatus()
	if id == s.self {
		s.quit(j, "")
	}
	s.dropCopies(j, id)
	for i := range j.cells {
		c := &j.cells[i]
		n := len(c.done)
		if c.done = slices.DeleteFunc(c.done, func(d done) bool { return d.of == id }); len(c.done) < n {
			j.touch(uint32(i))
		}
	}
}

func (s *Scheduler) canceled(m job.Signed, msg *job.Cancel) {
	s.offered = slices.DeleteFunc(s.offered, func(o *offered) bool { return o.signed.From == m.From && o.offer.Job == msg.Job })
	if j := s.find(msg.Job); j != nil && m.From == j.submitter {
		s.forget(j, m)
	}
}

// firstLine shortens a renderer's output to what fits in a line of news.
func firstLine(text string) string {
	for i, r := range text {
		if r == '\n' || i > 200 {
			return text[:i]
		}
	}
	return text
}
