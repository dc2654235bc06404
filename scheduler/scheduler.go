// SPDX-License-Identifier: MIT

package scheduler

import (
	"cmp"
	"math"
	"slices"
	"time"

	"meshnode/job"
)

// Config says who the node is, and how long it waits for what.
type Config struct {
	Self  job.PeerID
	Times Times // zero fields get their default
}

// Times are the durations of the protocol, all on the node's own monotonic
// clock. docs/scheduling.md says why each is as it is.
type Times struct {
	Progress  time.Duration // between repetitions of one's claims; 1 s
	TTL       time.Duration // a claim not repeated for so long is lost; 10 s, twice that above 32 peers
	ClaimWait time.Duration // a planned or granted range not claimed for so long is free; 2 s
	AdoptStep time.Duration // delay between ranks of those who may adopt a free range; 150 ms
	Muster    time.Duration // for the answers to a call, when the plan is quicker; 500 ms
	Repeat    time.Duration // between repetitions of open calls and offers; 10 s
	Pull      time.Duration // between anti-entropy pulls; 15 s
	Grace     time.Duration // a finished cell whose holder is gone may still be fetched; 5 s
	Answer    time.Duration // for a peer's answer to a request; 1 s
	MinGain   time.Duration // by which a split must shorten the job; 1 s
	Retry     time.Duration // before asking a peer again that refused a split; 2 s
	Prepare   time.Duration // for a job's assets and engine; 10 min
	Render    time.Duration // for a cell before its speed is known; 15 min
	SitOut    time.Duration // a peer that fails cells is left out of a job so long, then twice as long; 1 min
	Forgive   time.Duration // a failure is held against this node so long; 1 h
	Keep      time.Duration // a finished cell not collected for so long is also kept by a second peer; 10 s
	Orphan    time.Duration // a job whose submitter is silent is kept so long; 24 h
}

func (t Times) withDefaults() Times {
	set := func(d *time.Duration, v time.Duration) {
		if *d == 0 {
			*d = v
		}
	}
	set(&t.Progress, time.Second)
	set(&t.TTL, 10*time.Second)
	set(&t.ClaimWait, 2*time.Second)
	set(&t.AdoptStep, 150*time.Millisecond)
	set(&t.Muster, 500*time.Millisecond)
	set(&t.Repeat, 10*time.Second)
	set(&t.Pull, 15*time.Second)
	set(&t.Grace, 5*time.Second)
	set(&t.Answer, time.Second)
	set(&t.MinGain, time.Second)
	set(&t.Retry, 2*time.Second)
	set(&t.Prepare, 10*time.Minute)
	set(&t.Render, 15*time.Minute)
	set(&t.SitOut, time.Minute)
	set(&t.Forgive, time.Hour)
	set(&t.Keep, 10*time.Second)
	set(&t.Orphan, 24*time.Hour)
	return t
}

// Bounds of what other nodes can make this one remember.
const (
	maxPeers      = 1024                   // known peers
	maxJobs       = 64                     // open jobs in all
	maxPerPeer    = 8                      // open jobs of one submitter
	maxCells      = 400_000                // cells of all open jobs
	maxMembers    = 1024                   // peers that worked on one job
	maxDone       = 4                      // copies of one cell
	maxReleased   = 8                      // releases remembered for one cell
	maxOver       = 256                    // jobs remembered after their end
	maxBacklog    = 256 << 10              // bytes of facts kept until a job's manifest is here
	maxGenJump    = 64                     // a claim may be so far ahead of what is known of its cell
	maxFetches    = 64                     // cells of one job being collected at a time
	maxAdoptRank  = 10                     // after so many steps anybody adopts
	smallMesh     = 8                      // peers up to which everything heard is looked at at once
	largeMesh     = 32                     // peers above which claims are repeated less often
	maxMisleaders = 256                    // authors of offers of what is no job of theirs
	maxPulls      = 4                      // pulls under way, while they are answered
	maxPause      = 250 * time.Millisecond // between looks for work in a large mesh
	forever       = time.Duration(math.MaxInt64)
	idleFor       = 3  // Progress intervals for which a peer's word on its free slots holds
	maxStretch    = 16 // cells that a slot takes at a time from the front of a range
	maxFetchTries = 3  // before a peer that is there, but whose bytes are not, is revoked
)

// Scheduler is the state machine of one node. It is not safe for concurrent
// use. Messages and manifests given to it must not be changed afterwards, and
// it does not change them.
type Scheduler struct {
	self   job.PeerID
	times  Times
	advert job.Advert

	now  time.Duration
	wake time.Duration // earliest moment at which something is due
	out  []Action

	peers      directory[peer]
	plans      []*planning // own jobs not offered yet
	offered    []*offered  // offers whose manifest is not here yet
	misleaders []misleader // oldest first
	jobs       []*openJob  // in order of arrival
	over       []ended     // oldest first

	comparisons []*comparison // oldest first

	lastID  uint64
	waiting []request // in order

	learned uint64 // counts facts, to see whether an answer had new ones

	turn   uint64
	served []service // by submitter

	leaving bool
	sick    bool
	wellAt  time.Duration // when it is over
	faults  []fault       // oldest first

	crowd        int           // peers that are connected or work; see countCrowd
	crowdAt      time.Duration // when to count again
	silentAt     time.Duration // no peer can have fallen silent before
	nextProgress time.Duration
	nextPull     time.Duration
	missing      bool          // some peer is to be pulled from
	pullPause    time.Duration // after a pull that was not answered
	pullAfter    time.Duration

	eager, curious bool // see seekSoon
	seekAt         time.Duration
	pullTurn       int
}

// request is a Request whose Answered has not come.
type request struct {
	id   uint64
	peer job.PeerID
	job  job.ID // of a Split; "" for a Pull
	end  time.Duration
}

// service remembers when a submitter's job last got a slot.
type service struct {
	submitter job.PeerID
	turn      uint64
}

// ended is a job that is over, with the word that ended it, for peers that have
// not heard.
type ended struct {
	id   job.ID
	last job.Signed // Msg nil: nobody said so
	said time.Duration
}

// New returns a scheduler that knows nothing.
func New(cfg Config) *Scheduler {
	return &Scheduler{self: cfg.Self, times: cfg.Times.withDefaults(), wake: forever}
}

// Step takes one event at the given time, since any fixed moment on the node's
// monotonic clock, and returns what is to be done about it, in order. Time that
// goes backwards is taken to stand still.
func (s *Scheduler) Step(now time.Duration, ev Event) []Action {
	s.now = max(s.now, now)
	s.out, s.wake = nil, forever
	s.countCrowd()
	s.notice()
	s.handle(ev)
	s.evaluate()
	return s.out
}

// Deadline returns the time at which the scheduler wants a Tick if nothing
// happens before, and false when it wants none.
func (s *Scheduler) Deadline() (time.Duration, bool) {
	return s.wake, s.wake < forever
}

func (s *Scheduler) handle(ev Event) {
	if _, hearsay := ev.(Received); hearsay && s.peers.len() > smallMesh {
		s.curious = true
	} else {
		s.eager = true
	}
	switch ev := ev.(type) {
	case PeerJoined:
		s.peerJoined(ev)
	case PeerLeft:
		s.peerLeft(ev.Peer)
	case Shunned:
		s.shun(ev)
	case Resources:
		s.resources(ev.Advert)
	case Plan:
		s.plan(ev)
	case Submit:
		s.submit(ev)
	case Abort:
		s.abort(ev)
	case Assembled:
		s.assembled(ev.Job)
	case Finish:
		s.finish(ev)
	case Leave:
		s.leave()
	case Received:
		s.receive(ev.Signed)
	case Asked:
		s.answer(ev)
	case Answered:
		s.answered(ev)
	case ManifestFetched:
		s.manifestFetched(ev)
	case Compared:
		s.compared(ev)
	case Prepared:
		s.prepared(ev)
	case Rendered:
		s.rendered(ev)
	case RenderFailed:
		s.renderFailed(ev)
	case Checked:
		s.checked(ev)
	case Rewalked:
		s.rewalked(ev)
	case Lost:
		s.lost(ev)
	case Fetched:
		s.fetched(ev)
	case FetchFailed:
		s.fetchFailed(ev)
	}
}

// evaluate does everything that is due, and finds the time of what is due next.
// All timers live here: what is not due yet calls wakeAt.
func (s *Scheduler) evaluate() {
	for i := 0; i < len(s.waiting); {
		if r := s.waiting[i]; s.due(r.end) {
			s.answered(Answered{ID: r.id}) // takes it off
		} else {
			i++
		}
	}
	s.recover()
	s.muster()
	s.each(func(j *openJob) {
		if j.own() {
			s.collect(j)
		} else {
			s.watchSubmitter(j)
			s.keepCopies(j)
		}
	})
	s.each(s.watchWork)
	s.fill()
	s.seekSoon()
	s.repeat()
	s.progress()
	s.pullRegularly()
}

// each does something with every open job; that job may end by it.
func (s *Scheduler) each(do func(*openJob)) {
	for i := 0; i < len(s.jobs); {
		j := s.jobs[i]
		if do(j); i < len(s.jobs) && s.jobs[i] == j {
			i++
		}
	}
}

func (s *Scheduler) do(a ...Action) { s.out = append(s.out, a...) }

// wakeAt asks for a Tick at t.
func (s *Scheduler) wakeAt(t time.Duration) { s.wake = min(s.wake, t) }

// due reports whether t has come, and asks for a Tick then if it has not.
func (s *Scheduler) due(t time.Duration) bool {
	if s.now >= t {
		return true
	}
	s.wakeAt(t)
	return false
}

func (s *Scheduler) find(id job.ID) *openJob {
	for _, j := range s.jobs {
		if j.id == id {
			return j
		}
	}
	return nil
}

func (s *Scheduler) ended(id job.ID) *ended {
	for i := range s.over {
		if s.over[i].id == id {
			return &s.over[i]
		}
	}
	return nil
}

// forget ends an open job, without a word to others; last is what ended it.
func (s *Scheduler) forget(j *openJob, last job.Signed) {
	for i := range j.work.stretches {
		if st := &j.work.stretches[i]; st.busy {
			s.do(Drop{j.id, st.cell})
		}
	}
	s.do(Release{j.id})
	s.dropRecords(j)
	s.jobs = slices.DeleteFunc(s.jobs, func(o *openJob) bool { return o == j })
	s.waiting = slices.DeleteFunc(s.waiting, func(r request) bool { return r.job == j.id })
	s.remember(ended{id: j.id, last: last, said: s.now})
}

// remember keeps the end of a job for those who have missed it.
func (s *Scheduler) remember(e ended) {
	s.over = append(s.over, e)
	if len(s.over) > maxOver {
		s.over = slices.Delete(s.over, 0, 1)
	}
}

// ask sends a request whose answer comes with the returned id, within some time.
func (s *Scheduler) ask(to job.PeerID, about job.ID, msg job.Message, within time.Duration) uint64 {
	s.lastID++
	s.waiting = append(s.waiting, request{s.lastID, to, about, s.now + within + 4*s.times.Answer})
	s.do(Request{ID: s.lastID, To: to, Msg: msg, Within: within})
	return s.lastID
}

func (s *Scheduler) answered(ev Answered) {
	i := slices.IndexFunc(s.waiting, func(r request) bool { return r.id == ev.ID })
	if i < 0 {
		return
	}
	r := s.waiting[i]
	s.waiting = slices.Delete(s.waiting, i, i+1)
	if ev.Msg != nil && ev.From == r.peer {
		s.heard(r.peer)
	} else {
		ev.Msg = nil
	}
	if r.job == "" {
		s.pulled(r.peer, ev)
		return
	}
	if j := s.find(r.job); j != nil {
		grant, _ := ev.Msg.(*job.Grant)
		s.granted(j, r.peer, grant, ev.Raw)
	}
}

// answer serves a peer's request.
func (s *Scheduler) answer(ev Asked) {
	s.heard(ev.From)
	switch msg := ev.Msg.(type) {
	case *job.Split:
		s.split(ev.ID, ev.From, msg)
	case *job.Pull:
		s.state(ev.ID, ev.From, msg)
	default:
		s.do(Reply{ID: ev.ID})
	}
}

// receive takes a message of a topic, a one-way message, or a fact.
func (s *Scheduler) receive(m job.Signed) {
	if m.From == s.self || m.Msg == nil || s.early(m) {
		return
	}
	switch msg := m.Msg.(type) {
	case *job.Call:
		s.called(m.From, msg)
	case *job.Ready:
		s.ready(m.From, msg)
	case *job.Offer:
		s.offer(m, msg)
	case *job.Claim:
		s.heard(m.From)
		s.claimed(m, msg)
	case *job.Progress:
		s.heard(m.From)
		s.progressed(m.From, msg)
	case *job.Released:
		s.heard(m.From)
		s.released(m.From, msg)
	case *job.Done:
		s.heard(m.From)
		s.doneBy(m, msg)
	case *job.Collected:
		s.collectedBy(m, msg)
	case *job.Revoked:
		s.revokedBy(m, msg)
	case *job.Cancel:
		s.canceled(m, msg)
	}
}

// search finds an entry of a slice sorted by peer id.
func search[T any](list []T, id job.PeerID, key func(T) job.PeerID) (int, bool) {
	return slices.BinarySearchFunc(list, id, func(x T, id job.PeerID) int { return cmp.Compare(key(x), id) })
}

func seconds(f float64) time.Duration {
	const most = 1e9 // keeps sums of durations far from overflow
	return time.Duration(min(f, most) * float64(time.Second))
}
