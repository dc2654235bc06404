// SPDX-License-Identifier: MIT

package node

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"meshnode/blockstore"
	"meshnode/job"
	"meshnode/renderer"
	"meshnode/renderer/synthetic"
)

// engineCount counts the engines for others that are open.
type engineCount struct {
	*synthetic.Renderer
	mu         sync.Mutex
	open, most int
}

func (c *engineCount) Take(ctx context.Context, trust renderer.Trust, env string) (renderer.Engine, error) {
	e, err := c.Renderer.Take(ctx, trust, env)
	if err != nil || trust == renderer.Own {
		return e, err
	}
	c.add(1)
	return &countedEngine{Engine: e, c: c}, nil
}

func (c *engineCount) add(n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.open += n
	c.most = max(c.most, c.open)
}

func (c *engineCount) now() (open, most int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.open, c.most
}

type countedEngine struct {
	renderer.Engine
	c    *engineCount
	once sync.Once
}

func (e *countedEngine) Close() error {
	e.once.Do(func() { e.c.add(-1) })
	return e.Engine.Close()
}

// addCounted joins a node of one slot.
func (m *mesh) addCounted(slow time.Duration) (*Node, *engineCount) {
	m.t.Helper()
	c := &engineCount{Renderer: &synthetic.Renderer{Slow: slow}}
	return m.join(c.Renderer, 1, func(p *Parts) { p.Renderer = c }), c
}

// However many jobs there are, few engines are open at a time, and each job is rendered.
func TestEnginesForOthersAreFew(t *testing.T) {
	m := newMesh(t)
	_, engines := m.addCounted(time.Millisecond)
	const submitters = 1 + spareEngines + 3
	for range submitters {
		m.add(&synthetic.Renderer{}, 1)
	}
	m.settle()
	var wg sync.WaitGroup
	for i, n := range m.nodes[1:] {
		wg.Go(func() {
			scene := demo
			scene.Name = fmt.Sprintf("Demo%d", i)
			req, path := m.scene(scene, 0)
			var got events
			n.Publish(t.Context(), req, got.add)
			if last := got.last(); last.Event != "finished" {
				t.Errorf("job %d ended with %+v", i, last)
			} else if data, err := os.ReadFile(path); err != nil || !bytes.Equal(data, film(scene)) {
				t.Errorf("film %d differs (%v)", i, err)
			}
		})
	}
	wg.Wait()
	if _, most := engines.now(); most > 1+spareEngines {
		t.Errorf("%d engines of others were open at a time", most)
	}
}

// A node that is paused has no engine of others, though their jobs go on, and takes
// them up again afterwards.
func TestPauseClosesEngines(t *testing.T) {
	m := newMesh(t)
	worker, engines := m.addCounted(20 * time.Millisecond)
	submitter := m.add(&synthetic.Renderer{}, 1)
	m.settle()
	req, path := m.scene(demo, 0)
	var got events
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		submitter.Publish(t.Context(), req, got.add)
	}()
	m.wait("the worker to begin", func() bool { open, _ := engines.now(); return open == 1 && got.last().Done > 0 })
	if err := worker.Pause(true); err != nil {
		t.Fatal(err)
	}
	m.wait("its engine to be closed", func() bool { open, _ := engines.now(); return open == 0 })
	if err := worker.Pause(false); err != nil {
		t.Fatal(err)
	}
	<-ended
	if last := got.last(); last.Event != "finished" {
		t.Fatalf("ended with %+v", last)
	}
	if data, err := os.ReadFile(path); err != nil || !bytes.Equal(data, film(demo)) {
		t.Errorf("the film differs (%v)", err)
	}
}

// An engine that no cell needs is closed after a while, one that a cell needs is not,
// and of two that nobody needs the one that was needed earlier makes room.
func TestGuests(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGuests()
		g.allow(2)
		first, second, third := new(work), new(work), new(work)
		enter := func(w *work) {
			t.Helper()
			if in, _, _ := g.enter(w); !in {
				t.Fatal("no room")
			}
		}
		enter(first)
		enter(second)
		if in, instead, wait := g.enter(third); in || instead != nil || wait == nil {
			t.Error("a third one beside two at work")
		}
		g.leave(second, true)
		time.Sleep(time.Second)
		enter(first)
		g.leave(first, true)
		if in, instead, _ := g.enter(third); in || instead != second {
			t.Error("the idle one does not make room")
		}
		if in, instead, wait := g.enter(second); in || instead != nil || wait == nil {
			t.Error("it is used while it is closed")
		}
		g.gone(second)
		enter(third)
		g.leave(third, true)
		time.Sleep(idleTime - time.Second)
		if g.overdue(time.Now()) != nil {
			t.Error("closed early")
		}
		time.Sleep(2 * time.Second)
		if g.overdue(time.Now()) != third || g.overdue(time.Now()) != nil {
			t.Error("not the idle one is closed")
		}
		g.gone(third)
		g.allow(0)
		if in, instead, wait := g.enter(third); in || instead != nil || wait == nil {
			t.Error("one more on a paused node")
		}
		if g.leave(first, true); g.overdue(time.Now()) != first {
			t.Error("the last one stays open on a paused node")
		}
	})
}

// silentStore gets nothing from anybody, and tells when it is asked.
type silentStore struct {
	blockstore.Store
	asked chan struct{}
}

func (s *silentStore) Block(ctx context.Context, _ job.CID, _ []job.PeerID) ([]byte, error) {
	close(s.asked)
	<-ctx.Done()
	return nil, ctx.Err()
}

// Who does not send a job's files keeps no place.
func TestSlowFilesKeepNoPlace(t *testing.T) {
	store := &silentStore{asked: make(chan struct{})}
	n := newMesh(t).join(&synthetic.Renderer{}, 1, func(p *Parts) { store.Store, p.Store = p.Store, store })
	w := n.workOn("job")
	ended := make(chan error)
	go func() { ended <- n.ready(w) }()
	<-store.asked
	n.guests.mu.Lock()
	if len(n.guests.open) > 0 {
		t.Error("it has a place")
	}
	n.guests.mu.Unlock()
	w.end()
	if err := <-ended; err == nil {
		t.Error("ready without its files")
	}
}
