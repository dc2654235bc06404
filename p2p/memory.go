// SPDX-License-Identifier: MIT

package p2p

import (
	"context"
	"crypto/ed25519"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/peer"

	"meshnode/job"
)

// Timers and limits of a memory network that a [Host] leaves to libp2p.
const (
	memoryDetect = 5 * time.Second // until a cut connection is found to be dead
	memoryQueue  = 256             // messages of a topic that wait for the listener; more are lost
	memorySeen   = 4096            // messages remembered so as not to hear them again
	memoryAddr   = "/memory/0/p2p/"
)

// Memory is a [Network] within one process, over a [Switchboard]. It uses
// timers and no other clock, so it works in a synctest bubble. Its identities
// and signatures are real Ed25519.
type Memory struct {
	*identity
	board *Switchboard
	mesh  string
	id    peer.ID
	admit admission

	topics   map[Topic]*memoryTopic
	events   *eventQueue
	conducts *conducts
	slots    *requests

	ctx  context.Context // ends with Close
	stop context.CancelFunc
	wg   sync.WaitGroup

	// The lock of the board guards the rest.
	started, closed bool
	peers           map[job.PeerID]*memoryPeer
	known           map[job.PeerID]bool // once met: linked again when possible
	advert          []byte
	advertSeq       uint64
	published       uint64
	seen            map[messageID]job.PeerID // who brought it first
	seenOrder       []messageID
	answer          func(ctx context.Context, from job.PeerID, data []byte) ([]byte, error)
}

// memoryPeer is what a node knows of a peer that it is linked to.
type memoryPeer struct {
	node   *Memory
	advert []byte
	seq    uint64
	here   bool // its advert has come
	joined bool
	gone   chan struct{} // closed when the link is
	ready  chan struct{} // closed when it has joined
}

type memoryTopic struct {
	queue chan memoryMessage

	mu     sync.Mutex
	listen func(from job.PeerID, data []byte) Verdict
}

type messageID struct {
	author job.PeerID
	number uint64
}

type memoryMessage struct {
	id    messageID
	topic Topic
	data  []byte
	via   job.PeerID // who passed it on
	again bool       // a copy that the network made: heard, but not passed on
}

var _ Network = (*Memory)(nil)

// NewMemory adds a node to the board, to be started by Start. The seed gives
// its identity; a closed node of the same seed is replaced, as by a restart.
func (b *Switchboard) NewMemory(mesh string, seed uint64) (*Memory, error) {
	if err := CheckMesh(mesh); err != nil {
		return nil, err
	}
	material := make([]byte, ed25519.SeedSize)
	binary.BigEndian.PutUint64(material, seed)
	key, err := crypto.UnmarshalEd25519PrivateKey(ed25519.NewKeyFromSeed(material))
	if err != nil {
		return nil, fmt.Errorf("p2p: memory identity: %w", err)
	}
	identity, err := newIdentity(key)
	if err != nil {
		return nil, err
	}
	id, _, err := parsePeerID(identity.self)
	if err != nil {
		return nil, err
	}
	m := &Memory{
		identity: identity, board: b, mesh: mesh, id: id,
		topics: make(map[Topic]*memoryTopic), events: newEventQueue(), conducts: newConducts(), slots: newRequests(),
		peers: make(map[job.PeerID]*memoryPeer), known: make(map[job.PeerID]bool), seen: make(map[messageID]job.PeerID),
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if old, ok := b.nodes[m.self]; ok && !old.closed {
		return nil, fmt.Errorf("p2p: node %s is on the board already", m.self)
	}
	b.nodes[m.self] = m
	m.ctx, m.stop = context.WithCancel(context.Background())
	m.wg.Go(func() { m.events.pump(m.ctx.Done()) })
	for _, name := range []Topic{Offers, Work} {
		t := &memoryTopic{queue: make(chan memoryMessage, memoryQueue)}
		m.topics[name] = t
		m.wg.Go(func() { m.hear(t) })
	}
	return m, nil
}

// Start lets others connect, and finds them if the board discovers.
func (m *Memory) Start() error {
	b := m.board
	b.mu.Lock()
	defer b.mu.Unlock()
	if m.closed {
		return ErrClosed
	}
	if m.started {
		return errors.New("p2p: start: already started")
	}
	m.started = true
	for _, other := range b.sorted() {
		if other != m && (b.Discover || m.known[other.self] || other.known[m.self]) {
			b.linkSoon(m, other)
		}
	}
	return nil
}

// Close leaves the mesh. Do not call it from a listener.
func (m *Memory) Close() error {
	b := m.board
	b.mu.Lock()
	if m.closed {
		b.mu.Unlock()
		return nil
	}
	m.closed = true
	for _, p := range m.peers {
		b.unlink(m, p.node)
	}
	b.mu.Unlock()
	m.stop()
	m.wg.Wait()
	return nil
}

// Publish gossips data to the mesh.
func (m *Memory) Publish(ctx context.Context, topic Topic, data []byte) error {
	if len(data) > job.MaxMessage {
		return fmt.Errorf("%w: message of %d bytes, at most %d allowed", ErrTooLarge, len(data), job.MaxMessage)
	}
	if _, ok := m.topics[topic]; !ok {
		return fmt.Errorf("p2p: publish: no topic %q", topic)
	}
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("p2p: publish to %s: %w", topic, err)
	}
	m.board.mu.Lock()
	defer m.board.mu.Unlock()
	if m.closed {
		return ErrClosed
	}
	m.published++
	msg := memoryMessage{id: messageID{m.self, m.published}, topic: topic, data: slices.Clone(data), via: m.self}
	m.saw(msg.id, m.self)
	m.spread(msg)
	return nil
}

// spread sends a message to every linked peer but the one it came from. The
// caller holds the lock of the board.
func (m *Memory) spread(msg memoryMessage) {
	b, from := m.board, msg.via
	msg.via = m.self
	for _, p := range m.sortedPeers() {
		if p.node.self == from || p.node.self == msg.id.author {
			continue
		}
		for _, delay := range b.faults.Deliveries(m.self, p.node.self, len(msg.data)) {
			b.after(delay, func() { p.node.arrive(msg) })
		}
	}
}

// arrive queues a message for the listener. The caller holds the lock of the
// board.
func (m *Memory) arrive(msg memoryMessage) {
	if m.closed {
		return
	}
	msg.again = !m.saw(msg.id, msg.via)
	if msg.again && m.seen[msg.id] != msg.via {
		return // it has come another way
	}
	select {
	case m.topics[msg.topic].queue <- msg:
	default: // as gossipsub does when its queue is full
	}
}

// saw notes a message and who brought it, and reports whether it is new.
func (m *Memory) saw(id messageID, via job.PeerID) bool {
	if _, ok := m.seen[id]; ok {
		return false
	}
	if len(m.seenOrder) == memorySeen {
		delete(m.seen, m.seenOrder[0])
		m.seenOrder = m.seenOrder[1:]
	}
	m.seen[id] = via
	m.seenOrder = append(m.seenOrder, id)
	return true
}

// hear runs the listener of a topic until the node closes.
func (m *Memory) hear(t *memoryTopic) {
	for {
		select {
		case msg := <-t.queue:
			if m.ctx.Err() == nil && m.judge(t, msg) == Accept && !msg.again {
				m.board.mu.Lock()
				if !m.closed {
					m.spread(msg)
				}
				m.board.mu.Unlock()
			}
		case <-m.ctx.Done():
			return
		}
	}
}

func (m *Memory) judge(t *memoryTopic, msg memoryMessage) Verdict {
	author, now := m.board.idOf(msg.id.author), time.Now()
	if !m.admit.admits(msg.id.author) || !m.conducts.mayPublish(author, now) {
		return Ignore
	}
	t.mu.Lock()
	listen := t.listen
	t.mu.Unlock()
	if listen == nil {
		return Accept
	}
	verdict := listen(msg.id.author, slices.Clone(msg.data))
	if verdict == Reject {
		m.conducts.fault(author, now)
	}
	return verdict
}

// Listen sets what hears a topic; each topic has one listener.
func (m *Memory) Listen(topic Topic, handle func(from job.PeerID, data []byte) Verdict) error {
	if m.ctx.Err() != nil {
		return ErrClosed
	}
	t, ok := m.topics[topic]
	if !ok {
		return fmt.Errorf("p2p: listen: no topic %q", topic)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.listen != nil {
		return fmt.Errorf("p2p: listen: topic %q has its listener", topic)
	}
	t.listen = handle
	return nil
}

// Answer sets what answers requests.
func (m *Memory) Answer(handle func(ctx context.Context, from job.PeerID, data []byte) ([]byte, error)) {
	m.board.mu.Lock()
	defer m.board.mu.Unlock()
	m.answer = handle
}

// Request sends data to a peer and returns its answer.
func (m *Memory) Request(ctx context.Context, to job.PeerID, data []byte) ([]byte, error) {
	if _, ok := ctx.Deadline(); !ok {
		return nil, errors.New("p2p: request: the context needs a deadline")
	}
	if len(data) > job.MaxMessage {
		return nil, fmt.Errorf("%w: request of %d bytes, at most %d allowed", ErrTooLarge, len(data), job.MaxMessage)
	}
	if _, _, err := parsePeerID(to); err != nil {
		return nil, err
	}
	p, err := m.reach(ctx, to)
	if err != nil {
		return nil, err
	}
	replies := make(chan memoryReply, 1)
	data = slices.Clone(data)
	m.board.send(m, p, len(data), func() { p.node.answerRequest(m, data, replies) })
	select {
	case r := <-replies:
		if r.err != nil {
			return nil, fmt.Errorf("p2p: request to %s: no answer: %w", to, r.err)
		}
		return r.data, nil
	case <-p.gone:
		return nil, fmt.Errorf("%w: request to %s: the connection broke", ErrUnreachable, to)
	case <-ctx.Done():
		return nil, fmt.Errorf("p2p: request to %s: %w", to, ctx.Err())
	case <-m.ctx.Done():
		return nil, ErrClosed
	}
}

type memoryReply struct {
	data []byte
	err  error
}

// reach returns a linked peer, linked now if it is known and there.
func (m *Memory) reach(ctx context.Context, to job.PeerID) (*memoryPeer, error) {
	b := m.board
	b.mu.Lock()
	p, ok := m.peers[to]
	known, closed := m.known[to] || b.Discover, m.closed
	b.mu.Unlock()
	switch {
	case ok:
		return p, nil
	case closed:
		return nil, ErrClosed
	case !known || to == m.self:
		return nil, fmt.Errorf("%w: %s: no address is known", ErrUnreachable, to)
	default:
		return m.dial(ctx, to)
	}
}

// answerRequest answers in a goroutine of its own. The caller holds the lock
// of the board.
func (m *Memory) answerRequest(from *Memory, data []byte, replies chan<- memoryReply) {
	handle := m.answer
	if m.closed {
		return
	}
	m.wg.Go(func() {
		ctx, cancel := context.WithTimeout(m.ctx, answerTimeout)
		defer cancel()
		reply := memoryReply{err: errors.New("p2p: stream reset")}
		if m.conducts.waitToAsk(ctx, from.id) != nil || m.slots.take(ctx, from.id) != nil {
			return
		}
		defer m.slots.give(from.id)
		if handle != nil && !m.conducts.muted(from.id, time.Now()) {
			// Why there is no answer is not told.
			if answer, err := handle(ctx, from.self, data); err == nil && len(answer) <= job.MaxState {
				reply = memoryReply{data: slices.Clone(answer)}
			}
		}
		b := m.board
		b.mu.Lock()
		p, ok := m.peers[from.self]
		b.mu.Unlock()
		if ok {
			b.send(m, p, len(reply.data), func() { replies <- reply })
		}
	})
}

// Advertise sets what this node says of itself.
func (m *Memory) Advertise(data []byte) error {
	if len(data) > job.MaxMessage {
		return fmt.Errorf("%w: advert of %d bytes, at most %d allowed", ErrTooLarge, len(data), job.MaxMessage)
	}
	b := m.board
	b.mu.Lock()
	defer b.mu.Unlock()
	if m.closed {
		return ErrClosed
	}
	m.advert = slices.Clone(data)
	m.advertSeq++
	for _, p := range m.sortedPeers() {
		b.sendAdvert(m, p)
	}
	return nil
}

// Events returns joins, adverts and departures.
func (m *Memory) Events() <-chan Event { return m.events.out }

// Peers returns the peers that have joined, in no order.
func (m *Memory) Peers() []Peer {
	m.board.mu.Lock()
	defer m.board.mu.Unlock()
	var peers []Peer
	for id, p := range m.peers {
		if p.joined {
			peers = append(peers, Peer{ID: id, Addrs: []string{memoryAddr + string(id)}, Advert: slices.Clone(p.advert)})
		}
	}
	return peers
}

// Addrs returns the address at which this node can be dialed.
func (m *Memory) Addrs() []string { return []string{memoryAddr + string(m.self)} }

// Connect dials a peer and returns when it has joined, as [Host.Connect] does.
func (m *Memory) Connect(ctx context.Context, addr string) error {
	to, ok := strings.CutPrefix(addr, memoryAddr)
	if !ok || job.PeerID(to) == m.self {
		return fmt.Errorf("p2p: %q is not the address of another node: give %s…", addr, memoryAddr)
	}
	if _, _, err := parsePeerID(job.PeerID(to)); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, joinTimeout)
	defer cancel()
	m.board.mu.Lock()
	m.known[job.PeerID(to)] = true
	m.board.mu.Unlock()
	p, err := m.dial(ctx, job.PeerID(to))
	if err != nil {
		return err
	}
	select {
	case <-p.ready:
		return nil
	case <-p.gone:
		return fmt.Errorf("%w: %s closed the connection", ErrUnreachable, to)
	case <-ctx.Done():
		return fmt.Errorf("%w: %s did not join: %w", ErrUnreachable, to, ctx.Err())
	case <-m.ctx.Done():
		return ErrClosed
	}
}

// dial links to a peer. One that is behind a partition takes as long to fail
// as a dial does.
func (m *Memory) dial(ctx context.Context, to job.PeerID) (*memoryPeer, error) {
	b := m.board
	b.mu.Lock()
	other, ok := b.nodes[to]
	cut := b.faults.Cut(m.self, to)
	switch {
	case m.closed:
		b.mu.Unlock()
		return nil, ErrClosed
	case ok && !cut && other.mesh != m.mesh:
		b.mu.Unlock()
		return nil, fmt.Errorf("%w: %s", ErrMesh, to)
	case ok && !cut && other.started && !other.closed && mutual(m, other):
		p := b.link(m, other)
		b.mu.Unlock()
		return p, nil
	}
	b.mu.Unlock()
	if cut {
		timer := time.NewTimer(dialTimeout)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-ctx.Done():
		case <-m.ctx.Done():
			return nil, ErrClosed
		}
	}
	return nil, fmt.Errorf("%w: dial %s", ErrUnreachable, to)
}

// sortedPeers gives an order that is the same in each run. The caller holds
// the lock of the board.
func (m *Memory) sortedPeers() []*memoryPeer {
	peers := make([]*memoryPeer, 0, len(m.peers))
	for _, p := range m.peers {
		peers = append(peers, p)
	}
	slices.SortFunc(peers, func(x, y *memoryPeer) int { return strings.Compare(string(x.node.self), string(y.node.self)) })
	return peers
}
