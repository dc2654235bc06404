// SPDX-License-Identifier: MIT

package p2p

import (
	"context"
	"io"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	ma "github.com/multiformats/go-multiaddr"

	"meshnode/job"
)

// Peers tell each other who else is there: where mDNS loses packets or is not
// let through, one known peer is enough to find all. The one who asks opens a
// stream and closes its side; the answer is a frame of full addresses, one a
// line. Like those of mDNS they are hints, the dial proves who is there.
const (
	exchangeInterval = 30 * time.Second // between questions to a peer picked at random
	exchangeTimeout  = 10 * time.Second
	maxExchanged     = 256 // peers of an answer
	maxExchangedEach = 4   // addresses of each
)

// explore asks one peer after another until the host closes.
func (h *Host) explore() {
	ticker := time.NewTicker(exchangeInterval)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
			if peers := h.joined(); len(peers) > 0 {
				h.askPeers(peers[rand.IntN(len(peers))])
			}
		case <-h.ctx.Done():
			return
		}
	}
}

// joined returns the peers that have joined.
func (h *Host) joined() (ids []peer.ID) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for id, m := range h.members {
		if m.joined {
			ids = append(ids, id)
		}
	}
	return ids
}

// askPeers asks a peer for others, and notes them. Without an answer nothing
// is lost: others are asked in time.
func (h *Host) askPeers(id peer.ID) {
	ctx, cancel := context.WithTimeout(network.WithNoDial(h.ctx, "peers"), exchangeTimeout)
	defer cancel()
	s, err := h.libp2p.NewStream(ctx, id, h.peersProtocol)
	if err != nil {
		return
	}
	stop := context.AfterFunc(ctx, func() { s.Reset() })
	defer stop()
	defer s.Close()
	if s.CloseWrite() != nil {
		return
	}
	answer, err := readFrame(s, job.MaxMessage)
	if err != nil {
		s.Reset()
		return
	}
	for _, info := range parsePeers(string(answer)) {
		if !h.connected(info.ID) {
			h.found(info)
		}
	}
}

// parsePeers reads an answer as far as it makes sense.
func parsePeers(answer string) []peer.AddrInfo {
	var addrs []ma.Multiaddr
	for line := range strings.SplitSeq(answer, "\n") {
		if len(addrs) == maxExchanged*maxExchangedEach {
			break
		}
		if a, err := ma.NewMultiaddr(line); err == nil {
			addrs = append(addrs, a)
		}
	}
	infos, err := peer.AddrInfosFromP2pAddrs(addrs...)
	if err != nil {
		return nil
	}
	return infos[:min(len(infos), maxExchanged)]
}

// tellPeers is the other end of askPeers.
func (h *Host) tellPeers(s network.Stream) {
	defer s.Close()
	from := s.Conn().RemotePeer()
	_ = s.SetDeadline(time.Now().Add(exchangeTimeout))
	if !h.conducts.mayAdvertise(from, time.Now()) {
		s.Reset()
		return
	}
	if n, err := io.Copy(io.Discard, io.LimitReader(s, 1)); n > 0 || err != nil {
		s.Reset()
		return
	}
	var lines []string
	size := 0
	for _, id := range h.joined() { // in no order: where not all fit, chance decides
		if id == from {
			continue
		}
		addrs := h.addrsOf(id)
		for _, full := range fullAddrs(id, addrs[:min(len(addrs), maxExchangedEach)]) {
			if size += len(full) + 1; size > job.MaxMessage {
				break
			}
			lines = append(lines, full)
		}
	}
	if writeFrame(s, []byte(strings.Join(lines, "\n"))) != nil {
		s.Reset()
	}
}
