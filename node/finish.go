// SPDX-License-Identifier: MIT

package node

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"meshnode/job"
	"meshnode/renderer"
	"meshnode/scheduler"
)

// FinishRequest is a wish for the film of another node's job whose submitter does
// not come back. It is the record "finish/<job>" until it is fulfilled.
type FinishRequest struct {
	Job  string `json:"-"`    // its id, or enough of its end
	Dir  string `json:"dir"`  // absolute: where the film goes, under a name of the job's
	File string `json:"file"` // absolute: the film's own name; "": in Dir
}

func finishKey(id job.ID) string { return "finish/" + string(id) }

// finishing is a film of another node's job that is being made here. Its goroutine
// ends with it, or with the node.
type finishing struct {
	FinishRequest
	id    job.ID
	feed  *feed
	cells chan map[uint32]job.CID // all are here; one value at most
	over  chan struct{}           // closed when the job is over: nothing is left to finish
}

// Finish makes a film of the cells of another node's job. It tells emit what happens,
// as Publish does; ending ctx ends nothing else. What only the submitter has is
// lacking: sound, sections, subcaptions.
func (n *Node) Finish(ctx context.Context, req FinishRequest, emit func(Event)) error {
	status, err := n.unfinished(req.Job)
	if err != nil {
		return err
	}
	f, err := n.beginFinishing(status.ID, req)
	if err != nil {
		return err
	}
	_ = f.feed.follow(ctx, emit) // else he has left
	return nil
}

// unfinished returns the job of another node that is meant by the end of its id, if
// that node is not there.
func (n *Node) unfinished(id string) (*scheduler.JobStatus, error) {
	found, err := meant(func(yield func(job.ID, *scheduler.JobStatus) bool) {
		for _, s := range n.schedulerJobs() {
			if s.Submitter != n.self && !yield(s.ID, &s) {
				return
			}
		}
	}, id)
	if err != nil {
		return nil, err
	}
	if found == nil {
		return nil, fmt.Errorf("no job of another node has the id %q here: see \"meshnode jobs\"", id)
	}
	if slices.ContainsFunc(n.Peers(), func(p PeerStatus) bool { return p.ID == found.Submitter }) {
		return nil, fmt.Errorf("%s, which has published job %s, is there and makes the film itself", n.nameOf(found.Submitter), found.ID.Short())
	}
	return found, nil
}

// beginFinishing returns the film of that job which is being made, begun if need be.
func (n *Node) beginFinishing(id job.ID, req FinishRequest) (*finishing, error) {
	n.mu.Lock()
	if f := n.finishings[id]; f != nil {
		n.mu.Unlock()
		return f, nil
	}
	if n.leaving {
		n.mu.Unlock()
		return nil, errStopping
	}
	f := n.startFinishing(id, req)
	n.mu.Unlock()
	n.intend(finishKey(id), req)
	n.post(scheduler.Finish{Job: id})
	return f, nil
}

// finishLeft goes on with the films that an earlier node of this home was to make of
// those jobs. It is called before there is a scheduler; tellFinishing tells that.
func (n *Node) finishLeft(open map[job.ID]*leftJob) error {
	records, err := n.parts.Records.Read("finish/")
	if err != nil {
		return err
	}
	for key, value := range records {
		id := job.ID(strings.TrimPrefix(key, "finish/"))
		var req FinishRequest
		if open[id] == nil || json.Unmarshal(value, &req) != nil {
			err = errors.Join(err, n.parts.Records.Write(Record{Key: key}))
			continue
		}
		n.startFinishing(id, req)
		open[id].wished = true
	}
	return err
}

// tellFinishing brings the scheduler to what is wished of a job that was left: the node
// may have ended before it heard of it, or of that the film was made.
func (n *Node) tellFinishing(id job.ID, j *leftJob) {
	switch {
	case j.wished && !j.finishing:
		n.post(scheduler.Finish{Job: id})
	case !j.wished && j.finishing:
		n.post(scheduler.Assembled{Job: id})
	}
}

// startFinishing starts what waits for the cells. Node.mu is held, or nobody else is
// there yet.
func (n *Node) startFinishing(id job.ID, req FinishRequest) *finishing {
	f := &finishing{FinishRequest: req, id: id, feed: newFeed(), cells: make(chan map[uint32]job.CID, 1), over: make(chan struct{})}
	n.finishings[id] = f
	n.tasks.Go(func() { n.finish(f) })
	return f
}

// toFinish hands the cells of another node's job to the film that is made of them.
func (n *Node) toFinish(id job.ID, cells map[uint32]job.CID) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if f := n.finishings[id]; f != nil {
		deliver(f.cells, cells)
	}
}

// finishNothing ends the making of a film of a job that is over.
func (n *Node) finishNothing(id job.ID) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if f := n.finishings[id]; f != nil {
		close(f.over)
		delete(n.finishings, id)
	}
}

// finish makes a film of another node's job when all cells are here.
func (n *Node) finish(f *finishing) {
	last, goesOn := n.filmOf(f)
	if !goesOn {
		if err := n.parts.Records.Write(Record{Key: finishKey(f.id)}); err != nil {
			n.log.Error("the record of a film is not removed", "job", f.id.Short(), "err", err)
		}
		n.post(scheduler.Assembled{Job: f.id})
	}
	n.mu.Lock() // only now: the next wish comes after all this
	if n.finishings[f.id] == f {
		delete(n.finishings, f.id)
	}
	n.mu.Unlock()
	f.feed.add(last)
	f.feed.end()
}

// filmOf returns the last event of a film, and whether the next node of this home
// goes on with it.
func (n *Node) filmOf(f *finishing) (last Event, goesOn bool) {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for tries := 1; ; {
		select {
		case <-n.ctx.Done():
			return Event{Event: "failed", Kind: FailedStopped, Text: "the node was stopped: it goes on when it runs again"}, true
		case <-f.over:
			return Event{Event: "failed", Kind: FailedRender, Text: "the job is over: its submitter has made the film, or has canceled it"}, false
		case <-tick.C:
			f.feed.add(n.gathered(f.id))
			continue
		case cells := <-f.cells:
			f.feed.add(Event{Event: "assembling", Job: f.id})
			name, lost, err := n.join(f, cells)
			switch {
			case err == nil:
				return Event{Event: "finished", Job: f.id, File: name}, false
			case n.ctx.Err() != nil:
				continue
			case len(lost) > 0 && tries < maxAssemblies:
				n.log.Warn("cells are damaged, and fetched again", "job", f.id.Short(), "cells", len(lost), "err", err)
				n.post(scheduler.Lost{Job: f.id, Cells: lost})
				tries++
				continue
			}
			kind, text := failure(err)
			if kind == FailedScene || kind == FailedUsage { // words of an engine with a stranger's scene, not of this user's own
				kind = FailedRender
			}
			return Event{Event: "failed", Kind: kind, Text: text}, false
		}
	}
}

// gathered returns how much of another node's job is here.
func (n *Node) gathered(id job.ID) Event {
	e := n.progress(id)
	w := n.workOn(id)
	if m := w.manifest(); m != nil {
		e.Done, e.Frames = 0, m.Frames()
		here := w.outputsNow()
		for _, c := range m.Grid() {
			if here[c.Index] != "" {
				e.Done += c.Frames
			}
		}
	}
	e.Rate, e.Seconds = 0, 0 // of those who render, not of what comes here
	return e
}

// joinTime bounds the making of a film of all its cells.
const joinTime = time.Hour

// join makes the film, and returns where it is. lost are cells that are damaged here.
func (n *Node) join(f *finishing, cells map[uint32]job.CID) (name string, lost []uint32, err error) {
	ctx, cancel := context.WithTimeout(n.ctx, joinTime)
	defer cancel()
	block, err := n.parts.Store.Block(ctx, job.CID(f.id), nil)
	if err != nil {
		return "", nil, fmt.Errorf("manifest: %w", err)
	}
	man, err := job.DecodeManifest(block)
	if err != nil {
		return "", nil, err
	}
	envs, err := n.parts.Renderer.Environments(ctx)
	if err != nil {
		return "", nil, err
	}
	engine, err := n.parts.Renderer.Take(ctx, renderer.Foreign, envs[0].Fingerprint)
	if err != nil {
		return "", nil, err
	}
	defer n.closeEngine(engine, f.id)
	files, lost, err := n.exportCells(ctx, engine.In(), "cells", cells)
	if err != nil {
		return "", lost, err
	}
	var size int64
	for cell := range cells {
		size += outputLimit(man, cell)
	}
	made, err := engine.Join(ctx, man, files)
	if err != nil {
		return "", nil, err
	}
	name, err = f.take(engine.Out(), man, made, size)
	return name, nil, err
}
