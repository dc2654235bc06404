// SPDX-License-Identifier: MIT

package p2p

import (
	"context"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
)

// What one peer may send. A worker announces each cell, and its claims every
// second: tens of messages a second in the worst case.
const (
	authorRate   = 100 // messages per second that one peer publishes
	authorBurst  = 400
	relayRate    = 2_000 // messages per second that one peer passes on
	relayBurst   = 4_000
	advertRate   = 2 // adverts per second of one peer
	advertBurst  = 20
	requestRate  = 50 // requests per second of one peer that are answered; more wait
	requestBurst = 100
	faultRate    = 1.0 / 6 // rejected messages per second that are put up with
	faultBurst   = 10
	muteDuration = time.Minute // of who sent more of them
	maxConducts  = 1024        // peers of which a record is kept
)

// bucket is a token bucket. Its zero value is full.
type bucket struct {
	spent float64 // tokens, since last refilled
	last  time.Time
}

// take takes n tokens if they are there.
func (b *bucket) take(n, rate, burst float64, now time.Time) bool {
	if !b.last.IsZero() {
		b.spent = max(0, b.spent-rate*now.Sub(b.last).Seconds())
	}
	b.last = now
	if b.spent+n > burst {
		return false
	}
	b.spent += n
	return true
}

// conducts remembers how peers behave.
type conducts struct {
	mu sync.Mutex
	of map[peer.ID]*conduct
}

type conduct struct {
	published, relayed, adverts, requests, faults bucket

	order      order
	mutedUntil time.Time
	used       time.Time
}

func newConducts() *conducts { return &conducts{of: make(map[peer.ID]*conduct)} }

// get returns the record of a peer. The caller holds the lock.
func (c *conducts) get(id peer.ID, now time.Time) *conduct {
	r, ok := c.of[id]
	if !ok {
		if len(c.of) >= maxConducts {
			c.evict()
		}
		r = new(conduct)
		c.of[id] = r
	}
	r.used = now
	return r
}

// evict forgets the peer that was quiet for longest, of those that never sent an
// advert if there are any: they may be no more than keys that somebody has made.
func (c *conducts) evict() {
	var oldest peer.ID
	var worst *conduct
	for id, r := range c.of {
		if met := r.order.run != 0; worst == nil || !met && worst.order.run != 0 ||
			met == (worst.order.run != 0) && r.used.Before(worst.used) {
			oldest, worst = id, r
		}
	}
	delete(c.of, oldest)
}

// began notes the run of an author; see order.
func (c *conducts) began(id peer.ID, run uint64, now time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.get(id, now).order.begin(run)
}

// ended notes that an author is not connected any more.
func (c *conducts) ended(id peer.ID) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if r, ok := c.of[id]; ok {
		r.order.away = true
	}
}

// isNew reports whether a message of an author is not one of old, by its number.
func (c *conducts) isNew(id peer.ID, number uint64, settle time.Duration, now time.Time) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.get(id, now).order.take(number, settle, now)
}

// mayPublish spends one message of an author.
func (c *conducts) mayPublish(id peer.ID, now time.Time) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	r := c.get(id, now)
	return !r.mutedUntil.After(now) && r.published.take(1, authorRate, authorBurst, now)
}

// mayRelay spends n messages that a neighbor hands over.
func (c *conducts) mayRelay(id peer.ID, n int, now time.Time) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.get(id, now).relayed.take(float64(n), relayRate, relayBurst, now)
}

// mayAdvertise spends one advert.
func (c *conducts) mayAdvertise(id peer.ID, now time.Time) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.get(id, now).adverts.take(1, advertRate, advertBurst, now)
}

// waitToAsk spends one request, as soon as that is within the rate of its peer.
func (c *conducts) waitToAsk(ctx context.Context, id peer.ID) error {
	for !c.mayAsk(id, time.Now()) {
		if pause(ctx, time.Second/requestRate); ctx.Err() != nil {
			return ctx.Err()
		}
	}
	return nil
}

func (c *conducts) mayAsk(id peer.ID, now time.Time) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.get(id, now).requests.take(1, requestRate, requestBurst, now)
}

// fault counts a rejected message against its author, who is muted after too
// many.
func (c *conducts) fault(id peer.ID, now time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	r := c.get(id, now)
	if !r.faults.take(1, faultRate, faultBurst, now) {
		r.mutedUntil = now.Add(muteDuration)
	}
}

// muted reports whether a peer is not listened to.
func (c *conducts) muted(id peer.ID, now time.Time) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	r, ok := c.of[id]
	return ok && r.mutedUntil.After(now)
}
