// SPDX-License-Identifier: MIT

package scheduler

import (
	"slices"
	"time"

	"meshnode/job"
)

// called answers a Call of a job that this node could work on.
func (s *Scheduler) called(from job.PeerID, c *job.Call) {
	if s.leaving || s.sick || s.suits(&s.advert, c.Need) != nil {
		return
	}
	env, _ := s.advert.Environment(c.Need, s.like)
	s.do(Warm{env.Fingerprint}, Send{from, &job.Ready{
		Nonce: c.Nonce, Slots: s.advert.Slots, Speed: s.advert.Speed, Queue: s.queue(), Sandbox: s.advert.Sandbox,
	}})
}

// offer takes a job that another node offers, from itself or relayed.
func (s *Scheduler) offer(m job.Signed, o *job.Offer) {
	if s.ended(o.Job) != nil || s.misled(m.From) {
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
	for _, p := range s.peers.list {
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
		default: // who offers what is not a job of his has signed that it is
			s.misleaders = append(s.misleaders, misleader{o.signed.From, s.now + s.times.Forgive})
		}
		return true
	})
	s.misleaders = s.misleaders[max(0, len(s.misleaders)-maxMisleaders):]
	if s.find(ev.Job) != nil {
		return
	}
	j := s.openOffered(ev, found)
	if j == nil {
		if len(ev.Cached) > 0 { // they are pinned
			s.do(Release{ev.Job})
		}
		return
	}
	s.offerHeard(j)
	s.recordJob(j)
	s.takePlan(j)
	s.announceCached(j, ev.Cached)
	if why := s.unfit(j); why != "" {
		s.do(Tell{j.id, "not rendered here: " + why})
	}
	for _, m := range found.backlog {
		s.fact(m, m.From)
	}
	if found.missed != "" {
		s.miss(found.missed)
	}
}

// misleader is a peer that has offered another's job, or something that is none: for a
// while nobody asks for the manifests of what it offers.
type misleader struct {
	peer  job.PeerID
	until time.Duration
}

// misled reports whether a peer's offers are not listened to.
func (s *Scheduler) misled(by job.PeerID) bool {
	s.misleaders = slices.DeleteFunc(s.misleaders, func(m misleader) bool { return s.now >= m.until })
	return slices.ContainsFunc(s.misleaders, func(m misleader) bool { return m.peer == by })
}

// openOffered opens an offered job whose manifest is here, or returns nil: nobody
// offers it, or there is no room for it.
func (s *Scheduler) openOffered(ev ManifestFetched, o *offered) *openJob {
	if o == nil {
		return nil
	}
	j := newJob(ev.Job, ev.Manifest, o.offer, o.signed.Raw, s.now)
	if all, its := s.cells(j.submitter); all+len(j.cells) > maxCells || its+len(j.cells) > job.MaxCells {
		return nil
	}
	s.jobs = append(s.jobs, j)
	return j
}

// cells returns the number of cells of all open jobs, and of those of a submitter.
func (s *Scheduler) cells(submitter job.PeerID) (all, its int) {
	for _, j := range s.jobs {
		all += len(j.cells)
		if j.submitter == submitter {
			its += len(j.cells)
		}
	}
	return all, its
}

// layOut notes the planned ranges as claims that end soon unless they are
// repeated, and returns this node's own.
func (s *Scheduler) layOut(j *openJob) (mine job.Range) {
	for i := range j.cells {
		j.cells[i].top = claim{since: s.now, until: s.now}
	}
	for _, share := range Layout(j.offer, j.manifest) {
		for i := share.Range.A; i < share.Range.B; i++ {
			j.cells[i].top = s.provisional(claim{peer: share.Peer})
		}
		if share.Peer == s.self {
			mine = share.Range
		}
	}
	return mine
}

// takePlan claims this node's planned range.
func (s *Scheduler) takePlan(j *openJob) {
	j.meet(s.self)
	mine := s.layOut(j)
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
	c.since, c.until = s.now, s.now+max(s.times.ClaimWait, s.every()*2)
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
