// SPDX-License-Identifier: MIT

package scheduler

import (
	"fmt"
	"math"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"
	"time"

	"meshnode/job"
)

// TestStrangers lets peers say everything that decodes, and more than they
// should: memory stays bounded, nothing panics, the job of an honest submitter
// is still done.
func TestStrangers(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	s := New(Config{Self: "self"})
	own := testAdvert("self")
	s.Step(0, Resources{&own})
	honest := testManifest("honest", 4, 60, 0)
	_, honestID, _ := honest.Block()
	ids := []job.ID{honestID}
	now := time.Duration(0)
	step := func(ev Event) {
		now += time.Duration(rng.IntN(int(10 * time.Millisecond)))
		if rng.IntN(100) == 0 {
			now += time.Duration(rng.IntN(int(30 * time.Second))) // the node was suspended
		}
		for _, a := range s.Step(now, ev) {
			switch a := a.(type) {
			case FetchManifest:
				m := testManifest("honest", 4, 60, 0)
				if a.Job != honestID {
					m = nil
					if rng.IntN(2) == 0 {
						m = testManifest(fmt.Sprintf("evil%d", rng.IntN(100)), 100, 60, 1)
					}
				}
				s.Step(now, ManifestFetched{Job: a.Job, Manifest: m})
			case Prepare:
				s.Step(now, Prepared{Job: a.Job})
			}
		}
		if err := invariants(s); err != "" {
			t.Fatal(err)
		}
	}
	step(Received{job.Signed{From: "honest", Msg: &job.Offer{Job: honestID, Nonce: honest.Nonce, Roster: []job.Member{{Peer: "self", Slots: 1}}}}})
	for i := range 500 {
		ids = append(ids, job.ID(job.CIDOf(fmt.Append(nil, i))))
	}
	for range 20_000 {
		from := job.PeerID(fmt.Sprintf("evil%d", rng.IntN(3000)))
		id := ids[rng.IntN(len(ids))]
		if rng.IntN(2) == 0 {
			id = honestID
		}
		a := rng.Uint32N(6)
		r := job.Range{A: a, B: a + 1 + rng.Uint32N(job.MaxCells-a)}
		if rng.IntN(2) == 0 {
			r.B = a + 1
		}
		gen := rng.Uint32N(3)
		if rng.IntN(3) == 0 {
			gen = rng.Uint32()
		}
		var m job.Message
		switch rng.IntN(10) {
		case 0:
			m = &job.Offer{Job: id}
		case 1:
			m = &job.Claim{Job: id, Range: r, Gen: gen}
		case 2:
			m = &job.Progress{Idle: rng.Uint32(), Held: []job.Held{{Job: id, Range: r, Gen: gen, Left: job.Ranges{r}, Rate: math.MaxFloat64}}}
		case 3:
			m = &job.Done{Job: id, Cell: rng.Uint32N(8), Output: job.CIDOf(nil), Size: 1}
		case 4:
			m = &job.Collected{Job: id, Cells: job.Ranges{r}, Final: true}
		case 5:
			m = &job.Revoked{Job: id, Peer: "self"}
		case 6:
			m = &job.Cancel{Job: id}
		case 7:
			m = &job.Released{Job: id, Range: r, Gen: gen, Cause: job.Cause(rng.IntN(5))}
		case 8:
			step(Asked{1, job.Signed{From: from, Msg: &job.Split{Job: id, Slots: 4096, Speed: 1e6}}})
			continue
		case 9:
			step(Asked{1, job.Signed{From: from, Msg: &job.Pull{Known: []job.Known{{Job: id, Cells: job.Ranges{r}}}}}})
			continue
		}
		step(Received{job.Signed{From: from, Msg: m, Raw: []byte("raw")}})
	}
	j := s.find(honestID)
	if j == nil {
		t.Fatal("the honest job is gone")
	}
	if n := s.peers.len(); n > maxPeers {
		t.Errorf("%d peers", n)
	}
	if n := len(s.jobs) + len(s.offered); n > maxJobs {
		t.Errorf("%d jobs", n)
	}
	if n := j.members.len(); n > maxMembers {
		t.Errorf("%d members", n)
	}
	for i := range j.cells {
		if c := &j.cells[i]; len(c.done) > maxDone || len(c.released) > maxReleased || len(c.failed) > maxReleased {
			t.Errorf("cell %d: %d done, %d released, %d failed", i, len(c.done), len(c.released), len(c.failed))
		}
	}
	if n := j.open; n != 4 {
		t.Errorf("strangers collected %d cells", 4-n)
	}
	if rate := s.rate(j, "self"); !(rate > 0 && rate < 1e9) {
		t.Errorf("rate %v", rate)
	}
}

func TestRecords(t *testing.T) {
	r := &Record{
		V: job.Version, Job: &JobRecord{Offer: job.Offer{Job: "j", Roster: []job.Member{{Peer: "a"}}}, Manifest: []byte{3}, Raw: []byte{1}, LocalSlots: 2, Revoked: []RevokedRecord{{"b", "why"}}},
		Claims: []ClaimRecord{{job.Range{A: 1, B: 2}, 3, []byte{4}}}, Cells: []CellRecord{{Cell: 1, Output: "c", Size: 2, Gen: 3, From: "d", Found: right, Alike: true, Word: []byte{5}}},
	}
	b, err := r.Encode()
	if err != nil {
		t.Fatal(err)
	}
	back, err := DecodeRecord(b)
	if err != nil || !reflect.DeepEqual(r, back) {
		t.Errorf("%+v came back as %+v: %v", r, back, err)
	}
	for _, bad := range [][]byte{nil, {0xff}, append(slices.Clone(b), 0), make([]byte, maxRecord+1)} {
		if _, err := DecodeRecord(bad); err == nil {
			t.Errorf("%d bytes decoded", len(bad))
		}
	}
	r.V = 2
	b, _ = r.Encode()
	if _, err := DecodeRecord(b); err == nil {
		t.Error("version 2 decoded")
	}
}

// TestClone: the copies that TestExplore works on share nothing that changes.
func TestClone(t *testing.T) {
	s := New(Config{Self: "b"})
	a := testAdvert("b")
	s.Step(0, Resources{&a})
	m := testManifest("a", 4, 60, 0)
	_, id, _ := m.Block()
	s.Step(0, Received{job.Signed{From: "a", Msg: &job.Offer{Job: id, Roster: []job.Member{{Peer: "b", Slots: 1}}}}})
	s.Step(0, ManifestFetched{Job: id, Manifest: m})
	s.Step(0, Prepared{Job: id})
	c := clone(s)
	if !reflect.DeepEqual(s, c) {
		t.Fatal("the copy differs")
	}
	s.Step(time.Second, Rendered{id, 0, testOutput(id, 0), 1, 1})
	if len(c.jobs[0].cells[0].done) != 0 || c.now != 0 {
		t.Error("the copy has changed with the original")
	}
}
