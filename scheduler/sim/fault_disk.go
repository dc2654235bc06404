// SPDX-License-Identifier: MIT

package sim

import (
	"maps"
	"slices"
)

// full lets a node's disk take no more blocks; records are small and still fit.
func (s *Sim) full(a arguments) { a.nodes[0].disk.full = true }

// failing lets every write of a node fail. The write of a record that fails ends
// the state machine, as a crash does; the node tries again every few seconds.
func (s *Sim) failing(a arguments) { a.nodes[0].disk.failing = true }

// repair undoes full and failing.
func (s *Sim) repair(a arguments) {
	n := a.nodes[0]
	n.disk.full, n.disk.failing = false, false
}

// rot flips a bit in one of the blocks on a node's disk. Nobody knows before it
// is read.
func (s *Sim) rot(a arguments) {
	d := &a.nodes[0].disk
	if cid, ok := pick(d.blocks, a.numbers[0]); ok {
		b := d.blocks[cid]
		b.rotten = true
		d.blocks[cid] = b
	}
}

// erase removes a block, as a user or a repair of the file system does.
func (s *Sim) erase(a arguments) {
	d := &a.nodes[0].disk
	if cid, ok := pick(d.blocks, a.numbers[0]); ok {
		delete(d.blocks, cid)
	}
}

// spoil lets one of the records on a node's disk rot. A record has a checksum, so
// it will not be there when the node is started the next time.
func (s *Sim) spoil(a arguments) {
	n := a.nodes[0]
	if key, ok := pick(n.disk.records, a.numbers[0]); ok {
		n.disk.spoiled[key] = true
		s.rules.spoiled(n, key)
	}
}

// pick returns one key of a map, the same in every run.
func pick[K ~string, V any](m map[K]V, number float64) (key K, ok bool) {
	if len(m) == 0 {
		return key, false
	}
	keys := slices.Sorted(maps.Keys(m))
	return keys[int(number)%len(keys)], true
}
