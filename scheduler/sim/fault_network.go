// SPDX-License-Identifier: MIT

package sim

// part cuts the given nodes off from the others. Connections across the cut break
// after some seconds.
func (s *Sim) part(a arguments) {
	s.net.groups = make([]bool, len(s.nodes))
	for _, n := range a.nodes {
		s.net.groups[n.index] = true
	}
	for i, a := range s.nodes {
		for _, b := range s.nodes[i+1:] {
			if s.net.cut(a, b) && (a.linked(b) || b.linked(a)) {
				s.after(s.between(2000, 18_000), func() {
					if s.net.cut(a, b) {
						a.loses(b, 0)
						b.loses(a, 0)
					}
				})
			}
		}
	}
}

// heal ends the partition and unclogs all ways; nodes find each other again.
func (s *Sim) heal(arguments) {
	s.net.groups = nil
	clear(s.net.clogged)
	for i, a := range s.nodes {
		for _, b := range s.nodes[i+1:] {
			s.link(a, b)
		}
	}
}

// clog lets nothing through from one node to another, though the connection
// stands: a full queue, a firewall, one way of a bad radio link.
func (s *Sim) clog(a arguments) { s.net.clogged[way{a.nodes[0].index, a.nodes[1].index}] = true }

// unclog undoes clog.
func (s *Sim) unclog(a arguments) { delete(s.net.clogged, way{a.nodes[0].index, a.nodes[1].index}) }

// weather sets loss, doubling and lateness of messages.
func (s *Sim) weather(a arguments) {
	s.net.Loss, s.net.Double, s.net.Late = a.numbers[0], a.numbers[1], a.numbers[2]
}
