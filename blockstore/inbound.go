// SPDX-License-Identifier: MIT

package blockstore

import (
	"context"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"
)

// Limits on messages that peers send. boxo allocates what a message announces, up
// to 4 MiB, takes as many at a time as there are streams, and waits for their bytes
// without end. A peer of ours sends at most eight at a time, each on a stream of
// its own. What a message may have in it is for the [scanner] to say.
const (
	maxReading     = 32               // messages read at a time
	maxReadingMore = 16               // of them, of peers of which another one is read
	maxReadingFrom = 8                // and of one peer; more wait
	maxInbound     = 32               // streams of one peer that are read or wait; more are reset
	inboundTime    = 30 * time.Second // for a stream, from its first byte to its last
	silentTime     = 10 * time.Second // for its next bytes to come
)

// inbound is a host that reads the streams of others within those limits.
type inbound struct {
	host.Host
	ctx     context.Context // ends the waiting
	reading chan struct{}   // slots of maxReading
	more    chan struct{}   // of maxReadingMore

	mu   sync.Mutex // guards from
	from map[peer.ID]*sender
}

// sender is a peer with streams.
type sender struct {
	streams int
	reading chan struct{} // slots of maxReadingFrom
	first   chan struct{} // of one: each peer has it
}

func newInbound(ctx context.Context, h host.Host) *inbound {
	return &inbound{Host: h, ctx: ctx, reading: make(chan struct{}, maxReading), more: make(chan struct{}, maxReadingMore), from: make(map[peer.ID]*sender)}
}

// SetStreamHandler wraps what reads streams of a protocol.
func (i *inbound) SetStreamHandler(id protocol.ID, handle network.StreamHandler) {
	i.Host.SetStreamHandler(id, func(s network.Stream) {
		p := s.Conn().RemotePeer()
		from := i.enter(p)
		if from == nil {
			_ = s.Reset()
			return
		}
		defer i.leave(p)
		deadline := time.NewTimer(inboundTime)
		defer deadline.Stop()
		// In this order: a peer waits for itself first.
		for _, slots := range [][2]chan struct{}{{from.reading}, {from.first, i.more}, {i.reading}} {
			select {
			case slots[0] <- struct{}{}:
				defer func() { <-slots[0] }()
			case slots[1] <- struct{}{}:
				defer func() { <-slots[1] }()
			case <-deadline.C:
				_ = s.Reset()
				return
			case <-i.ctx.Done():
				_ = s.Reset()
				return
			}
		}
		handle(&scanned{Stream: &timed{s, time.Now().Add(inboundTime)}})
	})
}

// timed is a stream that is read until its end is due, or it has been silent for too long.
type timed struct {
	network.Stream
	end time.Time
}

func (t *timed) Read(p []byte) (int, error) {
	if err := t.SetReadDeadline(givenUp(silentTime, t.end)); err != nil {
		return 0, err
	}
	return t.Stream.Read(p)
}

// enter counts a stream of a peer; nil: there are too many.
func (i *inbound) enter(p peer.ID) *sender {
	i.mu.Lock()
	defer i.mu.Unlock()
	s, ok := i.from[p]
	if !ok {
		s = &sender{reading: make(chan struct{}, maxReadingFrom), first: make(chan struct{}, 1)}
		i.from[p] = s
	}
	if s.streams >= maxInbound {
		return nil
	}
	s.streams++
	return s
}

func (i *inbound) leave(p peer.ID) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if s := i.from[p]; s.streams > 1 {
		s.streams--
	} else {
		delete(i.from, p)
	}
}
