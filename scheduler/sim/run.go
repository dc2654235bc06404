// SPDX-License-Identifier: MIT

package sim

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"slices"
	"time"

	"meshnode/job"
	"meshnode/scheduler"
)

// run is what the simulation knows of a job.
type run struct {
	Job
	sim       *Sim
	submitter *node
	nonce     job.Nonce
	manifest  *job.Manifest
	id        job.ID
	grid      []job.Cell
	outputs   []job.CID      // of the cells, wherever they are rendered
	rendered  map[uint32]int // times that a cell was finished
	checked   map[uint32]int // times that it was rendered to be compared
	trust     scheduler.Trust
	forged    map[job.CID]*node // outputs that are not what the cell draws, and whose they are
	foundOut  map[*node]bool    // whom a check has shown to forge

	submitted time.Duration
	planning  bool
	offered   bool
	recorded  bool  // on the submitter's disk
	deleted   bool  // from it
	finisher  *node // who makes the film when the submitter is gone
	gone      bool  // it was never offered: its submitter was down, or died
	aborted   bool
	spoiled   bool // the submitter's record of it
	Result
}

// Result is how a job ended.
type Result struct {
	Done       bool          // assembled, from the right cells
	Failed     string        // or failed, and why
	Makespan   time.Duration // from the offer to the last collected cell
	Cells      int
	Duplicates float64 // weight rendered more than once, as a share of all
	Checks     float64 // weight rendered again to compare it, as a share of all
	Lies       int     // cells that were forged, in the film or not
	Forged     int     // cells of the film that are not what the scene draws
}

func (s *Sim) newRun(j Job) *run {
	r := &run{
		Job: j, sim: s, submitter: s.node(j.By), rendered: make(map[uint32]int), checked: make(map[uint32]int),
		forged: make(map[job.CID]*node), foundOut: make(map[*node]bool),
	}
	var err error
	if r.trust, err = scheduler.ParseTrust(cmp.Or(j.Trust, "mine")); err != nil {
		s.fail("script", "job %d: %v", j.Number, err)
	}
	binary.BigEndian.PutUint64(r.nonce[:], uint64(j.Number)+1)
	r.manifest = &job.Manifest{
		V: job.Version, Submitter: r.submitter.id, Nonce: r.nonce, Name: fmt.Sprintf("Scene%d", j.Number), Need: need,
		Assets: job.CIDOf(nil), Width: 1920, Height: 1080, FPS: j.FPS, Plays: j.Plays, CellFrames: j.Cell, Walk: j.Walk.Seconds(),
	}
	var id job.ID
	_, id, err = r.manifest.Block()
	if err != nil {
		s.fail("script", "job %d: %v", j.Number, err)
		return r
	}
	r.id, r.grid = id, r.manifest.Grid()
	r.Cells = len(r.grid)
	for c := range r.grid {
		r.outputs = append(r.outputs, job.CIDOf(fmt.Appendf(nil, "%s/%d", id, c)))
	}
	return r
}

func (s *Sim) job(id job.ID) *run {
	for _, j := range s.jobs {
		if j.id == id {
			return j
		}
	}
	return nil
}

func (r *run) ended() bool {
	return r.Done || r.Failed != "" || r.gone || r.deleted || r.orphan() && !r.beingFinished() || r.forsaken()
}

// forsaken reports whether nobody is left who can render it: who is sick is so for an hour.
func (r *run) forsaken() bool {
	return r.sim.settled && !slices.ContainsFunc(r.sim.nodes, func(n *node) bool {
		return n.up && n.Liar == "" && n.Slots > 0 && (n == r.submitter && !r.Away || n != r.submitter && n.Sandbox == "" && n.advert.Lacks == "")
	})
}

// orphan reports whether the submitter does not come back any more: the others
// keep what they have of the job.
func (r *run) orphan() bool { return r.recorded && r.sim.settled && !r.submitter.up }

// beingFinished reports whether another node makes the film. One that was killed does
// not come back, and one that lies need not come to an end.
func (r *run) beingFinished() bool {
	return r.finisher != nil && r.finisher.up && r.finisher.Liar == ""
}

// work returns the seconds that a slot of speed 1 needs for all cells.
func (r *run) work() float64 {
	weight := 0.0
	for _, c := range r.grid {
		weight += c.Weight()
	}
	return weight * r.Frame.Seconds()
}

// Results returns how the jobs ended.
func (s *Sim) Results() []Result {
	var out []Result
	for _, j := range s.jobs {
		all, twice, again := 0.0, 0.0, 0.0
		for c, n := range j.grid {
			all += n.Weight()
			if k := j.rendered[uint32(c)]; k > 1 {
				twice += float64(k-1) * n.Weight()
			}
			again += float64(j.checked[uint32(c)]) * n.Weight()
		}
		j.Duplicates, j.Checks = twice/all, again/all
		out = append(out, j.Result)
	}
	return out
}
