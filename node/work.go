// SPDX-License-Identifier: MIT

package node

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"meshnode/blockstore"
	"meshnode/job"
	"meshnode/renderer"
	"meshnode/scheduler"
)

// work is this node's part in one job: an engine, and the cells it is
// rendering. The loop creates and releases it; its goroutines end with ctx.
type work struct {
	job   job.ID
	ctx   context.Context
	end   context.CancelFunc
	tasks sync.WaitGroup

	mu     sync.Mutex    // guards what follows; held while an engine is taken and loaded
	man    *job.Manifest // set with cellsMu held as well
	engine renderer.Engine
	own    bool // the job is of this node: the engine is one that has planned it
	from   []job.PeerID
	env    string // of the renderer, for the engine
	here   bool   // the job's files are on this computer

	referee  *work // to compare with, of a job of this node; nil: there was nothing to compare
	fallBack bool  // to an engine without a sandbox, where there is none: it is a referee
	looking  sync.Mutex
	unlooked sync.Once // of a referee; see tellUnlooked

	cellsMu  sync.Mutex // guards what follows; taken after mu
	cells    map[uint32]*rendering
	outputs  map[uint32]job.CID    // of the cells that are here
	makers   map[uint32]job.PeerID // see setMakers
	believes bool                  // what peers render of it, unchecked
	keys     []job.Key             // of the cells; nil: their outputs are not remembered
	script   string                // of a job of this node; see scriptOf
	drawsIn  string                // of another's job: the environment of its latest engine
}

// workOn returns the node's part in a job, made on first use.
func (n *Node) workOn(id job.ID) *work {
	n.mu.Lock()
	defer n.mu.Unlock()
	w := n.works[id]
	if w == nil {
		w = &work{job: id, cells: make(map[uint32]*rendering), outputs: make(map[uint32]job.CID)}
		w.ctx, w.end = context.WithCancel(n.ctx)
		n.works[id] = w
	}
	return w
}

// prepareTime bounds the fetch of a job's assets and the loading of an engine.
const prepareTime = 5 * time.Minute

func (n *Node) prepare(a scheduler.Prepare) {
	w := n.workOn(a.Job)
	w.tasks.Go(func() {
		w.mu.Lock()
		w.from, w.env = a.From, a.Env
		w.mu.Unlock()
		start := time.Now()
		err := n.ready(w)
		switch {
		case err == nil && w.own: // planned again
		case err == nil:
			n.log.Info("working on a job", "job", a.Job.Short(), "scene", w.man.Name, "of", n.nameOf(w.man.Submitter), "prepared", time.Since(start).Round(time.Millisecond))
		case w.ctx.Err() == nil:
			n.log.Warn("job not prepared", "job", a.Job.Short(), "err", err)
			n.lookAtDisk()
		}
		n.post(scheduler.Prepared{Job: a.Job, Err: err})
	})
}

// render renders a cell and stores its files. A cell that is dropped meanwhile
// is not reported.
func (n *Node) render(a scheduler.Render) {
	w := n.workOn(a.Job)
	w.atCell(a.Cell, func(ctx context.Context) (report func()) {
		done, err := n.renderCell(ctx, w, a.Cell)
		if err != nil {
			return func() {
				n.log.Warn("cell not rendered", "job", a.Job.Short(), "cell", a.Cell, "err", err)
				n.lookAtDisk()
				n.post(scheduler.RenderFailed{Job: a.Job, Cell: a.Cell, Class: classOf(err), Reason: reasonOf(err)})
			}
		}
		return func() {
			n.log.Debug("cell rendered", "job", a.Job.Short(), "cell", a.Cell, "bytes", done.Size, "seconds", round(done.Seconds))
			w.has(a.Cell, done.Output)
			n.keepResult(w, a.Cell, done.Output, done.Size)
			n.toStream(a.Job, a.Cell, done.Output)
			n.post(done)
		}
	})
}

// rendering is one Render or Check; a cell that is dropped and wanted again has another.
type rendering struct{ cancel context.CancelFunc }

// atCell has a cell rendered, in a goroutine of the work, and reports then, unless it has
// been dropped meanwhile.
func (w *work) atCell(cell uint32, do func(ctx context.Context) (report func())) {
	ctx, cancel := context.WithCancel(w.ctx)
	one := &rendering{cancel}
	w.cellsMu.Lock()
	w.cells[cell] = one
	w.cellsMu.Unlock()
	w.tasks.Go(func() {
		report := do(ctx)
		w.cellsMu.Lock()
		dropped := w.cells[cell] != one || ctx.Err() != nil
		if w.cells[cell] == one {
			delete(w.cells, cell)
		}
		w.cellsMu.Unlock()
		cancel()
		if !dropped {
			report()
		}
	})
}

func (n *Node) renderCell(ctx context.Context, w *work, cell uint32) (scheduler.Rendered, error) {
	leave, err := n.enter(ctx, w)
	if err != nil {
		return scheduler.Rendered{}, err
	}
	defer leave()
	engine, err := n.engineOf(ctx, w)
	if err != nil {
		return scheduler.Rendered{}, err
	}
	start := time.Now()
	out, err := engine.Render(ctx, cell)
	if errors.Is(err, renderer.ErrEnded) {
		n.dropEngine(w, engine) // the next cell takes another
	}
	if err != nil {
		return scheduler.Rendered{}, err
	}
	w.mu.Lock()
	own := w.own
	w.mu.Unlock()
	if !own { // what a stranger's engine says of itself
		out.Seconds = min(max(out.Seconds, 0), time.Since(start).Seconds())
	}
	sources, err := outputs(engine.Out(), out.Files, w.man, cell)
	if err != nil {
		return scheduler.Rendered{}, err
	}
	cid, set, err := n.parts.Store.Import(ctx, sources)
	if err != nil {
		return scheduler.Rendered{}, fmt.Errorf("store: %w", err)
	}
	if err := n.parts.Store.Pin(ctx, string(w.job), cid); err != nil {
		return scheduler.Rendered{}, fmt.Errorf("pin: %w", err)
	}
	for _, name := range out.Files { // the engine's folder may be memory
		engine.Out().Remove(name)
	}
	return scheduler.Rendered{Job: w.job, Cell: cell, Output: cid, Size: set.Size(), Seconds: out.Seconds}, nil
}

// outputs returns the files of a cell, which an engine has named, after a look at
// each. One is open at a time: a stranger's engine may name many. The cell's number is
// taken off their names: equal cells are equal file sets, wherever they lie in a job.
func outputs(out *os.Root, names []string, m *job.Manifest, cell uint32) ([]blockstore.Source, error) {
	frames := framesOf(m, cell)
	left := limitOf(m, frames)
	if most := max(1, int(frames)); len(names) > most { // a film, or a picture for each frame
		return nil, fmt.Errorf("cell %d: %d files, at most %d allowed", cell, len(names), most)
	}
	sources := make([]blockstore.Source, len(names))
	for i, name := range names {
		f, size, err := renderer.OpenOutput(out, name, left)
		if err != nil {
			return nil, err
		}
		f.Close()
		left -= size
		open := func() (io.ReadCloser, error) {
			f, _, err := renderer.OpenOutput(out, name, size)
			return f, err
		}
		path := strings.TrimPrefix(name, fmt.Sprintf("%d-", cell))
		sources[i] = blockstore.Source{Path: path, Size: size, Open: open}
	}
	return sources, nil
}

// outputLimit bounds the bytes of a cell.
func outputLimit(m *job.Manifest, cell uint32) int64 { return limitOf(m, framesOf(m, cell)) }

// limitOf bounds the bytes of a cell of so many frames: no output is larger than its
// raw pictures, and a little for containers.
func limitOf(m *job.Manifest, frames int64) int64 {
	return min(job.MaxSetSize, 16<<20+max(1, frames)*int64(m.Width)*int64(m.Height)*4*11/10)
}

// framesOf returns the length of a cell, 0 if there is none of that number.
func framesOf(m *job.Manifest, cell uint32) int64 {
	grid := m.Grid()
	if int(cell) >= len(grid) {
		return 0
	}
	return int64(grid[cell].Frames)
}

// setManifest notes what the job is. w.mu is held.
func (w *work) setManifest(m *job.Manifest) {
	w.cellsMu.Lock()
	defer w.cellsMu.Unlock()
	w.man = m
}

// believe notes how far peers are believed that render a job of this node.
func (w *work) believe(t scheduler.Trust) {
	w.cellsMu.Lock()
	defer w.cellsMu.Unlock()
	w.believes = t == scheduler.TrustMine
}

// manifest returns what the job is, also while an engine is loaded, nil if that is
// not known yet.
func (w *work) manifest() *job.Manifest {
	w.cellsMu.Lock()
	defer w.cellsMu.Unlock()
	return w.man
}

// has notes a cell that is here.
func (w *work) has(cell uint32, output job.CID) {
	w.cellsMu.Lock()
	defer w.cellsMu.Unlock()
	w.outputs[cell] = output
}

// outputsNow returns the cells that are here.
func (w *work) outputsNow() map[uint32]job.CID {
	w.cellsMu.Lock()
	defer w.cellsMu.Unlock()
	return maps.Clone(w.outputs)
}

func classOf(err error) scheduler.Class {
	switch {
	case errors.Is(err, renderer.ErrDiverged), errors.Is(err, renderer.ErrUnfit):
		return scheduler.Diverged
	case errors.Is(err, renderer.ErrMemory):
		return scheduler.Memory
	case noRoom(err):
		return scheduler.Environment
	}
	return scheduler.Retry
}

// noRoom reports whether this node's disk is what keeps it from something.
func noRoom(err error) bool {
	return errors.Is(err, blockstore.ErrFull) || errors.Is(err, syscall.ENOSPC)
}

// reasonOf returns what people should read of an error: the renderer's own
// output where there is one.
func reasonOf(err error) string {
	text := strings.TrimPrefix(err.Error(), renderer.ErrDiverged.Error()+": ")
	if scene := (*renderer.SceneError)(nil); errors.As(err, &scene) {
		text = scene.Text
	}
	return strings.ToValidUTF8(text[max(0, len(text)-job.MaxText):], "") // a cut may go through a letter
}

func (n *Node) drop(a scheduler.Drop) {
	w := n.workOn(a.Job)
	w.cellsMu.Lock()
	defer w.cellsMu.Unlock()
	if one := w.cells[a.Cell]; one != nil {
		one.cancel()
	}
}

// release ends the node's part in a job that is over, and frees its blocks.
func (n *Node) release(id job.ID) {
	n.log.Debug("job released", "job", id.Short())
	n.finishNothing(id)
	n.endWork(id, func() {
		n.endStream(id) // those who watch it need its blocks
		ctx, cancel := context.WithTimeout(context.WithoutCancel(n.ctx), 10*time.Second)
		defer cancel()
		if n.ctx.Err() != nil {
			return // the next node of this home does that
		}
		if err := n.parts.Store.Unpin(ctx, string(id)); err != nil {
			n.log.Warn("job not unpinned", "job", id.Short(), "err", err)
		}
		if err := n.makeRoom(ctx); err != nil {
			n.log.Warn("old blocks not collected", "err", err)
		}
	})
}

// endWork ends what this node does for a job, and does something then.
func (n *Node) endWork(id job.ID, then func()) {
	n.mu.Lock()
	w := n.works[id]
	delete(n.works, id)
	n.mu.Unlock()
	if w != nil {
		w.end()
	}
	n.tasks.Go(func() {
		if w != nil {
			w.tasks.Wait()
			if w.referee != nil {
				n.closeEngine(w.referee.engine, id)
			}
			n.closeGuest(w)
		}
		then()
	})
}

// endWorks ends all that this node does for jobs. They go on with the next node of
// this home.
func (n *Node) endWorks() {
	n.mu.Lock()
	ids := slices.Collect(maps.Keys(n.works))
	n.mu.Unlock()
	for _, id := range ids {
		n.endWork(id, func() {})
	}
}

// Time to collect a cell: a fixed part for finding it, and a slow network's.
const (
	collectTime    = 20 * time.Second
	collectPerByte = time.Second / (1 << 20)
)

// collect brings a cell here: of a job of this node, or a copy of another's.
func (n *Node) collect(a scheduler.Fetch) {
	w := n.workOn(a.Job)
	w.tasks.Go(func() {
		ctx, cancel := context.WithTimeout(w.ctx, collectTime+time.Duration(a.Size)*collectPerByte)
		defer cancel()
		bad, err := n.collectCell(ctx, w, a)
		switch {
		case err == nil:
			w.has(a.Cell, a.CID)
			if w.believesAll() {
				n.keepResult(w, a.Cell, a.CID, a.Size)
			}
			n.toStream(a.Job, a.Cell, a.CID)
			n.post(scheduler.Fetched{Job: a.Job, Cell: a.Cell, CID: a.CID})
		case w.ctx.Err() != nil: // nobody waits for it any more
		default:
			n.log.Warn("cell not collected", "job", a.Job.Short(), "cell", a.Cell, "err", err)
			blind := errors.Is(err, errNotLooked)
			n.post(scheduler.FetchFailed{Job: a.Job, Cell: a.Cell, CID: a.CID, Size: a.Size, Bad: bad, Here: !blind && noRoom(err), Blind: blind})
		}
	})
}

// collectCell brings a cell here, looks at it and pins it. ctx bounds what peers have to
// do: how long this node takes to look is not their fault. bad: what they gave is no cell.
func (n *Node) collectCell(ctx context.Context, w *work, a scheduler.Fetch) (bad bool, err error) {
	man := w.manifest()
	if man == nil { // a copy, on a node that does not work on the job
		block, err := n.parts.Store.Block(ctx, job.CID(a.Job), a.From)
		if err != nil {
			return false, fmt.Errorf("manifest: %w", err)
		}
		if man, err = job.DecodeManifest(block); err != nil {
			return false, err
		}
	}
	limit := uint64(outputLimit(man, a.Cell))
	if a.Size > limit {
		return true, fmt.Errorf("%d bytes announced, at most %d allowed", a.Size, limit)
	}
	set, err := n.parts.Store.Fetch(ctx, a.CID, a.From, limit)
	if err != nil {
		return errors.Is(err, blockstore.ErrLimit) || errors.Is(err, job.ErrInvalid), err
	}
	if set.Size() != a.Size {
		return true, fmt.Errorf("%d bytes, %d announced", set.Size(), a.Size)
	}
	if man.Submitter == n.self && !w.believesAll() {
		if err := n.lookAt(w, a.Cell, a.CID); err != nil {
			return errors.Is(err, renderer.ErrNoCell), err
		}
	}
	pinning, cancel := context.WithTimeout(w.ctx, collectTime) // ctx may have ended while others were looked at
	defer cancel()
	return false, n.parts.Store.Pin(pinning, string(a.Job), a.CID)
}
