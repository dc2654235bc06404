// SPDX-License-Identifier: MIT

package node

import (
	"time"

	"meshnode/scheduler"
)

// queueLength bounds the events that wait for the scheduler. Gossip above it is
// dropped: anti-entropy brings it again.
const queueLength = 1024

// maxTogether bounds the events whose records are written in one transaction.
const maxTogether = 256

// loop owns the scheduler.
func (n *Node) loop() {
	defer close(n.down)
	s := scheduler.New(scheduler.Config{Self: n.self})
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	step := func(ev scheduler.Event) {
		n.carryOut(n.steps(s, ev))
		if at, ok := s.Deadline(); ok {
			timer.Reset(max(0, at-time.Since(n.start)))
		}
	}
	for {
		select {
		case <-n.ctx.Done():
			n.releaseAll()
			return
		case ev := <-n.events:
			step(ev)
		case ask := <-n.asks:
			ask(s)
		case <-timer.C:
			step(scheduler.Tick{})
		}
	}
}

// steps gives the scheduler an event and those that wait behind it, and returns
// what is to be done about all of them: a write to the disk takes longer than many
// steps, and one is enough for all.
func (n *Node) steps(s *scheduler.Scheduler, ev scheduler.Event) (actions []scheduler.Action) {
	for range maxTogether {
		actions = append(actions, s.Step(time.Since(n.start), ev)...)
		select {
		case ev = <-n.events:
		default:
			return actions
		}
	}
	return actions
}

// carryOut writes all records of some steps at once, and then does what else they
// ask for, in order: nothing is said before what it rests on is on disk.
func (n *Node) carryOut(actions []scheduler.Action) {
	var changes []Record
	for _, a := range actions {
		if p, ok := a.(scheduler.Persist); ok {
			changes = append(changes, Record{p.Key, p.Value})
		}
	}
	if err := n.parts.Records.Write(changes...); err != nil {
		n.log.Error("records not written", "err", err)
	}
	for _, a := range actions {
		n.execute(a)
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

// offer hands an event to the scheduler unless the queue is full.
func (n *Node) offer(ev scheduler.Event) bool {
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
