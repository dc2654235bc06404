// SPDX-License-Identifier: MIT

package node

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"meshnode/job"
	"meshnode/renderer"
	"meshnode/scheduler"
)

// What a node intends is on disk as long as it is not done:
//
//	request/<ticket>              PublishRequest: what a client has asked for
//	request/<ticket>/scenes       the names of its scenes, if there are several
//	request/<ticket>/job/<scene>  sceneRecord: a job that was offered, or is over
//	finish/<job>                  FinishRequest: the film of another node's job
//	accuse/<peer>                 scheduler.Accuse: whom to block
//
// The scheduler's own records of jobs lie beside them ("job/…").

// sceneRecord is what has become of one scene of a request.
type sceneRecord struct {
	Job   job.ID    `json:"job"`
	Begun time.Time `json:"begun"`
	Last  *Event    `json:"last,omitempty"` // the last event of the job; nil: it goes on
}

func requestKey(ticket string) string { return "request/" + ticket }

func sceneKey(ticket, scene string) string { return requestKey(ticket) + "/job/" + scene }

func scenesKey(ticket string) string { return requestKey(ticket) + "/scenes" }

// intend writes a record in JSON, for the next node of this home.
func (n *Node) intend(key string, value any) {
	if err := n.parts.Records.Write(record(key, value)); err != nil {
		n.log.Error("what this node intends is not recorded: after a crash it will not go on with it", "key", key, "err", err)
	}
}

// record returns a record in JSON.
func record(key string, value any) Record {
	data, err := json.Marshal(value)
	if err != nil { // of types that JSON has words for
		panic(err)
	}
	return Record{key, data}
}

// forgetRequest removes the records of a request that is over.
func (n *Node) forgetRequest(ticket string) {
	records, err := n.parts.Records.Read(requestKey(ticket))
	var changes []Record
	for key := range records {
		if key == requestKey(ticket) || strings.HasPrefix(key, requestKey(ticket)+"/") {
			changes = append(changes, Record{Key: key})
		}
	}
	if err = errors.Join(err, n.parts.Records.Write(changes...)); err != nil {
		n.log.Error("the records of a request are not removed", "err", err)
	}
}

// left is what an earlier node of this home has left undone.
type left struct {
	jobs     map[string][]byte // records of the scheduler
	open     map[job.ID]*leftJob
	requests []*request
}

// leftJob is a job that the scheduler will know.
type leftJob struct {
	man   *job.Manifest
	trust scheduler.Trust    // of a job of this node
	cells map[uint32]job.CID // that this node has rendered or collected

	// Of another node's job: whether a film is to be made of it here, and whether the
	// scheduler knows.
	wished, finishing bool
}

// findLeft reads what was left, and gets it ready to go on: publications for jobs of
// this node, the store, and the works.
func (n *Node) findLeft(ctx context.Context) (*left, error) {
	jobs, err := n.parts.Records.Read("job/")
	if err != nil {
		return nil, err
	}
	l := &left{jobs: jobs, open: make(map[job.ID]*leftJob)}
	for key, value := range jobs {
		r, err := scheduler.DecodeRecord(value)
		if err != nil {
			continue // the scheduler removes it
		}
		id, sub, _ := strings.Cut(strings.TrimPrefix(key, "job/"), "/")
		j := l.open[job.ID(id)]
		if j == nil {
			j = &leftJob{cells: make(map[uint32]job.CID)}
			l.open[job.ID(id)] = j
		}
		if sub == "" && r.Job != nil && job.ID(job.CIDOf(r.Job.Manifest)) == job.ID(id) {
			j.man, _ = job.DecodeManifest(r.Job.Manifest)
			j.trust, j.finishing = r.Job.Trust, r.Job.Finishing
		}
		for _, c := range r.Cells {
			j.cells[c.Cell] = c.Output
		}
	}
	for id, j := range l.open {
		if j.man == nil {
			delete(l.open, id)
			continue
		}
		w := n.workOn(id)
		w.outputs = maps.Clone(j.cells)
		if j.man.Submitter == n.self {
			w.setManifest(j.man)
			w.believe(j.trust)
			w.own = true
		}
	}
	if err := n.keepOnly(ctx, l); err != nil {
		return nil, err
	}
	return l, errors.Join(n.findRequests(l), n.finishLeft(l.open))
}

// keepOnly frees the blocks of jobs that are over, and has those at hand that were
// kept in records.
func (n *Node) keepOnly(ctx context.Context, l *left) error {
	owners, err := n.parts.Store.Owners(ctx)
	for _, owner := range owners {
		if l.open[job.ID(owner)] == nil && !strings.HasPrefix(owner, pinEvidence) {
			err = errors.Join(err, n.parts.Store.Unpin(ctx, owner))
		}
	}
	for _, j := range l.open {
		if block, _, e := j.man.Block(); e == nil {
			if _, e := n.parts.Store.PutBlock(ctx, block); e != nil {
				n.log.Warn("manifest not stored", "err", e)
			}
		}
	}
	if err == nil {
		err = n.makeRoom(ctx)
	}
	return err
}

// findRequests makes requests of their records.
func (n *Node) findRequests(l *left) error {
	records, err := n.parts.Records.Read("request/")
	if err != nil {
		return err
	}
	for key, value := range records {
		ticket := strings.TrimPrefix(key, "request/")
		var req PublishRequest
		if strings.Contains(ticket, "/") || json.Unmarshal(value, &req) != nil || req.Ticket != ticket {
			continue
		}
		r := newRequest(req)
		for key, value := range records {
			if key == scenesKey(ticket) {
				_ = json.Unmarshal(value, &r.Scenes) // else it is found out again
			}
			scene, ok := strings.CutPrefix(key, sceneKey(ticket, ""))
			var s sceneRecord
			if ok && json.Unmarshal(value, &s) == nil {
				r.scenes[scene] = s
			}
		}
		l.requests = append(l.requests, r)
		n.requests[ticket] = r
		for scene, s := range r.scenes {
			if j := l.open[s.Job]; j != nil && s.Last == nil {
				n.goOnWith(r, scene, s, j)
			}
		}
	}
	slices.SortFunc(l.requests, func(a, b *request) int { return strings.Compare(a.Ticket, b.Ticket) })
	return nil
}

// goOnWith makes the publication of a job that was offered before.
func (n *Node) goOnWith(r *request, scene string, s sceneRecord, j *leftJob) {
	req := r.PublishRequest
	req.scene, req.single = scene, len(r.Scenes) <= 1
	p := newPublication(req)
	p.nonce, p.id, p.man, p.name, p.begun, p.state = j.man.Nonce, s.Job, j.man, j.man.Name, s.Begun, "rendering"
	p.work = n.workOn(s.Job)
	if keys, err := n.keysOf(n.ctx, j.man, nil); err == nil { // else its cells are not remembered
		p.work.setKeys(keys, scriptOf(req))
	}
	n.published[p.nonce] = p
	r.resumed[scene] = p
	r.jobs = append(r.jobs, p.id)
}

// goOn goes on with what was left, when there is a scheduler.
func (n *Node) goOn(l *left) {
	n.accuseLeft()
	mine := make(map[job.ID]bool)
	for _, r := range l.requests {
		for _, s := range r.scenes {
			if mine[s.Job] = true; s.Last != nil && l.open[s.Job] != nil { // it had ended, but not been told
				n.over(s.Job, l.open[s.Job].man.Nonce, *s.Last)
			}
		}
		n.log.Info("going on with what was asked before", "script", strings.Join(r.Args, " "), "jobs", len(r.resumed))
		n.carryOn(r)
	}
	for id, j := range l.open {
		if j.man.Submitter == n.self && !mine[id] {
			n.post(scheduler.Abort{Nonce: j.man.Nonce, Reason: "the submitter has lost what it needs to plan the job again"})
		}
	}
	for id, j := range l.open {
		n.tellFinishing(id, j)
	}
	for id, j := range l.open {
		n.tellOutdated(id, j)
	}
	for id, j := range l.open {
		n.tellLost(id, j.cells)
	}
}

// tellOutdated takes back the cells of another's job that an earlier node has rendered in
// another environment than the submitter's, if this node has that now: they would be held
// to be that environment's.
func (n *Node) tellOutdated(id job.ID, j *leftJob) {
	if j.man.Submitter == n.self {
		return
	}
	select {
	case <-n.readiness.known:
	case <-n.ctx.Done():
		return
	}
	if !n.drawsAlike(j.man) {
		return
	}
	var cells []uint32
	outdated := n.results.notOf(j.man.Submitter, j.man.Need.Fingerprint)
	for cell, output := range j.cells {
		if outdated[output] {
			cells = append(cells, cell)
		}
	}
	if len(cells) > 0 {
		n.log.Info("cells are rendered again: this node has the environment of the job now", "job", id.Short(), "cells", len(cells))
		slices.Sort(cells)
		n.post(scheduler.Lost{Job: id, Cells: cells})
	}
}

// tellLost reads the cells that an earlier node has left, and tells the scheduler which
// of them are not here any more.
func (n *Node) tellLost(id job.ID, cells map[uint32]job.CID) {
	ctx, cancel := context.WithTimeout(n.ctx, time.Hour)
	defer cancel()
	var lost []uint32
	for cell, cid := range cells {
		if _, err := n.parts.Store.Fetch(ctx, cid, nil, job.MaxSetSize); err != nil && ctx.Err() == nil {
			n.log.Warn("a cell that was here is lost", "job", id.Short(), "cell", cell, "err", err)
			lost = append(lost, cell)
		}
	}
	if len(lost) > 0 {
		slices.Sort(lost)
		n.post(scheduler.Lost{Job: id, Cells: lost})
	}
}

// maxPlans bounds how often a job is planned again in one life of the node.
const maxPlans = 3

// planAgain makes the plan of a job of this node once more, in a new engine: the one
// that had made it is gone. w.mu is held.
func (n *Node) planAgain(ctx context.Context, w *work) (renderer.Engine, error) {
	var p *publication
	n.toPublication(w.job, func(found *publication) { p = found })
	if p == nil {
		return nil, errors.New("the job is over")
	}
	engine, err := n.planOnceMore(ctx, w, p)
	if isFinal(err) && ctx.Err() == nil {
		deliver(p.failed, err)
	}
	return engine, err
}

// isFinal reports whether another try would end in the same way.
func isFinal(err error) bool {
	return errors.As(err, new(*renderer.ChangedError)) || errors.As(err, new(*renderer.SceneError)) || errors.As(err, new(*renderer.UsageError))
}

func (n *Node) planOnceMore(ctx context.Context, w *work, p *publication) (renderer.Engine, error) {
	if p.plans++; p.plans > maxPlans {
		return nil, &renderer.ChangedError{Text: fmt.Sprintf("the process that plans it has ended %d times", maxPlans)}
	}
	begun := time.Now()
	env, err := n.environment(ctx, p.req)
	if err != nil {
		return nil, err
	}
	if env.Fingerprint != w.man.Need.Fingerprint {
		return nil, &renderer.ChangedError{Text: fmt.Sprintf("it was planned with another %s %s, or other libraries, than are here now", w.man.Need.Renderer, w.man.Need.Version)}
	}
	fetching, cancel := context.WithTimeout(ctx, prepareTime)
	defer cancel()
	assets, err := n.parts.Store.Fetch(fetching, w.man.Assets, nil, job.MaxSetSize)
	if err != nil {
		return nil, fmt.Errorf("assets: %w", err)
	}
	engine, err := n.parts.Renderer.Take(ctx, renderer.Own, env.Fingerprint)
	if err != nil {
		return nil, err
	}
	planned := make(chan struct{}) // what the scene prints while it is planned was told before
	again := p.req.toPlan()
	again.Again = &renderer.Earlier{Spec: w.man.Spec, Plays: w.man.Plays, File: func(path string) ([]byte, error) {
		return n.readAsset(fetching, assets, path)
	}}
	again.Console = func(line string) {
		select {
		case <-planned:
			n.news(p, Event{Event: "log", Text: line})
		default:
		}
	}
	plan, err := engine.Plan(ctx, again, nil)
	if err == nil {
		err = n.sameFiles(ctx, w.man, plan)
	}
	if err != nil {
		return nil, errors.Join(err, engine.Close())
	}
	close(planned)
	n.mu.Lock()
	n.takePlan(p, plan)
	n.mu.Unlock()
	for cell, output := range w.outputsNow() {
		n.toStream(w.job, cell, output)
	}
	n.log.Info("planned again", "job", w.job.Short(), "scene", w.man.Name, "took", time.Since(begun).Round(time.Millisecond))
	return engine, nil
}

// sameFiles sees to it that a scene opens the files that it did when it was planned.
func (n *Node) sameFiles(ctx context.Context, m *job.Manifest, plan *renderer.Plan) error {
	assets, err := n.importAssets(ctx, plan.Files)
	if err == nil && assets != m.Assets {
		err = &renderer.ChangedError{Text: "the files that it opens are others, or others' contents"}
	}
	return err
}

// readAsset returns a file of a job's assets.
func (n *Node) readAsset(ctx context.Context, assets *job.FileSet, path string) ([]byte, error) {
	for _, f := range assets.Files {
		if f.Path == path {
			return io.ReadAll(n.stored(ctx, f))
		}
	}
	return nil, fmt.Errorf("the job has no file %s", path)
}

// news tells those who follow a job.
func (n *Node) news(p *publication, e Event) {
	n.mu.Lock()
	emit := p.emit
	n.mu.Unlock()
	emit(e)
}
