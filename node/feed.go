// SPDX-License-Identifier: MIT

package node

import (
	"context"
	"fmt"
	"sync"
)

// feed is the news of a request, for all who want to know them, from the first on
// or from when they come. Nobody waits for somebody who does not listen.
type feed struct {
	mu       sync.Mutex // guards what follows
	events   []*Event   // nil: how far it was, which a later one has replaced
	first    int        // number of events[0]; those before it are forgotten
	size     int        // bytes of events, about
	progress map[string]int
	over     bool
	changed  chan struct{} // closed, and made anew, with every change
}

// Limits of what a feed keeps for those who come late, or read slowly.
const (
	feedBytes  = 8 << 20
	feedEvents = 200_000
)

func newFeed() *feed {
	return &feed{progress: make(map[string]int), changed: make(chan struct{})}
}

// add appends an event. It does not wait.
func (f *feed) add(e Event) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.over {
		return
	}
	if e.Event == "planning" || e.Event == "progress" {
		if at, ok := f.progress[e.Scene]; ok && at >= f.first {
			f.drop(at - f.first)
		}
		f.progress[e.Scene] = f.first + len(f.events)
	}
	f.events = append(f.events, &e)
	f.size += sizeOf(&e)
	for f.size > feedBytes || len(f.events) > feedEvents {
		f.drop(0)
		f.events = f.events[1:]
		f.first++
	}
	f.change()
}

func (f *feed) drop(i int) {
	if f.events[i] != nil {
		f.size -= sizeOf(f.events[i])
		f.events[i] = nil
	}
}

// sizeOf returns about how many bytes an event takes.
func sizeOf(e *Event) int {
	return 400 + len(e.Text) + 100*(len(e.Nodes)+len(e.Files)+len(e.Scenes)+len(e.Paths))
}

// end says that no more events come.
func (f *feed) end() {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.over {
		f.over = true
		f.change()
	}
}

func (f *feed) change() {
	close(f.changed)
	f.changed = make(chan struct{})
}

// next returns the event with number at or a later one, and the number of the one
// behind it; nil when there is none yet. missed: how many were forgotten before
// somebody who waited for number at had heard of them.
func (f *feed) next(at int) (e *Event, behind, missed int, over bool, changed <-chan struct{}) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if at < f.first {
		at, missed = f.first, f.first-at
	}
	for ; at < f.first+len(f.events); at++ {
		if e := f.events[at-f.first]; e != nil {
			return e, at + 1, missed, false, nil
		}
	}
	return nil, at, missed, f.over, f.changed
}

// follow tells emit all events, those that have been first, until the last. When
// ctx ends before that it returns the cause.
func (f *feed) follow(ctx context.Context, emit func(Event)) error {
	for at := 0; ; {
		e, behind, missed, over, changed := f.next(at)
		if missed > 0 {
			emit(Event{Event: "note", Text: fmt.Sprintf("%d lines are left out here: they came too quickly, or too long ago", missed)})
		}
		at = behind
		switch {
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case e != nil:
			emit(*e)
			continue
		case over:
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
		}
	}
}
