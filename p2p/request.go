// SPDX-License-Identifier: MIT

package p2p

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"

	"meshnode/job"
)

// A request is a frame on a stream of its own, the answer a frame back. A
// stream that is reset instead means that there is no answer.
const (
	answerTimeout   = 30 * time.Second // from the first byte of a request to the last of its answer
	readTimeout     = 5 * time.Second  // for the request itself, while it holds a slot
	maxRequestsTo   = 8                // requests to one peer at a time; more wait
	maxRequestsFrom = 16               // requests of one peer that are answered at a time; more are reset
	maxAnswers      = 64               // requests answered at a time; more wait
	sharedAnswers   = maxAnswers / 2   // beyond so many, one of each peer
)

// requests are the slots for answering. Those who ask much, and slowly, leave half of
// them to peers of whom nothing is being answered.
type requests struct {
	mu    sync.Mutex
	taken int
	of    map[peer.ID]int
	freed chan struct{} // closed and replaced when a slot is given back
}

func newRequests() *requests {
	return &requests{of: make(map[peer.ID]int), freed: make(chan struct{})}
}

// take waits for a slot; the caller gives it back.
func (r *requests) take(ctx context.Context, from peer.ID) error {
	for {
		r.mu.Lock()
		if r.taken < sharedAnswers || r.taken < maxAnswers && r.of[from] == 0 {
			r.taken++
			r.of[from]++
			r.mu.Unlock()
			return nil
		}
		freed := r.freed
		r.mu.Unlock()
		select {
		case <-freed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (r *requests) give(from peer.ID) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.taken--
	if r.of[from]--; r.of[from] == 0 {
		delete(r.of, from)
	}
	close(r.freed)
	r.freed = make(chan struct{})
}

// Answer sets what answers requests.
func (h *Host) Answer(handle func(ctx context.Context, from job.PeerID, data []byte) ([]byte, error)) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.answer = handle
}

// Request sends data to a peer and returns its answer.
func (h *Host) Request(ctx context.Context, to job.PeerID, data []byte) ([]byte, error) {
	if _, ok := ctx.Deadline(); !ok {
		return nil, errors.New("p2p: request: the context needs a deadline")
	}
	if len(data) > job.MaxMessage {
		return nil, fmt.Errorf("%w: request of %d bytes, at most %d allowed", ErrTooLarge, len(data), job.MaxMessage)
	}
	id, _, err := parsePeerID(to)
	if err != nil {
		return nil, err
	}
	if id == h.id {
		return nil, fmt.Errorf("%w: %s is this node", ErrUnreachable, to)
	}
	if h.ctx.Err() != nil {
		return nil, ErrClosed
	}
	if err := h.dial(ctx, id); err != nil {
		return nil, err
	}
	release, err := h.requestSlot(ctx, id)
	if err != nil {
		return nil, err
	}
	defer release()
	answer, err := h.exchange(ctx, id, data)
	switch {
	case err == nil:
		return answer, nil
	case ctx.Err() != nil:
		return nil, fmt.Errorf("p2p: request to %s: %w", to, ctx.Err())
	case h.ctx.Err() != nil:
		return nil, ErrClosed
	case !h.connected(id):
		return nil, fmt.Errorf("%w: request to %s: %v", ErrUnreachable, to, err)
	default:
		return nil, fmt.Errorf("p2p: request to %s: no answer: %w", to, err)
	}
}

func (h *Host) requestSlot(ctx context.Context, id peer.ID) (release func(), err error) {
	h.mu.Lock()
	m := h.ofConnectedLocked(id)
	h.mu.Unlock()
	if m == nil {
		return nil, fmt.Errorf("%w: %s closed the connection", ErrUnreachable, id)
	}
	select {
	case m.requests <- struct{}{}:
		return func() { <-m.requests }, nil
	case <-ctx.Done():
		return nil, fmt.Errorf("p2p: request to %s: %w", id, ctx.Err())
	case <-h.ctx.Done():
		return nil, ErrClosed
	}
}

func (h *Host) exchange(ctx context.Context, id peer.ID, data []byte) ([]byte, error) {
	s, err := h.libp2p.NewStream(network.WithNoDial(ctx, "request"), id, h.requestProtocol)
	if err != nil {
		return nil, h.streamError(id, err)
	}
	stop := context.AfterFunc(ctx, func() { s.Reset() })
	defer stop()
	if err := writeFrame(s, data); err != nil {
		s.Reset()
		return nil, err
	}
	if err := s.CloseWrite(); err != nil {
		s.Reset()
		return nil, err
	}
	answer, err := readFrame(s, job.MaxState)
	if err != nil {
		s.Reset()
		return nil, err
	}
	return answer, s.Close()
}

// receiveRequest is the other end of exchange.
func (h *Host) receiveRequest(s network.Stream) {
	if err := h.answerRequest(s); err != nil {
		s.Reset()
		return
	}
	s.Close()
}

func (h *Host) answerRequest(s network.Stream) error {
	ctx, cancel := context.WithTimeout(h.ctx, answerTimeout)
	defer cancel()
	if err := s.SetDeadline(time.Now().Add(answerTimeout)); err != nil {
		return err
	}
	from := s.Conn().RemotePeer()
	handle, done, err := h.admitRequest(from)
	if err != nil {
		return err
	}
	defer done()
	if err := h.conducts.waitToAsk(ctx, from); err != nil {
		return err
	}
	if err := h.requests.take(ctx, from); err != nil {
		return err
	}
	defer h.requests.give(from)
	_ = s.SetReadDeadline(time.Now().Add(readTimeout))
	data, err := readFrame(s, job.MaxMessage)
	if err != nil {
		return err
	}
	answer, err := handle(ctx, nameOf(from), data)
	if err != nil {
		return err
	}
	if len(answer) > job.MaxState {
		return fmt.Errorf("%w: answer of %d bytes, at most %d allowed", ErrTooLarge, len(answer), job.MaxState)
	}
	return writeFrame(s, answer)
}

// admitRequest counts a request of a peer; done takes it off again. It keeps
// Close waiting until the answer is done.
func (h *Host) admitRequest(from peer.ID) (handle func(context.Context, job.PeerID, []byte) ([]byte, error), done func(), err error) {
	if h.conducts.muted(from, time.Now()) {
		return nil, nil, errors.New("p2p: muted peer")
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	switch {
	case h.closed:
		return nil, nil, ErrClosed
	case h.answer == nil:
		return nil, nil, errors.New("p2p: nobody answers requests")
	case h.answering[from] >= maxRequestsFrom:
		return nil, nil, errors.New("p2p: too many requests at a time")
	}
	h.answering[from]++
	h.wg.Add(1)
	return h.answer, func() {
		h.mu.Lock()
		defer h.mu.Unlock()
		if h.answering[from]--; h.answering[from] == 0 {
			delete(h.answering, from)
		}
		h.wg.Done()
	}, nil
}
