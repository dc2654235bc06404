// SPDX-License-Identifier: MIT

package sim

import (
	"fmt"
	"time"

	"meshnode/job"
	"meshnode/scheduler"
)

// lie is how many of its cells a peer that forges renders wrongly.
const lie = 0.2

// forges gives a cell other pictures than it should have, if its renderer is one that
// does so.
func (n *node) forges(r *run, cell uint32) (forged job.CID, yes bool) {
	forged = job.CIDOf(fmt.Appendf(nil, "%s/%d/%d/forged", r.id, cell, n.Number))
	switch {
	case n.Liar != "forge":
		return "", false
	case n.sim.Forges != nil:
		yes = n.sim.Forges(cell, n.id, forged)
	default:
		yes = n.sim.chance(lie)
	}
	if !yes {
		return "", false
	}
	r.forged[forged] = n
	r.Lies++
	return forged, true
}

// check renders a cell beside all others and compares.
func (n *node) check(a scheduler.Check) {
	s := n.sim
	e, token := n.begins("checks", a.Job, a.Cell)
	if e == nil {
		return
	}
	r := e.run
	start, took := n.times(e, a.Cell)
	n.tell("checks cell %d", a.Cell)
	n.later(start+took-s.now, func() {
		if n.engines[a.Job] != e || e.busy[a.Cell] != token {
			return
		}
		delete(e.busy, a.Cell)
		done := scheduler.Checked{Job: a.Job, Cell: a.Cell, Output: a.Output}
		if _, reason := n.goesWrong(); reason != "" || n.stuck {
			done.Reason = reason
			n.step(done)
			return
		}
		done.Own, done.Size = r.outputs[a.Cell], r.Bytes
		n.disk.blocks[done.Own] = block{job: a.Job, cell: a.Cell}
		r.checked[a.Cell]++
		done.Verdict = scheduler.Right
		if a.Output != done.Own {
			done.Verdict, done.Reason = scheduler.Wrong, "other pictures"
			n.tell("finds that cell %d is wrong", a.Cell)
		}
		life := n.life
		n.step(done)
		if forger := r.forged[a.Output]; forger != nil && done.Verdict == scheduler.Wrong && n.up && n.life == life {
			r.foundOut[forger] = true
		}
	})
}

// look counts a forged cell of a film. There is none of who was found out.
func (r *run) look(cell uint32, forger *node) {
	r.Forged++
	if r.foundOut[forger] {
		r.sim.fail("checked", "cell %d of job %d is by node %d, which was found out", cell, r.Number, forger.Number)
	}
}

// secretOf is that of a job: nobody in the simulation but its submitter knows it.
func (s *Sim) secretOf(r *run) []byte {
	return fmt.Appendf(nil, "%d/%s", s.script.Seed, r.id)
}

// checkTime is how long a submitter may be busy with checks when all else is done:
// with all cells, all alone.
func (r *run) checkTime() time.Duration {
	if r.Trust == "" || r.Trust == scheduler.TrustMine.String() {
		return 0
	}
	return secs((r.work() + r.Walk.Seconds()) / (float64(max(1, r.submitter.Slots)) * r.submitter.Speed))
}
