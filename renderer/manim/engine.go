// SPDX-License-Identifier: MIT

package manim

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"sync"

	"meshnode/job"
	"meshnode/renderer"
)

// defaultHashSeed is PYTHONHASHSEED of an engine, unless the user has set a
// number.
const defaultHashSeed = "0"

// engine is one Python process tree that serves one job.
type engine struct {
	r        *Renderer
	env      installed
	trust    renderer.Trust
	hashSeed string
	console  console

	comparing sync.Mutex // held by Alike

	mu       sync.Mutex // guards what follows; hub's fields too
	hub      *hub
	planning *planning
	headers  string // of the cells that were planned; "": they have none
	job      bool   // Plan or Load has been called
	closed   bool
	lacks    lacks
}

// start starts an engine and waits until it is warm.
func (r *Renderer) start(ctx context.Context, trust renderer.Trust, id, hashSeed string) (*engine, error) {
	env, err := r.byID(id)
	if err != nil {
		return nil, err
	}
	e := &engine{r: r, env: env, trust: trust, hashSeed: hashSeed}
	h, err := e.startHub(ctx)
	if err != nil {
		return nil, err
	}
	e.hub = h
	return e, nil
}

// alive reports whether the engine's process is still there.
func (e *engine) alive() bool {
	select {
	case <-e.current().done:
		return false
	default:
		return true
	}
}

func (e *engine) current() *hub {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.hub
}

func (e *engine) In() *os.Root  { return e.current().proc.In() }
func (e *engine) Out() *os.Root { return e.current().proc.Out() }

// Load implements renderer.Engine.
func (e *engine) Load(ctx context.Context, m *job.Manifest, missing renderer.Missing) error {
	var s manifestSpec
	if err := json.Unmarshal(m.Spec, &s); err != nil {
		return fmt.Errorf("manim: spec: %w", err)
	}
	if hashSeedOf([]string{"PYTHONHASHSEED=" + s.HashSeed}) != s.HashSeed {
		return fmt.Errorf("manim: spec: hash seed %.20q", s.HashSeed)
	}
	if err := e.begin(ctx, s.HashSeed); err != nil {
		return err
	}
	h := e.current()
	if err := h.proc.Give(ctx); err != nil {
		return err
	}
	e.lacks.begin(missing)
	dirs := h.proc.Dirs()
	if err := h.send(map[string]any{
		"t": "work", "spec": s.Engine, "plays": [][2]any{}, "cell_frames": m.CellFrames, "slots": e.r.cfg.Slots,
		"in": dirs.In, "out": dirs.Out, "exact": m.Need.Fingerprint == e.env.id,
	}); err != nil {
		return err
	}
	for plays := range slices.Chunk(m.Plays, 10_000) {
		if err := h.send(map[string]any{"t": "work_plays", "plays": pairsOf(plays)}); err != nil {
			return err
		}
	}
	return nil
}

// Render implements renderer.Engine.
func (e *engine) Render(ctx context.Context, cell uint32) (*renderer.Rendered, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	w := &waiting{make(chan cellResult, 1)}
	e.mu.Lock()
	h := e.hub
	if h.err != nil {
		e.mu.Unlock()
		return nil, h.err
	}
	if done, ok := h.early[cell]; ok {
		delete(h.early, cell)
		e.mu.Unlock()
		return done.out, done.err
	}
	if h.cells[cell] != nil {
		e.mu.Unlock()
		return nil, fmt.Errorf("manim: cell %d is being rendered already", cell)
	}
	h.cells[cell] = w
	e.mu.Unlock()
	if err := h.send(map[string]any{"t": "render", "cells": []uint32{cell}}); err != nil {
		return nil, err
	}
	select {
	case got := <-w.answer:
		return got.out, got.err
	case <-ctx.Done():
		e.mu.Lock()
		if h.cells[cell] == w {
			delete(h.cells, cell)
		}
		e.mu.Unlock()
		_ = h.send(map[string]any{"t": "drop", "cells": []uint32{cell}}) // else it has ended
		return nil, ctx.Err()
	}
}

// Assemble implements renderer.Engine.
func (e *engine) Assemble(ctx context.Context, cells map[uint32][]string, shown bool) (*renderer.Film, error) {
	h := e.current()
	return h.assemble(ctx, h.proc.Dirs().Out, cells, shown)
}

// Join implements renderer.Engine.
func (e *engine) Join(ctx context.Context, m *job.Manifest, cells map[uint32][]string) ([]string, error) {
	var s manifestSpec
	if err := json.Unmarshal(m.Spec, &s); err != nil {
		return nil, fmt.Errorf("manim: spec: %w", err)
	}
	if err := e.begin(ctx, e.hashSeed); err != nil {
		return nil, err
	}
	h := e.current()
	if err := h.proc.Give(ctx); err != nil {
		return nil, err
	}
	if err := h.send(map[string]any{"t": "join", "spec": s.Engine, "out": h.proc.Dirs().Out}); err != nil {
		return nil, err
	}
	film, err := h.assemble(ctx, h.proc.Dirs().In, cells, false)
	if err != nil {
		return nil, err
	}
	return film.Files, nil
}

// assemble names the cells' files, which lie under dir, and waits for the film.
func (h *hub) assemble(ctx context.Context, dir string, cells map[uint32][]string, shown bool) (*renderer.Film, error) {
	for some := range slices.Chunk(slices.Sorted(maps.Keys(cells)), 1000) {
		files := make(map[uint32][]string, len(some))
		for _, cell := range some {
			files[cell] = pathsIn(dir, cells[cell])
		}
		if err := h.send(map[string]any{"t": "cell_files", "cells": files}); err != nil {
			return nil, err
		}
	}
	if err := h.send(map[string]any{"t": "assemble", "shown": shown}); err != nil {
		return nil, err
	}
	select {
	case f := <-h.film:
		return f.film, f.err
	case <-h.done:
		return nil, h.err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// pathsIn returns the paths of files, named relative to a folder, as the engine reads them.
func pathsIn(dir string, names []string) []string {
	paths := make([]string, len(names))
	for i, name := range names {
		paths[i] = path.Join(filepath.ToSlash(dir), name)
	}
	return paths
}

// Close implements renderer.Engine.
func (e *engine) Close() error {
	e.mu.Lock()
	again := e.closed
	used := e.job
	e.closed = true
	h := e.hub
	e.mu.Unlock()
	if again {
		return nil
	}
	h.proc.Kill() // else what is being told to it waits for it to be read
	e.lacks.end()
	err := h.proc.Close()
	<-h.done
	if used {
		e.r.ended(e.trust, e.env.id)
	}
	return err
}

var _ renderer.Engine = (*engine)(nil)
