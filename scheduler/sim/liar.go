// SPDX-License-Identifier: MIT

package sim

import (
	"fmt"
	"time"

	"meshnode/job"
	"meshnode/scheduler"
)

// How a node cheats. It runs the production state machine, and what that does is
// turned into lies; signatures it cannot forge.
//
//	done     says Done of cells that it has not rendered, and has not
//	junk     renders something that is no cell
//	stall    takes what it is given, says that it is at work, and never ends
//	steal    claims what others hold, and never ends
//	two      says another thing to every second peer
//	boast    says that it is a thousand times faster than it is
//	deny     answers nothing, and gives nothing away
//	noise    says what only a submitter may say
//	forge    renders one cell in five with other pictures than it should have; not
//	         among the following, as it needs jobs that are checked
const liars = "done junk stall steal two boast deny noise"

// liesTimes returns the times of a node's state machine: one that stalls has all
// the time in the world.
func (n *node) liesTimes() scheduler.Times {
	if n.Liar == "stall" || n.Liar == "steal" {
		return scheduler.Times{Render: 1000 * time.Hour}
	}
	return scheduler.Times{}
}

// denies reports whether a node answers nobody.
func (n *node) denies() bool { return n.Liar == "deny" }

// liesAbout reports whether a node only pretends to render a cell.
func (n *node) liesAbout(a scheduler.Render, e *engine) bool {
	switch n.Liar {
	case "stall", "steal":
		return true
	case "done", "junk":
	default:
		return false
	}
	token := e.busy[a.Cell]
	fake := job.CIDOf(fmt.Appendf(nil, "%s/%d/%d", a.Job, a.Cell, n.Number))
	_, took := n.times(e, a.Cell)
	n.later(took/2, func() {
		if n.engines[a.Job] != e || e.busy[a.Cell] != token {
			return
		}
		delete(e.busy, a.Cell)
		if n.Liar == "junk" {
			n.disk.blocks[fake] = block{job: a.Job, cell: a.Cell, junk: true}
		}
		n.step(scheduler.Rendered{Job: a.Job, Cell: a.Cell, Output: fake, Size: e.run.Bytes, Seconds: took.Seconds()})
	})
	return true
}

// tells gossips a message of this node, or a lie in its place.
func (n *node) tells(m job.Signed) {
	switch n.Liar {
	case "two":
		n.tellsTwo(m)
		return
	case "steal":
		if c, ok := m.Msg.(*job.Progress); ok {
			n.steals(c)
		}
	case "boast":
		if p, ok := m.Msg.(*job.Progress); ok {
			boast := *p
			boast.Held = nil
			for _, h := range p.Held {
				h.Rate *= 1000
				boast.Held = append(boast.Held, h)
			}
			m, _ = n.seal(&boast)
		}
	case "noise":
		n.gossip(m, kindOf(m.Msg))
		for _, j := range n.sim.jobs {
			n.noise(j)
		}
		return
	}
	n.gossip(m, kindOf(m.Msg))
}

// tellsTwo sends another Done to every second peer.
func (n *node) tellsTwo(m job.Signed) {
	d, ok := m.Msg.(*job.Done)
	if !ok {
		n.gossip(m, kindOf(m.Msg))
		return
	}
	other := *d
	other.Output, other.Of = job.CIDOf(fmt.Appendf(nil, "%s/%d/two", d.Job, d.Cell)), nil
	o, ok := n.seal(&other)
	if !ok {
		return
	}
	links := n.links
	for side, message := range []job.Signed{m, o} {
		n.links = make([]*node, len(links))
		for i, l := range links {
			if i%2 == side {
				n.links[i] = l
			}
		}
		n.gossip(message, "Done")
	}
	n.links = links
}

// steals claims the first half of every job again and again.
func (n *node) steals(p *job.Progress) {
	for _, j := range n.sim.jobs {
		if !n.sched.Has(j.id) || j.ended() || len(j.grid) < 2 {
			continue
		}
		gen := 1 + uint32(n.sim.rng.IntN(3))
		if m, ok := n.seal(&job.Claim{Job: j.id, Range: job.Range{A: 0, B: uint32(len(j.grid) / 2)}, Gen: gen}); ok {
			n.gossip(m, "Claim")
		}
	}
}

// noise says what is not this node's to say.
func (n *node) noise(j *run) {
	if !n.sched.Has(j.id) {
		return
	}
	all := job.Range{A: 0, B: uint32(len(j.grid))}
	for _, msg := range []job.Message{
		&job.Collected{Job: j.id, Cells: job.Ranges{all}, Final: true, Epoch: 9},
		&job.Cancel{Job: j.id, Nonce: j.nonce, Reason: "a lie"},
		&job.Revoked{Job: j.id, Peer: j.submitter.id, Reason: "a lie"},
		&job.Offer{Job: j.id, Nonce: j.nonce},
		&job.Released{Job: j.id, Range: all, Gen: 60, Cause: job.CauseFailed, Reason: "a lie"},
		&job.Released{Job: j.id, Range: all, Gen: 60, Cause: job.CauseLost},
		&job.Claim{Job: j.id, Range: all, Gen: 1 << 30},
	} {
		if n.sim.chance(0.2) {
			if m, ok := n.seal(msg); ok {
				n.gossip(m, kindOf(msg))
			}
		}
	}
}
