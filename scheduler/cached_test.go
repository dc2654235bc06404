// SPDX-License-Identifier: MIT

package scheduler

import (
	"slices"
	"testing"

	"meshnode/job"
)

// actions returns those of a type.
func actions[T Action](all []Action) (found []T) {
	for _, a := range all {
		if a, ok := a.(T); ok {
			found = append(found, a)
		}
	}
	return found
}

// said returns the published messages of a type.
func said[T job.Message](all []Action) (found []T) {
	for _, a := range actions[Publish](all) {
		if m, ok := a.Msg.(T); ok {
			found = append(found, m)
		}
	}
	return found
}

// What a submitter has from earlier jobs is collected, and not rendered.
func TestCachedBySubmitter(t *testing.T) {
	m, id := cachedJob(t)
	s := New(Config{Self: m.Submitter})
	s.Step(0, Resources{Advert: &job.Advert{Slots: 8, Speed: 1}})
	out := s.Step(0, Submit{Job: id, Manifest: m, LocalSlots: 8, Cached: []Cached{{1, "one", 1}, {2, "two", 1}, {99, "none", 1}}})
	var drawn []uint32
	for _, r := range actions[Render](out) {
		drawn = append(drawn, r.Cell)
	}
	slices.Sort(drawn)
	if !slices.Equal(drawn, []uint32{0, 3}) {
		t.Errorf("the cells %v are rendered, should be 0 and 3", drawn)
	}
	if words := said[*job.Collected](out); len(words) != 1 || !slices.Equal(words[0].Cells, job.Ranges{{A: 1, B: 3}}) {
		t.Errorf("it says that it has collected %v", words)
	}
	for _, c := range drawn {
		out = s.Step(0, Rendered{Job: id, Cell: c, Output: "drawn", Size: 1, Seconds: 1})
	}
	if made := actions[Assemble](out); len(made) != 1 || made[0].Cells[1] != "one" || made[0].Cells[3] != "drawn" {
		t.Errorf("the film is made of %v", made)
	}
}

// A job all of which is there is no matter of others.
func TestAllCached(t *testing.T) {
	m, id := cachedJob(t)
	s := New(Config{Self: m.Submitter})
	s.Step(0, Resources{Advert: &job.Advert{Slots: 8, Speed: 1}})
	s.Step(0, Plan{Nonce: m.Nonce, Need: m.Need})
	s.Step(0, PeerJoined{Peer: "other", Advert: &job.Advert{Slots: 1, Environments: []job.Environment{{Renderer: m.Need.Renderer, Version: m.Need.Version, Fingerprint: m.Need.Fingerprint}}, Sandbox: "x"}})
	out := s.Step(0, Submit{Job: id, Manifest: m, LocalSlots: 8, Cached: []Cached{{0, "a", 1}, {1, "b", 1}, {2, "c", 1}, {3, "d", 1}}})
	if len(actions[Assemble](out)) != 1 || len(actions[Render](out)) > 0 || len(said[*job.Offer](out)) > 0 {
		t.Errorf("it does %+v", out)
	}
}

// What a worker has from earlier jobs is done at once, and on its disk before it is
// said.
func TestCachedByWorker(t *testing.T) {
	m, id := cachedJob(t)
	s := New(Config{Self: "worker"})
	s.Step(0, PeerJoined{Peer: m.Submitter, Advert: &job.Advert{}})
	offer := &job.Offer{Job: id, Nonce: m.Nonce}
	s.Step(0, Received{job.Signed{From: m.Submitter, Msg: offer, Raw: []byte("offer")}})
	out := s.Step(0, ManifestFetched{Job: id, Manifest: m, Cached: []Cached{{2, "two", 7}, {99, "none", 1}}})
	words := said[*job.Done](out)
	if len(words) != 1 || words[0].Cell != 2 || words[0].Output != "two" || words[0].Size != 7 {
		t.Fatalf("it says %+v", words)
	}
	written := slices.IndexFunc(out, func(a Action) bool { p, ok := a.(Persist); return ok && p.Key == recordKey(id, "done/0") })
	told := slices.IndexFunc(out, func(a Action) bool { p, ok := a.(Publish); return ok && p.Msg.Kind() == job.KindDone })
	if written < 0 || written > told {
		t.Errorf("Done is action %d, what it rests on is written by action %d", told, written)
	}
	if again := actions[Release](s.Step(0, ManifestFetched{Job: "unknown", Manifest: m, Cached: []Cached{{0, "x", 1}}})); len(again) != 1 {
		t.Error("what is pinned for a job that nobody offers stays pinned")
	}
}

// cachedJob returns a job of four cells.
func cachedJob(t *testing.T) (*job.Manifest, job.ID) {
	t.Helper()
	m := &job.Manifest{
		V: job.Version, Submitter: "submitter", Nonce: job.Nonce{1}, Name: "Scene", Assets: job.CIDOf([]byte("assets")),
		Need:  job.Need{Renderer: "manim", Version: "1", Fingerprint: "same"},
		Width: 16, Height: 16, FPS: 10, Plays: []job.Play{{Frames: 20}}, CellFrames: 5,
	}
	_, id, err := m.Block()
	if err != nil {
		t.Fatal(err)
	}
	return m, id
}
