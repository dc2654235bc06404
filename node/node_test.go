// SPDX-License-Identifier: MIT

package node

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"meshnode/blockstore"
	"meshnode/job"
	"meshnode/p2p"
	"meshnode/renderer/synthetic"
)

// mesh is several nodes in this process, on networks and stores in memory.
type mesh struct {
	t     *testing.T
	board *p2p.Switchboard
	loop  *blockstore.Loopback
	nodes []*Node
}

func newMesh(t *testing.T) *mesh {
	board := p2p.NewSwitchboard(p2p.NewFaults(1))
	board.Discover = true
	return &mesh{t: t, board: board, loop: &blockstore.Loopback{}}
}

// add starts a node whose renderer is r.
func (m *mesh) add(r *synthetic.Renderer, slots uint32) *Node {
	m.t.Helper()
	return m.join(r, slots, func(*Parts) {})
}

// join starts a node with other parts.
func (m *mesh) join(r *synthetic.Renderer, slots uint32, change func(*Parts)) *Node {
	m.t.Helper()
	r.Scratch = m.t.TempDir()
	net, err := m.board.NewMemory("test", uint64(len(m.nodes)+1))
	if err != nil {
		m.t.Fatal(err)
	}
	parts := Parts{
		Network: net, Store: blockstore.NewMemory(m.loop.Join(net.Self())), Renderer: r, Records: new(MemoryRecords),
		Advert: job.Advert{Name: fmt.Sprintf("node%d", len(m.nodes)), Slots: slots, Speed: 1},
		Log:    slog.New(slog.NewTextHandler(m.t.Output(), &slog.HandlerOptions{Level: slog.LevelDebug})),
	}
	change(&parts)
	n, err := New(parts)
	if err != nil {
		m.t.Fatal(err)
	}
	m.t.Cleanup(func() { n.Close() })
	if err := net.Start(); err != nil {
		m.t.Fatal(err)
	}
	m.nodes = append(m.nodes, n)
	return n
}

// settle waits until every node knows every other, and what it can do.
func (m *mesh) settle() {
	m.t.Helper()
	m.wait("all to join", func() bool {
		for _, n := range m.nodes {
			peers := n.Peers()
			if len(peers) != len(m.nodes)-1 {
				return false
			}
			for _, p := range peers {
				if len(p.Environments) == 0 && p.Lacks == "" {
					return false
				}
			}
		}
		return true
	})
}

func (m *mesh) wait(what string, until func() bool) {
	m.t.Helper()
	deadline := time.Now().Add(20 * time.Second)
	for !until() {
		if time.Now().After(deadline) {
			m.t.Fatalf("waited too long for %s", what)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// scene writes a synthetic scene and returns the request to publish it.
func (m *mesh) scene(s synthetic.Scene, localSlots uint32) (PublishRequest, string) {
	m.t.Helper()
	dir := m.t.TempDir()
	text, err := json.Marshal(s)
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, "scene.json"), text, 0o600)
	}
	if err != nil {
		m.t.Fatal(err)
	}
	// Rendering cells twice is for the tests that are about that.
	return PublishRequest{Args: []string{"scene.json"}, Dir: dir, CellFrames: 5, LocalSlots: &localSlots, Trust: "mine"}, filepath.Join(dir, s.Name+".film")
}

// events collects what a publication says.
type events struct {
	mu  sync.Mutex
	all []Event
}

func (e *events) add(ev Event) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.all = append(e.all, ev)
}

func (e *events) last() Event {
	e.mu.Lock()
	defer e.mu.Unlock()
	if len(e.all) == 0 {
		return Event{}
	}
	return e.all[len(e.all)-1]
}

func film(s synthetic.Scene) []byte {
	var want []byte
	for _, c := range job.Grid(s.Plays, s.FPS, 5) {
		want = append(want, synthetic.Bytes(s, c.Index)...)
	}
	return want
}

var demo = synthetic.Scene{Name: "Demo", FPS: 30, Plays: []job.Play{{Frames: 60}, {Frames: 30, Frozen: true}, {Frames: 45}}, Bytes: 3000}

func TestPublishOnThreeNodes(t *testing.T) {
	m := newMesh(t)
	submitter := m.add(&synthetic.Renderer{}, 2)
	m.add(&synthetic.Renderer{Slow: 2 * time.Millisecond}, 2)
	m.add(&synthetic.Renderer{Slow: 2 * time.Millisecond}, 2)
	m.settle()
	req, path := m.scene(demo, 0)
	var got events
	submitter.Publish(t.Context(), req, got.add)
	last := got.last()
	if last.Event != "finished" || last.File != path || last.SHA256 == "" {
		t.Fatalf("ended with %+v", last)
	}
	data, err := os.ReadFile(path)
	if err != nil || !bytes.Equal(data, film(demo)) {
		t.Errorf("the film differs (%v)", err)
	}
	frames := uint32(0)
	for _, n := range last.Nodes {
		frames += n.Frames
		if n.Self {
			t.Errorf("the submitter rendered %d frames without a slot", n.Frames)
		}
	}
	if frames != 135 || len(last.Nodes) != 2 {
		t.Errorf("frames by node: %+v", last.Nodes)
	}
	m.forgotten()
}

// forgotten waits until no node has anything left of any job.
func (m *mesh) forgotten() {
	m.t.Helper()
	for _, n := range m.nodes {
		m.wait("the job to be forgotten", func() bool {
			n.mu.Lock()
			defer n.mu.Unlock()
			return len(n.works) == 0 && len(n.published) == 0
		})
		m.wait("the job to end", func() bool {
			return !slices.ContainsFunc(n.Jobs(), func(j JobStatus) bool { return j.State == "rendering" || j.State == "open" })
		})
		entries, err := os.ReadDir(n.parts.Renderer.(*synthetic.Renderer).Scratch)
		if err != nil {
			m.t.Fatal(err)
		}
		m.wait("engines to end", func() bool {
			entries, _ = os.ReadDir(n.parts.Renderer.(*synthetic.Renderer).Scratch)
			return len(entries) == 0
		})
	}
}

func TestPublishAlone(t *testing.T) {
	m := newMesh(t)
	n := m.add(&synthetic.Renderer{}, 2)
	m.settle()
	req, path := m.scene(demo, 2)
	var got events
	n.Publish(t.Context(), req, got.add)
	if last := got.last(); last.Event != "finished" {
		t.Fatalf("ended with %+v", last)
	}
	if data, err := os.ReadFile(path); err != nil || !bytes.Equal(data, film(demo)) {
		t.Errorf("the film differs (%v)", err)
	}
	m.forgotten()
}

func TestWorkerDies(t *testing.T) {
	m := newMesh(t)
	submitter := m.add(&synthetic.Renderer{}, 1)
	m.add(&synthetic.Renderer{Slow: 20 * time.Millisecond}, 1)
	victim := m.add(&synthetic.Renderer{Slow: 20 * time.Millisecond}, 1)
	m.settle()
	req, path := m.scene(demo, 1)
	var got events
	var once sync.Once
	submitter.Publish(t.Context(), req, func(e Event) {
		got.add(e)
		for _, f := range e.Nodes {
			if f.Peer == victim.self && f.Frames > 0 {
				once.Do(func() { go victim.Close() })
			}
		}
	})
	if last := got.last(); last.Event != "finished" {
		t.Fatalf("ended with %+v", last)
	}
	if data, err := os.ReadFile(path); err != nil || !bytes.Equal(data, film(demo)) {
		t.Errorf("the film differs (%v)", err)
	}
}

func TestCancel(t *testing.T) {
	m := newMesh(t)
	submitter := m.add(&synthetic.Renderer{Slow: time.Second}, 1)
	m.add(&synthetic.Renderer{Slow: time.Second}, 1)
	m.settle()
	req, _ := m.scene(demo, 1)
	ctx, cancel := context.WithCancel(t.Context())
	var got events
	submitter.Publish(ctx, req, func(e Event) {
		got.add(e)
		if e.Event == "progress" {
			cancel()
		}
	})
	if last := got.last(); last.Event != "failed" || last.Kind != FailedCanceled {
		t.Fatalf("ended with %+v", last)
	}
	m.forgotten()
}

func TestCancelByID(t *testing.T) {
	m := newMesh(t)
	n := m.add(&synthetic.Renderer{Slow: time.Second}, 1)
	m.settle()
	req, _ := m.scene(demo, 1)
	var got events
	n.Publish(t.Context(), req, func(e Event) {
		got.add(e)
		if e.Event == "planned" {
			if err := n.Cancel("nothing"); err == nil {
				t.Error("a job that is not there was canceled")
			}
			if err := n.Cancel(e.Job.Short()); err != nil {
				t.Error(err)
			}
		}
	})
	if last := got.last(); last.Kind != FailedCanceled {
		t.Fatalf("ended with %+v", last)
	}
	m.forgotten()
}

func TestSceneError(t *testing.T) {
	m := newMesh(t)
	submitter, peer := m.add(&synthetic.Renderer{}, 1), m.add(&synthetic.Renderer{}, 1)
	m.settle()
	req, _ := m.scene(synthetic.Scene{Name: "Broken", Error: "Traceback: it broke"}, 1)
	var got events
	submitter.Publish(t.Context(), req, got.add)
	if last := got.last(); last.Event != "failed" || last.Kind != FailedScene || last.Text != "Traceback: it broke" {
		t.Fatalf("ended with %+v", last)
	}
	if usage, err := peer.parts.Store.Usage(t.Context()); err != nil || usage != 0 {
		t.Errorf("the peer has %d bytes of a scene that failed (%v)", usage, err)
	}
	m.forgotten()
}

// A cell that fails on all nodes fails the job. One that fails on all others is rendered
// by the submitter, though it was to render nothing.
func TestFailingCell(t *testing.T) {
	fail := func(_ *job.Manifest, cell uint32) error {
		if cell == 3 {
			return errors.New("exit status 9: no such texture")
		}
		return nil
	}
	for name, its := range map[string]func(*job.Manifest, uint32) error{"everywhere": fail, "elsewhere": nil} {
		t.Run(name, func(t *testing.T) {
			m := newMesh(t)
			submitter := m.add(&synthetic.Renderer{Fail: its}, 1)
			for range 3 {
				m.add(&synthetic.Renderer{Fail: fail}, 1)
			}
			m.settle()
			req, _ := m.scene(demo, 0)
			var got events
			submitter.Publish(t.Context(), req, got.add)
			last := got.last()
			if its == nil {
				if here := slices.IndexFunc(last.Nodes, func(f NodeFrames) bool { return f.Self }); last.Event != "finished" || here < 0 || last.Nodes[here].Frames != 5 {
					t.Fatalf("ended with %+v", last)
				}
			} else if last.Kind != FailedRender || !strings.Contains(last.Text, "no such texture") {
				t.Fatalf("ended with %+v", last)
			}
			m.forgotten()
		})
	}
}

func TestRefusesOthersWithoutSandbox(t *testing.T) {
	m := newMesh(t)
	submitter := m.add(&synthetic.Renderer{}, 1)
	m.add(&synthetic.Renderer{Foreign: errors.New("no namespaces here")}, 1)
	m.add(&synthetic.Renderer{}, 1)
	m.settle()
	if peers := submitter.Peers(); peers[0].Sandbox != "none" || peers[0].Lacks != "no namespaces here" {
		t.Errorf("the first peer says %+v", peers[0].Advert)
	}
	req, _ := m.scene(demo, 0)
	var got events
	submitter.Publish(t.Context(), req, got.add)
	last := got.last()
	if last.Event != "finished" || len(last.Nodes) != 1 || last.Nodes[0].Name != "node2" {
		t.Fatalf("ended with %+v", last)
	}
}

func TestTwoSubmittersAtOnce(t *testing.T) {
	m := newMesh(t)
	first, second := m.add(&synthetic.Renderer{Slow: time.Millisecond}, 1), m.add(&synthetic.Renderer{Slow: time.Millisecond}, 1)
	m.add(&synthetic.Renderer{Slow: time.Millisecond}, 2)
	m.settle()
	var wg sync.WaitGroup
	for i, n := range []*Node{first, second} {
		wg.Go(func() {
			scene := demo
			scene.Name = fmt.Sprintf("Demo%d", i)
			req, path := m.scene(scene, 1)
			var got events
			n.Publish(t.Context(), req, got.add)
			if last := got.last(); last.Event != "finished" {
				t.Errorf("job %d ended with %+v", i, last)
				return
			}
			if data, err := os.ReadFile(path); err != nil || !bytes.Equal(data, film(scene)) {
				t.Errorf("film %d differs (%v)", i, err)
			}
		})
	}
	wg.Wait()
	m.forgotten()
}
