// SPDX-License-Identifier: MIT

package scheduler

import (
	"slices"

	"meshnode/job"
)

// directory is what is known of each of many peers. A loop goes through the list, which
// is the same everywhere; the index only answers who somebody is, which a step in a
// large mesh asks thousands of times.
type directory[T any] struct {
	list []*T // by id
	ids  []job.PeerID
	byID map[job.PeerID]*T // never ranged over
}

// find returns what is known of a peer, or nil.
func (d *directory[T]) find(id job.PeerID) *T { return d.byID[id] }

// add takes what is known of a peer that is not in it.
func (d *directory[T]) add(id job.PeerID, what *T) {
	if d.byID == nil {
		d.byID = make(map[job.PeerID]*T)
	}
	i, _ := slices.BinarySearch(d.ids, id)
	d.ids, d.list = slices.Insert(d.ids, i, id), slices.Insert(d.list, i, what)
	d.byID[id] = what
}

// remove forgets the peer at a place of the list.
func (d *directory[T]) remove(i int) {
	delete(d.byID, d.ids[i])
	d.ids, d.list = slices.Delete(d.ids, i, i+1), slices.Delete(d.list, i, i+1)
}

// len returns the number of peers.
func (d *directory[T]) len() int { return len(d.list) }
