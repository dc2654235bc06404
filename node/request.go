// SPDX-License-Identifier: MIT

package node

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strings"

	"meshnode/job"
	"meshnode/renderer"
)

// request is what one publish has asked for: one job, or one for each of several
// scenes. Its goroutine ends when all of them are over.
type request struct {
	PublishRequest
	feed   *feed
	cancel context.CancelCauseFunc
	over   chan struct{} // closed when nothing of it is left
	last   Event         // its last event, when it is over
	jobs   []job.ID      // those that are planned; guarded by Node.mu
}

// Publish renders what a request is about: one scene, or several, each of which
// is a job of its own. It tells emit what happens, one event at a time, last
// "finished" or "failed", and returns then. Ending ctx cancels all of it on every
// node, unless the request is detached.
//
// A request that the node has already, by its ticket, is not begun again: emit is
// told what has happened and happens to it.
func (n *Node) Publish(ctx context.Context, req PublishRequest, emit func(Event)) {
	r, last := n.begin(req)
	if r == nil {
		emit(last)
		return
	}
	if r.feed.follow(ctx, emit) != nil && !r.Detach {
		r.cancel(errCanceled)
		<-r.over
		emit(r.last)
	}
}

// begin returns the request with that ticket, begun if need be, or how it has
// ended.
func (n *Node) begin(req PublishRequest) (r *request, last Event) {
	if req.Ticket == "" {
		req.Ticket = strings.ToLower(rand.Text())
	}
	if last, ok := n.outcomeOf(req.Ticket); ok {
		return nil, last
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if r := n.requests[req.Ticket]; r != nil {
		return r, last
	}
	if n.ctx.Err() != nil {
		kind, text := failure(errStopping)
		return nil, Event{Event: "failed", Kind: kind, Text: text}
	}
	r = &request{PublishRequest: req, feed: newFeed(), over: make(chan struct{})}
	ctx, cancel := context.WithCancelCause(context.Background())
	r.cancel = cancel
	n.requests[req.Ticket] = r
	n.tasks.Go(func() { // ends with its jobs, or with the node
		defer close(r.over)
		defer cancel(nil)
		defer context.AfterFunc(n.ctx, func() { cancel(errStopping) })()
		r.last = n.carry(ctx, r)
		n.mu.Lock()
		delete(n.requests, r.Ticket)
		n.mu.Unlock()
		r.feed.add(r.last)
		r.feed.end()
	})
	return r, last
}

// carry carries a request through, and returns its last event.
func (n *Node) carry(ctx context.Context, r *request) Event {
	if len(r.Scenes) > 1 {
		return n.batch(ctx, r, r.Scenes)
	}
	req := r.PublishRequest
	req.single = true
	if len(r.Scenes) == 1 {
		req.scene = r.Scenes[0]
	}
	last, err := n.job(ctx, req, r.tell)
	var several *renderer.ScenesError
	switch {
	case errors.As(err, &several) && several.Choose:
		last.Kind, last.Scenes = FailedChoice, several.Scenes
		last.Text = fmt.Sprintf("the script has %d scenes: name one, or give --write_all for all: %s", len(several.Scenes), strings.Join(several.Scenes, ", "))
	case errors.As(err, &several):
		last = n.batch(ctx, r, several.Scenes)
	}
	return last
}

// tell tells those who follow a request.
func (r *request) tell(e Event) { r.feed.add(e) }

// Watch tells emit what has happened, and happens, to the request of a job that was
// published here, named as for Cancel: as Publish does, but ending ctx ends nothing
// else.
func (n *Node) Watch(ctx context.Context, id string, emit func(Event)) error {
	r, err := n.requestOf(id)
	if err != nil {
		e, ok := n.endingOf(id)
		if !ok {
			return err
		}
		emit(e.Last)
		return nil
	}
	_ = r.feed.follow(ctx, emit) // else he has left
	return nil
}

// requestOf returns the request of a job published here, by the end of its id.
func (n *Node) requestOf(id string) (*request, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	var found *request
	for _, r := range n.requests {
		for _, full := range r.jobs {
			switch {
			case !endsIn(full, id) || found == r:
			case found != nil:
				return nil, fmt.Errorf("several jobs have an id that ends in %q: give more of it", id)
			default:
				found = r
			}
		}
	}
	if found == nil {
		return nil, fmt.Errorf("no job published on this node has the id %q: see \"meshnode jobs\"", id)
	}
	return found, nil
}

// Busy reports whether requests are under way, with or without their clients.
func (n *Node) Busy() bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return len(n.requests) > 0
}
