// SPDX-License-Identifier: MIT

package p2p

import "sync"

// eventQueue carries events from whoever holds a lock to a reader who may be
// slow: push never blocks. What waits is bounded by the peers that come and
// go, since adverts that change while the reader is away are merged.
type eventQueue struct {
	out  chan Event
	wake chan struct{} // capacity 1

	mu    sync.Mutex
	queue []Event
}

func newEventQueue() *eventQueue {
	return &eventQueue{out: make(chan Event), wake: make(chan struct{}, 1)}
}

func (q *eventQueue) push(e Event) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if e.Kind != Changed || !q.merge(e) {
		q.queue = append(q.queue, e)
	}
	select {
	case q.wake <- struct{}{}:
	default:
	}
}

// merge puts the advert into the peer's last waiting event, if there is one.
func (q *eventQueue) merge(e Event) bool {
	for i := len(q.queue) - 1; i >= 0; i-- {
		if last := &q.queue[i]; last.Peer == e.Peer {
			last.Advert = e.Advert
			return true
		}
	}
	return false
}

// pump feeds the reader until stop is closed, then closes the channel.
func (q *eventQueue) pump(stop <-chan struct{}) {
	defer close(q.out)
	for {
		e, ok := q.pop()
		if !ok {
			select {
			case <-q.wake:
				continue
			case <-stop:
				return
			}
		}
		select {
		case q.out <- e:
		case <-stop:
			return
		}
	}
}

func (q *eventQueue) pop() (Event, bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.queue) == 0 {
		return Event{}, false
	}
	e := q.queue[0]
	q.queue = q.queue[1:]
	return e, true
}
