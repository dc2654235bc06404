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
	out := s.Step(0, Submit{Job: id, Manifest: m, LocalSlots: 8, Cached: []Cached{{Cell: 1, Output: "one", Size: 1}, {Cell: 2, Output: "two", Size: 1}, {Cell: 99, Output: "none", Size: 1}}})
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

// What a peer has rendered for an earlier job is not checked again, but goes as all else
// that it has rendered when it is found out; also after a restart.
func TestCachedOfLiar(t *testing.T) {
	const cells = 4
	for _, restart := range []bool{false, true} {
		cached := []Cached{{Cell: 0, Output: job.CIDOf([]byte("0")), Size: 1, From: "liar"}, {Cell: 1, Output: job.CIDOf([]byte("1")), Size: 1}}
		r := newSubmitter(t, Submit{Trust: TrustKnown, Secret: []byte("a secret"), Cached: cached}, cells, "liar", "b")
		r.render(2, "liar", "")
		r.render(3, "b", "")
		if restart {
			r.Scheduler, r.done = New(Config{Self: "self"}), nil
			r.take(r.Restore(0, r.records))
			r.meetAll([]job.PeerID{"liar", "b"})
			r.step(Prepared{Job: r.job})
		}
		j := r.find(r.job)
		for range 2 {
			for _, c := range taken[Check](r) {
				v := Right
				if c.Cell < 2 {
					t.Errorf("cell %d of an earlier job is checked", c.Cell)
				} else if j.cells[c.Cell].from == "liar" {
					v = Wrong
				}
				r.step(Checked{Job: r.job, Cell: c.Cell, Output: c.Output, Verdict: v, Own: job.CIDOf([]byte("own")), Size: 1})
			}
		}
		if d := taken[Disgrace](r); len(d) != 1 || d[0].Peer != "liar" || j.cells[0].collected || !j.cells[1].collected {
			t.Errorf("disgraced %+v, or the cells of the earlier job are not as they should be", d)
		}
		r.render(0, "b", "again")
		r.answer(Right, "")
		if made := taken[Assemble](r); len(made) != 1 || len(made[0].From) != 0 {
			t.Errorf("assembled %+v", made)
		}
	}
}

// A job all of which is there is no matter of others.
func TestAllCached(t *testing.T) {
	m, id := cachedJob(t)
	s := New(Config{Self: m.Submitter})
	s.Step(0, Resources{Advert: &job.Advert{Slots: 8, Speed: 1}})
	s.Step(0, Plan{Nonce: m.Nonce, Need: m.Need})
	s.Step(0, PeerJoined{Peer: "other", Advert: &job.Advert{Slots: 1, Environments: []job.Environment{{Renderer: m.Need.Renderer, Version: m.Need.Version, Fingerprint: m.Need.Fingerprint}}, Sandbox: "x"}})
	out := s.Step(0, Submit{Job: id, Manifest: m, LocalSlots: 8, Cached: []Cached{{Cell: 0, Output: "a", Size: 1}, {Cell: 1, Output: "b", Size: 1}, {Cell: 2, Output: "c", Size: 1}, {Cell: 3, Output: "d", Size: 1}}})
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
	out := s.Step(0, ManifestFetched{Job: id, Manifest: m, Cached: []Cached{{Cell: 2, Output: "two", Size: 7}, {Cell: 99, Output: "none", Size: 1}}})
	words := said[*job.Done](out)
	if len(words) != 1 || words[0].Cell != 2 || words[0].Output != "two" || words[0].Size != 7 {
		t.Fatalf("it says %+v", words)
	}
	written := slices.IndexFunc(out, func(a Action) bool { p, ok := a.(Persist); return ok && p.Key == recordKey(id, "done/0") })
	told := slices.IndexFunc(out, func(a Action) bool { p, ok := a.(Publish); return ok && p.Msg.Kind() == job.KindDone })
	if written < 0 || written > told {
		t.Errorf("Done is action %d, what it rests on is written by action %d", told, written)
	}
	if again := actions[Release](s.Step(0, ManifestFetched{Job: "unknown", Manifest: m, Cached: []Cached{{Cell: 0, Output: "x", Size: 1}}})); len(again) != 1 {
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
