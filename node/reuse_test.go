// SPDX-License-Identifier: MIT

package node

import (
	"bytes"
	"context"
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"meshnode/job"
	"meshnode/renderer"
	"meshnode/renderer/synthetic"
)

// keyed is a scene of six cells.
var keyed = synthetic.Scene{Name: "Keyed", FPS: 10, Plays: []job.Play{{Frames: 30}}, Bytes: 1000, Keyed: true}

// publish makes a film of a request that is scene s, and returns what was said.
func (c *computer) publish(n *Node, req PublishRequest, path string, s synthetic.Scene) *events {
	c.m.t.Helper()
	c.mu.Lock()
	clear(c.drawn)
	c.mu.Unlock()
	ctx, cancel := context.WithTimeout(c.m.t.Context(), 20*time.Second)
	defer cancel()
	got := new(events)
	req.Ticket = NewTicket()
	n.Publish(ctx, req, got.add)
	if last := got.last(); last.Event != "finished" {
		c.m.t.Fatalf("it ended with %+v", last)
	}
	if data, err := os.ReadFile(path); err != nil || !bytes.Equal(data, film(s)) {
		c.m.t.Errorf("the film differs (%v)", err)
	}
	return got
}

// drewOnly fails the test when other cells were drawn since the last publish.
func (c *computer) drewOnly(cells ...uint32) {
	c.m.t.Helper()
	c.mu.Lock()
	defer c.mu.Unlock()
	if drawn := slices.Sorted(maps.Keys(c.drawn)); !slices.Equal(drawn, cells) {
		c.m.t.Errorf("drawn were the cells %v, should be %v", drawn, cells)
	}
}

func TestReuse(t *testing.T) {
	m := newMesh(t)
	c := m.computer(1, 2, 0)
	n := c.start()
	req, path := m.scene(keyed, 2)
	c.publish(n, req, path, keyed)
	c.drewOnly(0, 1, 2, 3, 4, 5)

	got := c.publish(n, req, path, keyed)
	c.drewOnly()
	if planned := got.find("planned"); planned.Kept != 6 {
		t.Errorf("%d cells are said to be kept, should be 6", planned.Kept)
	}

	// Restarted, with one more play: its first cell depends on all inputs.
	if err := n.Close(); err != nil {
		t.Fatal(err)
	}
	n = c.start()
	longer := keyed
	longer.Plays = []job.Play{{Frames: 30}, {Frames: 5}}
	m.rewrite(req, longer)
	c.publish(n, req, path, longer)
	c.drewOnly(0, 6)

	// What other nodes may have rendered a little differently is not for a strict job, and
	// what was believed unchecked not for one that checks.
	strict, open := req, req
	strict.Strict, open.Trust = true, "open"
	for _, other := range []PublishRequest{strict, open} {
		c.publish(n, other, path, longer)
		c.drewOnly(0, 1, 2, 3, 4, 5, 6)
	}
}

// TestReuseGone loses the block of a result.
func TestReuseGone(t *testing.T) {
	m := newMesh(t)
	c := m.computer(1, 2, 0)
	n := c.start()
	req, path := m.scene(keyed, 2)
	c.publish(n, req, path, keyed)
	c.collect(n)
	c.publish(n, req, path, keyed)
	c.drewOnly(0, 1, 2, 3, 4, 5)
	c.publish(n, req, path, keyed)
	c.drewOnly()
}

// TestReuseElsewhere has another node answer for what it has rendered before.
func TestReuseElsewhere(t *testing.T) {
	m := newMesh(t)
	a, b := m.computer(1, 1, 0), m.computer(2, 2, 0)
	first, second := a.start(), b.start()
	m.settle()
	req, path := m.scene(keyed, 0) // all of it is rendered by the other node
	a.publish(first, req, path, keyed)
	a.drewOnly()
	b.drewOnly(0, 1, 2, 3, 4, 5)

	// All of it is known to be of the other node, unless it was checked; also the second
	// time. If that is found out, it is gone.
	byOther := func() (n int) {
		for _, one := range first.results.kept {
			if one.By == second.self {
				n++
			}
		}
		return n
	}
	of := byOther()
	a.publish(first, req, path, keyed)
	if a.drewOnly(); of < 4 || byOther() != of {
		t.Errorf("%d results of 6 are known to be of the other node, and then %d", of, byOther())
	}
	if err := first.results.disown([]job.PeerID{second.self}, nil); err != nil || byOther() != 0 {
		t.Errorf("%d results of a liar are kept: %v", byOther(), err)
	}

	// The submitter has lost what it had.
	a.forget(first)
	m.wait("the other node to be free", func() bool { return len(second.Jobs()) == 0 })
	b.mu.Lock()
	clear(b.drawn)
	b.mu.Unlock()
	a.publish(first, req, path, keyed)
	a.drewOnly()
	b.drewOnly()

	// Of another submitter's job with the same keys nothing is taken from it.
	slots := uint32(2)
	req.LocalSlots = &slots
	b.publish(second, req, path, keyed)
	if a.draws(1)+b.draws(1) == 0 {
		t.Error("what was rendered for one submitter was given to another")
	}
}

// tolerant is a renderer to which all pictures look alike. It looks at none while it is
// blind.
type tolerant struct {
	*synthetic.Renderer
	blind bool
}

func (r *tolerant) Take(ctx context.Context, trust renderer.Trust, env string) (renderer.Engine, error) {
	e, err := r.Renderer.Take(ctx, trust, env)
	if err != nil {
		return nil, err
	}
	return &approving{e, r.blind}, nil
}

type approving struct {
	renderer.Engine
	blind bool
}

func (*approving) Alike(context.Context, []string, []string) error { return nil }

func (e *approving) Look(ctx context.Context, _ uint32, _ []string) error {
	if e.blind {
		<-ctx.Done()
	}
	return ctx.Err()
}

// What a worker has rendered in an environment that is like the submitter's is not what
// it renders when it has that: it is not taken for that, and the worker not for a liar.
func TestReuseAfterSetup(t *testing.T) {
	m := newMesh(t)
	a, b := m.computer(1, 1, 0), m.computer(2, 2, 0)
	a.r.Installed, b.r.Installed = []job.Environment{environmentOf("own")}, []job.Environment{environmentOf("other")}
	first := a.startWith(&tolerant{a.r, false})
	second := b.startWith(&retouched{b.r, func(renderer.Trust, uint32) bool { return true }})
	m.settle()
	req, _ := m.scene(keyed, 0)
	req.Trust = "known"
	for _, drawn := range []int{6, 0, 6} { // at first, again, after "meshnode setup"
		b.mu.Lock()
		clear(b.drawn)
		b.mu.Unlock()
		req.Ticket = NewTicket()
		var got events
		first.Publish(m.soon(), req, got.add)
		if last := got.last(); last.Event != "finished" || got.said("counts any more") {
			t.Fatalf("ended with %+v, and said %+v", last, got.all)
		}
		b.mu.Lock()
		if len(b.drawn) != drawn {
			t.Errorf("the worker has drawn %d cells, not %d", len(b.drawn), drawn)
		}
		b.mu.Unlock()
		m.wait("the worker to be free", func() bool { return len(second.Jobs()) == 0 })
		a.forget(first)
		if drawn == 0 {
			second.Close()
			m.drop(second)
			b.r.Installed = a.r.Installed
			second = b.start()
			m.settle()
		}
	}
	if first.roles.role(second.self) == RoleBlocked {
		t.Error("an honest peer is blocked")
	}
}

// The same for what it has rendered for a job that goes on.
func TestSetupWithinJob(t *testing.T) {
	m := newMesh(t)
	a, b := m.computer(1, 1, 0), m.computer(2, 2, 0)
	a.r.Installed, b.r.Installed = []job.Environment{environmentOf("own")}, []job.Environment{environmentOf("other")}
	first := a.startWith(&tolerant{a.r, true}) // so nothing is collected
	second := b.startWith(&retouched{b.r, func(renderer.Trust, uint32) bool { return true }})
	m.settle()
	req, path := m.scene(keyed, 0)
	req.Trust, req.Ticket = "known", NewTicket()
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		first.Publish(m.soon(), req, func(Event) {})
	}()
	m.wait("all cells to be rendered", func() bool { return len(b.recorded("done")) == 6 })
	for _, n := range []*Node{first, second} {
		n.Close()
		m.drop(n)
	}
	<-ended
	b.r.Installed = a.r.Installed
	second = b.start()
	m.wait("what it has rendered to be taken back", func() bool { return len(b.recorded("done")) == 0 || b.draws(0) > 1 })
	first = a.startWith(&tolerant{a.r, false})
	var got events
	first.Publish(m.soon(), req, got.add)
	if last := got.last(); last.Event != "finished" || got.said("counts any more") {
		t.Errorf("ended with %+v, and said %+v", last, got.all)
	}
	if data, err := os.ReadFile(path); err != nil || !bytes.Equal(data, film(keyed)) {
		t.Errorf("the film differs (%v)", err)
	}
	if first.roles.role(second.self) == RoleBlocked {
		t.Error("an honest peer is blocked")
	}
}

// TestReuseInterrupted ends a job after some of its cells, and publishes it again.
func TestReuseInterrupted(t *testing.T) {
	m := newMesh(t)
	c := m.computer(1, 1, 20*time.Millisecond)
	n := c.start()
	req, path := m.scene(keyed, 1)
	ctx, cancel := context.WithCancel(t.Context())
	n.Publish(ctx, req, func(e Event) {
		if e.Event == "progress" && e.Done >= 10 {
			cancel()
		}
	})
	cancel()
	done := len(n.results.kept)
	if done < 2 {
		t.Fatalf("%d cells were kept", done)
	}
	got := c.publish(n, req, path, keyed)
	if planned := got.find("planned"); int(planned.Kept) != done {
		t.Errorf("%d cells are said to be kept, should be %d", planned.Kept, done)
	}
	if draws := len(c.drawn); draws != 6-done {
		t.Errorf("%d cells were drawn after %d of 6", draws, done)
	}
}

func TestResultsBounded(t *testing.T) {
	records := new(MemoryRecords)
	r, err := loadResults(records)
	if err != nil {
		t.Fatal(err)
	}
	made := make(map[job.Key]result)
	for i := range maxResults {
		made[job.Key{byte(i), byte(i >> 8), byte(i >> 16), 1}] = result{Output: "x", Size: uint64(i)}
	}
	if err := r.keep("me", made); err != nil {
		t.Fatal(err)
	}
	recent := job.Key{9, 9, 9, 9}
	for i := range 10 {
		if err := r.keep("me", map[job.Key]result{recent: {}, {7, byte(i), 7, 7}: {}}); err != nil {
			t.Fatal(err)
		}
	}
	if n := len(r.kept); n > maxResults || n < maxResults*8/10 {
		t.Errorf("%d results are kept, at most %d should be", n, maxResults)
	}
	again, err := loadResults(records)
	if err != nil || !maps.Equal(again.kept, r.kept) || again.last != r.last {
		t.Errorf("%d results were read, %d are kept (%v)", len(again.kept), len(r.kept), err)
	}
	if _, ok := again.find("me", recent); !ok {
		t.Error("the result that was used last is forgotten")
	}
	if _, ok := again.find("you", recent); ok {
		t.Error("a result is found for another submitter")
	}
}

// forget loses what a node remembers of its cells, and its blocks.
func (c *computer) forget(n *Node) {
	c.m.t.Helper()
	for k := range maps.Clone(n.results.kept) {
		if err := n.results.forget(k.of, []job.Key{k.key}); err != nil {
			c.m.t.Fatal(err)
		}
	}
	c.collect(n)
}

// collect frees all blocks that are not pinned, once no job is.
func (c *computer) collect(n *Node) {
	c.m.t.Helper()
	c.m.wait("blocks to be unpinned", func() bool {
		owners, err := n.parts.Store.Owners(c.m.t.Context())
		return err == nil && len(owners) == 0
	})
	if _, err := n.parts.Store.Collect(c.m.t.Context(), 0); err != nil {
		c.m.t.Fatal(err)
	}
}

// rewrite changes the scene of a request.
func (m *mesh) rewrite(req PublishRequest, s synthetic.Scene) {
	m.t.Helper()
	text, err := json.Marshal(s)
	if err == nil {
		err = os.WriteFile(filepath.Join(req.Dir, req.Args[0]), text, 0o600)
	}
	if err != nil {
		m.t.Fatal(err)
	}
}

// find returns the first event of a kind.
func (e *events) find(kind string) (found Event) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if i := slices.IndexFunc(e.all, func(ev Event) bool { return ev.Event == kind }); i >= 0 {
		found = e.all[i]
	}
	return found
}
