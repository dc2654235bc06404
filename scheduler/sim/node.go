// SPDX-License-Identifier: MIT

package sim

import (
	"fmt"
	"math"
	"slices"
	"time"

	"meshnode/job"
	"meshnode/scheduler"
)

// node is one simulated node. What survives a restart is its key and its store.
type node struct {
	Node
	sim   *Sim
	index int
	id    job.PeerID
	up    bool
	hung  bool   // stopped by SIGSTOP: it keeps its connections and does nothing
	life  uint64 // counts starts: what an earlier life began is void
	sched *scheduler.Scheduler
	late  []func() // what arrived while it was hung

	store   map[string]bool // outputs of cells
	records map[string][]byte
	engines map[job.ID]*engine
	linked  map[int]bool
	asked   map[uint64]func(job.Signed) // requests of peers that wait for a reply
	lastAsk uint64
	tick    time.Duration // the Tick that is on its way; 0: none
}

// engine is a loaded job.
type engine struct {
	job     *jobRun
	ready   bool
	front   uint32        // frames that the leader has walked
	free    time.Duration // when the leader is there
	busy    map[uint32]uint64
	last    map[uint32]bool // cells just finished, whose renderers may go on
	started uint64
}

func newNode(s *Sim, i int, n Node) *node {
	return &node{Node: n, sim: s, index: i, id: ID(i), store: make(map[string]bool)}
}

func (n *node) start() {
	if n.up {
		return
	}
	n.life++
	n.up, n.hung, n.tick, n.late = true, false, 0, nil
	n.sched = scheduler.New(scheduler.Config{Self: n.id})
	n.records, n.engines = make(map[string][]byte), make(map[job.ID]*engine)
	n.linked, n.asked = make(map[int]bool), make(map[uint64]func(job.Signed))
	n.step(scheduler.Resources{Advert: advert(n.index, n.Node)})
	for _, o := range n.sim.nodes {
		if o != n && o.up {
			n.sim.link(n, o)
		}
	}
}

// link lets two nodes find each other, unless something is between them.
func (s *Sim) link(a, b *node) {
	la, lb := a.life, b.life
	s.after(s.between(50, 500), func() {
		if a.up && b.up && a.life == la && b.life == lb && !a.linked[b.index] && !s.cfg.Faults.Cut(a.id, b.id) {
			a.linked[b.index], b.linked[a.index] = true, true
			a.step(scheduler.PeerJoined{Peer: b.id, Advert: advert(b.index, b.Node)})
			b.step(scheduler.PeerJoined{Peer: a.id, Advert: advert(a.index, a.Node)})
		}
	})
}

// Kill ends a node at once, as kill -9 does: peers notice soon.
func (s *Sim) Kill(i int) {
	n := s.nodes[i]
	if !n.up {
		return
	}
	s.note(n, "killed")
	n.up = false
	for _, o := range s.nodes {
		if o.up && o.linked[i] {
			s.unlink(n, o, s.between(1, 300))
		}
	}
}

// Start starts a node that was killed, with its key and its store; it has
// forgotten all jobs.
func (s *Sim) Start(i int) {
	s.note(s.nodes[i], "started")
	s.nodes[i].start()
}

// unlink tells a node, after some time, that another one is gone.
func (s *Sim) unlink(gone, o *node, d time.Duration) {
	life, back := o.life, gone.life
	s.after(d, func() {
		if o.up && o.life == life && o.linked[gone.index] && gone.life == back {
			delete(o.linked, gone.index)
			o.step(scheduler.PeerLeft{Peer: gone.id})
		}
	})
}

// Cut is to be called after a partition has been made or healed: connections
// across it break after some seconds, and are made again.
func (s *Sim) Cut() {
	for i, a := range s.nodes {
		for _, b := range s.nodes[i+1:] {
			if !a.up || !b.up {
				continue
			}
			if !s.cfg.Faults.Cut(a.id, b.id) {
				s.link(a, b)
				continue
			}
			s.after(s.between(2000, 8000), func() {
				if s.cfg.Faults.Cut(a.id, b.id) && a.up && b.up && a.linked[b.index] {
					s.unlink(a, b, 0)
					s.unlink(b, a, 0)
				}
			})
		}
	}
}

// Hang stops a node as SIGSTOP does; Wake lets it go on.
func (s *Sim) Hang(i int) { s.nodes[i].hung = true; s.note(s.nodes[i], "hung") }

// Wake undoes Hang.
func (s *Sim) Wake(i int) {
	n := s.nodes[i]
	n.hung = false
	s.note(n, "woken")
	late := n.late
	n.late = nil
	for _, do := range late {
		do()
	}
}

// Advertise changes what a node says of itself.
func (s *Sim) Advertise(i int, change func(*job.Advert)) {
	n := s.nodes[i]
	a := advert(i, n.Node)
	change(a)
	n.step(scheduler.Resources{Advert: a})
	for _, o := range s.nodes {
		if o.up && o.linked[i] {
			s.after(s.between(1, 20), func() { o.step(scheduler.PeerJoined{Peer: n.id, Advert: a}) })
		}
	}
}

func (s *Sim) between(low, high int) time.Duration {
	return time.Duration(low+s.rng.IntN(high-low+1)) * time.Millisecond
}

// later does something in this life of the node; while it hangs, it waits.
func (n *node) later(d time.Duration, do func()) {
	life := n.life
	var run func()
	run = func() {
		switch {
		case !n.up || n.life != life:
		case n.hung:
			n.late = append(n.late, run)
		default:
			do()
		}
	}
	n.sim.after(d, run)
}

func (n *node) step(ev scheduler.Event) {
	if !n.up {
		return
	}
	if n.hung {
		life := n.life
		n.late = append(n.late, func() {
			if n.life == life {
				n.step(ev)
			}
		})
		return
	}
	actions := n.sched.Step(n.sim.now, ev)
	n.check(actions)
	for _, a := range actions {
		n.execute(a)
	}
	n.setTick()
}

func (n *node) setTick() {
	at, ok := n.sched.Deadline()
	if !ok {
		return
	}
	if at <= n.sim.now {
		n.sim.fail("node %d wants a tick at %v: it would spin", n.index, at)
	}
	if n.tick != 0 && n.tick <= at {
		return
	}
	n.tick = at
	n.later(at-n.sim.now, func() {
		if n.tick == at {
			n.tick = 0
			n.step(scheduler.Tick{})
		}
	})
}

// check looks for broken rules in the actions of one step.
func (n *node) check(actions []scheduler.Action) {
	persisted := map[string]int{}
	for i, a := range actions {
		switch a := a.(type) {
		case scheduler.Persist:
			persisted[a.Key] = i
			if a.Value == nil {
				delete(n.records, a.Key)
			} else {
				if _, err := scheduler.DecodeRecord(a.Value); err != nil {
					n.sim.fail("%v", err)
				}
				n.records[a.Key] = a.Value
			}
		case scheduler.Publish:
			switch m := a.Msg.(type) {
			case *job.Done:
				if !n.recorded("done", m) && !n.recorded("collected", m) {
					n.sim.fail("node %d announces cell %d before it is on disk", n.index, m.Cell)
				}
			case *job.Claim:
				if r := n.record(fmt.Sprintf("job/%s/claims", m.Job)); r == nil || len(r.Claims) == 0 {
					n.sim.fail("node %d claims %v before it is on disk", n.index, m.Range)
				}
			case *job.Offer:
				if n.record("job/"+string(m.Job)) == nil {
					n.sim.fail("node %d offers a job before it is on disk", n.index)
				}
			}
		}
	}
}

// recorded reports whether a page on disk has a finished cell.
func (n *node) recorded(pages string, m *job.Done) bool {
	r := n.record(fmt.Sprintf("job/%s/%s/%d", m.Job, pages, m.Cell/scheduler.PageCells))
	return r != nil && slices.ContainsFunc(r.Cells, func(c scheduler.CellRecord) bool { return c.Cell == m.Cell && c.Output == m.Output })
}

func (n *node) record(key string) *scheduler.Record {
	b, ok := n.records[key]
	if !ok {
		return nil
	}
	r, err := scheduler.DecodeRecord(b)
	if err != nil {
		return nil
	}
	return r
}

func (n *node) publish(j *jobRun) {
	if !n.up {
		return
	}
	n.step(scheduler.Plan{Nonce: j.nonce, Need: need})
	n.later(time.Duration(j.Walk/n.Speed*float64(time.Second))+200*time.Millisecond, func() {
		j.submitted = n.sim.now
		n.engines[j.id] = &engine{job: j, ready: true, front: j.manifest.Frames(), busy: map[uint32]uint64{}, last: map[uint32]bool{}}
		slots := n.OwnSlots
		if slots == 0 {
			slots = n.Slots
		}
		n.step(scheduler.Submit{Job: j.id, Manifest: j.manifest, LocalSlots: slots})
	})
}

// seal signs a message and notes its envelope.
func (n *node) seal(m job.Message) (job.Signed, bool) {
	signed, err := job.Seal(key(n.id), m)
	if err != nil {
		n.sim.fail("node %d: %v", n.index, err)
		return signed, false
	}
	opened, err := job.Open(key(n.id), signed.Raw)
	if err != nil {
		n.sim.fail("node %d: %v", n.index, err)
	}
	n.sim.wire[string(signed.Raw)] = opened
	return opened, true
}

func (n *node) execute(a scheduler.Action) {
	s := n.sim
	switch a := a.(type) {
	case scheduler.Persist:
	case scheduler.Publish:
		if m, ok := n.seal(a.Msg); ok {
			n.gossip(m, fmt.Sprintf("%T", a.Msg)[5:])
		}
	case scheduler.Relay:
		n.gossip(s.wire[string(a.Raw)], "Relay")
	case scheduler.Send:
		if m, ok := n.seal(a.Msg); ok {
			n.send(a.To, m, fmt.Sprintf("%T", a.Msg)[5:], func(to *node) { to.step(scheduler.Received{Signed: m}) }, func() {})
		}
	case scheduler.Request:
		n.request(a)
	case scheduler.Reply:
		if reply := n.asked[a.ID]; reply != nil {
			delete(n.asked, a.ID)
			if a.Msg == nil {
				reply(job.Signed{})
			} else if m, ok := n.seal(a.Msg); ok {
				reply(m)
			}
		}
	case scheduler.ReplyState:
		n.replyState(a)
	case scheduler.FetchManifest:
		n.fetchManifest(a)
	case scheduler.Warm:
	case scheduler.Prepare:
		j := s.job(a.Job)
		e := &engine{job: j, busy: map[uint32]uint64{}, last: map[uint32]bool{}}
		n.engines[a.Job] = e
		s.note(n, "prepare")
		n.later(s.between(300, 900), func() {
			if n.engines[a.Job] == e {
				e.ready = true
				n.step(scheduler.Prepared{Job: a.Job})
			}
		})
	case scheduler.Render:
		n.render(a)
	case scheduler.Drop:
		s.note(n, "drop %d", a.Cell)
		if e := n.engines[a.Job]; e != nil {
			delete(e.busy, a.Cell)
		}
	case scheduler.Fetch:
		n.fetch(a)
	case scheduler.Assemble:
		n.assemble(a)
	case scheduler.Release:
		s.note(n, "release")
		delete(n.engines, a.Job)
	case scheduler.Rewalk:
		s.note(n, "rewalk")
		n.later(time.Second, func() { n.step(scheduler.Rewalked{Job: a.Job}) })
	case scheduler.RenderAlone:
		s.note(n, "render alone: %s", a.Reason)
		s.job(a.Job).Failed = a.Reason
	case scheduler.Fail:
		s.note(n, "fail %s", a.Reason)
		s.job(a.Job).Failed = a.Reason
	case scheduler.Tell:
		s.note(n, "tell %s", a.Text)
	default:
		s.fail("unknown action %T", a)
	}
}

// gossip delivers a message to every node that is linked.
func (n *node) gossip(m job.Signed, kind string) {
	s := n.sim
	s.Sent[kind]++
	s.note(n, "publish %s %+v", kind, m.Msg)
	for _, to := range s.nodes {
		if !n.linked[to.index] {
			continue
		}
		for _, d := range s.cfg.Faults.Deliveries(n.id, to.id, len(m.Raw)) {
			life := to.life
			s.after(d, func() {
				if to.up && to.life == life {
					s.Messages[kind]++
					to.step(scheduler.Received{Signed: m})
				}
			})
		}
	}
}

// send delivers a message on a stream, or calls lost.
func (n *node) send(id job.PeerID, m job.Signed, kind string, arrive func(*node), lost func()) {
	s := n.sim
	s.Sent[kind]++
	s.note(n, "send %s to %s %+v", kind, id, m.Msg)
	for _, to := range s.nodes {
		if to.id == id && n.linked[to.index] {
			if d, ok := s.cfg.Faults.Stream(n.id, id, len(m.Raw)); ok {
				life := to.life
				s.after(d, func() {
					if to.up && to.life == life {
						s.Messages[kind]++
						arrive(to)
					} else {
						lost()
					}
				})
				return
			}
		}
	}
	lost()
}

func (n *node) request(a scheduler.Request) {
	s := n.sim
	m, ok := n.seal(a.Msg)
	if !ok {
		return
	}
	over := false
	answer := func(ev scheduler.Answered) {
		if !over {
			over = true
			n.step(ev)
		}
	}
	n.later(a.Within, func() { answer(scheduler.Answered{ID: a.ID}) })
	life := n.life
	n.send(a.To, m, fmt.Sprintf("%T", a.Msg)[5:], func(to *node) {
		to.lastAsk++
		id := to.lastAsk
		to.asked[id] = func(reply job.Signed) {
			if reply.Msg == nil {
				return
			}
			d, ok := s.cfg.Faults.Stream(to.id, n.id, len(reply.Raw))
			if !ok {
				return
			}
			s.note(to, "reply %+v", reply.Msg)
			ev := scheduler.Answered{ID: a.ID, Signed: reply}
			if state, ok := reply.Msg.(*job.State); ok {
				for _, raw := range state.Facts {
					ev.Facts = append(ev.Facts, s.wire[string(raw)])
				}
			}
			s.after(d, func() {
				if n.up && n.life == life {
					answer(ev)
				}
			})
		}
		to.step(scheduler.Asked{ID: id, Signed: m})
	}, func() {})
}

func (n *node) replyState(a scheduler.ReplyState) {
	reply := n.asked[a.ID]
	if reply == nil {
		return
	}
	delete(n.asked, a.ID)
	state := &job.State{}
	size := 4 << 10
	for _, f := range a.Facts {
		if f.Raw == nil {
			var ok bool
			if f, ok = n.seal(f.Msg); !ok {
				return
			}
		}
		if size += len(f.Raw) + 8; size > job.MaxState {
			state.More = true
			break
		}
		state.Facts = append(state.Facts, f.Raw)
	}
	if m, ok := n.seal(state); ok {
		reply(m)
	}
}

// reaches reports whether a node can fetch from another.
func (n *node) reaches(o *node) bool {
	if o == n {
		return true
	}
	_, ok := n.sim.cfg.Faults.Stream(n.id, o.id, 100)
	return ok && o.up && !o.hung && n.linked[o.index]
}

func (n *node) fetchManifest(a scheduler.FetchManifest) {
	s := n.sim
	n.later(s.between(3, 30), func() {
		for _, o := range s.nodes {
			if slices.Contains(a.From, o.id) && n.reaches(o) {
				n.step(scheduler.ManifestFetched{Job: a.Job, Manifest: s.job(a.Job).manifest})
				return
			}
		}
		n.later(2*time.Second, func() { n.step(scheduler.ManifestFetched{Job: a.Job}) })
	})
}

// output is the CID of a finished cell, the same wherever it is rendered.
func output(id job.ID, cell uint32) job.CID {
	return job.CIDOf(fmt.Appendf(nil, "%s/%d", id, cell))
}

func (n *node) render(a scheduler.Render) {
	s := n.sim
	e := n.engines[a.Job]
	if e == nil || !e.ready {
		s.fail("node %d renders cell %d of a job that is not prepared", n.index, a.Cell)
		return
	}
	if _, twice := e.busy[a.Cell]; twice {
		s.fail("node %d renders cell %d twice at a time", n.index, a.Cell)
		return
	}
	own := e.job.Submitter == n.index
	busy := 0
	for _, o := range n.engines {
		busy += len(o.busy)
	}
	if most := int(max(n.Slots, n.OwnSlots)); busy >= most || !own && len(e.busy) >= int(n.Slots) {
		s.fail("node %d renders more than %d cells at a time", n.index, most)
		return
	}
	e.started++
	token := e.started
	e.busy[a.Cell] = token
	cell := e.job.grid[a.Cell]
	perFrame := e.job.Walk / float64(e.job.manifest.Frames()) / n.Speed
	start := s.now
	switch {
	case cell.First > e.front: // the leader walks on
		start = max(s.now, e.free) + secs(perFrame*float64(cell.First-e.front))
		e.front, e.free = cell.First, start
	case a.Cell > 0 && e.last[a.Cell-1]: // a renderer goes on
		delete(e.last, a.Cell-1)
	default: // a checkpoint forks
		const checkpoints = 12
		gap := max(1, e.front/checkpoints)
		start = max(s.now, e.free) + 10*time.Millisecond + secs(perFrame*float64(cell.First%gap))
	}
	took := secs(cell.Weight()*e.job.Seconds/n.Speed*(0.9+0.2*s.rng.Float64()) + perFrame*float64(cell.Frames))
	breaks := n.Breaks > 0 && s.rng.Float64() < n.Breaks
	s.note(n, "render %d", a.Cell)
	n.later(start+took-s.now, func() {
		if n.engines[a.Job] != e || e.busy[a.Cell] != token {
			return
		}
		delete(e.busy, a.Cell)
		if breaks {
			n.step(scheduler.RenderFailed{Job: a.Job, Cell: a.Cell, Class: scheduler.Retry, Reason: "broken"})
			return
		}
		e.last[a.Cell] = true
		e.front = max(e.front, cell.First+cell.Frames)
		e.job.rendered[a.Cell]++
		out := output(a.Job, a.Cell)
		n.store[string(out)] = true
		s.note(n, "rendered %d", a.Cell)
		n.step(scheduler.Rendered{Job: a.Job, Cell: a.Cell, Output: out, Size: e.job.CellSize, Seconds: (s.now - start).Seconds()})
	})
}

func secs(f float64) time.Duration { return time.Duration(math.Round(f * float64(time.Second))) }

func (n *node) fetch(a scheduler.Fetch) {
	s := n.sim
	n.later(s.between(1, 10)+secs(float64(a.Size)/80e6), func() {
		for _, o := range s.nodes {
			if n.reaches(o) && o.store[string(a.CID)] {
				n.store[string(a.CID)] = true
				n.step(scheduler.Fetched{Job: a.Job, Cell: a.Cell, CID: a.CID})
				return
			}
		}
		n.later(3*time.Second, func() { n.step(scheduler.FetchFailed{Job: a.Job, Cell: a.Cell, CID: a.CID}) })
	})
}

func (n *node) assemble(a scheduler.Assemble) {
	s := n.sim
	j := s.job(a.Job)
	j.Makespan = s.now - j.submitted
	if len(a.Cells) != len(j.grid) {
		s.fail("job of %d cells assembled from %d", len(j.grid), len(a.Cells))
	}
	for c, cid := range a.Cells {
		if cid != output(a.Job, c) || !n.store[string(cid)] {
			s.fail("cell %d of the film is not there", c)
		}
	}
	s.note(n, "assemble")
	n.later(50*time.Millisecond, func() {
		j.Done = true
		n.step(scheduler.Assembled{Job: a.Job})
	})
}
