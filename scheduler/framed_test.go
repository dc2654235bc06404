// SPDX-License-Identifier: MIT

package scheduler

import (
	"testing"

	"meshnode/job"
)

// A peer that announces another's output with a size of its own is revoked alone.
func TestOthersOutputWithAnotherSize(t *testing.T) {
	s := New(Config{Self: "self"})
	own := testAdvert("self")
	s.Step(0, Resources{&own})
	for _, p := range []job.PeerID{"honest", "rogue"} {
		advert := testAdvert(string(p))
		s.Step(0, PeerJoined{p, &advert})
	}
	m := testManifest("self", 4, 60, 0)
	_, id, _ := m.Block()
	s.Step(0, Submit{Job: id, Manifest: m, LocalSlots: 1})
	var fetch Fetch
	revoked := make(map[job.PeerID]bool)
	step := func(ev Event) {
		for _, a := range s.Step(s.now, ev) {
			switch a := a.(type) {
			case Fetch:
				fetch = a
			case Publish:
				if r, ok := a.Msg.(*job.Revoked); ok {
					revoked[r.Peer] = true
				}
			}
		}
	}
	out := testOutput(id, 3)
	step(Received{job.Signed{From: "rogue", Msg: &job.Done{Job: id, Cell: 3, Output: out, Size: 5}}})
	step(Received{job.Signed{From: "honest", Msg: &job.Done{Job: id, Cell: 3, Output: out, Size: 1000}}})
	if fetch.Size != 5 {
		t.Fatalf("asked for %+v", fetch)
	}
	step(FetchFailed{Job: id, Cell: 3, CID: out, Size: 5, Bad: true})
	if !revoked["rogue"] || revoked["honest"] {
		t.Errorf("revoked: %v", revoked)
	}
	if fetch.Size != 1000 {
		t.Errorf("then asked for %+v", fetch)
	}
}
