// SPDX-License-Identifier: MIT

package sim

import (
	"crypto/sha512"
	"errors"
	"fmt"
	"time"

	"meshnode/job"
	"meshnode/scheduler"
)

// network is what lies between the nodes.
type network struct {
	Net
	sim     *Sim
	groups  []bool // by index of node: on which side of a partition it is; nil: there is none
	clogged map[way]bool
	sparse  bool // nodes are connected to some others only
}

// way is one direction between two nodes, by their indexes.
type way struct{ from, to int }

// letter is a gossiped message.
type letter struct {
	job.Signed
	kind string
}

// fullMesh is up to how many nodes each is connected to all others, and degree to
// how many about if there are more; see docs/network.md.
const (
	fullMesh = 64
	degree   = 24
)

func newNetwork(s *Sim, n Net) network {
	n.Max = max(n.Min, n.Max)
	return network{Net: n, sim: s, clogged: make(map[way]bool), sparse: len(s.script.Nodes) > fullMesh}
}

func (w *network) cut(a, b *node) bool {
	return w.groups != nil && w.groups[a.index] != w.groups[b.index]
}

// stuck reports whether nothing gets from one node to another.
func (w *network) stuck(from, to *node) bool {
	return w.cut(from, to) || len(w.clogged) > 0 && w.clogged[way{from.index, to.index}]
}

func (w *network) delay() time.Duration {
	d := w.Min
	if spread := w.Max - w.Min; spread > 0 {
		d += time.Duration(w.sim.rng.Int64N(int64(spread) + 1))
	}
	if w.sim.chance(w.Late) {
		d += time.Duration(w.sim.rng.Int64N(int64(9*w.Max) + 1))
	}
	return d
}

// stream returns the delay of a message on a stream, which is never lost or
// doubled: a loss costs time instead. ok is false while nothing gets through.
func (w *network) stream(from, to *node) (d time.Duration, ok bool) {
	if w.stuck(from, to) {
		return 0, false
	}
	d = w.delay()
	for wait := 200 * time.Millisecond; w.sim.chance(w.Loss) && wait < time.Minute; wait *= 2 {
		d += wait
	}
	return d, true
}

// neighbors reports whether two nodes keep a connection. In a large mesh each is
// connected to the next ones of a ring, so that nobody is alone, and to some at
// random.
func (w *network) neighbors(a, b *node) bool {
	if !w.sparse {
		return true
	}
	n := len(w.sim.nodes)
	apart := (a.index - b.index + n) % n
	if apart <= 2 || apart >= n-2 {
		return true
	}
	low, high := min(a.index, b.index), max(a.index, b.index)
	h := (uint64(low)*2654435761 + uint64(high)) * 0x9e3779b97f4a7c15
	return h>>32%uint64(n) < degree-4
}

// link lets two nodes find each other, unless something is between them.
func (s *Sim) link(a, b *node) {
	if !s.net.neighbors(a, b) || a == b {
		return
	}
	la, lb := a.life, b.life
	s.after(s.between(50, 500), func() {
		if !a.up || !b.up || a.life != la || b.life != lb || a.asleep || b.asleep || s.net.cut(a, b) {
			return
		}
		for _, end := range [][2]*node{{a, b}, {b, a}} {
			if n, o := end[0], end[1]; !n.linked(o) {
				n.links[o.index], n.met[o.index] = o, s.now
				n.tell("sees %d join", o.Number)
				n.step(scheduler.PeerJoined{Peer: o.id, Advert: &o.advert})
			}
		}
	})
}

func (n *node) linked(o *node) bool { return n.links[o.index] != nil }

// loses tells a node after some time that another one is gone, unless it is back
// by then.
func (n *node) loses(gone *node, d time.Duration) {
	life, back := n.life, gone.life
	n.sim.after(d, func() {
		again := gone.up && !gone.asleep && gone.linked(n) && !n.sim.net.cut(n, gone)
		if n.up && n.life == life && n.linked(gone) && gone.life == back && !again {
			n.links[gone.index] = nil
			n.tell("sees %d leave", gone.Number)
			n.step(scheduler.PeerLeft{Peer: gone.id})
		}
	})
}

// seal signs a message, and opens it as its receivers do.
func (n *node) seal(m job.Message) (job.Signed, bool) {
	signed, err := job.Seal(key(n.id), m)
	if err == nil {
		signed, err = job.Open(key(n.id), signed.Raw)
	}
	if err != nil {
		n.sim.fail("message", "node %d says what cannot be sent: %v", n.Number, err)
		return signed, false
	}
	n.sim.wire[string(signed.Raw)] = signed
	return signed, true
}

// gossip delivers a message to every node that it can reach.
func (n *node) gossip(m job.Signed, kind string) {
	s := n.sim
	s.count(n, kind, m)
	s.tell("%d publishes %s %s", n.Number, kind, s.words(m.Msg))
	shared := &letter{m, kind}
	for _, to := range s.nodes {
		if to == n || !to.up || to.asleep || !n.hears(to) || s.net.stuck(n, to) || s.chance(s.net.Loss) {
			continue
		}
		copies := 1
		if s.chance(s.net.Double) {
			copies = 2
		}
		for range copies {
			s.queue.push(event{at: s.now + s.net.delay(), to: to, life: to.life, msg: shared})
		}
	}
}

// hears reports whether gossip of a node can get to another: directly, or in a
// large mesh by way of others.
func (n *node) hears(to *node) bool { return n.sim.net.sparse || n.linked(to) }

func (s *Sim) count(n *node, kind string, m job.Signed) {
	s.Sent[kind]++
	s.Bytes[kind] += uint64(len(m.Raw))
	s.mark(n, kind, m.Raw)
}

// receive takes a gossiped message.
func (n *node) receive(m *letter) {
	switch {
	case n.asleep:
	case n.frozen(): // it hears it when it goes on
		n.waits(func() { n.receive(m) })
	default:
		n.sim.rules.heard(n, m.Signed)
		n.step(scheduler.Received{Signed: m.Signed})
	}
}

// send delivers a message on a stream, or calls lost. In a large mesh nodes that
// are not connected dial each other for it.
func (n *node) send(id job.PeerID, m job.Signed, kind string, arrive func(*node), lost func()) {
	s := n.sim
	s.count(n, kind, m)
	s.tell("%d sends %s to %s %s", n.Number, kind, s.name(id), s.words(m.Msg))
	to := s.byID[id]
	if to != nil && n.hears(to) {
		if d, ok := s.net.stream(n, to); ok {
			life := to.life
			s.after(d, func() {
				if to.up && to.life == life && !to.asleep {
					arrive(to)
				} else {
					lost()
				}
			})
			return
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
			for _, fact := range ev.Facts {
				s.rules.heard(n, fact)
			}
			n.step(ev)
		}
	}
	n.later(a.Within, func() { answer(scheduler.Answered{ID: a.ID}) })
	life := n.life
	n.send(a.To, m, kindOf(a.Msg), func(to *node) {
		if to.denies() {
			return
		}
		to.lastAsk++
		id := to.lastAsk
		to.asked[id] = func(reply job.Signed) {
			d, ok := s.net.stream(to, n)
			if reply.Msg == nil || !ok {
				return
			}
			s.count(to, kindOf(reply.Msg), reply)
			s.tell("%d answers %d %s", to.Number, n.Number, s.words(reply.Msg))
			ev := scheduler.Answered{ID: a.ID, Signed: reply}
			if state, ok := reply.Msg.(*job.State); ok {
				for _, raw := range state.Facts {
					ev.Facts = append(ev.Facts, s.wire[string(raw)])
				}
			}
			s.after(d, func() {
				if n.up && n.life == life && !n.asleep {
					answer(ev)
				}
			})
		}
		to.step(scheduler.Asked{ID: id, Signed: m})
	}, func() {})
}

func (n *node) reply(id uint64, m job.Message) {
	reply := n.asked[id]
	delete(n.asked, id)
	if reply == nil {
		return
	}
	if m == nil {
		reply(job.Signed{})
	} else if signed, ok := n.seal(m); ok {
		reply(signed)
	}
}

// replyState fills a State with as many facts as fit.
func (n *node) replyState(a scheduler.ReplyState) {
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
	n.reply(a.ID, state)
}

// key signs by a hash of the author's name, as long as a real signature.
type key job.PeerID

func (k key) Self() job.PeerID { return job.PeerID(k) }

func (k key) Sign(data []byte) ([]byte, error) {
	sum := sha512.Sum512(append([]byte(k), data...))
	return sum[:], nil
}

func (k key) Verify(by job.PeerID, data, sig []byte) error {
	if want, _ := key(by).Sign(data); string(want) != string(sig) {
		return errors.New("sim: bad signature")
	}
	return nil
}

// id returns the name of a node, as long as a real one.
func id(number int) job.PeerID { return job.PeerID(fmt.Sprintf("12D3KooW%040d%04d", 0, number)) }
