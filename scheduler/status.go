// SPDX-License-Identifier: MIT

package scheduler

import (
	"errors"
	"time"

	"meshnode/job"
)

// State says for people where a job is.
type State string

// The states of an open job. A job that is over is not listed any more.
const (
	Planning   State = "planning"
	Open       State = "open" // nobody renders it yet
	Rendering  State = "rendering"
	Assembling State = "assembling"
)

// JobStatus is a snapshot of a job for people.
type JobStatus struct {
	ID        job.ID // "" while it is being planned
	Nonce     job.Nonce
	Name      string
	Submitter job.PeerID
	State     State
	Frames    uint32 // of the job
	Done      uint32 // frames collected
	Cells     uint32
	DoneCells uint32
	Rate      float64       // frames per second, of all peers
	Left      time.Duration // estimated; 0: not known
	Peers     []PeerShare   // by peer id
	Waiting   string        // why nobody works on it, if so
	Checks    uint32        // cells of others that this node, the submitter, has yet to check of those collected
	Unfit     string        // what keeps this node from rendering it, if no environment here does
}

// PeerShare is one peer's part in a job.
type PeerShare struct {
	Peer   job.PeerID
	Frames uint32        // collected of what it rendered
	Held   uint32        // cells it holds now
	Rate   float64       // frames per second
	Left   time.Duration // estimated until it is done with what it holds
	Out    bool          // it has left the job, or was revoked
}

// Jobs returns the open jobs in order of arrival, those being planned last. It
// changes nothing; the result is the caller's.
func (s *Scheduler) Jobs() []JobStatus {
	var out []JobStatus
	for _, j := range s.jobs {
		out = append(out, s.jobStatus(j))
	}
	for _, c := range s.plans {
		st := JobStatus{Nonce: c.nonce, Submitter: s.self, State: Planning}
		for _, r := range c.ready {
			st.Peers = append(st.Peers, PeerShare{Peer: r.Peer})
		}
		out = append(out, st)
	}
	return out
}

func (s *Scheduler) jobStatus(j *openJob) JobStatus {
	st := JobStatus{
		ID: j.id, Nonce: j.manifest.Nonce, Name: j.manifest.Name, Submitter: j.submitter, State: Open,
		Frames: j.manifest.Frames(), Cells: uint32(len(j.cells)), DoneCells: uint32(len(j.cells) - j.open),
	}
	shares := make(map[job.PeerID]*PeerShare)
	share := func(id job.PeerID) *PeerShare {
		if shares[id] == nil {
			shares[id] = &PeerShare{Peer: id, Out: j.out(id)}
		}
		return shares[id]
	}
	weight, left := 0.0, 0.0
	weights := make(map[job.PeerID]float64)
	for i, c := range j.grid {
		weight += c.Weight()
		now := s.status(j, uint32(i))
		switch now.kind {
		case kept:
			st.Done += c.Frames
			if now.peer != "" {
				share(now.peer).Frames += c.Frames
			}
		case claimed:
			st.State = Rendering
			share(now.peer).Held++
			weights[now.peer] += c.Weight()
		}
		if now.kind < finished {
			left += c.Weight()
		}
	}
	framesPerWeight := float64(st.Frames) / weight
	for _, m := range j.members.list {
		if m.out {
			share(m.id)
		}
	}
	total := 0.0
	for _, m := range j.members.list {
		p := shares[m.id]
		if p == nil {
			continue
		}
		if p.Held > 0 {
			rate := s.rate(j, m.id)
			p.Rate = rate * framesPerWeight
			p.Left = seconds(weights[m.id] / rate)
			st.Rate += p.Rate
			total += rate
		}
		st.Peers = append(st.Peers, *p)
	}
	if total > 0 {
		st.Left = seconds(left / total)
	}
	st.Unfit = s.unfit(j)
	if j.own() {
		st.Waiting, st.Checks = j.mine.told, uint32(s.unfinishedChecks(j))
		if j.mine.assembling {
			st.State = Assembling
		}
	}
	return st
}

// unfit says what keeps this node from rendering a job of another if none of its
// environments is good enough.
func (s *Scheduler) unfit(j *openJob) string {
	if j.own() || len(s.advert.Environments) == 0 {
		return ""
	}
	if _, err := s.advert.Environment(j.manifest.Need, s.like); err != nil && !errors.Is(err, job.ErrCompare) {
		return err.Error()
	}
	return ""
}

// Holds reports whether a peer holds cells of an open job, by what this node
// knows now.
func (s *Scheduler) Holds(id job.ID, peer job.PeerID) bool {
	for _, j := range s.jobs {
		if j.id == id {
			return !j.out(peer) && s.heldBy(j, peer).cells > 0
		}
	}
	return false
}
