// SPDX-License-Identifier: MIT

package p2p

import (
	"cmp"
	"context"
	"fmt"
	"net/netip"
	"path/filepath"
	"slices"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/peerstore"
	"github.com/libp2p/go-libp2p/p2p/net/swarm"
	ma "github.com/multiformats/go-multiaddr"
)

var (
	anyIPv4 = netip.IPv4Unspecified()
	anyIPv6 = netip.IPv6Unspecified()
)

// dialStagger is the head start of each address over the next.
const dialStagger = 100 * time.Millisecond

// rankDials has the addresses of a peer tried one after another, those of our
// own subnets first; libp2p goes on at once when one fails. Dialing all at once
// would end in several connections on the other side, of which all but one
// break in the middle of the join: gossipsub then forgets the peer's topics.
func rankDials(addrs []ma.Multiaddr) []network.AddrDelay {
	interfaces := netInterfaces()
	distance := func(a ma.Multiaddr) int {
		ip, _ := ipPort(a)
		for _, n := range interfaces {
			if slices.ContainsFunc(n.prefixes, func(own netip.Prefix) bool { return own.Contains(ip) }) {
				return 0
			}
		}
		return 1
	}
	ranked := slices.Clone(addrs)
	slices.SortFunc(ranked, func(x, y ma.Multiaddr) int {
		xIP, _ := ipPort(x)
		yIP, _ := ipPort(y)
		return cmp.Or(distance(x)-distance(y), xIP.Compare(yIP))
	})
	delays := make([]network.AddrDelay, len(ranked))
	for i, a := range ranked {
		delays[i] = network.AddrDelay{Addr: a, Delay: time.Duration(i) * dialStagger}
	}
	return delays
}

// dial connects to a known peer. It wraps ErrUnreachable, unless ctx ended.
func (h *Host) dial(ctx context.Context, id peer.ID) error {
	if h.connected(id) {
		return nil
	}
	if h.gate.refuses(id) {
		return fmt.Errorf("%w: %s", ErrMesh, id)
	}
	if !h.gate.admit.admits(nameOf(id)) {
		return fmt.Errorf("%w: %s is not admitted here", ErrUnreachable, id)
	}
	h.mu.Lock()
	addrs := h.book.addrs(id)
	h.mu.Unlock()
	// What the peer said of itself may be newer, but does not choose how many
	// addresses are dialed.
	store := h.libp2p.Peerstore()
	addrs = mergeAddrs(addrs, dialable(store.Addrs(id)))
	if len(addrs) == 0 {
		return fmt.Errorf("%w: %s: no address is known", ErrUnreachable, id)
	}
	store.ClearAddrs(id)
	store.AddAddrs(id, addrs, peerstore.RecentlyConnectedAddrTTL)
	if s, ok := h.libp2p.Network().(*swarm.Swarm); ok {
		s.Backoff().Clear(id) // the book has its own, and knows when things have changed
	}
	dialing, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	if _, err := h.libp2p.Network().DialPeer(dialing, id); err != nil {
		if ctx.Err() != nil {
			return fmt.Errorf("p2p: dial %s: %w", id, ctx.Err())
		}
		return fmt.Errorf("%w: dial %s: %v", ErrUnreachable, id, err)
	}
	return nil
}

func (h *Host) dialWithin(timeout time.Duration, id peer.ID) error {
	ctx, cancel := context.WithTimeout(h.ctx, timeout)
	defer cancel()
	return h.dial(ctx, id)
}

func (h *Host) connected(id peer.ID) bool {
	return h.libp2p.Network().Connectedness(id) == network.Connected
}

// keep dials the peers that are known and not there, and saves what is known,
// until the host closes.
func (h *Host) keep() {
	slots := make(chan struct{}, maxDials)
	save := time.NewTicker(saveInterval)
	defer save.Stop()
	for {
		h.mu.Lock()
		ids, next := h.book.due(time.Now(), h.connected)
		h.mu.Unlock()
		for _, id := range ids {
			select {
			case slots <- struct{}{}:
			case <-h.ctx.Done():
				return
			}
			h.wg.Go(func() {
				defer func() { <-slots }()
				err := h.dial(h.ctx, id)
				h.mu.Lock()
				h.book.dialed(id, err == nil, time.Now())
				h.mu.Unlock()
				if err != nil {
					h.wakeKeep() // to learn when to try again
				}
			})
		}
		timer := time.NewTimer(time.Until(next))
		select {
		case <-h.wake:
		case <-timer.C:
		case <-save.C:
			_ = h.saveBook() // tried again while it is dirty, and at last by Close, which tells
		case <-h.ctx.Done():
			timer.Stop()
			return
		}
		timer.Stop()
	}
}

func (h *Host) wakeKeep() {
	select {
	case h.wake <- struct{}{}:
	default:
	}
}

// found takes what mDNS heard.
func (h *Host) found(info peer.AddrInfo) {
	if _, err := ed25519Key(info.ID); err != nil || h.gate.refuses(info.ID) || !h.gate.admit.admits(nameOf(info.ID)) {
		return
	}
	h.mu.Lock()
	h.book.heard(info.ID, info.Addrs, time.Now())
	h.mu.Unlock()
	h.wakeKeep()
}

// hurry dials everybody who is not there, now.
func (h *Host) hurry() {
	h.mu.Lock()
	h.book.hurry(time.Now())
	h.mu.Unlock()
	h.wakeKeep()
}

// saveBook writes the known peers if they have changed. One goroutine calls it
// at a time.
func (h *Host) saveBook() error {
	h.mu.Lock()
	if h.config.Dir == "" || !h.book.dirty {
		h.mu.Unlock()
		return nil
	}
	data, err := h.book.encode(h.service(), h.port)
	h.book.dirty = false
	h.mu.Unlock()
	if err == nil {
		err = writeFile(filepath.Join(h.config.Dir, bookFile), data)
	}
	if err != nil {
		h.mu.Lock()
		h.book.dirty = true
		h.mu.Unlock()
		return fmt.Errorf("p2p: save the known peers: %w", err)
	}
	return nil
}
