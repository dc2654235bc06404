// SPDX-License-Identifier: MIT

package scheduler

import "meshnode/job"

// These make a scheduler forget what it should know, for TestBugs.

// Replan lays a job out anew.
func (s *Scheduler) Replan(id job.ID) {
	if j := s.find(id); j != nil {
		s.layOut(j)
		for i := range j.cells {
			j.touch(uint32(i))
		}
	}
}

// Regain makes this node the holder of cells again that it has granted.
func (s *Scheduler) Regain(id job.ID, r job.Range) {
	j := s.find(id)
	for i := r.A; i < r.B; i++ {
		j.cells[i].top = s.lasting(claim{peer: s.self, gen: j.cells[i].top.gen - 1})
		j.touch(i)
	}
}

// CheckPlace returns where a cell stands among those of its peer that are checked, from
// 0 to 1, under a secret.
func CheckPlace(secret []byte, cell uint32, peer job.PeerID, output job.CID) float64 {
	return float64((&checks{secret: secret}).place(cell, peer, output)) / (1 << 64)
}

// Pardon forgets that a peer was revoked.
func (s *Scheduler) Pardon(peer job.PeerID) {
	for _, j := range s.jobs {
		if m := j.member(peer); m != nil {
			m.out, m.revoked = false, job.Signed{}
		}
	}
	s.forgetStatus()
}

// Forgive forgets which cells this node has failed.
func (s *Scheduler) Forgive() {
	for _, j := range s.jobs {
		for _, i := range j.failing {
			j.cells[i].failed = nil
		}
	}
}
