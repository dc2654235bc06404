// SPDX-License-Identifier: MIT

package p2p

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/protocol"
	"github.com/multiformats/go-multistream"

	"meshnode/job"
)

// An advert travels on a stream of its own: a frame of the sender's session,
// the advert's number within it (eight bytes, big endian) and the advert; one
// byte back says that it is in force. A session is a run of the sender, named by
// the wall clock's nanosecond in which it began, which is also near the numbers of
// its gossip (see replay.go). A new one tells that the peer has restarted, however
// quickly.
const (
	sessionSize   = 8
	advertHead    = sessionSize + 8
	advertAck     = 1
	advertTimeout = 10 * time.Second
)

func newSession() (s [sessionSize]byte) {
	binary.BigEndian.PutUint64(s[:], uint64(time.Now().UnixNano()))
	return s
}

// Advertise sets what this node says of itself.
func (h *Host) Advertise(data []byte) error {
	if len(data) > job.MaxMessage {
		return fmt.Errorf("%w: advert of %d bytes, at most %d allowed", ErrTooLarge, len(data), job.MaxMessage)
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed {
		return ErrClosed
	}
	h.advert = slices.Clone(data)
	h.advertSeq++
	for _, m := range h.members {
		m.poke()
	}
	return nil
}

// pushAdvert sends our advert to a peer unless it has it, and wraps ErrMesh if
// the peer does not know of this mesh.
func (h *Host) pushAdvert(m *member) error {
	h.mu.Lock()
	want := pushed{seq: h.advertSeq, conns: m.conns}
	have := m.pushed
	frame := make([]byte, 0, advertHead+len(h.advert))
	frame = append(frame, h.session[:]...)
	frame = binary.BigEndian.AppendUint64(frame, h.advertSeq)
	frame = append(frame, h.advert...)
	h.mu.Unlock()
	if have == want {
		return nil
	}
	if err := h.sendAdvert(m, frame); err != nil {
		return err
	}
	h.mu.Lock()
	m.pushed = want
	h.mu.Unlock()
	return nil
}

func (h *Host) sendAdvert(m *member, frame []byte) error {
	ctx, cancel := context.WithTimeout(network.WithNoDial(h.ctx, "advert"), advertTimeout)
	defer cancel()
	s, err := h.libp2p.NewStream(ctx, m.id, h.advertProtocol)
	if err != nil {
		return h.streamError(m.id, err)
	}
	stop := context.AfterFunc(ctx, func() { s.Reset() })
	defer stop()
	defer s.Close()
	var ack [1]byte
	if err := writeFrame(s, frame); err != nil {
		s.Reset()
		return h.streamError(m.id, err)
	}
	if _, err := io.ReadFull(s, ack[:]); err != nil {
		s.Reset()
		return h.streamError(m.id, err)
	}
	return nil
}

// streamError tells a peer of another mesh from one that cannot be reached.
func (h *Host) streamError(id fmt.Stringer, err error) error {
	if errors.As(err, new(multistream.ErrNotSupported[protocol.ID])) {
		return fmt.Errorf("%w: %s", ErrMesh, id)
	}
	return fmt.Errorf("p2p: stream to %s: %w", id, err)
}

// receiveAdvert is the other end of sendAdvert.
func (h *Host) receiveAdvert(s network.Stream) {
	defer s.Close()
	id := s.Conn().RemotePeer()
	_ = s.SetDeadline(time.Now().Add(advertTimeout))
	if !h.conducts.mayAdvertise(id, time.Now()) {
		s.Reset()
		return
	}
	frame, err := readFrame(s, advertHead+job.MaxMessage)
	if err != nil || len(frame) < advertHead {
		s.Reset()
		return
	}
	h.mu.Lock()
	m := h.memberLocked(id)
	if m == nil {
		h.mu.Unlock()
		s.Reset()
		return
	}
	old := h.takeAdvertLocked(m, [sessionSize]byte(frame), binary.BigEndian.Uint64(frame[sessionSize:]), frame[advertHead:])
	m.poke()
	h.mu.Unlock()
	for _, c := range h.libp2p.Network().ConnsToPeer(id) {
		if c.Stat().Opened.Before(old) {
			_ = c.Close()
		}
	}
	if _, err := s.Write([]byte{advertAck}); err != nil {
		s.Reset()
	}
}

// takeAdvertLocked puts an advert in force, unless a later one is. If the peer
// has restarted, connections opened before the time returned lead nowhere; else
// the time is zero.
func (h *Host) takeAdvertLocked(m *member, session [sessionSize]byte, seq uint64, advert []byte) (old time.Time) {
	switch {
	case m.here && session != m.session:
		h.leaveLocked(m) // what it held is gone, and so is our advert there
		old = m.heard
		m.pushed, m.since = pushed{}, time.Now()
	case m.here && seq <= m.seq:
		m.heard = time.Now()
		return old
	case m.joined:
		h.events.push(Event{Kind: Changed, Peer: m.name, Advert: advert})
	}
	m.here, m.heard, m.session, m.seq, m.advert = true, time.Now(), session, seq, advert
	h.conducts.began(m.id, binary.BigEndian.Uint64(session[:]), m.heard)
	return old
}
