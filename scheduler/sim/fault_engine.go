// SPDX-License-Identifier: MIT

package sim

// slow makes a node's slots so many times slower than they were at first, and
// says so to nobody.
func (s *Sim) slow(a arguments) { a.nodes[0].slowness = max(a.numbers[0], 0.01) }

// stick lets a node's engines never end a cell from now on.
func (s *Sim) stick(a arguments) { a.nodes[0].stuck = true }

// free undoes stick: for cells that are begun from now on.
func (s *Sim) free(a arguments) { a.nodes[0].stuck = false }

// oom kills the engines of a node's next cells for want of memory.
func (s *Sim) oom(a arguments) { a.nodes[0].ooms = int(a.numbers[0]) }

// breakEngine lets cells fail on a node, with the given probability.
func (s *Sim) breakEngine(a arguments) { a.nodes[0].breaks = a.numbers[0] }
