// SPDX-License-Identifier: MIT

package scheduler

import (
	"encoding/binary"
	"testing"
	"time"

	"meshnode/job"
)

// anyKey takes every signature, so that a fuzzer gets past it.
type anyKey struct{ job.PeerID }

func (anyKey) Verify(job.PeerID, []byte, []byte) error { return nil }
func (k anyKey) Self() job.PeerID                      { return k.PeerID }
func (anyKey) Sign([]byte) ([]byte, error)             { return []byte("signed"), nil }

// letters makes the input of FuzzStep: envelopes behind their length, two bytes,
// and a byte that says after how many tenths of a second they come.
func letters(t testing.TB, messages ...job.Message) []byte {
	var b []byte
	for i, m := range messages {
		by := anyKey{job.PeerID([]string{"a", "b", "c"}[i%3])}
		signed, err := job.Seal(by, m)
		if err != nil {
			t.Fatal(err)
		}
		b = binary.BigEndian.AppendUint16(append(b, 3), uint16(len(signed.Raw)))
		b = append(b, signed.Raw...)
	}
	return b
}

// FuzzStep lets peers say anything, in any order, about a job of this node and one
// of another: what the scheduler knows stays consistent, and no cell is collected
// that could not be fetched.
func FuzzStep(f *testing.F) {
	mine, others := testManifest("self", 4, 60, 0), testManifest("a", 4, 60, 0)
	_, mineID, _ := mine.Block()
	_, othersID, _ := others.Block()
	for _, id := range []job.ID{mineID, othersID} {
		all := job.Range{A: 0, B: 4}
		grant, err := job.Seal(anyKey{"b"}, &job.Grant{Job: id, To: "c", Range: job.Range{A: 2, B: 4}, Gen: 1})
		if err != nil {
			f.Fatal(err)
		}
		f.Add(letters(f, &job.Claim{Job: id, Range: all}, &job.Progress{Idle: 1, Held: []job.Held{{Job: id, Range: all, Left: job.Ranges{all}, Rate: 1}}},
			&job.Claim{Job: id, Range: job.Range{A: 2, B: 4}, Gen: 1, Grant: grant.Raw}, &job.Done{Job: id, Cell: 1, Output: job.CIDOf(nil), Size: 1}))
		f.Add(letters(f, &job.Collected{Job: id, Cells: job.Ranges{all}, Final: true}, &job.Revoked{Job: id, Peer: "self"}, &job.Cancel{Job: id},
			&job.Released{Job: id, Range: all, Cause: job.CauseDiverged, Reason: "x"}, &job.Offer{Job: id}))
		f.Add(letters(f, &job.Split{Job: id, Slots: 1, Speed: 1}, &job.Pull{Known: []job.Known{{Job: id, Cells: job.Ranges{all}}}},
			&job.Ready{Nonce: mine.Nonce, Slots: 1}, &job.Call{Need: mine.Need}))
	}
	f.Fuzz(func(t *testing.T, said []byte) {
		s := New(Config{Self: "self"})
		own := testAdvert("self")
		now := time.Duration(0)
		step := func(ev Event) {
			for _, a := range s.Step(now, ev) {
				switch a := a.(type) {
				case FetchManifest:
					s.Step(now, ManifestFetched{Job: a.Job})
				case Prepare:
					s.Step(now, Prepared{Job: a.Job})
				case Assemble:
					t.Error("a film is assembled of cells that were not fetched")
				case Fetch:
					s.Step(now, FetchFailed{Job: a.Job, Cell: a.Cell, CID: a.CID})
				}
			}
			if err := invariants(s); err != "" {
				t.Fatal(err)
			}
		}
		step(Resources{&own})
		for _, p := range []string{"a", "b", "c"} {
			advert := testAdvert(p)
			step(PeerJoined{job.PeerID(p), &advert})
		}
		step(Plan{mine.Nonce, mine.Need})
		step(Submit{Job: mineID, Manifest: mine, LocalSlots: 1})
		step(Received{job.Signed{From: "a", Msg: &job.Offer{Job: othersID, Nonce: others.Nonce, Roster: []job.Member{{Peer: "self", Slots: 1}}}}})
		step(ManifestFetched{Job: othersID, Manifest: others})
		for len(said) > 3 {
			now += time.Duration(said[0]) * 100 * time.Millisecond
			n := min(int(binary.BigEndian.Uint16(said[1:])), len(said)-3)
			m, err := job.Open(anyKey{}, said[3:3+n])
			said = said[3+n:]
			if err != nil {
				continue
			}
			switch m.Msg.Kind() {
			case job.KindSplit, job.KindPull:
				step(Asked{1, m})
			default:
				step(Received{m})
			}
			step(Tick{})
		}
		if j := s.find(mineID); j != nil && j.open != len(j.cells) {
			t.Error("others have collected cells of a job of this node")
		}
	})
}

// FuzzRecord: a record, however damaged, is read or refused.
func FuzzRecord(f *testing.F) {
	r := &Record{V: job.Version, Job: &JobRecord{Offer: job.Offer{Job: "j", Roster: []job.Member{{Peer: "a"}}}, Raw: []byte{1}, LocalSlots: 2}}
	b, err := r.Encode()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Add([]byte{0xff})
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := DecodeRecord(b)
		if err != nil {
			return
		}
		if _, err := r.Encode(); err != nil {
			t.Errorf("%+v was read, but cannot be written: %v", r, err)
		}
	})
}
