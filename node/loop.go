// SPDX-License-Identifier: MIT

package node

import (
	"context"
	"fmt"
	"slices"
	"time"

	"meshnode/job"
	"meshnode/scheduler"
)

// queueLength bounds the events that wait for the scheduler. Gossip above it is
// dropped: anti-entropy brings it again.
const queueLength = 1024

// maxTogether bounds the events whose records are written in one transaction.
const maxTogether = 256

// loop owns the scheduler: one after the other, should the disk refuse to take what
// it must know after a crash. records are those of its jobs.
func (n *Node) loop(records map[string][]byte) {
	defer close(n.down)
	var redo []scheduler.Event
	for {
		undone, err := n.live(records, redo)
		if err == nil {
			break
		}
		n.log.Error("the node stands still until its disk can be written", "err", err)
		if records, redo = n.standStill(err, undone); records == nil {
			break
		}
		n.log.Info("the disk can be written again")
	}
	if n.parts.Journal != nil {
		if err := n.parts.Journal.Close(); err != nil {
			n.log.Warn("journal not closed", "err", err)
		}
	}
	n.endWorks()
}

// live runs a scheduler on what the one before has left on disk, and on events that
// came to nothing, until the node ends; or with the error of a write, and the events
// that came to nothing by it.
func (n *Node) live(records map[string][]byte, redo []scheduler.Event) (undone []scheduler.Event, err error) {
	var end context.CancelFunc
	n.life, end = context.WithCancel(n.ctx)
	defer end()
	s := scheduler.New(scheduler.Config{Self: n.self, Times: n.parts.Times})
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	step := func(events []scheduler.Event) error {
		var actions []scheduler.Action
		for _, ev := range events {
			actions = append(actions, n.step(s, ev)...)
		}
		return n.carryOut(actions)
	}
	actions := n.restore(s, records)
	for _, ev := range n.shunned(s.Partners()) { // roles may have changed since
		actions = append(actions, n.step(s, ev)...)
	}
	if err = n.carryOut(actions); err == nil {
		err = step(redo)
	}
	for events := redo; ; err = step(events) {
		if err != nil {
			return events, err
		}
		if at, ok := s.Deadline(); ok {
			timer.Reset(max(0, at-time.Since(n.start)))
		}
		events = nil
		select {
		case <-n.ctx.Done():
			return nil, nil
		case ev := <-n.events:
			events = n.together(ev)
		case ask := <-n.asks:
			ask(s)
		case <-timer.C:
			events = n.together(scheduler.Tick{})
		}
	}
}

// together returns an event and those that wait behind it: a write to the disk takes
// longer than many steps, and one is enough for all.
func (n *Node) together(ev scheduler.Event) []scheduler.Event {
	events := []scheduler.Event{ev}
	for len(events) < maxTogether {
		select {
		case ev = <-n.events:
			events = append(events, ev)
		default:
			return events
		}
	}
	return events
}

// carryOut writes all records of some steps at once, and then does what else they
// ask for, in order: nothing is said before what it rests on is on disk. What liars have
// rendered goes from there with it, and whom to accuse is noted. After an error nothing
// was done.
func (n *Node) carryOut(actions []scheduler.Action) error {
	var changes []Record
	var liars []job.PeerID
	var doubtful []resultKey // of the jobs in which they lied
	for _, a := range actions {
		switch a := a.(type) {
		case scheduler.Persist:
			changes = append(changes, Record{a.Key, a.Value})
		case scheduler.Disgrace:
			liars = append(liars, a.Peer)
		case scheduler.Accuse:
			changes = append(changes, record(accuseKey(a.Peer), a))
			doubtful = append(doubtful, n.resultsOf(a.Job)...)
		}
	}
	var err error
	if len(liars)+len(doubtful) > 0 {
		err = n.results.disown(liars, doubtful, changes...)
	} else {
		err = n.parts.Records.Write(changes...)
	}
	if err != nil {
		return err
	}
	for _, a := range actions {
		n.execute(a)
	}
	return nil
}

// diskAgain is how often a disk that refuses to be written is tried again.
const diskAgain = 2 * time.Second

// probeKey is a record that only shows whether the disk can be written.
const probeKey = "probe"

// standStill returns the records of jobs when the disk can be written again, and the
// wishes of this node's users meanwhile; or nil when the node ends. Until then this
// node is for others what a crashed one is, but says why.
func (n *Node) standStill(cause error, undone []scheduler.Event) (records map[string][]byte, redo []scheduler.Event) {
	n.standing = true
	defer func() { n.standing = false }()
	n.abandon()
	n.setTrouble(fmt.Sprintf("its disk cannot be written: %v", cause))
	idle := scheduler.New(scheduler.Config{Self: n.self})
	again := time.NewTicker(diskAgain)
	defer again.Stop()
	redo = slices.DeleteFunc(undone, func(ev scheduler.Event) bool { return !isWish(ev) })
	for {
		select {
		case <-n.ctx.Done():
			return nil, nil
		case ev := <-n.events:
			if isWish(ev) { // all else was for a scheduler that is gone
				redo = append(redo, ev)
			}
		case ask := <-n.asks:
			ask(idle)
		case <-again.C:
			now := fmt.Appendf(nil, "%d", time.Now().Unix())
			if n.parts.Records.Write(Record{probeKey, now}) != nil {
				continue
			}
			records, err := n.parts.Records.Read("job/")
			if err != nil {
				n.log.Error("records not read", "err", err)
				continue
			}
			n.setTrouble("")
			n.tasks.Go(n.introduce)
			return records, redo
		}
	}
}

// isWish reports whether an event is what a user of this node wants, or what has
// become of it.
func isWish(ev scheduler.Event) bool {
	switch ev.(type) {
	case scheduler.Plan, scheduler.Submit, scheduler.Abort, scheduler.Assembled, scheduler.Finish:
		return true
	}
	return false
}

// abandon drops all cells that are being rendered.
func (n *Node) abandon() {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, w := range n.works {
		w.cellsMu.Lock()
		for cell, one := range w.cells {
			one.cancel()
			delete(w.cells, cell)
		}
		w.cellsMu.Unlock()
	}
}

// setTrouble tells the mesh, and the next scheduler, what keeps this node from work;
// "": nothing.
func (n *Node) setTrouble(reason string) {
	n.mu.Lock()
	n.trouble = job.Clip(reason)
	n.mu.Unlock()
	n.tasks.Go(func() { n.warnAdvert(func(*job.Advert) {}) })
}

// introduce tells a scheduler that knows nobody who is there.
func (n *Node) introduce() {
	for _, p := range n.Peers() {
		n.post(scheduler.PeerJoined{Peer: p.ID, Advert: p.Advert})
	}
}

// post hands an event to the scheduler; it waits while the queue is full. It
// must not be called from the loop.
func (n *Node) post(ev scheduler.Event) {
	select {
	case n.events <- ev:
	case <-n.ctx.Done():
	}
}

// offerEvent hands an event to the scheduler unless the queue is full.
func (n *Node) offerEvent(ev scheduler.Event) bool {
	select {
	case n.events <- ev:
		return true
	default:
		n.dropped.Add(1)
		return false
	}
}

// ask runs look on the scheduler, between two events, and waits for it.
func (n *Node) ask(look func(*scheduler.Scheduler)) {
	done := make(chan struct{})
	select {
	case n.asks <- func(s *scheduler.Scheduler) { defer close(done); look(s) }:
		<-done
	case <-n.ctx.Done():
	}
}
