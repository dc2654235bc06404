// SPDX-License-Identifier: MIT

package node

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"meshnode/blockstore"
	"meshnode/job"
	"meshnode/p2p"
	"meshnode/renderer"
	"meshnode/scheduler"
)

// Parts are the rooms that a node puts together. The node closes Network, Store,
// Renderer and Records.
type Parts struct {
	Network  p2p.Network
	Store    blockstore.Store
	Mesh     p2p.Mesh // that the network is of
	Renderer renderer.Renderer
	Records  Records                           // what outlives the node
	Journal  Journal                           // nil: none is kept
	Advert   job.Advert                        // what this node says of itself, before the renderer is known
	Free     func() (bytes uint64, known bool) // on the disk that the node fills; nil: not known
	Times    scheduler.Times                   // of the protocol; zero ones are its own. A replay knows no others
	OwnFirst bool                              // nothing is done for others while a job of this node goes on, from its start on
	Log      *slog.Logger
}

// Node is one running meshnode. One goroutine owns the scheduler: everything
// that happens reaches it as an event, through post.
type Node struct {
	parts    Parts
	self     job.PeerID
	log      *slog.Logger
	start    time.Time // of the monotonic clock that the scheduler sees
	ctx      context.Context
	stop     context.CancelFunc
	tasks    sync.WaitGroup // every goroutine of the node
	events   chan scheduler.Event
	life     context.Context // of the scheduler; the loop's own
	standing bool            // there is none, as the disk cannot be written; the loop's own
	asks     chan func(*scheduler.Scheduler)
	down     chan struct{} // closed when the loop has ended

	asked calls[chan []byte] // requests of peers that wait for the scheduler's Reply
	roles *roles
	home  *home // nil: none to give up

	results *results
	guests  *guests

	swept atomic.Uint64 // bytes in the store after it was last collected

	talk    talk          // what peers have gossiped of late
	dropped atomic.Uint64 // gossip not taken because the node was busy
	foreign atomic.Uint64 // messages of another protocol version

	mu        sync.Mutex // guards what follows
	advert    job.Advert
	full      bool   // the disk has hardly any room
	trouble   string // what keeps the node from work for now; "": nothing
	leaving   bool   // it is about to end
	readiness readiness
	works     map[job.ID]*work
	published map[job.Nonce]*publication
	streams   map[job.ID]*stream  // of jobs published here, until nobody watches them any more
	requests  map[string]*request // by ticket
	history   []ending            // of jobs published here, oldest first

	finishings map[job.ID]*finishing // films of other nodes' jobs that are made here

	remembering sync.Mutex // held while history grows; taken before mu
	names       map[job.PeerID]string
}

// New starts a node on its parts. The caller must Close it.
func New(parts Parts) (*Node, error) {
	n := &Node{
		parts: parts, self: parts.Network.Self(), log: parts.Log, start: time.Now(),
		events: make(chan scheduler.Event, queueLength), asks: make(chan func(*scheduler.Scheduler)), down: make(chan struct{}),
		advert: parts.Advert, works: make(map[job.ID]*work), published: make(map[job.Nonce]*publication),
		streams: make(map[job.ID]*stream), requests: make(map[string]*request), finishings: make(map[job.ID]*finishing),
		names:  map[job.PeerID]string{parts.Network.Self(): parts.Advert.Name},
		guests: newGuests(),
	}
	n.asked.waiting = make(map[uint64]chan []byte)
	n.readiness.known = make(chan struct{})
	n.ctx, n.stop = context.WithCancel(context.Background())
	var left *left
	var err error
	if n.roles, err = loadRoles(parts.Records); err == nil {
		err = n.loadHistory()
	}
	if err == nil {
		n.results, err = loadResults(parts.Records)
	}
	if err == nil {
		left, err = n.findLeft(n.ctx)
	}
	if err != nil {
		n.stop()
		return nil, err
	}
	parts.Network.Admit(n.roles.admits)
	n.tasks.Go(func() { n.loop(left.jobs) })
	n.tasks.Go(n.followPeers)
	n.tasks.Go(n.closeGuests)
	for topic, kinds := range topics {
		if err := parts.Network.Listen(topic, n.listener(kinds)); err != nil {
			n.Close()
			return nil, fmt.Errorf("node: listen to %s: %w", topic, err)
		}
	}
	parts.Network.Answer(n.answer)
	if err := n.changeAdvert(func(*job.Advert) {}); err != nil {
		n.Close()
		return nil, err
	}
	n.tasks.Go(n.followResources)
	n.tasks.Go(func() { n.goOn(left) })
	return n, nil
}

// goodbye is the time that last messages get to leave this machine.
const goodbye = 100 * time.Millisecond

// Leave is to be called before Close when there is time: what this node holds of
// others' jobs is handed over, and its own stop where they are, for the next node of
// this home to go on with. It returns soon, or when ctx ends.
func (n *Node) Leave(ctx context.Context) {
	n.ask(func(s *scheduler.Scheduler) {
		if err := n.carryOut(n.step(s, scheduler.Leave{})); err != nil {
			n.log.Warn("nothing is handed over", "err", err)
		}
	})
	n.mu.Lock()
	n.leaving = true
	requests := slices.Collect(maps.Values(n.requests))
	for _, r := range requests {
		r.cancel(errStopping)
	}
	n.mu.Unlock()
	for _, r := range requests {
		select {
		case <-r.over:
		case <-ctx.Done():
			return
		}
	}
	select {
	case <-time.After(goodbye):
	case <-ctx.Done():
	}
}

// Close ends the node: cells being rendered are dropped, engines end, and all
// its goroutines with them.
func (n *Node) Close() error {
	n.mu.Lock()
	n.leaving = true
	n.mu.Unlock()
	n.stop()
	err := n.parts.Network.Close() // ends followPeers
	n.tasks.Wait()
	err = errors.Join(err, n.parts.Renderer.Close(), n.parts.Store.Close(), n.parts.Records.Close())
	if n.home != nil {
		err = errors.Join(err, n.home.Close())
	}
	return err
}

// followPeers turns what the network says into events.
func (n *Node) followPeers() {
	for ev := range n.parts.Network.Events() {
		n.talk.connects(ev.Peer, ev.Kind != p2p.Left)
		if ev.Kind == p2p.Left {
			n.post(scheduler.PeerLeft{Peer: ev.Peer})
			n.log.Info("peer left", "peer", n.nameOf(ev.Peer))
			continue
		}
		advert, err := job.DecodeAdvert(ev.Advert)
		if err != nil {
			n.log.Warn("peer's advert not understood", "peer", ev.Peer.Short(), "err", err)
			continue
		}
		n.mu.Lock()
		n.nameLocked(ev.Peer, advert.Name)
		n.mu.Unlock()
		if ev.Kind == p2p.Joined {
			n.log.Info("peer joined", "peer", advert.Name, "id", ev.Peer.Short())
		}
		n.post(scheduler.PeerJoined{Peer: ev.Peer, Advert: advert})
	}
}

// maxNames bounds the peers whose names are remembered after they have left: keys
// cost nothing.
const maxNames = 4096

// nameLocked remembers what a peer calls itself, at the cost of any other.
func (n *Node) nameLocked(p job.PeerID, name string) {
	for other := range n.names {
		if len(n.names) < maxNames {
			break
		}
		if other != n.self {
			delete(n.names, other)
		}
	}
	n.names[p] = name
}

// nameOf returns what people call a node.
func (n *Node) nameOf(p job.PeerID) string {
	n.mu.Lock()
	defer n.mu.Unlock()
	if name := n.names[p]; name != "" {
		return name
	}
	return p.Short()
}

// calls numbers things that wait for an answer.
type calls[T any] struct {
	mu      sync.Mutex
	last    uint64
	waiting map[uint64]T
}

func (c *calls[T]) add(v T) uint64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.last++
	c.waiting[c.last] = v
	return c.last
}

func (c *calls[T]) take(id uint64) (T, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	v, ok := c.waiting[id]
	delete(c.waiting, id)
	return v, ok
}
