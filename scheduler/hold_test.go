// SPDX-License-Identifier: MIT

package scheduler

import (
	"testing"

	"meshnode/job"
)

// Who wants the film of a job is given its cells, again if he asks again: he may not be
// who was given them before.
func TestFinishAgain(t *testing.T) {
	m, id := cachedJob(t)
	s := New(Config{Self: "worker"})
	s.Step(0, PeerJoined{Peer: m.Submitter, Advert: &job.Advert{}})
	s.Step(0, Received{job.Signed{From: m.Submitter, Msg: &job.Offer{Job: id, Nonce: m.Nonce}, Raw: []byte("offer")}})
	var here []Cached
	for cell := range uint32(4) {
		here = append(here, Cached{Cell: cell, Output: "output", Size: 1})
	}
	s.Step(0, ManifestFetched{Job: id, Manifest: m, Cached: here})
	s.Step(0, PeerLeft{m.Submitter})
	for try := range 3 {
		if given := actions[Assemble](s.Step(0, Finish{id})); len(given) != 1 || len(given[0].Cells) != 4 {
			t.Fatalf("asked %d times before, it gives %+v", try, given)
		}
		if again := actions[Assemble](s.Step(0, Tick{})); len(again) != 0 {
			t.Errorf("unasked it gives %+v", again)
		}
		if try == 1 {
			s.Step(0, Assembled{id})
		}
	}
}
