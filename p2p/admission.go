// SPDX-License-Identifier: MIT

package p2p

import (
	"sync/atomic"

	"meshnode/job"
)

// admission says who may be a peer; at first everybody.
type admission struct {
	by atomic.Pointer[func(job.PeerID) bool]
}

func (a *admission) set(admit func(job.PeerID) bool) {
	if admit == nil {
		a.by.Store(nil)
		return
	}
	a.by.Store(&admit)
}

func (a *admission) admits(name job.PeerID) bool {
	admit := a.by.Load()
	return admit == nil || (*admit)(name)
}

// Admit sets who may be a peer.
func (h *Host) Admit(admit func(job.PeerID) bool) {
	h.gate.admit.set(admit)
	for _, id := range h.libp2p.Network().Peers() {
		if !h.gate.admit.admits(nameOf(id)) {
			_ = h.libp2p.Network().ClosePeer(id)
		}
	}
	h.hurry() // who was refused may be a peer now
}

// Admit sets who may be a peer.
func (m *Memory) Admit(admit func(job.PeerID) bool) {
	b := m.board
	b.mu.Lock()
	defer b.mu.Unlock()
	m.admit.set(admit)
	for _, p := range m.sortedPeers() {
		if !mutual(m, p.node) {
			b.unlink(m, p.node)
		}
	}
	for _, other := range b.sorted() {
		if _, linked := m.peers[other.self]; other != m && !linked && (b.Discover || m.known[other.self] || other.known[m.self]) {
			b.linkSoon(m, other)
		}
	}
}

// mutual reports whether two nodes admit each other.
func mutual(m, other *Memory) bool {
	return m.admit.admits(other.self) && other.admit.admits(m.self)
}
