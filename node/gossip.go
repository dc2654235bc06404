// SPDX-License-Identifier: MIT

package node

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"meshnode/job"
	"meshnode/p2p"
	"meshnode/scheduler"
)

// topics lists what may be said where. On the work topic everybody speaks for
// himself; offers may be relayed.
var topics = map[p2p.Topic][]job.Kind{
	p2p.Offers: {job.KindCall, job.KindOffer, job.KindCollected, job.KindRevoked, job.KindCancel},
	p2p.Work:   {job.KindClaim, job.KindReleased, job.KindProgress, job.KindDone},
}

// topicOf returns where a message is published.
func topicOf(k job.Kind) p2p.Topic {
	if slices.Contains(topics[p2p.Work], k) {
		return p2p.Work
	}
	return p2p.Offers
}

// listener turns gossip of a topic into events.
func (n *Node) listener(kinds []job.Kind) func(job.PeerID, []byte) p2p.Verdict {
	return func(from job.PeerID, data []byte) p2p.Verdict {
		msg, err := job.Open(n.parts.Network, data)
		switch {
		case errors.Is(err, job.ErrVersion):
			n.foreign.Add(1)
			return p2p.Ignore
		case err != nil:
			n.log.Debug("gossip refused", "from", from.Short(), "err", err)
			return p2p.Reject
		case !slices.Contains(kinds, msg.Msg.Kind()):
			return p2p.Reject
		case topicOf(msg.Msg.Kind()) == p2p.Work && msg.From != from:
			return p2p.Reject
		case msg.From == n.self:
			return p2p.Accept // our own offer, relayed
		}
		if !n.hears(msg) {
			return p2p.Accept // others may
		}
		if !n.talk.may(from, msg.Msg, time.Now()) || !n.offerEvent(scheduler.Received{Signed: msg}) {
			return p2p.Ignore
		}
		return p2p.Accept
	}
}

// answer serves a peer's request: it becomes an event, and the scheduler's
// Reply is the answer. One-way messages are answered with nothing.
func (n *Node) answer(ctx context.Context, from job.PeerID, data []byte) ([]byte, error) {
	msg, err := job.Open(n.parts.Network, data)
	if err != nil {
		return nil, err
	}
	if msg.From != from {
		return nil, fmt.Errorf("node: %s spoke for %s", from.Short(), msg.From.Short())
	}
	switch msg.Msg.Kind() {
	case job.KindReady:
		n.post(scheduler.Received{Signed: msg})
		return nil, nil
	case job.KindSplit, job.KindPull:
		if !n.talk.may(from, msg.Msg, time.Now()) {
			return nil, fmt.Errorf("node: %s asks too often", from.Short())
		}
		reply := make(chan []byte, 1)
		id := n.asked.add(reply)
		defer n.asked.take(id)
		n.post(scheduler.Asked{ID: id, Signed: msg})
		select {
		case raw := <-reply:
			if raw == nil {
				return nil, errors.New("node: no answer")
			}
			return raw, nil
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-n.ctx.Done():
			return nil, n.ctx.Err()
		}
	case job.KindMissing:
		signed, err := job.Seal(n.parts.Network, n.lend(ctx, msg))
		return signed.Raw, err
	}
	return nil, fmt.Errorf("node: a message of kind %d is not a request", msg.Msg.Kind())
}
