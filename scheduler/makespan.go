// SPDX-License-Identifier: MIT

package scheduler

import "meshnode/job"

// Makespan estimates the seconds from an offer until the last of its cells is
// rendered, if every peer renders the range that Layout gives it and is as fast
// as is assumed of it. 0: nobody in the roster can render.
func Makespan(o *job.Offer, m *job.Manifest) float64 {
	cost := newCost(m.Grid(), m)
	workers := make(map[job.PeerID]worker)
	for _, w := range rank(o, m.Submitter) {
		workers[w.peer] = w
	}
	longest := 0.0
	for _, share := range Layout(o, m) {
		longest = max(longest, cost.end(workers[share.Peer], share.Range.A, share.Range.B))
	}
	return longest
}
