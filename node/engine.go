// SPDX-License-Identifier: MIT

package node

import (
	"context"
	"errors"
	"fmt"

	"meshnode/job"
	"meshnode/renderer"
)

// ready brings a job's files here, and then its engine: who sends them slowly keeps
// nobody waiting for a place.
func (n *Node) ready(w *work) error {
	ctx, cancel := context.WithTimeout(w.ctx, prepareTime)
	defer cancel()
	w.mu.Lock()
	var err error
	if !w.own {
		err = n.bring(ctx, w)
	}
	w.mu.Unlock()
	if err != nil {
		return err
	}
	leave, err := n.enter(ctx, w)
	if err != nil {
		return err
	}
	defer leave()
	_, err = n.engineOf(w.ctx, w)
	return err
}

// engineOf returns the engine of a job, taken and loaded, or planned with, when there
// is none: at first, and after the last one has ended.
func (n *Node) engineOf(ctx context.Context, w *work) (engine renderer.Engine, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.engine != nil {
		return w.engine, nil
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(w.ctx, cancel)()
	if w.own {
		engine, err = n.planAgain(ctx, w)
	} else {
		engine, err = n.load(ctx, w)
	}
	if err != nil {
		return engine, err
	}
	w.engine = engine
	if !w.own {
		w.cellsMu.Lock()
		w.drawsIn = w.env
		w.cellsMu.Unlock()
	}
	return engine, nil
}

// load takes an engine for another node's job. w.mu is held.
func (n *Node) load(ctx context.Context, w *work) (renderer.Engine, error) {
	ctx, cancel := context.WithTimeout(ctx, prepareTime)
	defer cancel()
	if err := n.bring(ctx, w); err != nil {
		return nil, err
	}
	engine, err := n.parts.Renderer.Take(ctx, renderer.Foreign, w.env)
	if err != nil && w.fallBack {
		engine, err = n.parts.Renderer.Take(ctx, renderer.Own, w.env)
	}
	if err != nil {
		return nil, err
	}
	if err = n.parts.Store.Export(ctx, w.man.Assets, engine.In()); err != nil {
		w.here = false // not all of them, it seems
		if noRoom(err) {
			err = fmt.Errorf("the job's files do not fit into the folder that another's job has here: %w", err)
		}
		err = fmt.Errorf("assets: %w", err)
	} else if err = engine.Load(ctx, w.man, n.borrower(w.man, w.job, engine)); err != nil {
		err = fmt.Errorf("load: %w", err)
	}
	if err != nil {
		return nil, errors.Join(err, engine.Close())
	}
	return engine, nil
}

// bring fetches a job's files, unless they are here, while an engine starts. w.mu is
// held.
func (n *Node) bring(ctx context.Context, w *work) error {
	if w.here {
		return nil
	}
	n.parts.Renderer.Warm(renderer.Foreign, w.env)
	block, err := n.parts.Store.Block(ctx, job.CID(w.job), w.from)
	if err != nil {
		return fmt.Errorf("manifest: %w", err)
	}
	man, err := job.DecodeManifest(block)
	if err != nil {
		return err
	}
	w.setManifest(man)
	if err := n.parts.Store.Pin(ctx, string(w.job), job.CID(w.job), w.man.Assets); err != nil {
		return fmt.Errorf("pin: %w", err)
	}
	if keys, err := n.keysOf(ctx, man, w.from); err != nil {
		n.log.Info("outputs will not be remembered", "job", w.job.Short(), "err", err)
	} else {
		w.setKeys(keys, "")
	}
	if _, err := n.parts.Store.Fetch(ctx, w.man.Assets, w.from, n.roomFor(job.MaxSetSize)); err != nil {
		return fmt.Errorf("assets: %w", err)
	}
	w.here = true
	return nil
}

// dropEngine forgets an engine that has ended, unless another goroutine already
// has.
func (n *Node) dropEngine(w *work, engine renderer.Engine) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.engine != engine {
		return
	}
	w.engine = nil
	n.closeEngine(engine, w.job)
}

// closeEngine closes the engine of a job, if there is one.
func (n *Node) closeEngine(engine renderer.Engine, id job.ID) {
	if engine == nil {
		return
	}
	if err := engine.Close(); err != nil {
		n.log.Warn("engine not closed", "job", id.Short(), "err", err)
	}
}
