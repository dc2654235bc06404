// SPDX-License-Identifier: MIT

package node

import (
	"fmt"

	"meshnode/job"
)

// lacking says of each peer that was called for a job and cannot render it, as
// became known with the plan, which package it lacks, or that its encoder differs.
func (n *Node) lacking(need job.Need) []string {
	if len(need.Packages) == 0 && need.Headers == "" {
		return nil
	}
	called := need
	called.Packages, called.Headers = nil, ""
	alike := func(job.CID, job.CID) error { return nil } // that they are not was known before
	var notes []string
	for _, p := range n.Peers() {
		var why error
		able := false
		for _, e := range p.Environments {
			switch err := e.Meets(need, alike); {
			case err == nil:
				able = true
			case e.Meets(called, alike) == nil:
				why = err
			}
		}
		if !able && why != nil {
			notes = append(notes, fmt.Sprintf("%s does not render this: %v", p.Name, why))
		}
	}
	return notes
}
