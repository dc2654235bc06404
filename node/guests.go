// SPDX-License-Identifier: MIT

package node

import (
	"context"
	"fmt"
	"sync"
	"time"

	"meshnode/job"
)

// Bounds of the engines that jobs of other peers have here: many jobs can be open, and
// none of them ends before its submitter says so.
const (
	// spareEngines is how many are open at a time beside one for each slot. Jobs of
	// several submitters take turns, cell by cell, and each would begin its scene anew.
	spareEngines = 4

	// idleTime is how long one stays open that no cell needs. A job that has a cell again
	// after that takes another, which walks its scene anew.
	idleTime = time.Minute
)

// guests are the jobs of other peers that have an engine here, or are about to take one.
type guests struct {
	mu    sync.Mutex // guards what follows
	most  int        // open at a time
	open  map[*work]*guest
	freed chan struct{} // closed, and made anew, when one who waits may find room

	idle chan struct{} // one value: some need not stay open
}

type guest struct {
	users   int       // cells and preparations that need the engine now
	since   time.Time // when the last of them ended
	closing bool
}

func newGuests() *guests {
	return &guests{open: make(map[*work]*guest), freed: make(chan struct{}), idle: make(chan struct{}, 1)}
}

// roomForGuests returns how many engines a node with that advert has open for others.
func roomForGuests(a job.Advert) int {
	if a.Paused || a.Slots == 0 {
		return 0
	}
	return int(a.Slots) + spareEngines
}

// allow sets how many may be open; more than these are closed as they become idle.
func (g *guests) allow(most int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.most = most
	g.tell()
}

// tell wakes those who wait, and who closes what is idle. g.mu is held.
func (g *guests) tell() {
	close(g.freed)
	g.freed = make(chan struct{})
	deliver(g.idle, struct{}{})
}

// enter lets a job in that is there already, or for which there is room. If not, it
// returns one that has to be closed for it, or else what to wait for.
func (g *guests) enter(w *work) (in bool, instead *work, wait <-chan struct{}) {
	g.mu.Lock()
	defer g.mu.Unlock()
	one := g.open[w]
	switch {
	case one != nil && one.closing:
		return false, nil, g.freed
	case one != nil:
		one.users++
		return true, nil, nil
	case len(g.open) < g.most:
		g.open[w] = &guest{users: 1}
		return true, nil, nil
	}
	if w, one := g.longestIdle(); one != nil && g.most > 0 {
		one.closing = true
		return false, w, nil
	}
	return false, nil, g.freed
}

// leave says that a cell, or a preparation, does not need the engine any more, and
// whether there is one.
func (g *guests) leave(w *work, engine bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	one := g.open[w]
	if one.users--; one.users > 0 {
		return
	}
	if one.since = time.Now(); !engine {
		delete(g.open, w)
	}
	g.tell()
}

// longestIdle returns the guest that nobody has needed for longest, if there is one
// that nobody needs. g.mu is held.
func (g *guests) longestIdle() (longest *work, since *guest) {
	for w, one := range g.open {
		if one.users == 0 && !one.closing && (since == nil || one.since.Before(since.since)) {
			longest, since = w, one
		}
	}
	return longest, since
}

// overdue returns a guest to be closed, nil if there is none.
func (g *guests) overdue(now time.Time) *work {
	g.mu.Lock()
	defer g.mu.Unlock()
	w, one := g.longestIdle()
	if one == nil || len(g.open) <= g.most && now.Sub(one.since) < idleTime {
		return nil
	}
	one.closing = true
	return w
}

// gone says that a job's engine is closed.
func (g *guests) gone(w *work) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.open[w] != nil {
		delete(g.open, w)
		g.tell()
	}
}

// enter waits until a job of another peer may have an engine. The caller must leave.
// Jobs of this node, and their referees, have theirs.
func (n *Node) enter(ctx context.Context, w *work) (leave func(), err error) {
	w.mu.Lock()
	ours := w.own || w.fallBack
	w.mu.Unlock()
	if ours {
		return func() {}, nil
	}
	for {
		in, instead, wait := n.guests.enter(w)
		switch {
		case in:
			return func() {
				w.mu.Lock()
				engine := w.engine != nil
				w.mu.Unlock()
				n.guests.leave(w, engine)
			}, nil
		case instead != nil:
			n.log.Debug("engine closed for another job's", "job", instead.job.Short())
			n.closeGuest(instead)
			continue
		}
		select {
		case <-wait:
		case <-ctx.Done():
			return nil, fmt.Errorf("no engine: those of other jobs are at work: %w", ctx.Err())
		}
	}
}

// closeGuest closes the engine of a job; it takes another when it has cells again.
func (n *Node) closeGuest(w *work) {
	w.mu.Lock()
	defer w.mu.Unlock()
	engine := w.engine
	w.engine = nil
	n.closeEngine(engine, w.job)
	n.guests.gone(w)
}

// closeGuests closes engines that nobody needs, until the node ends.
func (n *Node) closeGuests() {
	tick := time.NewTicker(idleTime / 12)
	defer tick.Stop()
	for {
		if w := n.guests.overdue(time.Now()); w != nil {
			n.log.Debug("engine closed: it has nothing to do", "job", w.job.Short())
			n.closeGuest(w)
			continue
		}
		select {
		case <-tick.C:
		case <-n.guests.idle:
		case <-n.ctx.Done():
			return
		}
	}
}
