// SPDX-License-Identifier: MIT

package sim

import (
	"time"

	"meshnode/job"
)

// ttl is for how long a claim holds without being repeated, in a mesh of at most
// closely nodes.
const ttl = 10 * time.Second

// genJump is by how many generations a claim may be ahead of what is known.
const genJump = 64

// heard takes what a node hears, for the rule of leases.
func (r *rules) heard(n *node, m job.Signed) {
	if len(r.sim.nodes) > closely {
		return
	}
	from := r.sim.byID[m.From]
	switch msg := m.Msg.(type) {
	case *job.Claim:
		r.hold(n, from, msg.Job, job.Ranges{msg.Range}, msg.Gen)
	case *job.Progress:
		still := make(map[jobCell]bool)
		for _, h := range msg.Held {
			r.hold(n, from, h.Job, h.Left, h.Gen)
			for c := range h.Left.Cells() {
				still[jobCell{h.Job, c}] = true
			}
		}
		for key, l := range r.of(n).leases {
			if l.holder == from && !still[key] {
				l.void = true
			}
		}
	case *job.Released:
		for c := msg.Range.A; c < msg.Range.B; c++ {
			key := jobCell{msg.Job, c}
			switch l := r.of(n).leases[key]; {
			case l == nil || l.gen < msg.Gen: // what it has claimed comes later, or has come before the manifest
				r.of(n).leases[key] = &lease{holder: from, gen: msg.Gen, void: true}
			case l.holder == from && l.gen <= msg.Gen:
				l.void = true
			}
		}
	}
}

// gone takes that a node has been told that another one has left.
func (r *rules) gone(n *node, holder job.PeerID) {
	for _, l := range r.of(n).leases {
		if l.holder.id == holder {
			l.void = true
		}
	}
}

func (r *rules) hold(n, holder *node, id job.ID, cells job.Ranges, gen uint32) {
	if !n.sched.Has(id) { // it cannot make anything of it yet
		return
	}
	leases := r.of(n).leases
	for c := range cells.Cells() {
		key := jobCell{id, c}
		l := leases[key]
		known := uint32(0)
		if l != nil {
			known = l.gen
		}
		switch {
		case gen > known+genJump: // it takes that for a lie, as which it may have begun
		case l == nil || gen > l.gen:
			leases[key] = &lease{holder: holder, gen: gen, at: n.clock.monotonic(n.sim.now)}
		case gen == l.gen && holder != l.holder:
			l.void = true
		case gen == l.gen:
			l.at = n.clock.monotonic(n.sim.now)
			l.void = l.void && !l.granted
			l.granted = false
		}
	}
}

// holds notes what a node holds itself, and gives away: lower claims of others do
// not count for it. A range that it has granted is nobody's before it is claimed.
func (r *rules) holds(n *node, id job.ID, cells job.Range, gen uint32, to *node) {
	if len(r.sim.nodes) > closely {
		return
	}
	for c := cells.A; c < cells.B; c++ {
		if l := r.of(n).leases[jobCell{id, c}]; l == nil || gen > l.gen {
			r.of(n).leases[jobCell{id, c}] = &lease{holder: to, gen: gen, void: to != n, granted: to != n}
		}
	}
}

// adopts checks a claim that rests on nobody's grant. Who was frozen for a while may be
// taken for one that hangs: what it holds does not count before it finishes some.
func (r *rules) adopts(n *node, msg *job.Claim) {
	if len(r.sim.nodes) > closely {
		return
	}
	for c := msg.Range.A; c < msg.Range.B; c++ {
		l := r.of(n).leases[jobCell{msg.Job, c}]
		if l == nil || l.void || l.holder == n || l.holder.Liar != "" || l.holder.everStuck || l.holder.woke > 0 || !n.linked(l.holder) || r.revoked[msg.Job][l.holder.id] {
			continue
		}
		if age := n.clock.monotonic(n.sim.now) - l.at; age < ttl {
			r.sim.fail("lease", "node %d adopts cell %d, whose holder %d was heard %v ago", n.Number, c, l.holder.Number, age)
		}
	}
}
