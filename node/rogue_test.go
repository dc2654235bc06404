// SPDX-License-Identifier: MIT

package node

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"runtime/metrics"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"

	"meshnode/blockstore"
	"meshnode/job"
	"meshnode/p2p"
	"meshnode/renderer/synthetic"
	"meshnode/scheduler"
)

// hostileMemory bounds what the heap may hold at any time while TestHostilePeers
// runs, in bytes: of two honest nodes and of the hostile one, in one process.
const hostileMemory = 512 << 20

// arena is two honest nodes over libp2p on the loopback interface: the first
// submits, both render.
type arena struct {
	t     *testing.T
	mesh  // for scene and wait
	hosts []*p2p.Host
	logs  lockedBuffer
}

// lockedBuffer is a log that several goroutines write to.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func newArena(t *testing.T) *arena {
	a := &arena{t: t, mesh: mesh{t: t}}
	for i := range 2 {
		host, store := onLoopback(t)
		n, err := New(Parts{
			Network: host, Store: store, Records: new(MemoryRecords),
			Renderer: &synthetic.Renderer{Scratch: t.TempDir(), Slow: 10 * time.Millisecond},
			Advert:   job.Advert{Name: fmt.Sprintf("honest%d", i), Slots: 1, Speed: 100},
			Log:      slog.New(slog.NewTextHandler(&a.logs, nil)),
		})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { n.Close() })
		if err := host.Start(); err != nil {
			t.Fatal(err)
		}
		a.nodes, a.hosts = append(a.nodes, n), append(a.hosts, host)
	}
	if err := a.hosts[1].Connect(a.within(20*time.Second), a.hosts[0].Addrs()[0]); err != nil {
		t.Fatal(err)
	}
	a.settle()
	return a
}

// onLoopback returns a host that has not started, and a store of blocks in memory.
func onLoopback(t *testing.T) (*p2p.Host, blockstore.Store) {
	t.Helper()
	host, err := p2p.New(p2p.Config{Mesh: "test", Quiet: true, Listen: []string{"/ip4/127.0.0.1/tcp/0"}})
	if err != nil {
		t.Fatal(err)
	}
	return host, blockstore.NewMemory(blockstore.NewBitswap(host.LibP2P(), "test", nil))
}

func (a *arena) within(d time.Duration) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), d)
	a.t.Cleanup(cancel)
	return ctx
}

// honestJob publishes a scene, and checks the film. It returns what was said of
// the job.
func (a *arena) honestJob(t *testing.T, name string, trust scheduler.Trust) *events {
	t.Helper()
	scene := demo
	scene.Name = name
	req, path := a.scene(scene, 1)
	req.Trust = trust.String()
	ctx, cancel := context.WithTimeout(t.Context(), 4*time.Minute)
	defer cancel()
	got := new(events)
	a.nodes[0].Publish(ctx, req, got.add)
	if last := got.last(); last.Event != "finished" {
		t.Fatalf("the honest job ended with %+v", last)
	}
	if data, err := os.ReadFile(path); err != nil || !bytes.Equal(data, film(scene)) {
		t.Errorf("the film differs (%v)", err)
	}
	return got
}

// rogue is a peer that can say anything. It joins as one that renders, and is ready
// for every job.
type rogue struct {
	t     *testing.T
	arena *arena
	host  *p2p.Host
	store blockstore.Store

	mu    sync.Mutex // guards what follows
	heard []job.Signed
	raw   [][]byte
	jobs  []job.ID // offered, latest last
}

func (a *arena) newRogue(t *testing.T) *rogue {
	t.Helper()
	host, store := onLoopback(t)
	r := &rogue{t: t, arena: a, host: host, store: store}
	t.Cleanup(func() { store.Close(); host.Close() })
	for _, topic := range []p2p.Topic{p2p.Offers, p2p.Work} {
		if err := host.Listen(topic, r.hear); err != nil {
			t.Fatal(err)
		}
	}
	host.Answer(func(context.Context, job.PeerID, []byte) ([]byte, error) { return []byte("noise"), nil })
	advert := a.nodes[1].currentAdvert()
	advert.Name, advert.Slots = "rogue", 4
	raw, err := advert.Encode()
	if err == nil {
		err = host.Advertise(raw)
	}
	if err == nil {
		err = host.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		for range host.Events() {
		}
	}()
	for _, h := range a.hosts {
		if err := host.Connect(a.within(20*time.Second), h.Addrs()[0]); err != nil {
			t.Fatal(err)
		}
	}
	a.wait("the rogue to join", func() bool { return len(a.nodes[0].Peers()) == 2 && len(a.nodes[1].Peers()) == 2 })
	return r
}

// hear keeps what honest nodes say, and answers calls.
func (r *rogue) hear(_ job.PeerID, data []byte) p2p.Verdict {
	m, err := job.Open(r.host, data)
	if err != nil {
		return p2p.Accept
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.heard) < 1000 {
		r.heard, r.raw = append(r.heard, m), append(r.raw, data)
	}
	switch msg := m.Msg.(type) {
	case *job.Call:
		go r.ask(m.From, &job.Ready{Nonce: msg.Nonce, Slots: 4, Speed: 1e6, Sandbox: "synthetic"})
	case *job.Offer:
		if !slices.Contains(r.jobs, msg.Job) {
			r.jobs = append(r.jobs, msg.Job)
		}
	}
	return p2p.Accept
}

// job waits for the honest job.
func (r *rogue) job(ctx context.Context) job.ID {
	for ctx.Err() == nil {
		r.mu.Lock()
		n := len(r.jobs)
		var id job.ID
		if n > 0 {
			id = r.jobs[n-1]
		}
		r.mu.Unlock()
		if n > 0 {
			return id
		}
		time.Sleep(2 * time.Millisecond)
	}
	return job.ID(job.CIDOf(nil))
}

// overheard returns what was heard so far.
func (r *rogue) overheard() [][]byte {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.raw)
}

// say publishes a message, signed.
func (r *rogue) say(m job.Message) {
	if signed, err := job.Seal(r.host, m); err == nil {
		r.shout(topicOf(m.Kind()), signed.Raw)
	}
}

// shout publishes anything.
func (r *rogue) shout(topic p2p.Topic, data []byte) {
	_ = r.host.Publish(context.Background(), topic, data)
}

// ask makes a request of a node.
func (r *rogue) ask(to job.PeerID, m job.Message) []byte {
	signed, err := job.Seal(r.host, m)
	if err != nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	answer, _ := r.host.Request(ctx, to, signed.Raw)
	return answer
}

// keep puts a block where others can fetch it.
func (r *rogue) keep(block []byte) job.CID {
	cid, err := r.store.PutBlock(context.Background(), block)
	if err != nil {
		r.t.Error(err)
	}
	return cid
}

// streams opens streams of a protocol to both nodes, as many as they let it.
func (r *rogue) streams(ctx context.Context, proto protocol.ID, n int, use func(network.Stream)) {
	var wg sync.WaitGroup
	defer wg.Wait()
	for _, node := range r.arena.nodes {
		id, err := peer.Decode(string(node.self))
		if err != nil {
			r.t.Error(err)
			return
		}
		for range n {
			short, cancel := context.WithTimeout(ctx, 2*time.Second)
			s, err := r.host.LibP2P().NewStream(short, id, proto)
			cancel()
			if err != nil {
				continue
			}
			wg.Go(func() {
				stop := context.AfterFunc(ctx, func() { _ = s.Reset() })
				defer stop()
				use(s)
				_ = s.Reset()
			})
		}
	}
}

// barred reports whether both nodes answer the rogue nothing any more.
func (r *rogue) barred() bool {
	return !slices.ContainsFunc(r.arena.nodes, func(n *Node) bool { return r.ask(n.self, &job.Pull{}) != nil })
}

// checkEvidence looks at what a node keeps of the rogue's own words.
func (r *rogue) checkEvidence(n *Node) {
	r.t.Helper()
	kept, err := n.parts.Records.Read("evidence/" + string(r.host.Self()))
	if err != nil || len(kept) != 1 {
		r.t.Errorf("evidence %v, %v", kept, err)
	}
	for _, value := range kept {
		var e evidence
		if err := json.Unmarshal(value, &e); err != nil {
			r.t.Error(err)
		}
		word, err := job.Open(n.parts.Network, e.Word)
		done, ok := word.Msg.(*job.Done)
		if err != nil || !ok || word.From != r.host.Self() || done.Job != e.Job || done.Cell != e.Cell {
			r.t.Errorf("evidence %+v: %+v, %v", e, word, err)
		}
	}
}

// TestHostilePeers has a peer attack two honest nodes, in all the ways of attacks,
// while they render: each time the film is right and the nodes go on, in bounded
// memory; who can be told to lie is barred.
func TestHostilePeers(t *testing.T) {
	if testing.Short() {
		t.Skip("takes a minute")
	}
	a := newArena(t)
	peak := watchHeap(t)
	for i, attack := range attacks {
		t.Run(attack.name, func(t *testing.T) {
			r := a.newRogue(t)
			ctx, end := context.WithCancel(t.Context())
			var attacking sync.WaitGroup
			attacking.Go(func() { attack.do(ctx, r) })
			trust := scheduler.TrustMine // nothing is checked but where that is the question
			if attack.outcome == exposed {
				trust = scheduler.TrustKnown
			}
			got := a.honestJob(t, fmt.Sprintf("Film%d", i), trust)
			switch attack.outcome {
			case muted:
				a.wait("the rogue to be barred", r.barred)
			case revoked, barred, exposed:
				if attack.outcome != revoked {
					a.wait("the rogue to be blocked", func() bool { return a.nodes[0].roles.role(r.host.Self()) == RoleBlocked })
					r.checkEvidence(a.nodes[0])
				}
				if !slices.ContainsFunc(got.all, func(e Event) bool { return strings.Contains(e.Text, "nothing that rogue renders counts") }) {
					t.Errorf("the user was not told that the rogue lies: %+v", got.all)
				}
			}
			for _, n := range a.nodes {
				if _, err := n.SetRole(string(r.host.Self()), RoleBlocked); err != nil {
					t.Error(err)
				}
			}
			a.wait("the rogue to leave", func() bool { return len(a.nodes[0].Peers()) == 1 && len(a.nodes[1].Peers()) == 1 })
			end()
			attacking.Wait()
			r.host.Close()
			t.Logf("heap at most %d MiB", peak()>>20)
		})
	}
	if p := peak(); p > hostileMemory {
		t.Errorf("the heap had %d MiB, at most %d allowed", p>>20, hostileMemory>>20)
	}
	a.forgotten()
}

// watchHeap returns what tells the most that the heap has held since.
func watchHeap(t *testing.T) (peak func() uint64) {
	sample := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}}
	var mu sync.Mutex
	var most uint64
	done := make(chan struct{})
	var watching sync.WaitGroup
	watching.Go(func() {
		for {
			metrics.Read(sample)
			mu.Lock()
			most = max(most, sample[0].Value.Uint64())
			mu.Unlock()
			select {
			case <-time.After(20 * time.Millisecond):
			case <-done:
				return
			}
		}
	})
	t.Cleanup(func() { close(done); watching.Wait() })
	return func() uint64 {
		mu.Lock()
		defer mu.Unlock()
		return most
	}
}
