// SPDX-License-Identifier: MIT

package blockstore

import (
	"context"
	"slices"
	"sync"
	"time"

	"meshnode/job"
)

// Loopback connects the stores of one process, for tests and simulations. Each
// node joins it with [Loopback.Join].
type Loopback struct {
	// Reach says whether from can ask to at this moment; nil means always. Set
	// it before the first Join.
	Reach func(from, to job.PeerID) bool

	mu    sync.Mutex
	ports map[job.PeerID]*port
}

// loopbackPatience is how long one peer is waited for before another is asked.
const loopbackPatience = time.Second

// Join returns the exchange of one node. An id that joins again replaces the
// node that had it.
func (l *Loopback) Join(id job.PeerID) Exchange {
	p := &port{net: l, id: id}
	p.ctx, p.cancel = context.WithCancel(context.Background())
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.ports == nil {
		l.ports = make(map[job.PeerID]*port)
	}
	l.ports[id] = p
	return p
}

// port is one node on a Loopback.
type port struct {
	net    *Loopback
	id     job.PeerID
	ctx    context.Context // ends with Close
	cancel context.CancelFunc
	calls  sync.WaitGroup

	mu    sync.Mutex
	local Local
}

// Serve implements [Exchange].
func (p *port) Serve(local Local) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.local = local
}

// Fetch implements [Exchange]. It asks for one block at a time.
func (p *port) Fetch(ctx context.Context, cids []job.CID, from []job.PeerID) <-chan Block {
	out := make(chan Block)
	p.calls.Go(func() {
		defer close(out)
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		defer context.AfterFunc(p.ctx, cancel)()
		late := make(map[job.PeerID]bool) // peers to be asked last
		for _, cid := range cids {
			data, ok := p.ask(ctx, cid, from, late)
			if !ok {
				continue
			}
			select {
			case out <- Block{cid, data}:
			case <-ctx.Done():
				return
			}
		}
	})
	return out
}

// ask tries one peer after the other.
func (p *port) ask(ctx context.Context, cid job.CID, from []job.PeerID, late map[job.PeerID]bool) ([]byte, bool) {
	peers := p.net.peers(p.id, from)
	slices.SortStableFunc(peers, func(a, b *port) int {
		switch {
		case late[a.id] == late[b.id]:
			return 0
		case late[a.id]:
			return 1
		}
		return -1
	})
	for _, peer := range peers {
		if ctx.Err() != nil {
			return nil, false
		}
		patience, cancel := context.WithTimeout(ctx, loopbackPatience)
		data, err := peer.get(patience, cid)
		late[peer.id] = patience.Err() != nil
		cancel()
		if err == nil && check(cid, data) == nil {
			return data, true
		}
	}
	return nil, false
}

func (p *port) get(ctx context.Context, cid job.CID) ([]byte, error) {
	p.mu.Lock()
	local := p.local
	p.mu.Unlock()
	if local == nil || p.ctx.Err() != nil {
		return nil, ErrNotFound
	}
	return local.Get(ctx, cid)
}

// peers returns whom id can reach: first those in from, then the rest by name.
func (l *Loopback) peers(id job.PeerID, from []job.PeerID) []*port {
	l.mu.Lock()
	defer l.mu.Unlock()
	order := slices.Clone(from)
	rest := make([]job.PeerID, 0, len(l.ports))
	for other := range l.ports {
		if !slices.Contains(from, other) {
			rest = append(rest, other)
		}
	}
	slices.Sort(rest)
	var out []*port
	for _, other := range append(order, rest...) {
		if p, ok := l.ports[other]; ok && other != id && (l.Reach == nil || l.Reach(id, other)) {
			out = append(out, p)
		}
	}
	return out
}

// Close implements [Exchange].
func (p *port) Close() error {
	p.cancel()
	p.calls.Wait()
	p.net.mu.Lock()
	defer p.net.mu.Unlock()
	if p.net.ports[p.id] == p {
		delete(p.net.ports, p.id)
	}
	return nil
}
