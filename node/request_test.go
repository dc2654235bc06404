// SPDX-License-Identifier: MIT

package node

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"meshnode/renderer/synthetic"
)

// A detached request goes on without its client, can be watched by several, and is
// remembered.
func TestDetached(t *testing.T) {
	m := newMesh(t)
	n := m.add(&synthetic.Renderer{Slow: 3 * time.Millisecond}, 1)
	m.settle()
	req, path := m.scene(demo, 1)
	req.Detach, req.Ticket = true, "ticket"
	ctx, leave := context.WithCancel(t.Context())
	var first, second, again, late events
	n.Publish(ctx, req, func(e Event) {
		if first.add(e); e.Event == "planned" {
			leave()
		}
	})
	id := first.last().Job.Short()
	if !n.Busy() {
		t.Error("the node is not busy with a job that was left")
	}
	if err := n.Watch(t.Context(), "nowhere", nil); err == nil {
		t.Error("a job that is not there was watched")
	}
	watched := make(chan error, 1)
	go func() { watched <- n.Watch(t.Context(), id, second.add) }()
	req.Dir = "/" // the request with that ticket is that from before
	n.Publish(t.Context(), req, again.add)
	if err := <-watched; err != nil {
		t.Fatal(err)
	}
	for _, e := range []Event{second.last(), again.last()} {
		if e.Event != "finished" || e.File != path {
			t.Errorf("ended with %+v", e)
		}
	}
	if data, err := os.ReadFile(path); err != nil || !bytes.Equal(data, film(demo)) {
		t.Errorf("the film differs (%v)", err)
	}
	m.forgotten()
	if n.Busy() {
		t.Error("the node is still busy")
	}
	if err := n.Watch(t.Context(), id, late.add); err != nil || late.last().Event != "finished" || late.last().SHA256 != again.last().SHA256 {
		t.Errorf("watched when it was over: %+v, %v", late.last(), err)
	}
	n.Publish(t.Context(), req, first.add)
	if e := first.last(); e.Event != "finished" || e.SHA256 != again.last().SHA256 {
		t.Errorf("published again: %+v", e)
	}
}

// Who only watches may leave; who has published cancels by leaving.
func TestWatcherLeaves(t *testing.T) {
	m := newMesh(t)
	n := m.add(&synthetic.Renderer{Slow: 3 * time.Millisecond}, 1)
	m.settle()
	req, _ := m.scene(demo, 1)
	var got events
	n.Publish(t.Context(), req, func(e Event) {
		if got.add(e); e.Event != "planned" {
			return
		}
		ctx, leave := context.WithCancel(t.Context())
		if err := n.Watch(ctx, e.Job.Short(), func(Event) { leave() }); err != nil {
			t.Error(err)
		}
	})
	if e := got.last(); e.Event != "finished" {
		t.Errorf("ended with %+v", e)
	}
}

// What has ended is known to the next node of the home, as far as history goes back.
func TestHistory(t *testing.T) {
	var records MemoryRecords
	log := slog.New(slog.DiscardHandler)
	n := &Node{parts: Parts{Records: &records}, log: log}
	for i := range keptEnded + 10 {
		e := ending{Ticket: fmt.Sprint("t", i), Last: Event{Event: "finished", File: fmt.Sprint(i)}, Single: true, Job: &JobStatus{ID: "a", File: fmt.Sprint(i)}}
		if i%2 == 1 { // of several
			e.Single = false
		}
		n.remember(nil, e)
	}
	next := &Node{parts: Parts{Records: &records}, log: log}
	if err := next.loadHistory(); err != nil {
		t.Fatal(err)
	}
	for _, n := range []*Node{n, next} {
		if len(n.history) != keptEnded || n.history[0].Job.File != "10" || n.history[keptEnded-1].Number != keptEnded+10 {
			t.Errorf("%d endings, the first of %q, the last with number %d", len(n.history), n.history[0].Job.File, n.history[len(n.history)-1].Number)
		}
	}
	if e, ok := next.outcomeOf("t20"); !ok || e.File != "20" {
		t.Errorf("t20 has ended with %+v, %v", e, ok)
	}
	for _, ticket := range []string{"t0", "t21", "none"} { // forgotten, one of several, never there
		if e, ok := next.outcomeOf(ticket); ok {
			t.Errorf("%s has ended with %+v", ticket, e)
		}
	}
	if err := records.Write(Record{"ended/0000000000000011", []byte("{")}); err != nil {
		t.Fatal(err)
	}
	next = &Node{parts: Parts{Records: &records}, log: log}
	if err := next.loadHistory(); err != nil || len(next.history) != keptEnded-1 {
		t.Errorf("%d endings beside a damaged one (%v)", len(next.history), err)
	}
}

// A request that is to be watched is told which files are read, and can be ended by its
// ticket.
func TestWatchedRequest(t *testing.T) {
	m := newMesh(t)
	n := m.add(&synthetic.Renderer{Slow: time.Second}, 1)
	m.settle()
	req, _ := m.scene(demo, 1)
	req.Watch, req.Ticket = true, NewTicket()
	var got events
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		n.Publish(t.Context(), req, got.add)
	}()
	m.wait("the plan", func() bool { return got.last().Event != "" && len(n.Jobs()) > 0 })
	if err := n.Cancel(req.Ticket); err != nil {
		t.Fatal(err)
	}
	<-ended
	if last := got.last(); last.Kind != FailedCanceled {
		t.Errorf("ended with %+v", last)
	}
	read := func(e Event) bool {
		return e.Event == "read" && slices.Contains(e.Paths, filepath.Join(req.Dir, "scene.json"))
	}
	if !slices.ContainsFunc(got.all, read) {
		t.Error("it is not told that the scene was read")
	}
	if err := n.Cancel(req.Ticket); err == nil {
		t.Error("it is canceled twice")
	}
}

// slowRecords are records on a disk that takes its time over requests.
type slowRecords struct {
	Records
	before func(changes []Record)
}

func (r *slowRecords) Write(changes ...Record) error {
	r.before(changes)
	return r.Records.Write(changes...)
}

// A request can be ended by its ticket from when it is known, also while it is written
// down.
func TestCanceledWhileRecorded(t *testing.T) {
	m := newMesh(t)
	req, _ := m.scene(demo, 1)
	req.Ticket = NewTicket()
	var n *Node
	var once sync.Once
	n = m.join(&synthetic.Renderer{}, 1, func(p *Parts) {
		p.Records = &slowRecords{p.Records, func(changes []Record) {
			if len(changes) == 1 && changes[0].Key == requestKey(req.Ticket) {
				once.Do(func() {
					if err := n.Cancel(req.Ticket); err != nil {
						t.Error(err)
					}
				})
			}
		}}
	})
	m.settle()
	var got events
	n.Publish(m.soon(), req, got.add)
	if last := got.last(); last.Kind != FailedCanceled {
		t.Errorf("ended with %+v", last)
	}
	m.forgotten()
}
