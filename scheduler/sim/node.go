// SPDX-License-Identifier: MIT

package sim

import (
	"fmt"
	"maps"
	"time"

	"meshnode/job"
	"meshnode/scheduler"
)

// node is one simulated node. Its key and its disk outlive its crashes.
type node struct {
	Node
	sim    *Sim
	index  int
	id     job.PeerID
	advert job.Advert
	told   job.Advert // what its state machine has last heard of that
	disk   disk
	clock  clock

	up      bool
	hung    bool
	woke    time.Duration // when it went on after it was frozen; virtual time
	asleep  bool
	life    uint64 // counts starts: what an earlier life began is void
	dieIn   int    // actions that it still carries out; -1: no end is set
	left    bool   // it has said that it leaves
	sched   Machine
	waiting []func()      // what is to happen when it is not frozen any more
	tick    time.Duration // virtual time of the Tick that is on its way; 0: none

	links   []*node                     // by index: whom it takes for connected
	met     []time.Duration             // since when
	asked   map[uint64]func(job.Signed) // requests of peers that wait for a reply
	lastAsk uint64
	engines map[job.ID]*engine

	slowness  float64 // 1: as fast as it is
	stuck     bool
	everStuck bool
	ooms      int
	breaks    float64
}

var need = job.Need{Renderer: "synthetic", Version: "1", Fingerprint: "f"}

func newNode(s *Sim, i int, spec Node) *node {
	if spec.Drift == 0 {
		spec.Drift = 1
	}
	n := &node{Node: spec, sim: s, index: i, id: id(spec.Number), dieIn: -1, slowness: 1, breaks: spec.Breaks, disk: newDisk()}
	n.clock.rate = spec.Drift
	n.advert = job.Advert{
		V: job.Version, Name: fmt.Sprint("node", spec.Number), Cores: n.Slots, Slots: n.Slots, Speed: n.Speed, Sandbox: "full",
		Environments: []job.Environment{{Renderer: need.Renderer, Version: need.Version, Fingerprint: need.Fingerprint}},
	}
	if n.Says > 0 {
		n.advert.Speed = n.Says
	}
	if n.Sandbox != "" {
		n.advert.Sandbox = n.Sandbox
	}
	return n
}

// start starts a node that is down: it goes on with what is on its disk.
func (n *node) start() {
	if n.up {
		return
	}
	n.tell("starts")
	n.life++
	n.up, n.hung, n.asleep, n.left, n.dieIn, n.tick, n.waiting = true, false, false, false, -1, 0, nil
	n.clock.begin(n.sim.now)
	n.engines, n.asked = make(map[job.ID]*engine), make(map[uint64]func(job.Signed))
	clear(n.links)
	n.sched = n.sim.New(scheduler.Config{Self: n.id, Times: n.liesTimes()})
	maps.DeleteFunc(n.disk.records, func(key string, _ []byte) bool { return n.disk.spoiled[key] })
	clear(n.disk.spoiled)
	records := maps.Clone(n.disk.records)
	n.sim.rules.started(n)
	n.carryOut(n.sched.Restore(n.reading(), records))
	if n.up {
		n.tidy()
	}
	n.step(scheduler.Resources{Advert: n.copyAdvert()})
	if !n.up {
		return
	}
	for _, o := range n.sim.nodes {
		if o != n && o.up {
			n.sim.link(n, o)
		}
	}
}

// reading is what the state machine takes for the time.
func (n *node) reading() time.Duration {
	t := n.clock.monotonic(n.sim.now)
	if n.sim.WallClock {
		t = max(0, t+n.clock.wall)
	}
	return t
}

func (n *node) copyAdvert() *job.Advert {
	a := n.advert
	return &a
}

// advertise changes what a node says of itself.
func (n *node) advertise(change func(*job.Advert)) {
	change(&n.advert)
	if !n.up {
		return
	}
	n.step(scheduler.Resources{Advert: n.copyAdvert()})
	for _, o := range n.links {
		if o == nil || !o.up || n.sim.net.stuck(n, o) {
			continue
		}
		life, a := o.life, n.copyAdvert()
		n.sim.after(n.sim.between(1, 20), func() {
			if o.up && o.life == life && o.linked(n) {
				o.step(scheduler.PeerJoined{Peer: n.id, Advert: a})
			}
		})
	}
}

// later does something in this life of the node; while it is frozen, it waits.
func (n *node) later(d time.Duration, do func()) {
	life := n.life
	var run func()
	run = func() {
		switch {
		case !n.up || n.life != life:
		case n.frozen():
			n.waiting = append(n.waiting, run)
		default:
			do()
		}
	}
	n.sim.after(d, run)
}

// step hands an event to the state machine, and carries out what follows.
func (n *node) step(ev scheduler.Event) {
	if !n.up {
		return
	}
	if n.frozen() {
		n.waits(func() { n.step(ev) })
		return
	}
	switch ev := ev.(type) {
	case scheduler.Resources:
		n.told = *ev.Advert
	case scheduler.PeerLeft:
		n.sim.rules.gone(n, ev.Peer)
	}
	n.carryOut(n.sched.Step(n.reading(), ev))
}

// carryOut executes the actions of a step in order. A crash may come between any
// two.
func (n *node) carryOut(actions []scheduler.Action) {
	for _, a := range actions {
		if n.dieIn == 0 {
			n.crash()
		}
		if !n.up {
			return
		}
		if n.dieIn > 0 {
			n.dieIn--
		}
		n.sim.rules.before(n, a)
		n.execute(a)
	}
	if n.up {
		n.sim.rules.stepped(n)
		n.setTick()
	}
}

func (n *node) setTick() {
	at, ok := n.sched.Deadline()
	if !ok {
		return
	}
	if at <= n.reading() {
		n.sim.fail("spin", "node %d wants a tick at %v, and it is %v", n.Number, at, n.reading())
		return
	}
	when := n.clock.when(at)
	if n.sim.WallClock {
		when = n.clock.when(at - n.clock.wall)
	}
	when = max(when, n.sim.now+1)
	if n.tick > n.sim.now && n.tick <= when {
		return
	}
	n.tick = when
	n.later(when-n.sim.now, func() {
		if n.tick <= n.sim.now {
			n.tick = 0
			n.step(scheduler.Tick{})
		}
	})
}

func (n *node) tell(format string, args ...any) {
	if n.sim.Trace != nil {
		n.sim.tell("%d %s", n.Number, fmt.Sprintf(format, args...))
	}
}

// publish is the user's key press.
func (n *node) publish(r *run) {
	if !n.up || n.frozen() {
		r.gone = true
		return
	}
	r.planning = true
	n.step(scheduler.Plan{Nonce: r.nonce, Need: need})
	n.later(secs(r.Walk.Seconds()/n.Speed)+200*time.Millisecond, func() {
		if r.planning = false; r.aborted {
			return
		}
		r.submitted, r.offered = n.sim.now, true
		n.engines[r.id] = newEngine(r, true)
		local := n.Slots
		if r.Away {
			local = 0
		}
		n.step(scheduler.Submit{Job: r.id, Manifest: r.manifest, LocalSlots: local, Trust: r.trust, Secret: n.sim.secretOf(r)})
	})
}

func (n *node) execute(a scheduler.Action) {
	s := n.sim
	switch a := a.(type) {
	case scheduler.Persist:
		n.persist(a)
	case scheduler.Publish:
		if m, ok := n.seal(a.Msg); ok {
			n.tells(m)
		}
	case scheduler.Relay:
		if m, ok := s.wire[string(a.Raw)]; ok {
			n.gossip(m, "Relay")
		}
	case scheduler.Send:
		if m, ok := n.seal(a.Msg); ok {
			n.send(a.To, m, kindOf(a.Msg), func(to *node) { to.step(scheduler.Received{Signed: m}) }, func() {})
		}
	case scheduler.Request:
		n.request(a)
	case scheduler.Reply:
		n.reply(a.ID, a.Msg)
	case scheduler.ReplyState:
		n.replyState(a)
	case scheduler.FetchManifest:
		n.fetchManifest(a)
	case scheduler.Warm:
	case scheduler.Prepare:
		n.prepare(a)
	case scheduler.Render:
		n.render(a)
	case scheduler.Check:
		n.check(a)
	case scheduler.Drop:
		n.tell("drops cell %d", a.Cell)
		if e := n.engines[a.Job]; e != nil {
			delete(e.busy, a.Cell)
		}
	case scheduler.Fetch:
		n.fetch(a)
	case scheduler.Assemble:
		n.assemble(a)
	case scheduler.Release:
		delete(n.engines, a.Job)
		n.disk.unpin(a.Job)
	case scheduler.Rewalk:
		n.later(time.Second, func() { n.step(scheduler.Rewalked{Job: a.Job}) })
	case scheduler.RenderAlone:
		n.tell("renders alone: %s", a.Reason)
		s.job(a.Job).Failed = a.Reason
	case scheduler.Fail:
		n.tell("fails: %s", a.Reason)
		s.job(a.Job).Failed = a.Reason
	case scheduler.Sick:
		n.tell("is sick: %s", a.Reason)
		n.later(time.Millisecond, func() { n.advertise(func(ad *job.Advert) { ad.Lacks = a.Reason }) })
	case scheduler.Accuse:
		if o := s.byID[a.Peer]; o == nil || o.Liar == "" {
			s.fail("blame", "node %d accuses %s, which does not lie: cell %d: %s", n.Number, s.name(a.Peer), a.Cell, a.Reason)
		}
	case scheduler.Disgrace:
		if o := s.byID[a.Peer]; o == nil || o.Liar == "" {
			s.fail("blame", "node %d takes %s for a liar, which it is not", n.Number, s.name(a.Peer))
		}
	case scheduler.Tell:
		n.tell("says: %s", a.Text)
	default:
		s.fail("action", "unknown action %T", a)
	}
}
