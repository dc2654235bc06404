// SPDX-License-Identifier: MIT

package p2p

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	ma "github.com/multiformats/go-multiaddr"

	"meshnode/job"
)

const (
	joinTimeout = 30 * time.Second // a connection that has not become a join by then is closed
	partTimeout = 5 * time.Second  // for the dial that decides whether a peer has left
	muteTimeout = 3 * time.Second  // a peer that has our advert, but that the topics do not reach for so long, is dialed anew
	retryPush   = time.Second      // after an advert did not get through
	farewell    = time.Second      // for a node of another mesh to find that out too
)

// member is a peer with a connection, or that had one a moment ago. A goroutine
// of its own attends to it; the host's lock guards the fields.
type member struct {
	id   peer.ID
	name job.PeerID
	wake chan struct{} // of attend; capacity 1

	conns     uint64    // connections so far: each gets our advert
	since     time.Time // of the first one, or of the last restart
	advert    []byte
	session   [sessionSize]byte
	seq       uint64
	here      bool      // its advert has come,
	heard     time.Time // and when one last did
	pushed    pushed
	unreached time.Time // since when the topics do not reach it, though all else is there; zero: they do
	joined    bool
	returned  time.Time     // when it was last lost, and dialed
	refused   time.Time     // since when it is known to be of another mesh; zero: it is not
	changed   chan struct{} // closed and replaced when joined changes, and when the member parts
	requests  chan struct{} // slots for requests to it
}

// pushed says which advert a peer has confirmed, and on which connection.
type pushed struct{ seq, conns uint64 }

// meet notes a new connection of a peer.
func (h *Host) meet(id peer.ID) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if m := h.memberLocked(id); m != nil {
		m.conns++
		m.poke()
		if !h.gate.admit.admits(m.name) {
			h.closeLocked(m) // it was on its way when Admit was called
		}
	}
}

// memberLocked returns the member, made if it is new; nil once the host closes.
func (h *Host) memberLocked(id peer.ID) *member {
	if h.closed {
		return nil
	}
	m, ok := h.members[id]
	if !ok {
		m = &member{
			id: id, name: nameOf(id), wake: make(chan struct{}, 1), since: time.Now(),
			changed: make(chan struct{}), requests: make(chan struct{}, maxRequestsTo),
		}
		h.members[id] = m
		h.wg.Go(func() { h.attend(m) })
	}
	return m
}

// ofConnectedLocked returns the member that a connected peer is, nil if it is none.
// libp2p has a connection for a moment before meet hears of it.
func (h *Host) ofConnectedLocked(id peer.ID) *member {
	if m, ok := h.members[id]; ok || !h.connected(id) {
		return m
	}
	return h.memberLocked(id)
}

// nudge has a peer's state looked at again.
func (h *Host) nudge(id peer.ID) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if m, ok := h.members[id]; ok {
		m.poke()
	}
}

func (m *member) poke() {
	select {
	case m.wake <- struct{}{}:
	default:
	}
}

// attend takes a peer from its first connection to its departure: it brings it
// our advert, lets it join when all is there, and lets it leave when the last
// connection is closed and one dial has failed.
func (h *Host) attend(m *member) {
	for h.ctx.Err() == nil {
		if !h.connected(m.id) {
			if h.mayReturn(m) && h.dialWithin(partTimeout, m.id) == nil {
				continue
			}
			if h.part(m) {
				return
			}
			continue
		}
		timer := time.NewTimer(h.tend(m))
		select {
		case <-m.wake:
		case <-timer.C:
		case <-h.ctx.Done():
		}
		timer.Stop()
	}
}

// tend does what is to be done now for a connected peer, and returns when to
// look again if nothing happens.
func (h *Host) tend(m *member) time.Duration {
	err := h.pushAdvert(m)
	h.mu.Lock()
	defer h.mu.Unlock()
	now := time.Now()
	reached := h.gossip.reaches(m.id)
	switch {
	case errors.Is(err, ErrMesh) && m.refused.IsZero():
		m.refused = now
		h.gate.refuse(m.id)
		m.announceLocked()
		return farewell
	case errors.Is(err, ErrMesh):
		if now.Sub(m.refused) >= farewell {
			h.closeLocked(m)
		}
		return farewell
	case !m.joined && m.here && reached && m.pushed.conns > 0:
		h.joinLocked(m)
		return time.Hour
	case !m.joined && now.Sub(m.since) >= joinTimeout:
		h.closeLocked(m)
		return joinTimeout
	case err != nil:
		return retryPush
	case !m.here:
		return joinTimeout - now.Sub(m.since)
	case reached: // and joined
		m.unreached = time.Time{}
		return time.Hour
	case m.unreached.IsZero():
		m.unreached = now
		return muteTimeout
	default:
		left := muteTimeout - now.Sub(m.unreached)
		if left <= 0 {
			// When one of several connections breaks, gossipsub may forget the topics
			// of the peer, and after some such breaks gives it up; a new connection
			// makes it begin anew.
			m.unreached = now
			h.closeLocked(m)
			return muteTimeout
		}
		return left
	}
}

func (h *Host) joinLocked(m *member) {
	m.joined, m.unreached = true, time.Time{}
	h.gate.pardon(m.id) // if it was of another mesh before
	m.announceLocked()
	addrs := h.addrsOf(m.id)
	h.book.met(m.id, addrs, time.Now())
	h.events.push(Event{Kind: Joined, Peer: m.name, Advert: m.advert})
	if !h.config.NoExchange {
		h.wg.Go(func() { h.askPeers(m.id) })
	}
}

// leaveLocked takes a join back.
func (h *Host) leaveLocked(m *member) {
	if !m.joined {
		return
	}
	m.joined = false
	m.announceLocked()
	h.book.saw(m.id, time.Now())
	h.events.push(Event{Kind: Left, Peer: m.name})
}

func (m *member) announceLocked() {
	close(m.changed)
	m.changed = make(chan struct{})
}

// closeLocked closes every connection of a peer; what comes next starts anew.
func (h *Host) closeLocked(m *member) {
	m.since = time.Now()
	h.wg.Go(func() { _ = h.libp2p.Network().ClosePeer(m.id) })
}

// mayReturn reports whether a lost peer gets its one dial before it has left.
// One that is lost again at once has left: the book's intervals apply.
func (h *Host) mayReturn(m *member) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	now := time.Now()
	if !m.joined || now.Sub(m.returned) < partTimeout {
		return false
	}
	m.returned = now
	return true
}

// part forgets a member that has no connection. It returns false when there is
// one again.
func (h *Host) part(m *member) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.connected(m.id) {
		return false
	}
	if !m.joined {
		h.book.dialed(m.id, false, time.Now())
	}
	if !m.refused.IsZero() {
		h.gate.refuse(m.id) // Connect may have pardoned it meanwhile
	}
	h.leaveLocked(m)
	h.conducts.ended(m.id)
	close(m.changed)
	delete(h.members, m.id)
	h.wakeKeep()
	return true
}

// waitJoined waits for a peer that was dialed to join.
func (h *Host) waitJoined(ctx context.Context, id peer.ID) error {
	for {
		h.mu.Lock()
		m := h.ofConnectedLocked(id)
		var joined, refused bool
		var changed chan struct{}
		if m != nil {
			joined, refused, changed = m.joined, !m.refused.IsZero(), m.changed
		}
		h.mu.Unlock()
		switch {
		case joined:
			return nil
		case refused || h.gate.refuses(id):
			return fmt.Errorf("%w: %s", ErrMesh, id)
		case m == nil:
			return fmt.Errorf("%w: %s closed the connection", ErrUnreachable, id)
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return fmt.Errorf("%w: %s did not join: %w", ErrUnreachable, id, ctx.Err())
		case <-h.ctx.Done():
			return ErrClosed
		}
	}
}

// alone reports whether nobody has joined.
func (h *Host) alone() bool { return len(h.joined()) == 0 }

// Peers returns the peers that have joined, in no order.
func (h *Host) Peers() []Peer {
	h.mu.Lock()
	defer h.mu.Unlock()
	var peers []Peer
	for _, m := range h.members {
		if m.joined {
			peers = append(peers, Peer{ID: m.name, Addrs: fullAddrs(m.id, h.addrsOf(m.id)), Advert: slices.Clone(m.advert)})
		}
	}
	return peers
}

// addrsOf returns the addresses of a connected peer: the one in use first, then
// what it says of itself, as far as that can be dialed.
func (h *Host) addrsOf(id peer.ID) []ma.Multiaddr {
	said := dialable(h.libp2p.Peerstore().Addrs(id))
	for _, c := range h.libp2p.Network().ConnsToPeer(id) {
		remote, _ := ipPort(c.RemoteMultiaddr())
		if c.Stat().Direction == network.DirOutbound {
			return mergeAddrs(dialable([]ma.Multiaddr{c.RemoteMultiaddr()}), said)
		}
		// The port of an inbound connection is not the one that listens.
		if i := slices.IndexFunc(said, func(a ma.Multiaddr) bool { ip, _ := ipPort(a); return ip == remote }); i > 0 {
			said[0], said[i] = said[i], said[0]
		}
	}
	return said
}
