// SPDX-License-Identifier: MIT

package scheduler

import (
	"slices"

	"meshnode/job"
)

// pullRegularly asks one peer after the other for its state, and at once those
// that seem to know more.
func (s *Scheduler) pullRegularly() {
	s.pullMissing()
	if len(s.jobs) == 0 {
		s.nextPull = s.now + s.times.Pull
		return
	}
	if !s.due(s.nextPull) {
		return
	}
	s.nextPull = s.now + s.times.Pull
	s.wakeAt(s.nextPull)
	for range s.peers.list {
		s.pullTurn = (s.pullTurn + 1) % s.peers.len()
		if p := s.peers.list[s.pullTurn]; s.there(p.id) {
			s.pull(p)
			return
		}
	}
}

// pullMissing pulls from those that may know what this node does not, some at a
// time; one, and less and less often, while they do not answer. Who has too much to do
// to answer loses messages, and more pulls for what was lost would keep it so.
func (s *Scheduler) pullMissing() {
	if !s.missing || !s.due(s.pullAfter) {
		return
	}
	s.missing = false
	most := maxPulls
	if s.pullPause > 0 {
		most = 1
	}
	pulls := 0
	for _, r := range s.waiting {
		if r.job == "" {
			pulls++
		}
	}
	for _, p := range s.peers.list {
		if p.missed = p.missed && s.there(p.id); !p.missed {
			continue
		}
		s.missing = true
		if pulls < most && (p.pulled == 0 || s.due(p.pulled+s.times.Retry)) {
			s.pull(p)
			pulls++
		}
	}
}

func (s *Scheduler) pull(p *peer) {
	p.pulled, p.missed = s.now, false
	const most = job.MaxKnown / 2 // of open jobs and of those that are over; maxJobs and maxOver fit
	pull := &job.Pull{}
	room := maxProgressRanges
	for _, j := range s.jobs {
		var known job.Ranges
		enough := func(i uint32) bool { return s.status(j, i).kind >= finished }
		if j.keep.finishing {
			enough = func(i uint32) bool { return slices.Contains(j.work.done, i) }
		}
		for _, r := range j.runs(enough) {
			if len(known) < job.MaxRanges && room > 0 {
				known = append(known, r)
				room--
			}
		}
		pull.Known = append(pull.Known, job.Known{Job: j.id, Cells: known, All: j.keep.finishing})
	}
	for _, e := range s.over[max(0, len(s.over)-most):] {
		pull.Known = append(pull.Known, job.Known{Job: e.id, Over: true})
	}
	s.ask(p.id, "", pull, 4*s.times.Answer) // a State is large, and nothing waits for it
}

// state answers a Pull, with what is surely too much if there is too much: the node leaves
// out what does not fit.
func (s *Scheduler) state(id uint64, from job.PeerID, pull *job.Pull) {
	known := make(map[job.ID]job.Known, len(pull.Known))
	for _, k := range pull.Known {
		known[k.Job] = k
	}
	var facts []job.Signed
	room := job.MaxState
	add := func(from job.PeerID, msg job.Message, raw []byte) {
		const least = 128 // bytes of any envelope; this node's own are not there yet
		room -= max(len(raw), least)
		facts = append(facts, job.Signed{From: from, Msg: msg, Raw: raw})
	}
	for _, e := range s.over {
		if k, asked := known[e.id]; asked && !k.Over && e.last.Msg != nil {
			add(e.last.From, e.last.Msg, e.last.Raw)
		}
	}
	for _, j := range s.jobs {
		if room < 0 {
			break
		}
		k := known[j.id]
		if k.Over {
			s.miss(from)
			continue
		}
		add(j.submitter, j.offer, j.offerRaw)
		if j.own() {
			for _, c := range s.collectedWords(j) {
				add(s.self, c, nil)
			}
		} else if j.collected.Msg != nil {
			add(j.submitter, j.collected.Msg, j.collected.Raw)
		}
		for _, m := range j.members.list {
			if m.revoked.Msg != nil {
				add(m.revoked.From, m.revoked.Msg, m.revoked.Raw)
			}
		}
		for _, c := range s.claims(j) {
			add(s.self, &c, nil)
		}
		for i := uint32(0); i < uint32(len(j.cells)) && room >= 0; i++ {
			if j.cells[i].collected && !k.All || k.Cells.Has(i) {
				continue
			}
			for _, d := range j.cells[i].done {
				if s.now < s.doneEnd(j, &d) {
					add(d.peer, &job.Done{Job: j.id, Cell: i, Output: d.output, Size: d.size, Gen: d.gen, Of: d.word}, d.raw)
				}
			}
		}
	}
	s.do(ReplyState{id, facts})
}

// pulled takes the facts that a peer has sent. Only what the peer says of itself
// proves that its author is there.
func (s *Scheduler) pulled(from job.PeerID, ev Answered) {
	state, ok := ev.Msg.(*job.State)
	if !ok {
		if s.now >= s.pullAfter {
			s.pullPause = min(max(2*s.pullPause, s.times.Retry), s.times.Pull)
			s.pullAfter = s.now + s.pullPause
		}
		return
	}
	if s.pullPause /= 2; s.pullPause < s.times.Retry {
		s.pullPause = 0
	}
	before := s.learned
	for _, f := range ev.Facts {
		s.fact(f, from)
	}
	if state.More && s.learned > before {
		if p := s.peer(from); p != nil {
			s.pull(p)
		}
	}
}

// remind takes what this node has said, in a life that it may not remember, and
// takes back what is not so any more.
func (s *Scheduler) remind(m job.Message) {
	switch m := m.(type) {
	case *job.Offer:
		s.disown(m)
	case *job.Done:
		j := s.find(m.Job)
		if j == nil || int(m.Cell) >= len(j.cells) || slices.Contains(j.work.done, m.Cell) || j.own() && j.cells[m.Cell].collected {
			return
		}
		s.do(Publish{&job.Released{Job: j.id, Range: job.Range{A: m.Cell, B: m.Cell + 1}, Gen: m.Gen, Cause: job.CauseLost}})
		s.void(j, m.Cell, s.self, m.Gen)
	}
}

// fact takes one fact that a peer has passed on.
func (s *Scheduler) fact(f job.Signed, by job.PeerID) {
	if f.Msg == nil || f.From != s.self && s.early(f) {
		return
	}
	if f.From == s.self {
		s.remind(f.Msg)
		return
	}
	switch msg := f.Msg.(type) {
	case *job.Offer:
		s.offer(f, msg)
	case *job.Claim:
		if f.From == by {
			s.claimed(f, msg)
		}
	case *job.Released:
		s.released(f.From, msg)
	case *job.Done:
		s.doneBy(f, msg)
	case *job.Collected:
		s.collectedBy(f, msg)
	case *job.Revoked:
		s.revokedBy(f, msg)
	case *job.Cancel:
		s.canceled(f, msg)
	}
}
