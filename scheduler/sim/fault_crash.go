// SPDX-License-Identifier: MIT

package sim

import (
	"time"

	"meshnode/scheduler"
)

// kill ends a node at once, as kill -9 or a power cut does, or before it carries
// out the given number of actions more, within a second: between any two actions
// of a step, so before or after any write. What is on its disk stays.
func (s *Sim) kill(a arguments) {
	n := a.nodes[0]
	if len(a.numbers) == 0 || a.numbers[0] == 0 {
		n.crash()
		return
	}
	n.dieIn = int(a.numbers[0])
	life := n.life
	s.after(time.Second, func() {
		if n.life == life && n.dieIn >= 0 {
			n.crash()
		}
	})
}

// start starts a node that is down, with its key and its disk.
func (s *Sim) start(a arguments) { a.nodes[0].start() }

// leave ends a node as SIGTERM does: it hands over what it holds first.
func (s *Sim) leave(a arguments) {
	const goodbye = 100 // ms for its last messages
	n := a.nodes[0]
	if !n.up || n.frozen() {
		return
	}
	n.step(scheduler.Leave{})
	n.later(s.between(goodbye/2, goodbye), n.crash)
}

func (n *node) crash() {
	if !n.up {
		return
	}
	n.tell("killed")
	n.up = false
	n.dieIn = -1
	for _, r := range n.sim.jobs {
		if r.submitter == n && (r.planning || r.offered) && !r.recorded {
			r.gone = true
		}
	}
	for _, o := range n.links {
		if o != nil && o.up {
			o.loses(n, n.sim.between(1, 300))
		}
	}
}
