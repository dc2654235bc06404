// SPDX-License-Identifier: MIT

package p2p

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	pubsub "github.com/libp2p/go-libp2p-pubsub"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"

	"meshnode/job"
)

const (
	gossipOverhead  = 4 << 10 // bytes of an RPC around a message: author, number, signature, topic
	validateQueue   = 1024    // messages that wait for their signature to be checked
	validatePending = 256     // messages of one topic that wait for the listener
	outboundQueue   = 256     // messages that wait for one peer
)

// gossip is the two topics of a mesh, over gossipsub. It knows which peers
// both topics reach.
type gossip struct {
	self     peer.ID
	topics   map[Topic]*topic
	conducts *conducts
	admit    *admission
	settle   time.Duration // see settleTime
	changed  func(peer.ID) // called when reaches(id) may have changed; must not block
	wg       sync.WaitGroup

	mu    sync.Mutex
	reach map[peer.ID]reach
}

type topic struct {
	handle *pubsub.Topic

	mu     sync.Mutex // held while the listener runs
	listen func(from job.PeerID, data []byte) Verdict
	closed bool
}

// reach is what must be there for a message to get to a peer: a stream to it,
// and its word that it listens to each topic.
type reach uint8

const (
	reachStream reach = 1 << iota
	reachOffers
	reachWork
	reachAll = reachStream | reachOffers | reachWork
)

// newGossip joins both topics; ctx ends it. A topic is relayed from the start,
// so that other peers know of it before anybody here listens.
func newGossip(ctx context.Context, h host.Host, proto protocol.ID, topicName func(Topic) string,
	conducts *conducts, admit *admission, settle time.Duration, changed func(peer.ID)) (*gossip, error) {
	g := &gossip{
		self: h.ID(), topics: make(map[Topic]*topic), conducts: conducts, admit: admit, settle: settle, changed: changed,
		reach: make(map[peer.ID]reach),
	}
	features := func(f pubsub.GossipSubFeature, p protocol.ID) bool {
		return p == proto && (f == pubsub.GossipSubFeatureMesh || f == pubsub.GossipSubFeatureIdontwant)
	}
	ps, err := pubsub.NewGossipSub(ctx, h,
		pubsub.WithGossipSubProtocols([]protocol.ID{proto}, features),
		pubsub.WithMessageSignaturePolicy(pubsub.StrictSign),
		pubsub.WithGossipSubParams(sparse()),
		pubsub.WithFloodPublish(true), // else what is published within a second of a join is lost
		pubsub.WithMaxMessageSize(job.MaxMessage+gossipOverhead),
		pubsub.WithMaxControlMessageSize(job.MaxMessage),
		pubsub.WithSeenMessagesTTL(seenFor),
		pubsub.WithValidateQueueSize(validateQueue),
		pubsub.WithPeerOutboundQueueSize(outboundQueue),
		pubsub.WithSubscriptionFilter(pubsub.NewAllowlistSubscriptionFilter(topicName(Offers), topicName(Work))),
		pubsub.WithAppSpecificRpcInspector(g.inspect),
		pubsub.WithRawTracer(reachTracer{g: g}),
	)
	if err != nil {
		return nil, fmt.Errorf("p2p: gossip: %w", err)
	}
	for name, bit := range map[Topic]reach{Offers: reachOffers, Work: reachWork} {
		if err := g.join(ctx, ps, name, topicName(name), bit); err != nil {
			return nil, fmt.Errorf("p2p: topic %s: %w", name, err)
		}
	}
	return g, nil
}

// sparse returns gossipsub's parameters with fewer neighbors to pass messages on to:
// authors send theirs to everybody that they are connected to, and most of what
// neighbors pass on is known already.
func sparse() pubsub.GossipSubParams {
	p := pubsub.DefaultGossipSubParams()
	p.D, p.Dlo, p.Dhi, p.Dscore, p.Dout = 4, 3, 6, 3, 1
	return p
}

func (g *gossip) join(ctx context.Context, ps *pubsub.PubSub, name Topic, full string, bit reach) error {
	t := &topic{}
	err := ps.RegisterTopicValidator(full, func(_ context.Context, _ peer.ID, m *pubsub.Message) pubsub.ValidationResult {
		return g.validate(t, m)
	}, pubsub.WithValidatorConcurrency(validatePending))
	if err != nil {
		return err
	}
	if t.handle, err = ps.Join(full); err != nil {
		return err
	}
	events, err := t.handle.EventHandler()
	if err != nil {
		return err
	}
	g.wg.Go(func() {
		for {
			e, err := events.NextPeerEvent(ctx)
			if err != nil {
				return
			}
			g.note(e.Peer, bit, e.Type == pubsub.PeerJoin)
		}
	})
	if _, err := t.handle.Relay(); err != nil {
		return err
	}
	g.topics[name] = t
	return nil
}

// inspect drops what a neighbor sends beyond its rate, before any signature is
// checked.
func (g *gossip) inspect(from peer.ID, rpc *pubsub.RPC) error {
	if n := len(rpc.GetPublish()); n > 0 && !g.conducts.mayRelay(from, n, time.Now()) {
		return errors.New("p2p: too many messages")
	}
	return nil
}

// validate runs the listener on a message whose signature holds.
func (g *gossip) validate(t *topic, m *pubsub.Message) pubsub.ValidationResult {
	if m.ReceivedFrom == g.self {
		return pubsub.ValidationAccept // published here
	}
	author, now := m.GetFrom(), time.Now()
	number, ok := numberOf(m.GetSeqno())
	if !ok || len(m.GetData()) > job.MaxMessage {
		g.conducts.fault(author, now)
		return pubsub.ValidationReject
	}
	// First what is old: it says nothing of how its author behaves now.
	if !g.admit.admits(nameOf(author)) || !g.conducts.isNew(author, number, g.settle, now) || !g.conducts.mayPublish(author, now) {
		return pubsub.ValidationIgnore
	}
	switch t.hear(nameOf(author), m.GetData()) {
	case Accept:
		return pubsub.ValidationAccept
	case Reject:
		g.conducts.fault(author, now)
		return pubsub.ValidationReject
	default:
		return pubsub.ValidationIgnore
	}
}

func (t *topic) hear(from job.PeerID, data []byte) Verdict {
	t.mu.Lock()
	defer t.mu.Unlock()
	switch {
	case t.closed:
		return Ignore
	case t.listen == nil:
		return Accept
	default:
		return t.listen(from, data)
	}
}

func (g *gossip) listen(name Topic, handle func(job.PeerID, []byte) Verdict) error {
	t, ok := g.topics[name]
	if !ok {
		return fmt.Errorf("p2p: listen: no topic %q", name)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.listen != nil {
		return fmt.Errorf("p2p: listen: topic %q has its listener", name)
	}
	t.listen = handle
	return nil
}

func (g *gossip) publish(ctx context.Context, name Topic, data []byte) error {
	t, ok := g.topics[name]
	if !ok {
		return fmt.Errorf("p2p: publish: no topic %q", name)
	}
	if err := t.handle.Publish(ctx, data); err != nil {
		return fmt.Errorf("p2p: publish to %s: %w", name, err)
	}
	return nil
}

// close waits for listeners that run, and lets none run again. The context of
// newGossip must have ended.
func (g *gossip) close() {
	for _, t := range g.topics {
		t.mu.Lock()
		t.closed = true
		t.mu.Unlock()
	}
	g.wg.Wait()
}

// reaches reports whether a message published now gets to the peer on both
// topics, if nothing breaks on the way.
func (g *gossip) reaches(id peer.ID) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.reach[id] == reachAll
}

func (g *gossip) note(id peer.ID, bit reach, there bool) {
	g.mu.Lock()
	r := g.reach[id]
	if there {
		r |= bit
	} else {
		r &^= bit
	}
	if r == 0 {
		delete(g.reach, id)
	} else {
		g.reach[id] = r
	}
	g.mu.Unlock()
	g.changed(id)
}

// reachTracer hears of the streams that gossipsub opens and closes; the rest
// of what a tracer is told is dropped.
type reachTracer struct{ g *gossip }

var _ pubsub.RawTracer = reachTracer{}

func (t reachTracer) OnNewOutboundStream(id peer.ID, _ protocol.ID) { t.g.note(id, reachStream, true) }
func (t reachTracer) OnClosedOutboundStream(id peer.ID)             { t.g.note(id, reachStream, false) }

func (reachTracer) Join(string)                           {}
func (reachTracer) Leave(string)                          {}
func (reachTracer) Graft(peer.ID, string)                 {}
func (reachTracer) Prune(peer.ID, string)                 {}
func (reachTracer) ValidateMessage(*pubsub.Message)       {}
func (reachTracer) DeliverMessage(*pubsub.Message)        {}
func (reachTracer) RejectMessage(*pubsub.Message, string) {}
func (reachTracer) DuplicateMessage(*pubsub.Message)      {}
func (reachTracer) ThrottlePeer(peer.ID)                  {}
func (reachTracer) RecvRPC(*pubsub.RPC)                   {}
func (reachTracer) SendRPC(*pubsub.RPC, peer.ID)          {}
func (reachTracer) DropRPC(*pubsub.RPC, peer.ID)          {}
func (reachTracer) UndeliverableMessage(*pubsub.Message)  {}
