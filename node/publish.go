// SPDX-License-Identifier: MIT

package node

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"slices"
	"time"

	"meshnode/blockstore"
	"meshnode/job"
	"meshnode/renderer"
	"meshnode/scheduler"
)

// publication is a job of this node, from the key press to the film.
type publication struct {
	nonce  job.Nonce
	id     job.ID // "" while it is being planned
	name   string
	begun  time.Time
	man    *job.Manifest
	engine renderer.Engine
	lender *lender // nil while it is being planned
	cancel context.CancelCauseFunc
	stream *stream // nil: nothing to watch before the end
	state  string
	emit   func(Event) // tells those who follow it; does not wait

	cells  chan map[uint32]job.CID // all are collected; one value at most
	failed chan string             // no film; one value at most
	alone  chan string             // why this node renders it alone; one value at most
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
func (n *Node) job(ctx context.Context, req PublishRequest, emit func(Event)) (Event, error) {
	p := &publication{
		state: "planning", begun: time.Now(), emit: emit,
		cells: make(chan map[uint32]job.CID, 1), failed: make(chan string, 1), alone: make(chan string, 1),
	}
	rand.Read(p.nonce[:])
	ctx, p.cancel = context.WithCancelCause(ctx)
	defer p.cancel(nil)
	unlink := context.AfterFunc(n.ctx, func() { p.cancel(errStopping) })
	defer unlink()
	n.mu.Lock()
	n.published[p.nonce] = p
	n.mu.Unlock()

	film, err := n.film(ctx, p, req)
	if p.stream != nil {
		p.stream.end()
	}
	if err != nil && ctx.Err() != nil { // whatever failed, failed because of that
		err = context.Cause(ctx)
	}
	last := p.outcome(film, err)
	if !req.DryRun && !errors.As(err, new(*renderer.ScenesError)) { // those are no jobs
		n.remember(p, ending{Ticket: req.Ticket, Job: n.ended(p, last), Last: last, Single: req.single})
	}
	if err == nil && p.id != "" {
		n.post(scheduler.Assembled{Job: p.id})
	} else { // of a still, or a dry run: nobody is called any more
		n.post(scheduler.Abort{Nonce: p.nonce, Reason: last.Text[:min(len(last.Text), job.MaxText)]})
	}
	n.mu.Lock()
	delete(n.published, p.nonce)
	n.mu.Unlock()
	if p.engine != nil {
		n.endEngine(p)
	}
	return last, err
}

// outcome returns the last event of a job.
func (p *publication) outcome(film *finished, err error) Event {
	last := Event{Event: "finished", Job: p.id, Name: p.name}
	if err != nil {
		last.Event = "failed"
		last.Kind, last.Text = failure(err)
		return last
	}
	last.SHA256, last.Nodes = film.sha256, film.nodes
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
	case errors.Is(err, context.Canceled), errors.Is(err, errCanceled):
		return FailedCanceled, "canceled"
	}
	return FailedRender, err.Error()
}

// endEngine closes the engine that planned a job, once no cell uses it.
func (n *Node) endEngine(p *publication) {
	if p.id != "" {
		n.release(p.id) // the scheduler releases it too; twice is harmless
	}
	if err := p.engine.Close(); err != nil {
		n.log.Warn("engine not closed", "job", p.id.Short(), "err", err)
	}
}

// finished is a film, with its hash and who rendered it.
type finished struct {
	renderer.Film
	sha256 string
	nodes  []NodeFrames
}

func (n *Node) film(ctx context.Context, p *publication, req PublishRequest) (*finished, error) {
	plan, err := n.plan(ctx, p, req)
	if err != nil {
		return nil, err
	}
	if req.explain {
		return &finished{}, n.explain(ctx, p, plan, req)
	}
	if req.DryRun {
		n.dryRun(p, plan, req)
		return &finished{}, nil
	}
	cells, nodes := map[uint32]job.CID{}, []NodeFrames(nil)
	if !plan.Whole {
		var alone *aloneError
		cells, err = n.distribute(ctx, p, plan, req)
		if errors.As(err, &alone) {
			nodes, err = n.planAlone(ctx, p, req, alone)
		}
		if err != nil {
			return nil, err
		}
	}
	if nodes == nil {
		nodes = n.framesBy(p.id)
	}
	p.emit(Event{Event: "assembling", Job: p.id, Nodes: nodes})
	return n.assemble(ctx, p, cells, nodes)
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
	p.name = plan.Name
	n.mu.Unlock()
	return plan, nil
}

// walk takes an engine and has it plan the scene, and draw it too if alone.
func (n *Node) walk(ctx context.Context, p *publication, req PublishRequest, fingerprint string, alone bool) (plan *renderer.Plan, err error) {
	if p.engine, err = n.parts.Renderer.Take(ctx, renderer.Own, fingerprint); err != nil {
		return nil, err
	}
	ahead := 0
	if !req.DryRun && !alone {
		ahead = n.drawnAhead(req)
	}
	p.emit(Event{Event: "planning"})
	told := time.Now()
	return p.engine.Plan(ctx, renderer.Request{
		Args: req.Args, Dir: req.Dir, Env: req.Env, Scene: req.scene, Input: req.Input, CellFrames: req.CellFrames,
		Assets:  req.Assets,
		Ahead:   ahead,
		Alone:   alone,
		Console: func(line string) { p.emit(Event{Event: "log", Text: line}) },
	}, func(at renderer.PlanProgress) {
		if time.Since(told) >= progressEvery/2 {
			told = time.Now()
			p.emit(Event{Event: "planning", Plays: at.Plays, Frames: at.Frames, Name: at.Name})
		}
	})
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

// distribute offers a planned job and waits until its cells are collected.
func (n *Node) distribute(ctx context.Context, p *publication, plan *renderer.Plan, req PublishRequest) (map[uint32]job.CID, error) {
	man := n.manifest(p, plan)
	var err error
	if man.Assets, err = n.importAssets(ctx, plan.Files); err != nil {
		return nil, err
	}
	block, id, err := man.Block()
	if err != nil {
		return nil, err
	}
	if _, err := n.parts.Store.PutBlock(ctx, block); err != nil {
		return nil, fmt.Errorf("manifest not stored: %w", err)
	}
	if err := n.parts.Store.Pin(ctx, string(id), job.CID(id), man.Assets); err != nil {
		return nil, fmt.Errorf("manifest not pinned: %w", err)
	}
	w := n.workOn(id)
	w.mu.Lock()
	w.man, w.engine, w.own = man, p.engine, true
	w.mu.Unlock()
	n.mu.Lock()
	p.id, p.man, p.lender, p.state = id, man, newLender(plan), "rendering"
	if r := n.requests[req.Ticket]; r != nil {
		r.jobs = append(r.jobs, id)
	}
	if plan.Stream {
		p.stream = newStream(man)
		n.streams[id] = p.stream
	}
	n.mu.Unlock()
	p.emit(Event{
		Event: "planned", Job: id, Name: plan.Name, Frames: man.Frames(), Plays: uint32(len(man.Plays)), Cells: uint32(len(man.Grid())),
		FPS: man.FPS, Width: man.Width, Height: man.Height,
	})
	n.log.Info("job offered", "job", id.Short(), "scene", plan.Name, "frames", man.Frames(), "cells", len(man.Grid()))
	n.post(scheduler.Submit{Job: id, Manifest: man, LocalSlots: n.localSlots(req)})

	tick := time.NewTicker(progressEvery)
	defer tick.Stop()
	var last Event
	told := p.stream == nil // that there is something to watch
	for {
		select {
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		case reason := <-p.failed:
			return nil, errors.New(reason)
		case reason := <-p.alone:
			return nil, &aloneError{reason}
		case cells := <-p.cells:
			return cells, nil
		case <-tick.C:
			now := n.progress(id)
			if !equalProgress(now, last) {
				p.emit(now)
				last = now
			}
			if !told && now.Seconds > worthWatching && p.stream.begun() {
				told = true
				p.emit(Event{Event: "watchable", Job: id, Name: plan.Name, Preview: plan.Preview && !plan.Sound})
			}
		}
	}
}

// manifest describes a planned job, but for its assets.
func (n *Node) manifest(p *publication, plan *renderer.Plan) *job.Manifest {
	return &job.Manifest{
		V: job.Version, Submitter: n.self, Nonce: p.nonce, Name: plan.Name, Need: plan.Need, Spec: plan.Spec,
		Width: plan.Width, Height: plan.Height, FPS: plan.FPS, Plays: plan.Plays, CellFrames: plan.CellFrames, Walk: plan.Walk,
	}
}

// worthWatching is how many seconds of rendering must be left for a film to be
// watched meanwhile: a finished one is better to watch.
const worthWatching = 3

// localSlots is how many cells of a job of this node are rendered here at a
// time.
func (n *Node) localSlots(req PublishRequest) uint32 {
	slots := n.currentAdvert().Slots
	if req.LocalSlots != nil {
		slots = min(slots, *req.LocalSlots)
	}
	return slots
}

func equalProgress(a, b Event) bool {
	return a.Done == b.Done && a.Rate == b.Rate && a.Seconds == b.Seconds && slices.Equal(a.Nodes, b.Nodes)
}

func (n *Node) importAssets(ctx context.Context, files []renderer.Asset) (job.CID, error) {
	sources := make([]blockstore.Source, len(files))
	for i, f := range files {
		info, err := os.Stat(f.Source)
		if err != nil {
			return "", fmt.Errorf("asset: %w", err)
		}
		sources[i] = blockstore.Source{Path: f.Path, Size: info.Size(), Open: func() (io.ReadCloser, error) { return os.Open(f.Source) }}
	}
	cid, _, err := n.parts.Store.Import(ctx, sources)
	if err != nil {
		return "", fmt.Errorf("assets: %w", err)
	}
	return cid, nil
}

// assemble hands the cells to the engine that planned the job.
func (n *Node) assemble(ctx context.Context, p *publication, cells map[uint32]job.CID, nodes []NodeFrames) (*finished, error) {
	n.mu.Lock()
	p.state = "assembling"
	n.mu.Unlock()
	files := make(map[uint32][]string, len(cells))
	for cell, cid := range cells {
		dir := fmt.Sprintf("collected/%d", cell)
		names, err := n.exportCell(ctx, p.engine.Out(), dir, cid)
		if err != nil {
			return nil, fmt.Errorf("cell %d: %w", cell, err)
		}
		files[cell] = names
	}
	film, err := p.engine.Assemble(ctx, files, p.stream != nil && p.stream.decide())
	if err != nil {
		return nil, err
	}
	if len(film.Files) == 0 {
		return nil, errors.New("the renderer wrote no file")
	}
	sum, err := hashFile(film.Files[0])
	if err != nil {
		return nil, err
	}
	return &finished{*film, sum, nodes}, nil
}

// exportCell writes a cell's files under dir and returns their names.
func (n *Node) exportCell(ctx context.Context, out *os.Root, dir string, cid job.CID) ([]string, error) {
	if err := out.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	root, err := out.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	if err := n.parts.Store.Export(ctx, cid, root); err != nil {
		return nil, err
	}
	block, err := n.parts.Store.Block(ctx, cid, nil)
	if err != nil {
		return nil, err
	}
	set, err := job.DecodeFileSet(block)
	if err != nil {
		return nil, err
	}
	names := make([]string, len(set.Files))
	for i, f := range set.Files {
		names[i] = path.Join(dir, f.Path)
	}
	return names, nil
}

func hashFile(name string) (string, error) {
	f, err := os.Open(filepath.Clean(name))
	if err != nil {
		return "", fmt.Errorf("film: %w", err)
	}
	defer f.Close()
	if info, err := f.Stat(); err != nil || info.IsDir() {
		return "", err // a folder of pictures has no one hash
	}
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return "", fmt.Errorf("film: %w", err)
	}
	return hex.EncodeToString(h.Sum(nil)), nil
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

// Cancel ends a job of this node. id may be the end of its id.
func (n *Node) Cancel(id string) error {
	n.mu.Lock()
	defer n.mu.Unlock()
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
