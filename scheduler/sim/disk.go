// SPDX-License-Identifier: MIT

package sim

import (
	"slices"
	"strings"
	"time"

	"meshnode/job"
	"meshnode/scheduler"
)

// disk is what survives the crashes of a node: its records, and the outputs of
// cells.
type disk struct {
	records map[string][]byte
	spoiled map[string]bool // those that have rotted
	blocks  map[job.CID]block
	full    bool
	failing bool
}

// block is the output of a cell on a disk.
type block struct {
	job    job.ID
	cell   uint32
	rotten bool
	junk   bool // it never was what the cell draws
}

func newDisk() disk {
	return disk{records: make(map[string][]byte), spoiled: make(map[string]bool), blocks: make(map[job.CID]block)}
}

// retryDisk is how often a node looks whether its disk writes again.
const retryDisk = 5 * time.Second

// persist writes a record. When that fails the state machine has ended, as if the
// node had crashed.
func (n *node) persist(a scheduler.Persist) {
	if n.disk.failing {
		n.tell("cannot write %s", a.Key)
		n.crash()
		n.sim.after(retryDisk, n.start)
		return
	}
	if a.Value == nil {
		delete(n.disk.records, a.Key)
	} else {
		n.disk.records[a.Key] = a.Value
	}
	delete(n.disk.spoiled, a.Key)
	n.sim.mark(n, a.Key, a.Value)
	n.sim.rules.persisted(n, a)
}

// unpin removes the blocks of a job.
func (d *disk) unpin(id job.ID) {
	for cid := range d.blocks {
		if d.blocks[cid].job == id {
			delete(d.blocks, cid)
		}
	}
}

// tidy looks through the disk after a start: blocks of jobs that are over go, and
// the state machine hears of those that are missing.
func (n *node) tidy() {
	open := make(map[job.ID]bool)
	for _, j := range n.sched.Jobs() {
		open[j.ID] = true
	}
	for cid := range n.disk.blocks {
		if !open[n.disk.blocks[cid].job] {
			delete(n.disk.blocks, cid)
		}
	}
	missing := make(map[job.ID][]uint32)
	for key, b := range n.disk.records {
		if !strings.Contains(key, "/done/") && !strings.Contains(key, "/collected/") {
			continue
		}
		r, err := scheduler.DecodeRecord(b)
		if err != nil {
			continue
		}
		id := job.ID(strings.Split(key, "/")[1])
		for _, c := range r.Cells {
			if _, ok := n.disk.blocks[c.Output]; !ok {
				missing[id] = append(missing[id], c.Cell)
			}
		}
	}
	for _, j := range n.sim.jobs { // in a fixed order
		if cells := missing[j.id]; len(cells) > 0 && n.up {
			slices.Sort(cells)
			n.step(scheduler.Lost{Job: j.id, Cells: cells})
		}
	}
}

// read returns an output that a node has, and finds out what has rotted.
func (n *node) read(cid job.CID) (block, bool) {
	b, ok := n.disk.blocks[cid]
	if !ok || !b.rotten {
		return b, ok
	}
	delete(n.disk.blocks, cid)
	n.later(time.Millisecond, func() { n.step(scheduler.Lost{Job: b.job, Cells: []uint32{b.cell}}) })
	return b, false
}
