// SPDX-License-Identifier: MIT

package node

import (
	"slices"

	"meshnode/job"
	"meshnode/renderer"
	"meshnode/scheduler"
)

// Estimate says how long a job would take on some nodes, from the plan on.
type Estimate struct {
	Nodes   int     `json:"nodes"`   // that would render, this one among them
	Seconds float64 `json:"seconds"` // by the scheduler's own assumptions
}

// dryRun tells what a planned job would be, and does nothing else.
func (n *Node) dryRun(p *publication, plan *renderer.Plan, req PublishRequest) {
	e := Event{
		Event: "planned", Name: plan.Name, Plays: uint32(len(plan.Plays)), FPS: plan.FPS, Width: plan.Width, Height: plan.Height,
	}
	if !plan.Whole {
		man := n.manifest(p, plan)
		e.Frames, e.Cells = man.Frames(), uint32(len(man.Grid()))
		e.Estimates = n.estimates(man, req)
	}
	p.emit(e)
}

// estimates returns how long a job would take on this node, and with all peers
// that could help now.
func (n *Node) estimates(man *job.Manifest, req PublishRequest) []Estimate {
	offer := &job.Offer{Job: job.ID(job.CIDOf(nil))} // any: it only breaks ties
	var out []Estimate
	add := func() {
		if t := scheduler.Makespan(offer, man); t > 0 {
			out = append(out, Estimate{len(offer.Roster), round(t)})
		}
	}
	if slots := n.localSlots(req); slots > 0 {
		offer.Roster = append(offer.Roster, job.Member{Peer: n.self, Slots: slots, Speed: n.currentAdvert().Speed})
		add()
	}
	alone := len(offer.Roster)
	for _, p := range n.Peers() {
		fits := func(e job.Environment) bool {
			return e.Renderer == man.Need.Renderer && e.Version == man.Need.Version
		}
		if p.Slots > 0 && p.Lacks == "" && !p.Paused && slices.ContainsFunc(p.Environments, fits) {
			offer.Roster = append(offer.Roster, job.Member{Peer: p.ID, Slots: p.Slots, Speed: p.Speed})
		}
	}
	if len(offer.Roster) > alone {
		add()
	}
	return out
}
