// SPDX-License-Identifier: MIT

package scheduler

import (
	"fmt"
	"slices"
	"time"

	"meshnode/job"
)

// planning is a job of this node that is being planned.
type planning struct {
	nonce    job.Nonce
	need     job.Need
	calledAt time.Duration // when it was called first
	callAt   time.Duration // when it is called next
	ready    []job.Member  // who answered, by peer id
	planned  *Submit       // what waits for answers
}

// submission is what a submitter keeps of its open job.
type submission struct {
	localSlots  uint32
	outputs     []job.CID // of collected cells
	fetches     []fetch   // in flight
	retries     []retry
	here        []retry       // cells of which only counts what this node renders
	unsaid      bool          // cells were collected since the last Collected
	collectedAt time.Duration // when the next Collected may be sent
	assembling  bool
	reason      string // of the latest failure
	doubt       string // how the walk of a peer differed from the plan, the last time
	rewalking   bool   // this node has been told to walk once more,
	steady      bool   // and has found that the scene plays as planned
	told        string // why the job waits, as people were told
	checks      checks
}

func newSubmission(cells int, localSlots uint32, trust Trust, secret []byte) *submission {
	return &submission{
		localSlots: localSlots, outputs: make([]job.CID, cells),
		checks: checks{trust: trust, secret: secret, found: make([]found, cells)},
	}
}

// fetch is a cell being collected.
type fetch struct {
	cell   uint32
	output job.CID
	since  time.Duration
}

// retry is a cell that could not be collected.
type retry struct {
	cell  uint32
	tries int
	blind int           // of a fetch: times that this node could not look at it
	first time.Duration // when the first of them failed
	after time.Duration
}

// ofCell returns the place of a cell's tries; < 0: there were none.
func ofCell(retries []retry, cell uint32) int {
	return slices.IndexFunc(retries, func(r retry) bool { return r.cell == cell })
}

func (s *Scheduler) plan(ev Plan) {
	if s.planning(ev.Nonce) == nil {
		s.plans = append(s.plans, &planning{nonce: ev.Nonce, need: ev.Need, calledAt: s.now, callAt: s.now})
	}
}

func (s *Scheduler) planning(n job.Nonce) *planning {
	for _, p := range s.plans {
		if p.nonce == n {
			return p
		}
	}
	return nil
}

// ready notes a peer that answered a call.
func (s *Scheduler) ready(from job.PeerID, r *job.Ready) {
	s.heard(from)
	c := s.planning(r.Nonce)
	if c == nil || r.Slots == 0 {
		return
	}
	m := job.Member{Peer: from, Slots: r.Slots, Speed: r.Speed, Queue: r.Queue}
	i, ok := search(c.ready, from, func(m job.Member) job.PeerID { return m.Peer })
	switch {
	case ok:
		c.ready[i] = m
	case len(c.ready) < job.MaxRoster-1: // one place is this node's own
		c.ready = slices.Insert(c.ready, i, m)
	}
}

// submit takes a planned job. A plan can be quicker than the answers to its
// call: a roster without peers that are there and able would leave them out of
// the layout.
func (s *Scheduler) submit(ev Submit) {
	if ev.Manifest != nil {
		if c := s.planning(ev.Manifest.Nonce); c != nil && !s.mustered(c) && len(ev.Cached) < len(ev.Manifest.Grid()) {
			c.planned = &ev
			return
		}
	}
	s.open(ev)
}

// mustered reports whether all peers that could work on a planned job have
// answered, or have had the time to.
func (s *Scheduler) mustered(c *planning) bool {
	able := func(p *peer) bool {
		return !p.left && p.advert != nil && p.advert.Slots > 0 && s.maySuit(p.advert, c.need) == nil
	}
	for _, p := range s.peers.list {
		if _, answered := search(c.ready, p.id, func(m job.Member) job.PeerID { return m.Peer }); able(p) && !answered {
			return s.due(c.calledAt + s.times.Muster)
		}
	}
	return true
}

// muster offers the planned jobs whose call has been answered.
func (s *Scheduler) muster() {
	for _, c := range slices.Clone(s.plans) {
		if c.planned != nil && s.mustered(c) {
			s.open(*c.planned)
		}
	}
}

// open offers a planned job to those who are ready.
func (s *Scheduler) open(ev Submit) {
	m := ev.Manifest
	if m == nil || m.Submitter != s.self || s.find(ev.Job) != nil {
		s.do(Fail{ev.Job, "scheduler: the manifest is not of this node: publish again"})
		return
	}
	o := &job.Offer{Job: ev.Job, Nonce: m.Nonce}
	if c := s.planning(m.Nonce); c != nil {
		for _, r := range c.ready {
			p := s.peer(r.Peer) // what the plan has shown may be too much for it
			if s.there(r.Peer) && (p.advert == nil || s.maySuit(p.advert, m.Need) == nil) {
				o.Roster = append(o.Roster, r)
			}
		}
		s.plans = slices.DeleteFunc(s.plans, func(p *planning) bool { return p == c })
	}
	if ev.LocalSlots > 0 {
		o.Roster = append(o.Roster, job.Member{Peer: s.self, Slots: ev.LocalSlots, Speed: s.advert.Speed, Queue: s.queue()})
	}
	j := newJob(ev.Job, m, o, nil, s.now)
	j.mine = newSubmission(len(j.cells), ev.LocalSlots, ev.Trust, ev.Secret)
	j.work.ready = true // the engine that planned it renders it
	s.jobs = append(s.jobs, j)
	s.recordJob(j)
	s.keepCached(j, ev.Cached)
	s.offerHeard(j)
	if j.open == 0 { // nobody else needs to know of it
		j.meet(s.self)
		return
	}
	s.do(Publish{o})
	s.takePlan(j)
}

// abort ends a job of this node at the user's wish.
func (s *Scheduler) abort(ev Abort) {
	if c := s.planning(ev.Nonce); c != nil {
		s.plans = slices.DeleteFunc(s.plans, func(p *planning) bool { return p == c })
		s.do(Publish{&job.Cancel{Nonce: ev.Nonce, Reason: job.Clip(ev.Reason)}})
		return
	}
	for _, j := range s.jobs {
		if j.own() && j.manifest.Nonce == ev.Nonce {
			s.fail(j, ev.Reason)
			return
		}
	}
}

// fail ends a job of this node without a film.
func (s *Scheduler) fail(j *openJob, reason string) {
	cancel := &job.Cancel{Job: j.id, Nonce: j.manifest.Nonce, Reason: job.Clip(reason)}
	s.forget(j, job.Signed{From: s.self, Msg: cancel}) // first: after a crash it must not go on
	s.do(Publish{cancel}, Fail{j.id, reason})
}

func (s *Scheduler) assembled(id job.ID) {
	j := s.find(id)
	if j == nil {
		return
	}
	if !j.own() { // its copies stay, in case that the submitter comes back
		j.keep.finishing, j.keep.assembling = false, false
		s.recordJob(j)
		return
	}
	final := &job.Collected{Job: id, Cells: job.Ranges{{A: 0, B: uint32(len(j.cells))}}, Final: true, Epoch: j.epoch}
	s.forget(j, job.Signed{From: s.self, Msg: final})
	s.do(Publish{final})
}

// collect does what the submitter of an open job has to do.
func (s *Scheduler) collect(j *openJob) {
	m := j.mine
	if m.assembling {
		return
	}
	if s.hopeless(j) {
		s.fail(j, m.reason)
		return
	}
	for _, f := range slices.Clone(m.fetches) {
		if s.due(f.since + s.times.Prepare) {
			s.fetchFailed(FetchFailed{Job: j.id, Cell: f.cell, CID: f.output, Here: true}) // it waits for something here
		}
	}
	s.fetchFinished(j)
	if m.unsaid && (j.open == 0 || s.due(m.collectedAt)) {
		m.unsaid, m.collectedAt = false, s.now+s.times.Progress
		for _, c := range s.collectedWords(j) {
			s.do(Publish{c})
		}
	}
	s.tryHere(j)
	s.watchChecks(j)
	s.startChecks(j)
	if j.open == 0 && j.work.ready && !s.awaitsChecks(j) { // after a restart its plan is made again first
		m.assembling = true
		s.dropChecks(j) // spot checks: what they find would come too late
		a := Assemble{j.id, make(map[uint32]job.CID, len(j.cells)), make(map[uint32]job.PeerID)}
		for i := range uint32(len(j.cells)) {
			a.Cells[i] = m.outputs[i]
			if from := j.cells[i].from; from != s.self && m.checks.found[i] != right {
				a.From[i] = from
			}
		}
		s.do(a)
		return
	}
	if j.open > 0 {
		s.tellWaiting(j)
	}
}

// fetchFinished collects cells that others have finished, those that come first in
// the film first.
func (s *Scheduler) fetchFinished(j *openJob) {
	finished := s.count(j).finished
	if len(finished) <= len(j.mine.fetches) || len(j.mine.fetches) >= maxFetches {
		return
	}
	finished = slices.Sorted(slices.Values(finished))
	for _, i := range finished {
		for k := range j.cells[i].done {
			if d := &j.cells[i].done[k]; !d.bad && s.now < s.doneEnd(j, d) {
				s.get(j, i, d)
				break
			}
		}
	}
}

// get collects a cell that another peer has finished.
func (s *Scheduler) get(j *openJob, cell uint32, d *done) {
	m := j.mine
	if len(m.fetches) >= maxFetches || slices.ContainsFunc(m.fetches, func(f fetch) bool { return f.cell == cell }) {
		return
	}
	for _, r := range m.retries {
		if r.cell == cell && !s.due(r.after) {
			return
		}
	}
	if m.onlyHere(cell) {
		return
	}
	var from, gone []job.PeerID
	for _, o := range j.cells[cell].done {
		switch {
		case o.bad || o.output != d.output || j.out(o.peer):
		case s.there(o.peer):
			from = append(from, o.peer)
		default:
			gone = append(gone, o.peer)
		}
	}
	m.fetches = append(m.fetches, fetch{cell, d.output, s.now})
	s.do(Fetch{Job: j.id, Cell: cell, CID: d.output, Size: d.size, From: append(from, gone...)})
}

// keep notes a collected cell.
func (s *Scheduler) keep(j *openJob, cell uint32, d *done) {
	s.note(j, cell, d)
	s.recordCell(j, cell)
	s.stop(j, cell)
}

// note is keep without a record.
func (s *Scheduler) note(j *openJob, cell uint32, d *done) {
	c := &j.cells[cell]
	c.collected, c.word, c.alike = true, nil, false
	if by, word := d.author(); by == s.self || j.mine.checks.trust == TrustMine {
		c.from = by
	} else {
		c.from, c.word, c.alike = by, word, s.drawsAlike(j, by)
	}
	j.touch(cell)
	j.open--
	j.mine.outputs[cell] = d.output
	j.mine.unsaid = true
	s.toCheck(j, cell)
}

func (s *Scheduler) fetched(ev Fetched) {
	if j := s.find(ev.Job); j != nil && j.keepEnded(ev.Cell, ev.CID) {
		s.kept(j, ev)
		return
	}
	j := s.fetchEnded(ev.Job, ev.Cell, ev.CID)
	if j == nil || j.cells[ev.Cell].collected {
		return
	}
	have := j.cells[ev.Cell].done
	if k := slices.IndexFunc(have, func(d done) bool { return d.output == ev.CID && !j.revoked(d.peer) }); k >= 0 {
		s.keep(j, ev.Cell, &have[k])
	}
}

// fetchFailed finds out whose fault it was. Wrong bytes revoke everybody who
// announced them; so do bytes that a peer which is still there after a time to
// live cannot give, after a few tries. Bytes of a peer that has gone are lost.
func (s *Scheduler) fetchFailed(ev FetchFailed) {
	if j := s.find(ev.Job); j != nil && j.keepEnded(ev.Cell, ev.CID) {
		s.notKept(j, ev.Cell, ev.CID, ev.Here)
		return
	}
	j := s.fetchEnded(ev.Job, ev.Cell, ev.CID)
	if j == nil || j.cells[ev.Cell].collected {
		return
	}
	k := ofCell(j.mine.retries, ev.Cell)
	if k < 0 {
		k = len(j.mine.retries)
		j.mine.retries = append(j.mine.retries, retry{cell: ev.Cell})
	}
	r := &j.mine.retries[k]
	if ev.Here {
		r.after = s.now + s.times.Retry
		return
	}
	if ev.Blind {
		r.blind++
		if r.after = s.now + s.times.Retry<<r.blind; r.blind >= maxFetchTries {
			r.blind = 0
			s.renderOnlyHere(j, ev.Cell, "it cannot be looked at what others have rendered of it")
		}
		return
	}
	if r.tries++; r.tries == 1 {
		r.first = s.now
	}
	r.after = s.now + time.Duration(r.tries)*s.times.Retry/2
	last := r.tries >= maxFetchTries && s.now >= r.first+s.ttl()
	var useless []done
	for k := range j.cells[ev.Cell].done {
		d := &j.cells[ev.Cell].done[k]
		if d.output != ev.CID || d.bad || ev.Bad && ev.Size != 0 && ev.Size != d.size {
			continue // whoever gave another size may be right: he has not been asked
		}
		there := s.alive(d.peer) // and not only on the other side of a cut that is not noticed yet
		if d.bad = ev.Bad || last || !there; !d.bad {
			continue
		}
		j.touch(ev.Cell)
		d.badAt = s.now
		r.tries, r.after = 0, s.now // the next copy is another matter
		if ev.Bad || there {
			useless = append(useless, *d)
		}
	}
	for _, d := range useless { // each may take Dones with it
		if !ev.Bad {
			s.revokeFor(j, d.peer, "its output cannot be fetched")
			continue
		}
		const reason = "its output is not what was asked for"
		if by, word := d.author(); by != s.self { // who has a copy has not looked at it
			s.do(Disgrace{by})
			s.revokeFor(j, by, reason)
			s.do(Accuse{Peer: by, Job: j.id, Cell: ev.Cell, Reason: reason, Word: word})
		}
	}
}

// fetchEnded returns the job of a fetch that was in flight.
func (s *Scheduler) fetchEnded(id job.ID, cell uint32, output job.CID) *openJob {
	j := s.find(id)
	if j == nil || !j.own() {
		return nil
	}
	n := len(j.mine.fetches)
	j.mine.fetches = slices.DeleteFunc(j.mine.fetches, func(f fetch) bool { return f.cell == cell && f.output == output })
	if len(j.mine.fetches) == n {
		return nil
	}
	return j
}

func (s *Scheduler) revokeFor(j *openJob, id job.PeerID, reason string) {
	if j.revoked(id) {
		return
	}
	msg := &job.Revoked{Job: j.id, Peer: id, Reason: reason}
	s.revoke(j, id, job.Signed{From: s.self, Msg: msg})
	s.recordJob(j)
	s.do(Publish{msg}, Tell{j.id, fmt.Sprintf("nothing that %s renders counts any more: %s", s.name(id), reason)})
}

// collectedWords returns the messages that say what is collected.
func (s *Scheduler) collectedWords(j *openJob) []*job.Collected {
	cells := job.Ranges(j.runs(func(i uint32) bool { return j.cells[i].collected }))
	var out []*job.Collected
	for part := range slices.Chunk(cells, job.MaxRanges) {
		out = append(out, &job.Collected{Job: j.id, Cells: part, Epoch: j.epoch})
	}
	if len(out) == 0 && j.epoch > 0 {
		out = append(out, &job.Collected{Job: j.id, Epoch: j.epoch})
	}
	return out
}

// able reports whether somebody who is there can work on a job, and why others
// cannot.
func (s *Scheduler) able(j *openJob) (able bool, reasons []string) {
	able = s.canWork(j)
	for _, p := range s.peers.list {
		if p.advert == nil || !s.there(p.id) {
			continue
		}
		why := s.maySuit(p.advert, j.manifest.Need)
		switch {
		case j.out(p.id):
			reasons = append(reasons, s.name(p.id)+": has left the job")
		case why != nil:
			reasons = append(reasons, s.name(p.id)+": "+why.Error())
		default:
			able = true
		}
	}
	return able, reasons
}

// tellWaiting says why nobody works on a job, when nobody can.
func (s *Scheduler) tellWaiting(j *openJob) {
	able, reasons := s.able(j)
	text := ""
	if !able {
		const most = 8
		text = "waiting for a peer that can render this"
		for i, r := range reasons {
			if i == most {
				text += fmt.Sprintf("; and %d more", len(reasons)-most)
				break
			}
			sep := "; "
			if i == 0 {
				sep = " ("
			}
			text += sep + r
		}
		if len(reasons) > 0 {
			text += ")"
		}
	}
	if text != j.mine.told {
		j.mine.told = text
		if text != "" {
			s.do(Tell{j.id, text})
		}
	}
}
