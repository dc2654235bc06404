// SPDX-License-Identifier: MIT

package node

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"meshnode/blockstore"
	"meshnode/job"
	"meshnode/renderer/synthetic"
	"meshnode/scheduler"
)

// smallDisk is the disk of a node, and its store: full, it takes nothing.
type smallDisk struct {
	blockstore.Store
	short, full atomic.Bool
}

func (d *smallDisk) free() (uint64, bool) {
	if d.short.Load() || d.full.Load() {
		return 100 << 20, true
	}
	return 2 << 30, true
}

func (d *smallDisk) Import(ctx context.Context, files []blockstore.Source) (job.CID, *job.FileSet, error) {
	if d.full.Load() {
		return "", nil, fmt.Errorf("%w: no space left", blockstore.ErrFull)
	}
	return d.Store.Import(ctx, files)
}

// addSmall starts a node on a small disk.
func (m *mesh) addSmall(r *synthetic.Renderer) (*Node, *smallDisk) {
	disk := new(smallDisk)
	n := m.join(r, 1, func(p *Parts) {
		disk.Store = p.Store
		p.Store, p.Free = disk, disk.free
	})
	return n, disk
}

// A node whose disk fills up while it works for others gives that up, says why, and
// works again when there is room. No cell counts as failed. It always works for its user.
func TestFullDisk(t *testing.T) {
	m := newMesh(t)
	submitter := m.add(&synthetic.Renderer{}, 1)
	small, disk := m.addSmall(&synthetic.Renderer{Slow: 10 * time.Millisecond})
	other := m.add(&synthetic.Renderer{Slow: 10 * time.Millisecond}, 1)
	m.settle()
	publish := func(by *Node, slots *uint32, on func(Event)) Event {
		t.Helper()
		req, path := m.scene(demo, 0)
		req.LocalSlots = slots
		var got events
		by.Publish(t.Context(), req, func(e Event) { got.add(e); on(e) })
		if last := got.last(); last.Event != "finished" {
			t.Fatalf("ended with %+v", last)
		}
		if data, err := os.ReadFile(path); err != nil || !bytes.Equal(data, film(demo)) {
			t.Fatalf("the film differs (%v)", err)
		}
		for _, e := range got.all {
			if e.Event == "note" && strings.Contains(e.Text, "could not render") {
				t.Error(e.Text)
			}
		}
		return got.last()
	}
	frames := func(e Event, of *Node) (n uint32) {
		for _, f := range e.Nodes {
			if f.Peer == of.self {
				n += uint32(f.Frames)
			}
		}
		return n
	}
	slots := func(n uint32) func() bool {
		return func() bool {
			for _, p := range submitter.Peers() {
				if p.ID == small.self {
					return p.Slots == n
				}
			}
			return false
		}
	}

	var once sync.Once
	var none uint32
	publish(submitter, &none, func(e Event) {
		if frames(e, small) > 0 {
			once.Do(func() { disk.full.Store(true) })
		}
	})
	m.wait("the node to say that its disk is full", slots(0))
	if notes := small.Status().Notes; len(notes) != 1 || !strings.Contains(notes[0], "nearly full: 100 MiB") {
		t.Errorf("its notes are %q", notes)
	}
	if last := publish(submitter, &none, func(Event) {}); frames(last, small) > 0 || frames(last, other) == 0 {
		t.Errorf("a node without room has worked: %+v", last.Nodes)
	}

	disk.full.Store(false)
	disk.short.Store(true)
	if last := publish(small, nil, func(Event) {}); frames(last, small) == 0 {
		t.Errorf("a node has not worked for its own user: %+v", last.Nodes)
	}

	disk.short.Store(false)
	small.warnAdvert(func(*job.Advert) {}) // as it does every 30 s
	m.wait("the node to say that it has room", slots(1))
	if last := publish(submitter, &none, func(Event) {}); frames(last, small) == 0 {
		t.Errorf("a node with room again has not worked: %+v", last.Nodes)
	}
}

// Where the disk gets full, what no job needs goes before others' jobs are refused.
func TestRoomIsMade(t *testing.T) {
	m := newMesh(t)
	n, disk := m.addSmall(&synthetic.Renderer{})
	m.settle()
	var cids []job.CID
	for i := range 2 {
		cid, err := disk.PutBlock(t.Context(), []byte{byte(i)})
		if err != nil {
			t.Fatal(err)
		}
		cids = append(cids, cid)
	}
	if err := disk.Pin(t.Context(), "self-tests", cids[0]); err != nil {
		t.Fatal(err)
	}
	n.lookAtDisk()
	if _, err := disk.Block(t.Context(), cids[1], nil); err != nil {
		t.Errorf("with room on the disk: %v", err)
	}
	disk.short.Store(true)
	n.lookAtDisk()
	if _, err := disk.Block(t.Context(), cids[1], nil); !errors.Is(err, blockstore.ErrNotFound) {
		t.Errorf("what nothing needs: %v", err)
	}
	if _, err := disk.Block(t.Context(), cids[0], nil); err != nil {
		t.Errorf("what is needed: %v", err)
	}
}

// grown is a store that says how much it has, and counts how often it is collected.
type grown struct {
	blockstore.Store
	bytes     atomic.Uint64
	collected atomic.Int32
}

func (g *grown) Usage(context.Context) (uint64, error) { return g.bytes.Load(), nil }

func (g *grown) Collect(_ context.Context, keep uint64) (uint64, error) {
	defer g.collected.Add(1)
	left := keep + 10<<20 // some of it is needed
	return max(g.bytes.Swap(left), left) - left, nil
}

// A store that grows by what peers offer is collected as it grows, not only when a job
// ends, and not for each block.
func TestOffersDoNotGrowTheStore(t *testing.T) {
	m := newMesh(t)
	store := new(grown)
	n := m.join(&synthetic.Renderer{}, 1, func(p *Parts) {
		store.Store = p.Store
		p.Store = store
	})
	m.settle()
	fetch := func() {
		n.fetchManifest(scheduler.FetchManifest{Job: job.ID(job.CIDOf([]byte("none")))})
	}
	m.wait("the collection of a start", func() bool { return store.collected.Load() > 0 })
	store.bytes.Store(0)
	was := store.collected.Load()
	for _, step := range []struct {
		add         uint64
		collections int32
	}{{keepBytes, 0}, {growBytes - 1, 0}, {1, 1}, {growBytes / 2, 1}, {growBytes / 2, 2}} {
		store.bytes.Add(step.add)
		fetch()
		if n := store.collected.Load() - was; n != step.collections {
			t.Errorf("with %d MiB more it was collected %d times, want %d", step.add>>20, n, step.collections)
		}
	}
}
