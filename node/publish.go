// SPDX-License-Identifier: MIT

package node

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"time"

	"meshnode/job"
	"meshnode/renderer"
	"meshnode/scheduler"
)

// publication is a job of this node, from the key press to the film.
type publication struct {
	req    PublishRequest
	nonce  job.Nonce
	id     job.ID // "" while it is being planned
	name   string
	begun  time.Time
	seed   *uint64         // see renderer.Plan
	man    *job.Manifest   // nil while it is being planned
	engine renderer.Engine // that plans it, or renders it alone; nil: that of the job's work
	env    string          // to keep an engine of warm, when this one is done with; "": none
	work   *work           // of this node in it; nil while it is being planned
	kept   uint32          // cells that were here from earlier jobs, when it was offered
	plans  int             // made again in this life of the node; guarded by the lock of its work
	cancel context.CancelCauseFunc
	emit   func(Event) // tells those who follow it; does not wait

	// Guarded by Node.mu from here on.
	lender  *lender // nil while it is being planned
	stream  *stream // nil: nothing to watch before the end
	preview bool    // the stream is as good as the film, which the user wants to see
	state   string

	cells  chan map[uint32]job.CID // all are collected; one value at most
	failed chan error              // no film; one value at most
	alone  chan string             // why this node renders it alone; one value at most
}

// newPublication returns a job of this node that is to be planned.
func newPublication(req PublishRequest) *publication {
	p := &publication{
		req: req, state: "planning", begun: time.Now(), emit: func(Event) {},
		cells: make(chan map[uint32]job.CID, 1), failed: make(chan error, 1), alone: make(chan string, 1),
	}
	rand.Read(p.nonce[:])
	return p
}

// Causes of the end of a publication: its user has ended it, or the node.
var (
	errCanceled = errors.New("canceled")
	errStopping = errors.New("the node is stopping")
)

// progressEvery is how often a publication reports how far it is.
const progressEvery = 200 * time.Millisecond

// job plans one scene, offers it to the mesh, collects its cells and assembles
// the film. It tells emit, which must not wait, what happens but for the last
// event, which it returns: "finished", or "failed" with the error. Ending ctx
// cancels the job on every node.
//
// When the node ends before the job does, that is an errStopping, and the next node of
// this home goes on with the job.
func (n *Node) job(ctx context.Context, req PublishRequest, emit func(Event)) (Event, error) {
	p := req.resumed
	if p == nil {
		p = newPublication(req)
	}
	ctx, p.cancel = context.WithCancelCause(ctx)
	defer p.cancel(nil)
	unlink := context.AfterFunc(n.ctx, func() { p.cancel(errStopping) })
	defer unlink()
	n.mu.Lock()
	p.emit = emit
	n.published[p.nonce] = p
	n.mu.Unlock()

	film, err := n.film(ctx, p, req)
	if s := n.streamOf(p); s != nil {
		s.end()
	}
	switch { // whatever failed, failed because of that
	case err == nil:
	case ctx.Err() != nil:
		err = context.Cause(ctx)
	case n.ctx.Err() != nil:
		err = errStopping
	}
	last := p.outcome(film, err)
	switch {
	case err == errStopping && !req.DryRun:
		last = stopped
	case req.DryRun, errors.As(err, new(*renderer.ScenesError)): // those are no jobs
		n.over("", p.nonce, last)
	default: // on disk, before anybody hears of it
		made := n.makingOf(p, film)
		n.remember(p, ending{Ticket: req.Ticket, Job: n.ended(p, last), Last: last, Single: req.single, Making: made},
			record(sceneKey(req.Ticket, req.scene), sceneRecord{Job: p.id, Begun: p.begun, Last: &last}))
		n.over(p.id, p.nonce, last)
	}
	n.mu.Lock()
	delete(n.published, p.nonce)
	n.mu.Unlock()
	n.closeEngine(p.engine, p.id)
	if p.env != "" {
		n.parts.Renderer.Warm(renderer.Own, p.env)
	}
	return last, err
}

// over tells the mesh that a job, or one that was being planned, is over.
func (n *Node) over(id job.ID, nonce job.Nonce, last Event) {
	if id != "" && last.Event == "finished" {
		n.post(scheduler.Assembled{Job: id})
	} else { // of a still, or a dry run: nobody is called any more
		n.post(scheduler.Abort{Nonce: nonce, Reason: last.Text})
	}
}

// streamOf returns what there is to watch of a job before its film; nil: nothing.
func (n *Node) streamOf(p *publication) *stream {
	n.mu.Lock()
	defer n.mu.Unlock()
	return p.stream
}

// stopped is the last event of a request that the next node of this home goes on with.
var stopped = Event{Event: "failed", Kind: FailedStopped, Text: "the node was stopped: the job goes on when it runs again"}

// outcome returns the last event of a job.
func (p *publication) outcome(film *finished, err error) Event {
	last := Event{Event: "finished", Job: p.id, Name: p.name}
	if err != nil {
		last.Event = "failed"
		last.Kind, last.Text = failure(err)
		return last
	}
	last.SHA256, last.Nodes, last.Seed = film.sha256, film.nodes, p.seed
	if len(film.Files) > 0 { // none of a dry run
		last.File = film.Files[0]
	}
	if len(film.Files) > 1 {
		last.Files = film.Files
	}
	return last
}

// failure words why there is no film.
func failure(err error) (kind, text string) {
	var scene *renderer.SceneError
	var usage *renderer.UsageError
	switch {
	case errors.As(err, &scene):
		return FailedScene, scene.Text
	case errors.As(err, &usage):
		return FailedUsage, usage.Text
	case errors.As(err, new(*renderer.ChangedError)):
		return FailedRender, err.Error()
	case errors.Is(err, context.Canceled), errors.Is(err, errCanceled):
		return FailedCanceled, "canceled"
	}
	return FailedRender, err.Error()
}

func (n *Node) film(ctx context.Context, p *publication, req PublishRequest) (*finished, error) {
	if p.man == nil { // else it was planned before this node was started
		plan, err := n.plan(ctx, p, req)
		switch {
		case err != nil:
			return nil, err
		case req.explain:
			return &finished{}, n.explain(ctx, p, plan, req)
		case req.verify != nil:
			return &finished{}, n.verify(ctx, p, plan, req)
		case req.DryRun:
			n.dryRun(p, plan, req)
			return &finished{}, nil
		case plan.Whole:
			film, _, err := n.assemble(ctx, p, p.engine, nil, nil, 1)
			return film, err
		}
		if err := n.offer(ctx, p, plan, req); err != nil {
			return nil, err
		}
	}
	p.emit(p.planned())
	film, err := n.collected(ctx, p)
	var alone *aloneError
	if errors.As(err, &alone) {
		nodes, err := n.planAlone(ctx, p, req, alone)
		if err != nil {
			return nil, err
		}
		film, _, err = n.assemble(ctx, p, p.engine, nil, nodes, 1)
		return film, err
	}
	return film, err
}

// plan walks the scene, while the peers are called.
func (n *Node) plan(ctx context.Context, p *publication, req PublishRequest) (*renderer.Plan, error) {
	env, err := n.environment(ctx, req)
	if err != nil {
		return nil, err
	}
	if !req.DryRun {
		need := env.Need()
		need.Headers, need.Strict = "", req.Strict // which headers the cells will have is not known yet
		n.post(scheduler.Plan{Nonce: p.nonce, Need: need})
	}
	plan, err := n.walk(ctx, p, req, env.Fingerprint, false)
	if err != nil {
		return nil, err
	}
	plan.Need.Strict = req.Strict
	for _, note := range append(plan.Notes, n.lacking(plan.Need)...) {
		p.emit(Event{Event: "note", Text: note})
	}
	n.mu.Lock()
	p.name, p.seed = plan.Name, plan.Seed
	n.mu.Unlock()
	return plan, nil
}

// walk takes an engine and has it plan the scene, and draw it too if alone.
func (n *Node) walk(ctx context.Context, p *publication, req PublishRequest, fingerprint string, alone bool) (plan *renderer.Plan, err error) {
	if p.engine, err = n.parts.Renderer.Take(ctx, renderer.Own, fingerprint); err != nil {
		return nil, err
	}
	order := req.toPlan()
	order.Alone = alone
	order.Console = func(line string) { p.emit(Event{Event: "log", Text: line}) }
	if req.Watch {
		order.Read = func(paths []string) { p.emit(Event{Event: "read", Paths: paths}) }
		p.env = fingerprint
	}
	if !req.DryRun && !alone {
		order.Ahead = n.drawnAhead(req)
	}
	if !alone {
		order.Keys = n.keying(req)
	}
	p.emit(Event{Event: "planning"})
	told := time.Now()
	return p.engine.Plan(ctx, order, func(at renderer.PlanProgress) {
		if time.Since(told) >= progressEvery/2 {
			told = time.Now()
			p.emit(Event{Event: "planning", Plays: at.Plays, Frames: at.Frames, Name: at.Name})
		}
	})
}

// toPlan is what a renderer is to plan for a request.
func (req *PublishRequest) toPlan() renderer.Request {
	return renderer.Request{
		Args: req.Args, Dir: req.Dir, Env: req.Env, Scene: req.scene, Input: req.Input, CellFrames: req.CellFrames, Assets: req.Assets,
		Seed: req.Seed, Chosen: req.chosen(), Fresh: req.verify != nil,
	}
}

// drawnAhead is how many cells are drawn here at a time while a job is planned. Where
// others wait for the plan, one core is left to the walk.
func (n *Node) drawnAhead(req PublishRequest) int {
	slots := int(n.localSlots(req))
	if slots > 0 && slices.ContainsFunc(n.Peers(), func(p PeerStatus) bool { return p.Slots > 0 }) {
		slots--
	}
	return slots
}

// toPublication runs do with the publication of a job of this node, if it is
// still there. do must not block.
func (n *Node) toPublication(id job.ID, do func(*publication)) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, p := range n.published {
		if p.id == id && id != "" {
			do(p)
		}
	}
}

// Cancel ends a job of this node. id may be the end of its id, or the ticket of a
// request, all of whose jobs end.
func (n *Node) Cancel(id string) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if r := n.requests[id]; r != nil {
		r.cancel(errCanceled)
		return nil
	}
	var found []*publication
	for _, p := range n.published {
		if endsIn(p.id, id) {
			found = append(found, p)
		}
	}
	switch len(found) {
	case 0:
		return fmt.Errorf("no running job of this node has the id %q: see \"meshnode jobs\"", id)
	case 1:
		found[0].cancel(errCanceled)
		return nil
	}
	return fmt.Errorf("%d jobs have an id that ends in %q: give more of it", len(found), id)
}
