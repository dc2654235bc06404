// SPDX-License-Identifier: MIT

package sim

import (
	"errors"
	"slices"
	"time"

	"meshnode/job"
	"meshnode/scheduler"
)

// engine is a loaded job. One walker, the leader, goes through the scene and leaves
// checkpoints; a cell is rendered by a fork of it.
type engine struct {
	run     *run
	ready   bool
	front   uint32        // frames that the leader has walked
	free    time.Duration // when the leader is there
	busy    map[uint32]uint64
	last    map[uint32]bool // cells just finished, whose renderers may go on
	started uint64
}

func newEngine(r *run, planned bool) *engine {
	e := &engine{run: r, busy: make(map[uint32]uint64), last: make(map[uint32]bool)}
	if planned {
		e.ready, e.front = true, r.manifest.Frames()
	}
	return e
}

// prepare loads a job, or plans one of this node again.
func (n *node) prepare(a scheduler.Prepare) {
	s := n.sim
	r := s.job(a.Job)
	e := newEngine(r, false)
	n.engines[a.Job] = e
	own := r.submitter == n
	took := s.between(300, 900)
	if own {
		took += secs(r.Walk.Seconds() / n.Speed)
	}
	n.tell("prepares job %d", r.Number)
	n.later(took, func() {
		if n.engines[a.Job] != e {
			return
		}
		if n.disk.full && !own {
			delete(n.engines, a.Job)
			n.step(scheduler.Prepared{Job: a.Job, Err: errors.New("no space left on device")})
			return
		}
		if e.ready = true; own {
			e.front = r.manifest.Frames()
		}
		n.step(scheduler.Prepared{Job: a.Job})
	})
}

func (n *node) render(a scheduler.Render) {
	s := n.sim
	e, token := n.begins("renders", a.Job, a.Cell)
	if e == nil {
		return
	}
	if n.stuck {
		n.everStuck = true
		n.tell("is stuck with cell %d", a.Cell)
		return
	}
	if n.liesAbout(a, e) {
		return
	}
	start, took := n.times(e, a.Cell)
	n.tell("renders cell %d", a.Cell)
	n.later(start+took-s.now, func() {
		if n.engines[a.Job] != e || e.busy[a.Cell] != token {
			return // it was dropped, or the job is over
		}
		delete(e.busy, a.Cell)
		if class, reason := n.goesWrong(); reason != "" {
			n.step(scheduler.RenderFailed{Job: a.Job, Cell: a.Cell, Class: class, Reason: reason})
			return
		}
		cell := e.run.grid[a.Cell]
		e.last[a.Cell] = true
		e.front = max(e.front, cell.First+cell.Frames)
		e.run.rendered[a.Cell]++
		out := e.run.outputs[a.Cell]
		if forged, yes := n.forges(e.run, a.Cell); yes {
			out = forged
		}
		n.disk.blocks[out] = block{job: a.Job, cell: a.Cell}
		n.tell("has rendered cell %d", a.Cell)
		n.step(scheduler.Rendered{Job: a.Job, Cell: a.Cell, Output: out, Size: e.run.Bytes, Seconds: (s.now - start).Seconds()})
	})
}

// begins has the engine of a job begin a cell, and returns it, nil if it may not, and what
// tells this rendering from later ones of the cell.
func (n *node) begins(what string, id job.ID, cell uint32) (e *engine, token uint64) {
	e = n.engines[id]
	if e == nil || !e.ready {
		n.sim.fail("prepared", "node %d %s cell %d of a job that is not prepared", n.Number, what, cell)
		return nil, 0
	}
	if _, twice := e.busy[cell]; twice {
		n.sim.fail("twice", "node %d %s cell %d twice at a time", n.Number, what, cell)
		return nil, 0
	}
	e.started++
	e.busy[cell] = e.started
	return e, e.started
}

// times returns when a cell can be begun, after the walk to it, and how long it
// takes from then.
func (n *node) times(e *engine, number uint32) (start, took time.Duration) {
	s := n.sim
	speed := n.Speed / n.slowness
	cell := e.run.grid[number]
	perFrame := e.run.Walk.Seconds() / float64(e.run.manifest.Frames()) / speed
	switch {
	case cell.First > e.front: // the leader walks on
		start = max(s.now, e.free) + secs(perFrame*float64(cell.First-e.front))
		e.front, e.free = cell.First, start
	case number > 0 && e.last[number-1]: // a renderer goes on
		delete(e.last, number-1)
		start = s.now
	default: // a checkpoint forks
		const checkpoints = 12
		gap := max(1, e.front/checkpoints)
		start = max(s.now, e.free) + 10*time.Millisecond + secs(perFrame*float64(cell.First%gap))
	}
	took = secs(cell.Weight()*e.run.Frame.Seconds()/speed*(0.9+0.2*s.rng.Float64()) + perFrame*float64(cell.Frames))
	return start, took
}

// goesWrong returns why a cell fails, or "".
func (n *node) goesWrong() (scheduler.Class, string) {
	switch {
	case n.ooms > 0:
		n.ooms--
		return scheduler.Memory, "injected: out of memory"
	case n.disk.full || n.disk.failing:
		return scheduler.Environment, "injected: no space left on device"
	case n.sim.chance(n.breaks):
		return scheduler.Retry, "injected: segmentation fault"
	}
	return 0, ""
}

// reaches reports whether a node can fetch from another.
func (n *node) reaches(o *node) bool {
	if o == n {
		return true
	}
	_, ok := n.sim.net.stream(o, n)
	return ok && !n.sim.net.stuck(n, o) && o.up && !o.frozen() && n.hears(o) && !o.denies()
}

func (n *node) fetchManifest(a scheduler.FetchManifest) {
	s := n.sim
	n.later(s.between(3, 30), func() {
		for _, from := range a.From {
			if o := s.byID[from]; o != nil && n.reaches(o) && o.sched.Has(a.Job) {
				n.step(scheduler.ManifestFetched{Job: a.Job, Manifest: s.job(a.Job).manifest})
				return
			}
		}
		n.later(2*time.Second, func() { n.step(scheduler.ManifestFetched{Job: a.Job}) })
	})
}

// fetch collects a cell: from those that said Done, then from whoever has it.
func (n *node) fetch(a scheduler.Fetch) {
	s := n.sim
	failed := scheduler.FetchFailed{Job: a.Job, Cell: a.Cell, CID: a.CID}
	n.later(s.between(1, 10)+secs(float64(min(a.Size, 1<<30))/80e6), func() {
		if n.disk.full || n.disk.failing {
			failed.Here = true
			n.later(100*time.Millisecond, func() { n.step(failed) })
			return
		}
		holders := slices.Clone(a.From)
		for _, o := range n.links {
			if o != nil && !slices.Contains(holders, o.id) {
				holders = append(holders, o.id)
			}
		}
		for _, from := range holders {
			o := s.byID[from]
			if o == nil || !n.reaches(o) {
				continue
			}
			b, ok := o.read(a.CID)
			switch {
			case ok && b.junk:
				failed.Bad = true
				n.step(failed)
				return
			case ok && n.sched.Has(a.Job):
				n.disk.blocks[a.CID] = b
				n.step(scheduler.Fetched{Job: a.Job, Cell: a.Cell, CID: a.CID})
				return
			}
		}
		n.later(500*time.Millisecond, func() { n.step(failed) })
	})
}

// assemble reads all cells, and writes the film.
func (n *node) assemble(a scheduler.Assemble) {
	s := n.sim
	r := s.job(a.Job)
	if e := n.engines[a.Job]; r.submitter == n && (e == nil || !e.ready || e.front != r.manifest.Frames()) {
		s.fail("film", "job %d is assembled without its plan", r.Number)
		return
	}
	if len(a.Cells) != len(r.grid) {
		s.fail("film", "job %d of %d cells is assembled from %d", r.Number, len(r.grid), len(a.Cells))
	}
	r.Makespan = s.now - r.submitted
	n.tell("assembles job %d", r.Number)
	n.later(50*time.Millisecond, func() {
		var lost []uint32
		for c := range uint32(len(r.grid)) {
			b, ok := n.disk.blocks[a.Cells[c]]
			switch {
			case !ok || b.rotten:
				lost = append(lost, c)
				delete(n.disk.blocks, a.Cells[c])
			case r.forged[a.Cells[c]] != nil:
				if n == r.submitter { // nobody else can check
					r.look(c, r.forged[a.Cells[c]])
				}
			case b.junk || a.Cells[c] != r.outputs[c]:
				s.fail("film", "cell %d of job %d is not what it should be", c, r.Number)
			}
		}
		if len(lost) > 0 {
			n.step(scheduler.Lost{Job: a.Job, Cells: lost})
			return
		}
		r.Done = true
		n.step(scheduler.Assembled{Job: a.Job})
	})
}
