// SPDX-License-Identifier: MIT

package node

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"meshnode/blockstore"
	"meshnode/job"
	"meshnode/renderer"
	"meshnode/renderer/synthetic"
	"meshnode/scheduler"
)

// computer is what stays of a node that is killed: its identity, its disk, and what
// its renderer has drawn.
type computer struct {
	m       *mesh
	seed    uint64
	slots   uint32
	blocks  string
	records MemoryRecords
	r       *synthetic.Renderer

	mu    sync.Mutex
	drawn map[uint32]int // cells, how often
}

func (m *mesh) computer(seed uint64, slots uint32, slow time.Duration) *computer {
	c := &computer{m: m, seed: seed, slots: slots, blocks: m.t.TempDir(), drawn: make(map[uint32]int)}
	c.r = &synthetic.Renderer{Slow: slow, Fail: func(_ *job.Manifest, cell uint32) error {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.drawn[cell]++
		return nil
	}}
	return c
}

// start starts a node on it, again if it was killed by Close.
func (c *computer) start() *Node {
	c.m.t.Helper()
	return c.startWith(c.r)
}

// startWith starts a node whose renderer wraps the computer's.
func (c *computer) startWith(r renderer.Renderer) *Node {
	m := c.m
	m.t.Helper()
	c.r.Scratch = m.t.TempDir()
	network, err := m.board.NewMemory("test", c.seed)
	if err != nil {
		m.t.Fatal(err)
	}
	store, err := blockstore.NewDisk(c.blocks, m.loop.Join(network.Self()))
	if err != nil {
		m.t.Fatal(err)
	}
	n, err := New(Parts{
		Network: network, Store: store, Records: &c.records, Renderer: r,
		Advert: job.Advert{Name: fmt.Sprintf("computer%d", c.seed), Slots: c.slots, Speed: 1},
		Log:    slog.New(slog.NewTextHandler(m.t.Output(), &slog.HandlerOptions{Level: slog.LevelDebug})),
	})
	if err != nil {
		m.t.Fatal(err)
	}
	m.t.Cleanup(func() { n.Close() })
	if err := network.Start(); err != nil {
		m.t.Fatal(err)
	}
	m.nodes = append(m.nodes, n)
	return n
}

func (c *computer) draws(cell uint32) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.drawn[cell]
}

// recorded returns the cells that are on its disk as finished, or as collected.
func (c *computer) recorded(kind string) (cells []uint32) {
	c.m.t.Helper()
	records, err := c.records.Read("job/")
	if err != nil {
		c.m.t.Fatal(err)
	}
	for key, value := range records {
		if !strings.Contains(key, "/"+kind+"/") {
			continue
		}
		r, err := scheduler.DecodeRecord(value)
		if err != nil {
			c.m.t.Fatal(err)
		}
		for _, cell := range r.Cells {
			cells = append(cells, cell.Cell)
		}
	}
	return cells
}

// kept fails the test when anything of requests or jobs is left on the disk.
func (c *computer) kept() {
	c.m.t.Helper()
	c.m.wait("the records of the job to be removed", func() bool {
		jobs, _ := c.records.Read("job/")
		requests, _ := c.records.Read("request/")
		return len(jobs)+len(requests) == 0
	})
}

// killed publishes on a new node, kills it when the time has come, and starts it again.
// It returns that, and the request to follow the publication there.
func (c *computer) killed(s synthetic.Scene, when func(Event) bool) (n *Node, req PublishRequest, path string) {
	c.m.t.Helper()
	n = c.start()
	c.m.settle()
	req, path = c.m.scene(s, 0)
	req.Ticket = "ticket"
	var once sync.Once
	dead := make(chan struct{})
	var got events
	n.Publish(c.m.soon(), req, func(e Event) {
		got.add(e)
		if when(e) {
			once.Do(func() {
				go func() {
					defer close(dead)
					n.Close()
				}()
			})
		}
	})
	select {
	case <-dead:
	case <-time.After(20 * time.Second):
		c.m.t.Fatalf("not killed; ended with %+v", got.last())
	}
	if last := got.last(); last.Kind != FailedStopped && last.Event != "finished" {
		c.m.t.Errorf("the node that was killed has said %+v", last)
	}
	c.m.drop(n)
	return n, req, path
}

// soon returns a context in which all that a test waits for must happen.
func (m *mesh) soon() context.Context {
	ctx, cancel := context.WithTimeout(m.t.Context(), time.Minute)
	m.t.Cleanup(cancel)
	return ctx
}

// drop forgets a node that was closed.
func (m *mesh) drop(n *Node) {
	for i, o := range m.nodes {
		if o == n {
			m.nodes = append(m.nodes[:i], m.nodes[i+1:]...)
			return
		}
	}
}

// A submitter that is killed at any time goes on when it is started again, and what it
// had collected is not rendered again.
func TestSubmitterRestarts(t *testing.T) {
	for name, when := range map[string]func(Event) bool{
		"planning":   func(e Event) bool { return e.Event == "planning" },
		"planned":    func(e Event) bool { return e.Event == "planned" },
		"rendering":  func(e Event) bool { return e.Event == "progress" && e.Done >= 40 },
		"assembling": func(e Event) bool { return e.Event == "assembling" },
	} {
		t.Run(name, func(t *testing.T) {
			m := newMesh(t)
			submitter := m.computer(101, 1, 0)
			workers := []*computer{m.computer(102, 1, 8*time.Millisecond), m.computer(103, 1, 8*time.Millisecond)}
			for _, w := range workers {
				w.start()
			}
			_, req, path := submitter.killed(demo, when)
			had := submitter.recorded("collected")
			before := make(map[uint32]int)
			for _, cell := range had {
				before[cell] = workers[0].draws(cell) + workers[1].draws(cell)
			}
			n := submitter.start()
			var got events
			n.Publish(m.soon(), req, got.add)
			if last := got.last(); last.Event != "finished" || last.File != path {
				t.Fatalf("ended with %+v", last)
			}
			if data, err := os.ReadFile(path); err != nil || !bytes.Equal(data, film(demo)) {
				t.Errorf("the film differs (%v)", err)
			}
			if name == "rendering" && len(had) == 0 {
				t.Error("nothing was collected before")
			}
			for _, cell := range had {
				if again := workers[0].draws(cell) + workers[1].draws(cell) + submitter.draws(cell) - before[cell]; again > 0 {
					t.Errorf("cell %d was collected, and rendered %d times more", cell, again)
				}
			}
			m.forgotten()
			submitter.kept()
			if jobs := n.Jobs(); len(jobs) != 1 || jobs[0].State != "finished" {
				t.Errorf("the jobs are %+v", jobs)
			}
		})
	}
}

// A scene that is another after the restart cannot be finished, and says so.
func TestSceneChangesMeanwhile(t *testing.T) {
	m := newMesh(t)
	submitter, worker := m.computer(101, 1, 0), m.add(&synthetic.Renderer{Slow: 20 * time.Millisecond}, 1)
	_, req, _ := submitter.killed(demo, func(e Event) bool { return e.Event == "planned" })
	file := filepath.Join(req.Dir, "scene.json")
	text, err := os.ReadFile(file)
	if err == nil {
		err = os.WriteFile(file, bytes.Replace(text, []byte("3000"), []byte("3001"), 1), 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	var got events
	submitter.start().Publish(m.soon(), req, got.add)
	if last := got.last(); last.Event != "failed" || last.Kind != FailedRender || !strings.Contains(last.Text, "the scene has changed") {
		t.Errorf("ended with %+v", last)
	}
	m.forgotten()
	submitter.kept()
	if usage, err := worker.parts.Store.Owners(t.Context()); err != nil || len(usage) != 0 {
		t.Errorf("the worker keeps blocks for %v (%v)", usage, err)
	}
}

// A worker that is killed in its range goes on with it: it has finished what it had
// finished.
func TestWorkerRestarts(t *testing.T) {
	m := newMesh(t)
	submitter := m.add(&synthetic.Renderer{}, 1)
	worker := m.computer(102, 1, 8*time.Millisecond)
	first := worker.start()
	m.settle()
	req, path := m.scene(demo, 0)
	var got events
	var once sync.Once
	var had []uint32
	back := make(chan struct{})
	submitter.Publish(m.soon(), req, func(e Event) {
		got.add(e)
		if e.Event == "progress" && e.Done >= 40 {
			once.Do(func() {
				go func() {
					defer close(back)
					first.Close()
					m.drop(first)
					had = worker.recorded("done")
					worker.start()
				}()
			})
		}
	})
	<-back
	if last := got.last(); last.Event != "finished" {
		t.Fatalf("ended with %+v", last)
	}
	if data, err := os.ReadFile(path); err != nil || !bytes.Equal(data, film(demo)) {
		t.Errorf("the film differs (%v)", err)
	}
	if len(had) == 0 {
		t.Error("nothing was finished before")
	}
	for _, cell := range had {
		if n := worker.draws(cell); n != 1 {
			t.Errorf("cell %d was finished, and drawn %d times", cell, n)
		}
	}
	m.forgotten()
	worker.kept()
}

// A node that is asked to stop hands over at once, tells its clients, and goes on with
// its own jobs when it is started again.
func TestLeave(t *testing.T) {
	m := newMesh(t)
	submitter := m.computer(101, 1, 8*time.Millisecond)
	m.add(&synthetic.Renderer{Slow: 8 * time.Millisecond}, 1)
	n := submitter.start()
	m.settle()
	req, path := m.scene(demo, 1)
	req.Ticket = "ticket"
	var got events
	var once sync.Once
	n.Publish(m.soon(), req, func(e Event) {
		if got.add(e); e.Event == "progress" && e.Done > 0 {
			once.Do(func() { go n.Leave(t.Context()) })
		}
	})
	if last := got.last(); last.Kind != FailedStopped {
		t.Fatalf("ended with %+v", last)
	}
	var late events
	if n.Publish(t.Context(), PublishRequest{Args: req.Args, Dir: req.Dir}, late.add); late.last().Kind != FailedRender {
		t.Errorf("published on a node that ends: %+v", late.last())
	}
	if err := n.Close(); err != nil {
		t.Error(err)
	}
	m.drop(n)
	n = submitter.start()
	n.Publish(m.soon(), req, got.add)
	if last := got.last(); last.Event != "finished" {
		t.Fatalf("ended with %+v", last)
	}
	if data, err := os.ReadFile(path); err != nil || !bytes.Equal(data, film(demo)) {
		t.Errorf("the film differs (%v)", err)
	}
	m.forgotten()
}

// A disk that refuses to be written for a while is as good as a crash and a restart.
func TestDiskRefuses(t *testing.T) {
	for _, who := range []string{"submitter", "worker"} {
		t.Run(who, func(t *testing.T) {
			m := newMesh(t)
			var refused atomic.Int32
			var from atomic.Bool
			refuse := func([]Record) error {
				if from.Load() && refused.Add(1) <= 3 {
					return errors.New("input/output error")
				}
				return nil
			}
			submitter, worker := m.computer(101, 1, 0), m.computer(102, 1, 8*time.Millisecond)
			map[string]*computer{"submitter": submitter, "worker": worker}[who].records.Fail = refuse
			n := submitter.start()
			worker.start()
			m.settle()
			req, path := m.scene(demo, 0)
			var got events
			n.Publish(m.soon(), req, func(e Event) {
				if got.add(e); e.Event == "progress" && e.Done >= 20 {
					from.Store(true)
				}
			})
			if last := got.last(); last.Event != "finished" {
				t.Fatalf("ended with %+v", last)
			}
			if data, err := os.ReadFile(path); err != nil || !bytes.Equal(data, film(demo)) {
				t.Errorf("the film differs (%v)", err)
			}
			if refused.Load() <= 3 {
				t.Errorf("%d writes came to nothing", refused.Load())
			}
			m.forgotten()
		})
	}
}

// A cell that rots on the submitter's disk after it was collected is had again.
func TestCollectedCellRots(t *testing.T) {
	m := newMesh(t)
	submitter := m.computer(101, 1, 0)
	worker := m.computer(102, 1, 8*time.Millisecond)
	worker.start()
	_, req, path := submitter.killed(demo, func(e Event) bool { return e.Event == "progress" && e.Done >= 40 })
	rotten := 0
	err := filepath.WalkDir(submitter.blocks, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := os.ReadFile(path)
		if err == nil && len(data) == demo.Bytes && rotten == 0 { // a cell's file
			data[0] ^= 1
			rotten++
			err = os.WriteFile(path, data, 0o600)
		}
		return err
	})
	if err != nil || rotten != 1 {
		t.Fatalf("%d blocks damaged (%v)", rotten, err)
	}
	var got events
	submitter.start().Publish(m.soon(), req, got.add)
	if last := got.last(); last.Event != "finished" {
		t.Fatalf("ended with %+v", last)
	}
	if data, err := os.ReadFile(path); err != nil || !bytes.Equal(data, film(demo)) {
		t.Errorf("the film differs (%v)", err)
	}
	m.forgotten()
}
