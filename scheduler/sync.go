// SPDX-License-Identifier: MIT

package scheduler

import (
	"slices"
	"time"

	"meshnode/job"
)

// called answers a Call of a job that this node could work on.
func (s *Scheduler) called(from job.PeerID, c *job.Call) {
	if suits(&s.advert, c.Need) != nil {
		return
	}
	s.do(Warm{c.Need}, Send{from, &job.Ready{
		Nonce: c.Nonce, Slots: s.advert.Slots, Speed: s.advert.Speed, Queue: s.queue(), Sandbox: s.advert.Sandbox,
	}})
}

// offer takes a job that another node offers, from itself or relayed.
func (s *Scheduler) offer(m job.Signed, o *job.Offer) {
	if s.ended(o.Job) != nil {
		return
	}
	if j := s.find(o.Job); j != nil {
		if m.From == j.submitter {
			s.offerHeard(j)
		}
		return
	}
	of := 0
	for _, p := range s.offered {
		if p.signed.From == m.From {
			if p.offer.Job == o.Job {
				return
			}
			of++
		}
	}
	for _, j := range s.jobs {
		if j.submitter == m.From {
			of++
		}
	}
	if of >= maxPerPeer || len(s.jobs)+len(s.offered) >= maxJobs {
		return
	}
	s.offered = append(s.offered, &offered{signed: m, offer: o, askAt: s.now})
}

// fetchManifests asks for the manifests of new offers; after some tries it waits
// for the offer to be repeated.
func (s *Scheduler) fetchManifests() {
	const tries = 5
	s.offered = slices.DeleteFunc(s.offered, func(o *offered) bool { return !o.asking && o.tries >= tries })
	for _, o := range s.offered {
		if !s.due(o.askAt) {
			continue
		}
		o.asking, o.askAt = true, s.now+s.times.Prepare
		s.wakeAt(o.askAt)
		o.tries++
		s.do(FetchManifest{o.offer.Job, s.sources(o.signed.From)})
	}
}

// sources returns whom to ask for blocks of a job: its submitter first.
func (s *Scheduler) sources(submitter job.PeerID) []job.PeerID {
	const most = 8
	from := []job.PeerID{submitter}
	for _, p := range s.peers {
		if p.id != submitter && s.there(p.id) && p.advert != nil && len(from) < most {
			from = append(from, p.id)
		}
	}
	return from
}

func (s *Scheduler) manifestFetched(ev ManifestFetched) {
	var found *offered
	s.offered = slices.DeleteFunc(s.offered, func(o *offered) bool {
		switch {
		case o.offer.Job != ev.Job:
			return false
		case ev.Manifest == nil:
			o.asking, o.askAt = false, s.now+time.Duration(o.tries)*s.times.Retry
			return false
		case ev.Manifest.Submitter == o.signed.From && ev.Manifest.Nonce == o.offer.Nonce:
			found = o
		}
		return true // who offers another node's job is not listened to
	})
	if found == nil || s.find(ev.Job) != nil {
		return
	}
	j := newJob(ev.Job, ev.Manifest, found.offer, found.signed.Raw, s.now)
	if s.cells()+len(j.cells) > maxCells {
		return
	}
	s.jobs = append(s.jobs, j)
	s.offerHeard(j)
	s.recordJob(j)
	s.takePlan(j)
	for _, m := range found.backlog {
		s.fact(m, m.From)
	}
	if found.missed != "" {
		s.miss(found.missed)
	}
}

// cells returns the number of cells of all open jobs.
func (s *Scheduler) cells() int {
	n := 0
	for _, j := range s.jobs {
		n += len(j.cells)
	}
	return n
}

// takePlan notes the planned ranges as claims that end soon unless they are
// repeated, and claims this node's own.
func (s *Scheduler) takePlan(j *openJob) {
	j.meet(s.self)
	for i := range j.cells {
		j.cells[i].top = claim{since: s.now, until: s.now}
	}
	var mine job.Range
	for _, share := range Layout(j.offer, j.manifest) {
		for i := share.Range.A; i < share.Range.B; i++ {
			j.cells[i].top = s.provisional(claim{peer: share.Peer})
		}
		if share.Peer == s.self {
			mine = share.Range
		}
	}
	switch {
	case mine.Len() == 0:
	case s.canWork(j):
		s.claim(j, mine, 0, nil)
		s.prepare(j)
	default:
		s.do(Publish{&job.Released{Job: j.id, Range: mine, Cause: job.CauseBusy}})
		for i := mine.A; i < mine.B; i++ {
			s.release(j, i, s.self, 0)
		}
	}
}

// provisional makes a claim that ends after ClaimWait unless it is repeated.
func (s *Scheduler) provisional(c claim) claim {
	c.since, c.until = s.now, s.now+s.times.ClaimWait
	return c
}

// lasting makes a claim that ends after the time to live unless it is repeated.
func (s *Scheduler) lasting(c claim) claim {
	c.since, c.until = s.now, s.now+s.ttl()
	return c
}

// offerHeard puts off relaying an offer that somebody has just repeated. A
// submitter repeats its own every Repeat; others step in later, one after the
// other.
func (s *Scheduler) offerHeard(j *openJob) {
	j.offerSent = s.now
	j.offerAt = s.now + s.times.Repeat
	if !j.own() {
		spread := job.Rank(j.id, 0, s.self) % 1024
		j.offerAt += s.times.Repeat/4 + s.times.Repeat*time.Duration(spread)/1024
	}
}

// repeat sends open calls and offers again, and asks for manifests.
func (s *Scheduler) repeat() {
	for _, c := range s.plans {
		if s.due(c.callAt) {
			c.callAt = s.now + s.times.Repeat
			s.do(Publish{&job.Call{Nonce: c.nonce, Need: c.need}})
			s.wakeAt(c.callAt)
		}
	}
	for _, j := range s.jobs {
		if !s.due(j.offerAt) {
			continue
		}
		if j.own() {
			s.do(Publish{j.offer})
		} else {
			s.do(Relay{j.offerRaw})
		}
		s.offerHeard(j)
		s.wakeAt(j.offerAt)
	}
	s.fetchManifests()
}

// progress repeats this node's claims while there is a job it may work on, or
// that needs what it has done.
func (s *Scheduler) progress() {
	if !slices.ContainsFunc(s.jobs, s.takesPart) {
		s.nextProgress = 0
		return
	}
	if s.nextProgress == 0 {
		s.nextProgress = s.now + s.times.Progress
	}
	if !s.due(s.nextProgress) {
		return
	}
	s.nextProgress = s.now + s.times.Progress
	s.wakeAt(s.nextProgress)
	p := &job.Progress{Idle: uint32(max(0, s.spareSlots()))}
	ranges := 0
	for _, j := range s.jobs {
		p.Held = s.heldOf(j, p.Held, &ranges)
	}
	s.do(Publish{p})
}

// takesPart reports whether others should hear of this node in a job.
func (s *Scheduler) takesPart(j *openJob) bool {
	if j.open == 0 {
		return false
	}
	if s.canWork(j) {
		return true
	}
	for i := range j.cells {
		if c := &j.cells[i]; !c.collected && slices.ContainsFunc(c.done, func(d done) bool { return d.peer == s.self }) {
			return true
		}
	}
	return false
}

// maxProgressRanges keeps a Progress far below job.MaxMessage.
const maxProgressRanges = 2048

// heldOf appends what this node holds of a job, one entry for each generation.
func (s *Scheduler) heldOf(j *openJob, held []job.Held, ranges *int) []job.Held {
	first := len(held)
	rate := 0.0
	for _, c := range s.claims(j) {
		if *ranges++; *ranges > maxProgressRanges {
			break
		}
		k := slices.IndexFunc(held[first:], func(h job.Held) bool { return h.Gen == c.Gen })
		if k < 0 {
			if len(held) >= job.MaxHeld {
				break
			}
			if len(held) == first {
				if r, known := s.ownRate(j); known {
					rate = r
				}
			}
			held = append(held, job.Held{Job: j.id, Range: c.Range, Gen: c.Gen, Left: job.Ranges{c.Range}, Rate: rate})
			continue
		}
		if h := &held[first+k]; len(h.Left) < job.MaxRanges {
			h.Range.B = c.Range.B
			h.Left = append(h.Left, c.Range)
		}
	}
	return held
}

// claims returns what this node holds of a job, one claim for each run of cells
// of a generation.
func (s *Scheduler) claims(j *openJob) []job.Claim {
	var out []job.Claim
	for i := range uint32(len(j.cells)) {
		if !s.held(j, i) {
			continue
		}
		gen := j.cells[i].top.gen
		if n := len(out); n > 0 && out[n-1].Range.B == i && out[n-1].Gen == gen {
			out[n-1].Range.B++
		} else {
			out = append(out, job.Claim{Job: j.id, Range: job.Range{A: i, B: i + 1}, Gen: gen})
		}
	}
	for i := range out {
		for _, g := range j.work.grants {
			if g.gen == out[i].Gen && g.cells.A <= out[i].Range.A && out[i].Range.B <= g.cells.B {
				out[i].Grant = g.raw
			}
		}
	}
	return out
}

// pullRegularly asks one peer after the other for its state, and at once those
// that seem to know more.
func (s *Scheduler) pullRegularly() {
	for _, p := range s.peers {
		if p.missed && s.there(p.id) && s.due(p.pulled+s.times.Retry) {
			s.pull(p)
		}
	}
	if len(s.jobs) == 0 {
		s.nextPull = s.now + s.times.Pull
		return
	}
	if !s.due(s.nextPull) {
		return
	}
	s.nextPull = s.now + s.times.Pull
	s.wakeAt(s.nextPull)
	for range s.peers {
		s.pullTurn = (s.pullTurn + 1) % len(s.peers)
		if p := s.peers[s.pullTurn]; s.there(p.id) {
			s.pull(p)
			return
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
		for _, r := range j.runs(func(i uint32) bool { return s.status(j, i).kind >= finished }) {
			if len(known) < job.MaxRanges && room > 0 {
				known = append(known, r)
				room--
			}
		}
		pull.Known = append(pull.Known, job.Known{Job: j.id, Cells: known})
	}
	for _, e := range s.over[max(0, len(s.over)-most):] {
		pull.Known = append(pull.Known, job.Known{Job: e.id, Over: true})
	}
	s.ask(p.id, "", pull)
}

// state answers a Pull.
func (s *Scheduler) state(id uint64, from job.PeerID, pull *job.Pull) {
	known := make(map[job.ID]job.Known, len(pull.Known))
	for _, k := range pull.Known {
		known[k.Job] = k
	}
	var facts []job.Signed
	add := func(from job.PeerID, msg job.Message, raw []byte) {
		facts = append(facts, job.Signed{From: from, Msg: msg, Raw: raw})
	}
	for _, e := range s.over {
		if k, asked := known[e.id]; asked && !k.Over && e.last.Msg != nil {
			add(e.last.From, e.last.Msg, e.last.Raw)
		}
	}
	for _, j := range s.jobs {
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
		for _, m := range j.members {
			if m.revoked.Msg != nil {
				add(m.revoked.From, m.revoked.Msg, m.revoked.Raw)
			}
		}
		for _, c := range s.claims(j) {
			add(s.self, &c, nil)
		}
		for i := range uint32(len(j.cells)) {
			if j.cells[i].collected || k.Cells.Has(i) {
				continue
			}
			for _, d := range j.cells[i].done {
				if s.now < s.doneEnd(j, &d) {
					add(d.peer, &job.Done{Job: j.id, Cell: i, Output: d.output, Size: d.size}, d.raw)
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
		return
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

// fact takes one fact that a peer has passed on.
func (s *Scheduler) fact(f job.Signed, by job.PeerID) {
	if o, ok := f.Msg.(*job.Offer); ok && f.From == s.self {
		s.disown(o)
	}
	if f.Msg == nil || f.From == s.self || s.early(f) {
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

// disown cancels a job of this node that it does not remember, so that nobody
// goes on rendering it.
func (s *Scheduler) disown(o *job.Offer) {
	if s.find(o.Job) != nil || s.ended(o.Job) != nil {
		return
	}
	cancel := &job.Cancel{Job: o.Job, Nonce: o.Nonce, Reason: "the submitter was restarted"}
	s.do(Publish{cancel})
	s.remember(ended{id: o.Job, last: job.Signed{From: s.self, Msg: cancel}, said: s.now})
}
