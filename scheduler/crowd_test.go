// SPDX-License-Identifier: MIT

package scheduler

import (
	"fmt"
	"testing"
	"time"

	"meshnode/job"
)

// unbegun returns a submitter whose job nobody has begun.
func unbegun(t *testing.T, cells uint32) *referee {
	m := testManifest("self", cells, 60, 0)
	_, id, err := m.Block()
	if err != nil {
		t.Fatal(err)
	}
	r := &referee{Scheduler: New(Config{Self: "self"}), t: t, job: id, records: make(map[string][]byte)}
	r.meetAll([]job.PeerID{"relay"})
	r.step(Submit{Job: id, Manifest: m})
	return r
}

// hears has a message of a peer arrive.
func (r *referee) hears(from job.PeerID, m job.Message) {
	r.step(Received{job.Signed{From: from, Msg: m, Raw: []byte(from)}})
}

// claims has a peer claim cells.
func (r *referee) claims(from job.PeerID, a, b, gen uint32) {
	r.hears(from, &job.Claim{Job: r.job, Range: job.Range{A: a, B: b}, Gen: gen})
}

// sound checks what is counted.
func (r *referee) sound() {
	r.t.Helper()
	if err := invariants(r.Scheduler); err != "" {
		r.t.Fatal(err)
	}
	j := r.find(r.job)
	r.count(j)
	held := make(map[job.PeerID]int)
	for i := range j.cells {
		if m := &j.cells[i].memo; m.held {
			held[m.peer]++
		}
	}
	for _, m := range j.members.list {
		if m.holding.cells != held[m.id] {
			r.t.Fatalf("%s holds %d cells, and %d are counted", m.id, held[m.id], m.holding.cells)
		}
	}
	if n, members := r.peers.len(), j.members.len(); n > maxPeers || members > maxMembers {
		r.t.Fatalf("%d peers, %d members", n, members)
	}
}

// TestCrowd: keys that only talk do not take the place of those who are connected, or
// who work.
func TestCrowd(t *testing.T) {
	for gen := range uint32(2) { // a claim that does not count, and one that does
		t.Run(fmt.Sprint("generation ", gen), func(t *testing.T) {
			r := unbegun(t, 40)
			for i := range 1100 { // all through one connection
				r.claims(job.PeerID(fmt.Sprint("evil", i)), 39, 40, gen)
			}
			r.now += time.Second
			r.step(Tick{})
			if every, ttl := r.every(), r.ttl(); every != time.Second || ttl != 10*time.Second {
				t.Errorf("claims are repeated after %v, and last %v", every, ttl)
			}
			r.sound()
			taken[Fetch](r)

			r.step(PeerJoined{"connected", &job.Advert{}})
			done := &job.Done{Job: r.job, Cell: 3, Output: job.CIDOf([]byte("a cell")), Size: 1, Gen: 1}
			r.hears("connected", done)
			if got := taken[Fetch](r); len(got) != 1 || got[0].Cell != 3 {
				t.Errorf("of what a connected peer has done %v is fetched", got)
			}

			// In a large mesh most are heard of only.
			r.claims("far", 5, 7, 1)
			if !r.Holds(r.job, "far") {
				t.Error("the claim of a peer that is not connected does not count")
			}
			for i := range 1100 {
				r.claims(job.PeerID(fmt.Sprint("more", i)), 39, 40, gen)
			}
			if !r.Holds(r.job, "far") {
				t.Error("it is forgotten for those who do nothing")
			}
			done.Cell = 5
			r.hears("far", done)
			if got := taken[Fetch](r); len(got) != 1 || got[0].Cell != 5 {
				t.Errorf("of what it has done %v is fetched", got)
			}
			if r.peer("connected") == nil {
				t.Error("a connected peer is forgotten")
			}
			r.sound()
		})
	}
}

// TestCrowdOfHolders: not even those that hold a cell each keep out who is connected,
// and what they hold is counted right when they come back.
func TestCrowdOfHolders(t *testing.T) {
	const cells = 1200
	r := unbegun(t, cells)
	all := func() {
		for i := range uint32(1100) {
			r.claims(job.PeerID(fmt.Sprint("evil", i)), i, i+1, 1)
		}
		r.sound()
	}
	all()
	for i := range uint32(30) {
		honest := job.PeerID(fmt.Sprint("honest", i))
		r.step(PeerJoined{honest, &job.Advert{}})
		r.claims(honest, 1150+i, 1151+i, 1)
		if !r.Holds(r.job, honest) {
			t.Fatalf("the claim of connected peer %d does not count", i)
		}
	}
	all()
	r.now += time.Minute
	all()
}

// After a restart of the submitter a crowd does not make it forget whom it is to check.
func TestCrowdAfterRestart(t *testing.T) {
	const cells = 40
	r := newSubmitter(t, Submit{Trust: TrustKnown, Secret: []byte("s")}, cells, "away", "b")
	for i := range uint32(cells / 2) {
		r.render(i, "away", "")
	}
	r.restart("b")
	for k := range maxMembers + 10 {
		r.hears(job.PeerID(fmt.Sprintf("key%04d", k)), &job.Released{Job: r.job, Range: job.Range{A: cells - 1, B: cells}, Cause: job.CauseDiverged})
	}
	r.sound()
	r.step(Prepared{Job: r.job})
	for i := uint32(cells / 2); i < cells; i++ {
		r.render(i, "b", "")
	}
	checked := 0
	for _, cell := range r.answer(Right, "") {
		if cell < cells/2 {
			checked++
		}
	}
	if want := sample(cells/2, lieOfKnown); checked != want {
		t.Errorf("%d cells checked of the peer that is away, want %d", checked, want)
	}
}

// TestLargeMesh: claims are repeated less often where many work, connected or not, and
// as often as ever when they are gone.
func TestLargeMesh(t *testing.T) {
	r := unbegun(t, 200)
	for i := range uint32(159) {
		r.claims(job.PeerID(fmt.Sprint("worker", i)), i, i+1, 1)
	}
	r.now += time.Second
	r.step(Tick{})
	if every, ttl := r.every(), r.ttl(); every != 5*time.Second || ttl != 25*time.Second {
		t.Errorf("claims of 160 are repeated after %v, and last %v", every, ttl)
	}
	r.now += time.Minute
	r.step(Tick{})
	r.now += time.Second
	r.step(Tick{})
	if every := r.every(); every != time.Second {
		t.Errorf("after they have fallen silent, after %v", every)
	}
}
