// SPDX-License-Identifier: MIT

package blockstore

import (
	"context"
	"time"

	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"
)

const (
	unreadTime = 10 * time.Second // for who reads to take the next piece
	piece      = 64 << 10         // bytes
)

// outbound is a host whose streams end when what is written to them is not read:
// boxo gives a message of 1 MiB 86 s in all.
type outbound struct {
	host.Host
	ctx context.Context // ends the writing
}

// NewStream opens a stream for one who writes.
func (o outbound) NewStream(ctx context.Context, p peer.ID, ids ...protocol.ID) (network.Stream, error) {
	s, err := o.Host.NewStream(ctx, p, ids...)
	if err != nil {
		return nil, err
	}
	return &written{Stream: s, ctx: o.ctx}, nil
}

// written is a stream of an outbound.
type written struct {
	network.Stream
	ctx      context.Context
	deadline time.Time // for all of it; zero: none
}

func (w *written) SetWriteDeadline(t time.Time) error {
	w.deadline = t
	return w.Stream.SetWriteDeadline(t)
}

func (w *written) Write(p []byte) (n int, err error) {
	stop := context.AfterFunc(w.ctx, func() { _ = w.Reset() })
	defer stop()
	for n < len(p) {
		if err := w.Stream.SetWriteDeadline(givenUp(unreadTime, w.deadline)); err != nil {
			return n, err
		}
		m, err := w.Stream.Write(p[n:min(n+piece, len(p))])
		n += m
		if err != nil {
			return n, err
		}
	}
	return n, nil
}

// givenUp returns when a stream that stands still is given up: after idle, or when its
// end is due, if it has one (zero: none).
func givenUp(idle time.Duration, end time.Time) time.Time {
	at := time.Now().Add(idle)
	if !end.IsZero() && end.Before(at) {
		return end
	}
	return at
}
