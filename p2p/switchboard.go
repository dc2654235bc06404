// SPDX-License-Identifier: MIT

package p2p

import (
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

	"meshnode/job"
)

// Switchboard is the wire between [Memory] networks: it carries what they send
// each other, and lets its [Faults] spoil it.
type Switchboard struct {
	// Discover lets nodes of the same mesh find each other, as mDNS would. Set
	// it before the first node.
	Discover bool

	mu     sync.Mutex // guards everything on the board, but not listeners
	faults *Faults
	nodes  map[job.PeerID]*Memory
}

// NewSwitchboard returns a board without nodes. It takes over the faults:
// change them by Spoil.
func NewSwitchboard(faults *Faults) *Switchboard {
	return &Switchboard{faults: faults, nodes: make(map[job.PeerID]*Memory)}
}

// Spoil changes the faults. A connection across a new partition is found dead
// after some seconds; what a healed one had separated finds together again.
func (b *Switchboard) Spoil(change func(*Faults)) {
	b.mu.Lock()
	defer b.mu.Unlock()
	change(b.faults)
	nodes := b.sorted()
	for i, m := range nodes {
		for _, other := range nodes[i+1:] {
			_, linked := m.peers[other.self]
			cut := b.faults.Cut(m.self, other.self)
			switch {
			case linked && cut:
				b.after(memoryDetect, func() {
					if b.faults.Cut(m.self, other.self) {
						b.unlink(m, other)
					}
				})
			case !linked && !cut && (b.Discover || m.known[other.self] || other.known[m.self]):
				b.linkSoon(m, other)
			}
		}
	}
}

// after calls f with the lock held.
func (b *Switchboard) after(delay time.Duration, f func()) {
	time.AfterFunc(delay, func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		f()
	})
}

func (b *Switchboard) sorted() []*Memory {
	nodes := make([]*Memory, 0, len(b.nodes))
	for _, m := range b.nodes {
		nodes = append(nodes, m)
	}
	slices.SortFunc(nodes, func(x, y *Memory) int { return strings.Compare(string(x.self), string(y.self)) })
	return nodes
}

// linkSoon links two nodes after the delay of a packet each way, if they can
// be linked then.
func (b *Switchboard) linkSoon(m, other *Memory) {
	there, _ := b.faults.Stream(m.self, other.self, 0)
	back, _ := b.faults.Stream(other.self, m.self, 0)
	b.after(there+back, func() {
		if m.started && other.started && m.mesh == other.mesh && !b.faults.Cut(m.self, other.self) && mutual(m, other) {
			b.link(m, other)
		}
	})
}

// link connects two nodes, and has each send the other its advert. It returns
// the link as m sees it.
func (b *Switchboard) link(m, other *Memory) *memoryPeer {
	if p, ok := m.peers[other.self]; ok && p.node == other {
		return p
	}
	if m.closed || other.closed {
		p := newMemoryPeer(other)
		close(p.gone)
		return p
	}
	m.known[other.self], other.known[m.self] = true, true
	here, there := newMemoryPeer(other), newMemoryPeer(m)
	m.peers[other.self], other.peers[m.self] = here, there
	b.sendAdvert(m, here)
	b.sendAdvert(other, there)
	return here
}

func newMemoryPeer(node *Memory) *memoryPeer {
	return &memoryPeer{node: node, gone: make(chan struct{}), ready: make(chan struct{})}
}

// unlink breaks the connection of two nodes. A node that has not closed will
// link again when it can.
func (b *Switchboard) unlink(m, other *Memory) {
	for _, side := range []struct{ of, lost *Memory }{{m, other}, {other, m}} {
		p, ok := side.of.peers[side.lost.self]
		if !ok || p.node != side.lost {
			continue
		}
		delete(side.of.peers, side.lost.self)
		close(p.gone)
		if p.joined && !side.of.closed {
			side.of.events.push(Event{Kind: Left, Peer: side.lost.self})
		}
	}
}

// send carries bytes over a link in the manner of a stream: late, but not
// lost. While the path is stuck it tries again.
func (b *Switchboard) send(from *Memory, to *memoryPeer, size int, deliver func()) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.sendLocked(from, to, size, deliver)
}

func (b *Switchboard) sendLocked(from *Memory, to *memoryPeer, size int, deliver func()) {
	if from.peers[to.node.self] != to {
		return // the link is gone, and what it carried
	}
	delay, ok := b.faults.Stream(from.self, to.node.self, size)
	if !ok {
		b.after(retransmit, func() { b.sendLocked(from, to, size, deliver) })
		return
	}
	b.after(delay, func() {
		if from.peers[to.node.self] == to {
			deliver()
		}
	})
}

// sendAdvert carries the advert of a node to a peer. Both have joined when
// each has the other's.
func (b *Switchboard) sendAdvert(from *Memory, to *memoryPeer) {
	advert, seq := from.advert, from.advertSeq
	b.sendLocked(from, to, len(advert), func() {
		back := to.node.peers[from.self] // the same link from the other side
		switch {
		case back.here && seq <= back.seq:
			return
		case back.joined:
			to.node.events.push(Event{Kind: Changed, Peer: from.self, Advert: advert})
		}
		back.here, back.seq, back.advert = true, seq, advert
		if to.here && !to.joined {
			from.join(to)
			to.node.join(back)
		}
	})
}

func (m *Memory) join(p *memoryPeer) {
	p.joined = true
	close(p.ready)
	m.events.push(Event{Kind: Joined, Peer: p.node.self, Advert: p.advert})
}

// idOf is the name of a node in libp2p's form.
func (b *Switchboard) idOf(name job.PeerID) peer.ID {
	b.mu.Lock()
	defer b.mu.Unlock()
	if m, ok := b.nodes[name]; ok {
		return m.id
	}
	return ""
}
