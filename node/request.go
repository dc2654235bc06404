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
	"meshnode/scheduler"
)

// request is what one publish has asked for: one job, or one for each of several
// scenes. Its goroutine ends when all of them are over.
type request struct {
	PublishRequest
	feed   *feed
	ctx    context.Context // ends with the request
	cancel context.CancelCauseFunc
	over   chan struct{} // closed when nothing of it is left
	last   Event         // its last event, when it is over
	jobs   []job.ID      // those that are planned; guarded by Node.mu

	// By scene: what an earlier node of this home has left of it.
	scenes  map[string]sceneRecord
	resumed map[string]*publication
}

func newRequest(req PublishRequest) *request {
	r := &request{
		PublishRequest: req, feed: newFeed(), over: make(chan struct{}),
		scenes: make(map[string]sceneRecord), resumed: make(map[string]*publication),
	}
	r.ctx, r.cancel = context.WithCancelCause(context.Background())
	return r
}

// Publish renders what a request is about: one scene, or several, each of which
// is a job of its own. It tells emit what happens, one event at a time, last
// "finished" or "failed", and returns then.
// Ending ctx cancels all of it on every node, unless the request is detached.
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
		req.Ticket = NewTicket()
	}
	if err := checkTicket(req.Ticket); err != nil {
		return nil, Event{Event: "failed", Kind: FailedUsage, Text: err.Error()}
	}
	if last, ok := n.outcomeOf(req.Ticket); ok {
		return nil, last
	}
	if _, err := scheduler.ParseTrust(req.Trust); req.Trust != "" && err != nil {
		return nil, Event{Event: "failed", Kind: FailedUsage, Text: err.Error()}
	}
	n.mu.Lock()
	if r := n.requests[req.Ticket]; r != nil {
		n.mu.Unlock()
		return r, last
	}
	if n.leaving {
		n.mu.Unlock()
		kind, text := failure(errStopping)
		return nil, Event{Event: "failed", Kind: kind, Text: text}
	}
	r = newRequest(req)
	n.requests[req.Ticket] = r
	n.mu.Unlock()
	if !req.DryRun {
		n.intend(requestKey(req.Ticket), req)
	}
	n.carryOn(r)
	return r, last
}

// NewTicket returns a ticket that no other request has.
func NewTicket() string { return strings.ToLower(rand.Text()) }

// checkTicket keeps tickets to what can be part of a record's name.
func checkTicket(ticket string) error {
	bad := func(r rune) bool { return (r < 'a' || r > 'z') && (r < '0' || r > '9') }
	if len(ticket) > 64 || strings.ContainsFunc(ticket, bad) {
		return fmt.Errorf("node: ticket %.80q: use up to 64 small letters and digits", ticket)
	}
	return nil
}

// carryOn carries a request through, in a goroutine that ends with its jobs, or with
// the node.
func (n *Node) carryOn(r *request) {
	n.mu.Lock()
	defer n.mu.Unlock()
	end := func(last Event) {
		r.last = last
		r.feed.add(last)
		r.feed.end()
		close(r.over)
	}
	if n.leaving { // and waits for no new goroutines
		r.cancel(nil)
		delete(n.requests, r.Ticket)
		end(stopped)
		return
	}
	n.tasks.Go(func() {
		defer r.cancel(nil)
		defer context.AfterFunc(n.ctx, func() { r.cancel(errStopping) })()
		last := n.carry(r.ctx, r)
		if last.Kind != FailedStopped && !r.DryRun {
			n.forgetRequest(r.Ticket)
		}
		n.mu.Lock()
		delete(n.requests, r.Ticket)
		n.mu.Unlock()
		end(last)
	})
}

// carry carries a request through, and returns its last event.
func (n *Node) carry(ctx context.Context, r *request) Event {
	if len(r.Scenes) > 1 {
		return n.batch(ctx, r, r.Scenes)
	}
	scene := ""
	if len(r.Scenes) == 1 {
		scene = r.Scenes[0]
	}
	last, err := n.scene(ctx, r, scene, true, r.tell)
	var several *renderer.ScenesError
	switch {
	case errors.As(err, &several) && several.Choose:
		last.Kind, last.Scenes = FailedChoice, several.Scenes
		last.Text = fmt.Sprintf("the script has %d scenes: name one, or give --write_all for all: %s", len(several.Scenes), strings.Join(several.Scenes, ", "))
	case errors.As(err, &several):
		n.intend(scenesKey(r.Ticket), several.Scenes)
		last = n.batch(ctx, r, several.Scenes)
	}
	return last
}

// scene carries one job of a request through, from where an earlier node has left it.
func (n *Node) scene(ctx context.Context, r *request, name string, single bool, emit func(Event)) (Event, error) {
	if was := r.scenes[name]; was.Last != nil {
		return *was.Last, nil
	}
	req := r.PublishRequest
	req.scene, req.single, req.resumed = name, single, r.resumed[name]
	return n.job(ctx, req, emit)
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
	found, err := meant(func(yield func(job.ID, *request) bool) {
		for _, r := range n.requests {
			for _, full := range r.jobs {
				if !yield(full, r) {
					return
				}
			}
		}
	}, id)
	if err != nil {
		return nil, err
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
