// SPDX-License-Identifier: MIT

package node

import (
	"context"
	"math"
	"slices"
	"strings"
	"time"

	"meshnode/job"
	"meshnode/scheduler"
)

// Status returns what this node knows of itself, its peers and its jobs.
func (n *Node) Status() Status {
	advert := n.forOthers()
	s := Status{
		Self: PeerStatus{ID: n.self, Self: true, Addrs: n.parts.Network.Addrs(), Advert: &advert},
		Mesh: n.parts.Mesh.Name, Mark: n.parts.Mesh.Mark(), Peers: n.Peers(), Jobs: n.jobs(endedInStatus),
	}
	if n.home != nil {
		s.Home = n.home.dir
	}
	if advert.Lacks != "" {
		s.Notes = append(s.Notes, advert.Lacks)
	}
	if advert.Sick != "" {
		s.Notes = append(s.Notes, "not rendering for others for a while: "+advert.Sick)
	}
	for _, j := range n.schedulerJobs() {
		if note := "renderer: " + j.Unfit; j.Unfit != "" && !slices.Contains(s.Notes, note) {
			s.Notes = append(s.Notes, note)
		}
	}
	ctx, cancel := context.WithTimeout(n.ctx, time.Second)
	defer cancel()
	s.Blocks, _ = n.parts.Store.Usage(ctx)
	return s
}

// Peers returns the other nodes of the mesh, by name.
func (n *Node) Peers() []PeerStatus {
	peers := []PeerStatus{}
	for _, p := range n.parts.Network.Peers() {
		advert, err := job.DecodeAdvert(p.Advert)
		if err != nil {
			continue // a peer of another version
		}
		peers = append(peers, PeerStatus{ID: p.ID, Addrs: p.Addrs, Advert: advert})
	}
	slices.SortFunc(peers, func(a, b PeerStatus) int {
		return strings.Compare(a.Name+string(a.ID), b.Name+string(b.ID))
	})
	return peers
}

// endedInStatus is how many jobs that have ended a Status has.
const endedInStatus = 5

// Jobs returns the jobs that this node knows: those published here that have ended,
// then those that run.
func (n *Node) Jobs() []JobStatus { return n.jobs(keptEnded) }

// jobs is Jobs with so many at most that have ended.
func (n *Node) jobs(ended int) []JobStatus {
	jobs := []JobStatus{}
	known := n.schedulerJobs()
	n.mu.Lock()
	over := make(map[job.ID]bool)
	for _, e := range n.history {
		if e.Job != nil {
			jobs = append(jobs, *e.Job)
			over[e.Job.ID] = true
		}
	}
	jobs = jobs[max(0, len(jobs)-ended):]
	states := make(map[job.ID]JobStatus)
	for _, p := range n.published {
		if p.id == "" || p.state == stateAlone {
			jobs = append(jobs, JobStatus{ID: p.id, Name: p.name, Submitter: n.self, From: n.names[n.self], State: p.state, Begun: p.begun})
		}
		states[p.id] = JobStatus{State: p.state, Begun: p.begun}
	}
	n.mu.Unlock()
	for _, s := range known {
		if s.ID == "" || over[s.ID] {
			continue // being planned, or just over: listed above
		}
		j := n.jobStatus(s)
		if mine, ok := states[j.ID]; ok {
			j.State, j.Begun = mine.State, mine.Begun
		}
		jobs = append(jobs, j)
	}
	return jobs
}

func (n *Node) schedulerJobs() (jobs []scheduler.JobStatus) {
	n.ask(func(s *scheduler.Scheduler) { jobs = s.Jobs() })
	return jobs
}

// jobStatus words what the scheduler knows of a job.
func (n *Node) jobStatus(s scheduler.JobStatus) JobStatus {
	return JobStatus{
		ID: s.ID, Name: s.Name, Submitter: s.Submitter, From: n.nameOf(s.Submitter), State: string(s.State),
		Frames: s.Frames, Done: s.Done, Rate: round(s.Rate), Seconds: round(s.Left.Seconds()), Nodes: n.shares(s.Peers), Text: s.Waiting,
	}
}

// shares words the parts of peers in a job, this node first.
func (n *Node) shares(parts []scheduler.PeerShare) []NodeFrames {
	nodes := make([]NodeFrames, 0, len(parts))
	for _, p := range parts {
		state := ""
		switch {
		case p.Out:
			state = "left out"
		case p.Held > 0:
			state = "rendering"
		case p.Frames > 0:
			state = "done"
		}
		nodes = append(nodes, NodeFrames{
			Peer: p.Peer, Name: n.nameOf(p.Peer), Self: p.Peer == n.self, Frames: p.Frames, Held: p.Held, Rate: round(p.Rate), State: state,
		})
	}
	slices.SortStableFunc(nodes, func(a, b NodeFrames) int {
		switch {
		case a.Self != b.Self && a.Self:
			return -1
		case a.Self != b.Self:
			return 1
		}
		return strings.Compare(a.Name, b.Name)
	})
	return nodes
}

// round keeps a figure for people from changing with every look.
func round(v float64) float64 { return math.Round(v*10) / 10 }

// progress returns how far a job of this node is.
func (n *Node) progress(id job.ID) Event {
	e := Event{Event: "progress", Job: id}
	for _, s := range n.schedulerJobs() {
		if s.ID == id {
			j := n.jobStatus(s)
			e.Done, e.Frames, e.Rate, e.Seconds, e.Nodes = j.Done, j.Frames, j.Rate, j.Seconds, j.Nodes
			e.Checks = s.Checks
		}
	}
	return e
}

// framesBy returns who rendered what of a job of this node.
func (n *Node) framesBy(id job.ID) []NodeFrames {
	var nodes []NodeFrames
	for _, f := range n.progress(id).Nodes {
		if f.Frames > 0 {
			nodes = append(nodes, NodeFrames{Peer: f.Peer, Name: f.Name, Self: f.Self, Frames: f.Frames})
		}
	}
	return nodes
}
