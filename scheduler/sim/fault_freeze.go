// SPDX-License-Identifier: MIT

package sim

// hang stops a node as SIGSTOP or swapping does: its connections stand, it does
// nothing, and what arrives waits.
func (s *Sim) hang(a arguments) { a.nodes[0].hung = true }

// wake undoes hang.
func (s *Sim) wake(a arguments) {
	n := a.nodes[0]
	n.hung = false
	n.thaw()
}

// suspend stops a node's computer: its monotonic clock stands still as well, and
// its connections are lost when the others notice, or at its return.
func (s *Sim) suspend(a arguments) {
	n := a.nodes[0]
	if !n.up || n.asleep {
		return
	}
	n.clock.stop(s.now)
	n.asleep = true
	for _, o := range n.links {
		if o != nil {
			o.loses(n, s.between(10_000, 18_000))
		}
	}
}

// resume undoes suspend.
func (s *Sim) resume(a arguments) {
	n := a.nodes[0]
	if !n.asleep {
		return
	}
	n.asleep = false
	n.clock.goOn(s.now)
	n.thaw()
	if !n.up {
		return
	}
	for _, o := range s.nodes {
		if o == n || !o.up {
			continue
		}
		if n.linked(o) && !o.linked(n) {
			n.loses(o, s.between(1, 300))
		}
		s.link(n, o)
	}
}

// jump moves a node's wall clock, as a user or a time server does.
func (s *Sim) jump(a arguments) { a.nodes[0].clock.wall += a.time }

// frozen reports whether a node does nothing for now.
func (n *node) frozen() bool { return n.hung || n.asleep }

// waits has something wait until a frozen node goes on, unless it starts anew.
func (n *node) waits(do func()) {
	life := n.life
	n.waiting = append(n.waiting, func() {
		if n.life == life {
			do()
		}
	})
}

// thaw lets a node do what has waited.
func (n *node) thaw() {
	n.woke = n.sim.now
	for !n.frozen() && len(n.waiting) > 0 {
		do := n.waiting[0]
		n.waiting = n.waiting[1:]
		do()
	}
}
