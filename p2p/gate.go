// SPDX-License-Identifier: MIT

package p2p

import (
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/control"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	ma "github.com/multiformats/go-multiaddr"
)

const (
	refusal    = 10 * time.Minute // how long a node of another mesh is not talked to
	maxRefused = 1024
)

// gate decides who may connect: any peer with an Ed25519 key that is admitted. A
// peer that was found to be of another mesh is not dialed for a while, but may
// dial, to find out the same.
type gate struct {
	admit admission

	mu      sync.Mutex
	refused map[peer.ID]time.Time // until when
}

func newGate() *gate { return &gate{refused: make(map[peer.ID]time.Time)} }

func (g *gate) refuse(id peer.ID) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if len(g.refused) >= maxRefused {
		clear(g.refused)
	}
	g.refused[id] = time.Now().Add(refusal)
}

func (g *gate) pardon(id peer.ID) {
	g.mu.Lock()
	defer g.mu.Unlock()
	delete(g.refused, id)
}

func (g *gate) refuses(id peer.ID) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	until, ok := g.refused[id]
	if ok && time.Now().After(until) {
		delete(g.refused, id)
		ok = false
	}
	return ok
}

func (g *gate) InterceptPeerDial(id peer.ID) bool {
	return !g.refuses(id) && g.admit.admits(nameOf(id))
}

func (g *gate) InterceptAddrDial(peer.ID, ma.Multiaddr) bool { return true }

func (g *gate) InterceptAccept(network.ConnMultiaddrs) bool { return true }

func (g *gate) InterceptSecured(_ network.Direction, id peer.ID, _ network.ConnMultiaddrs) bool {
	_, err := ed25519Key(id)
	return err == nil && g.admit.admits(nameOf(id))
}

func (g *gate) InterceptUpgraded(network.Conn) (bool, control.DisconnectReason) { return true, 0 }
