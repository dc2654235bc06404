// SPDX-License-Identifier: MIT

package manim

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"meshnode/job"
	"meshnode/renderer"
	"meshnode/renderer/sandbox"
)

// protocolVersion is the engine's VERSION.
const protocolVersion = 1

// defaultHashSeed is PYTHONHASHSEED of an engine, unless the user has set a
// number.
const defaultHashSeed = "0"

// helloTime bounds an engine's start: importing Manim took 0.6 to 1.7 s.
const helloTime = 60 * time.Second

// maxScenes bounds the scenes of one file.
const maxScenes = 10_000

// engine is one Python process tree that serves one job.
type engine struct {
	r        *Renderer
	env      installed
	trust    renderer.Trust
	hashSeed string
	console  console

	mu       sync.Mutex // guards what follows; hub's fields too
	hub      *hub
	planning *planning
	headers  string // of the cells that were planned; "": they have none
	job      bool   // Plan or Load has been called
	closed   bool
	lacks    lacks
}

// hub is one running process, and what is waited for from it.
type hub struct {
	proc  *sandbox.Proc
	pipe  pipe
	done  chan struct{} // closed when it says nothing more
	err   error         // why; set before done is closed
	cells map[uint32]*waiting
	early map[uint32]cellResult // drawn before anybody asked, while the plan was made
	film  chan filmResult       // of Assemble
	check chan error            // of Check
}

// waiting is one cell that was asked for.
type waiting struct {
	answer chan cellResult // one value
}

type cellResult struct {
	out *renderer.Rendered
	err error
}

type filmResult struct {
	film *renderer.Film
	err  error
}

// planning is a Plan that is under way.
type planning struct {
	onPlay   func(renderer.PlanProgress)
	alone    bool // the walk draws
	plan     renderer.Plan
	packages []string // that the scene imports
	frames   uint32
	done     chan error // one value
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

func (e *engine) startHub(ctx context.Context) (*hub, error) {
	tier, spec, err := e.r.spec(e.env, e.trust, e.hashSeed)
	if err != nil {
		return nil, err
	}
	if e.trust == renderer.Own {
		spec.Stderr = &e.console
	}
	proc, err := sandbox.Start(context.WithoutCancel(ctx), tier, spec)
	if err != nil {
		return nil, err
	}
	h := &hub{
		proc: proc, pipe: pipe{r: proc.Stdout(), w: proc.Stdin()}, done: make(chan struct{}),
		cells: make(map[uint32]*waiting), early: make(map[uint32]cellResult), film: make(chan filmResult, 1), check: make(chan error, 1),
	}
	if e.trust == renderer.Foreign {
		h.pipe.left = saidLimit
	}
	proc.Stdout().SetReadDeadline(time.Now().Add(helloTime))
	giveUp := context.AfterFunc(ctx, func() { proc.Stdout().SetReadDeadline(time.Now()) })
	hello, err := h.pipe.receive()
	if !giveUp() && ctx.Err() != nil {
		err = ctx.Err()
	}
	switch {
	case err != nil:
	case hello.Kind != "hello" || hello.Version != protocolVersion:
		err = fmt.Errorf("it said %q, version %d", hello.Kind, hello.Version)
	case hello.Manim != e.env.Manim || hello.HashSeed != e.hashSeed:
		err = fmt.Errorf("it has Manim %s and hash seed %q", hello.Manim, hello.HashSeed)
	case e.trust == renderer.Foreign && !e.r.urgent:
		proc.Lower()
	}
	if err != nil {
		said := lastLines(proc.Stderr(), 20)
		proc.Close()
		return nil, fmt.Errorf("%w: %w\n%s", errHello, err, said)
	}
	proc.Stdout().SetReadDeadline(time.Time{})
	go e.listen(h)
	return h, nil
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

// listen hears the engine until it ends; then whatever waits for it fails.
func (e *engine) listen(h *hub) {
	var err error
	for err == nil {
		var m *message
		if m, err = h.pipe.receive(); err == nil {
			err = e.heed(h, m)
		}
	}
	if !errors.Is(err, io.EOF) { // it broke the protocol
		h.proc.Kill()
	}
	exit := h.proc.Wait()
	why := renderer.ErrEnded
	if errors.Is(exit.Killed, sandbox.ErrMemory) {
		why = renderer.ErrMemory
	}
	err = fmt.Errorf("%w: %s", why, ending(err, exit))
	e.mu.Lock()
	defer e.mu.Unlock()
	h.err = err
	for _, w := range h.cells {
		w.answer <- cellResult{err: err}
	}
	clear(h.cells)
	if e.planning != nil && e.hub == h { // a process of another hash seed may have taken its place
		e.planning.done <- err
		e.planning = nil
	}
	close(h.done)
}

// ending words how an engine ended.
func ending(err error, exit sandbox.Exit) string {
	text := fmt.Sprintf("exit code %d", exit.Code)
	switch {
	case exit.Killed != nil && !errors.Is(exit.Killed, sandbox.ErrKilled):
		text = exit.Killed.Error()
	case !errors.Is(err, io.EOF): // then it was killed for that
		text = err.Error()
	case exit.Killed != nil:
		text = exit.Killed.Error()
	}
	if said := lastLines(exit.Stderr, 10); said != "" && !errors.Is(exit.Killed, sandbox.ErrKilled) {
		text += "\n" + said
	}
	return text
}

// lastLines returns the end of what an engine printed, for people.
func lastLines(text []byte, n int) string {
	lines := bytes.Split(bytes.TrimSpace(text), []byte("\n"))
	return string(bytes.Join(lines[max(0, len(lines)-n):], []byte("\n")))
}

// heed takes one message. An error ends the engine.
func (e *engine) heed(h *hub, m *message) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	switch m.Kind {
	case "play", "files", "restart", "plan":
		return e.heedPlan(m)
	case "cell", "cell_error":
		if m.Cell == nil {
			return fmt.Errorf("manim: engine message %q without a cell", m.Kind)
		}
		w := h.cells[*m.Cell]
		if w == nil { // drawn ahead, or dropped meanwhile
			if e.trust == renderer.Own && m.Kind == "cell" && len(h.early) < job.MaxCells {
				h.early[*m.Cell] = cellOf(m)
			}
			return nil
		}
		delete(h.cells, *m.Cell)
		w.answer <- cellOf(m)
	case "finished":
		var files []string
		if err := json.Unmarshal(m.Files, &files); err != nil {
			return fmt.Errorf("manim: finished: %w", err)
		}
		e.finish(h, filmResult{film: &renderer.Film{Files: files}})
	case "scene_error":
		e.failPlan(h, &renderer.SceneError{Text: strings.TrimRight(m.Text, "\n")})
	case "scenes":
		if len(m.Scenes) == 0 || len(m.Scenes) > maxScenes {
			return fmt.Errorf("manim: engine message about %d scenes", len(m.Scenes))
		}
		e.failPlan(h, &renderer.ScenesError{Scenes: m.Scenes, Choose: m.Choose})
	case "usage_error":
		e.failPlan(h, &renderer.UsageError{Text: strings.TrimRight(m.Text, "\n")})
	case "changed":
		e.failPlan(h, &renderer.ChangedError{Text: m.Text})
	case "need":
		return e.heedNeed(h, m.Path)
	case "checked":
		select {
		case h.check <- checkedOf(m):
		default: // nobody asked
		}
	case "note":
		e.console.line(m.Text)
	case "error":
		return fmt.Errorf("manim: engine: %s", clip(m.Text))
	default:
		return fmt.Errorf("manim: unknown engine message %.40q", m.Kind)
	}
	return nil
}

// failPlan ends what the leader was doing: the plan, or the film.
func (e *engine) failPlan(h *hub, err error) {
	if e.planning != nil {
		e.planning.done <- err
		e.planning = nil
		return
	}
	e.finish(h, filmResult{err: err})
}

func (e *engine) finish(h *hub, f filmResult) {
	select {
	case h.film <- f:
	default: // nobody asked
	}
}

func (e *engine) heedPlan(m *message) error {
	p := e.planning
	if p == nil {
		return nil // the user has gone
	}
	switch m.Kind {
	case "restart":
		p.plan, p.frames = renderer.Plan{}, 0
		clear(e.hub.early)
	case "play":
		if len(p.plan.Plays) >= job.MaxPlays {
			e.failPlan(e.hub, &renderer.UsageError{Text: fmt.Sprintf("the scene has more than %d plays", job.MaxPlays)})
			return nil
		}
		p.plan.Plays = append(p.plan.Plays, job.Play{Frames: m.Frames, Frozen: m.Frozen})
		p.plan.Costs = append(p.plan.Costs, renderer.PlayCost{Name: m.Name, Walk: m.Walk, Outlines: m.Outlines})
		p.frames += m.Frames
		if p.onPlay != nil {
			p.onPlay(renderer.PlanProgress{Plays: uint32(len(p.plan.Plays)), Frames: p.frames, Name: m.Name})
		}
	case "files":
		var pairs [][2]string
		if err := json.Unmarshal(m.Files, &pairs); err != nil {
			return fmt.Errorf("manim: files: %w", err)
		}
		for _, f := range pairs {
			if f[0] == namesFile {
				var err error
				if p.plan.Lendable, err = readNames(f[1]); err != nil {
					return err
				}
			}
			p.plan.Files = append(p.plan.Files, renderer.Asset{Path: f[0], Source: f[1]})
		}
	case "plan":
		own := manifestSpec{HashSeed: e.hashSeed}
		if err := json.Unmarshal(m.Spec, &own.Engine); err != nil {
			return fmt.Errorf("manim: spec: %w", err)
		}
		spec, err := json.Marshal(own)
		if err != nil {
			return fmt.Errorf("manim: spec: %w", err)
		}
		p.plan.Name, p.plan.Spec, p.plan.FPS, p.plan.Width, p.plan.Height = m.Scene, spec, m.FPS, m.Width, m.Height
		p.plan.CellFrames, p.plan.Walk, p.plan.Notes, p.plan.Root = m.CellFrames, m.Walk, m.Warnings, m.Root
		for _, pkg := range m.Packages {
			p.packages = append(p.packages, packageName(pkg[0], pkg[1]))
		}
		p.plan.Whole, e.headers = m.What == "still" || p.frames == 0 || p.alone, m.Headers
		p.plan.Stream, p.plan.Sound, p.plan.Preview = m.Stream, m.Sound, m.Preview
		p.done <- nil
		e.planning = nil
	}
	return nil
}

// manifestSpec is the renderer's own part of a manifest.
type manifestSpec struct {
	HashSeed string `json:"hash_seed"`
	Engine   string `json:"engine"` // as the engine made it
}

// Plan implements renderer.Engine.
func (e *engine) Plan(ctx context.Context, req renderer.Request, onPlay func(renderer.PlanProgress)) (*renderer.Plan, error) {
	if len(req.Args) == 0 {
		return nil, &renderer.UsageError{Text: "no scene file: give the path of a Python file"}
	}
	if err := e.begin(ctx, hashSeedOf(req.Env)); err != nil {
		return nil, err
	}
	e.console.to.Store(&req.Console)
	env := make(map[string]string, len(req.Env))
	for _, kv := range req.Env {
		if k, v, ok := strings.Cut(kv, "="); ok && k != "" {
			env[k] = v
		}
	}
	p := &planning{onPlay: onPlay, alone: req.Alone, done: make(chan error, 1)}
	e.mu.Lock()
	h := e.hub
	e.planning = p
	e.mu.Unlock()
	again, err := e.writeEarlier(h, req.Again)
	if err != nil {
		return nil, err
	}
	if err := h.pipe.send(map[string]any{
		"t": "plan", "again": again, "args": req.Args, "cwd": req.Dir, "env": env, "out": h.proc.Dirs().Out,
		"cell_frames": req.CellFrames, "slots": e.r.cfg.Slots, "ahead": req.Ahead, "assets": req.Assets,
		"scene": req.Scene, "input": req.Input, "alone": req.Alone,
	}); err != nil {
		return nil, err
	}
	select {
	case err := <-p.done:
		if err != nil {
			return nil, err
		}
	case <-h.done:
		return nil, h.err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	in := e.r.describe(e.env)
	p.plan.Need = in.Need()
	if e.headers == "" {
		p.plan.Need.Headers = "" // whoever draws the same writes parts that fit
	}
	p.plan.Need.Packages = slices.DeleteFunc(p.packages, func(name string) bool { return !slices.Contains(in.Packages, name) })
	return &p.plan, nil
}

// writeEarlier writes what an earlier plan was, for the leader to follow, and
// returns where, "" without one.
func (e *engine) writeEarlier(h *hub, p *renderer.Earlier) (string, error) {
	if p == nil {
		return "", nil
	}
	const told, digests = "again.json", "again-digests"
	var own manifestSpec
	if err := json.Unmarshal(p.Spec, &own); err != nil {
		return "", fmt.Errorf("manim: spec: %w", err)
	}
	sums, err := p.File(digestsFile)
	if err != nil {
		return "", fmt.Errorf("manim: the earlier plan: %w", err)
	}
	out := h.proc.Dirs().Out
	text, err := json.Marshal(map[string]any{
		"spec": json.RawMessage(own.Engine), "plays": pairsOf(p.Plays), "digests": filepath.Join(out, digests),
	})
	if err == nil {
		err = h.proc.Out().WriteFile(told, text, 0o600)
	}
	if err == nil {
		err = h.proc.Out().WriteFile(digests, sums, 0o600)
	}
	if err != nil {
		return "", fmt.Errorf("manim: the earlier plan: %w", err)
	}
	return filepath.Join(out, told), nil
}

// digestsFile is the asset with what other walks are compared with.
const digestsFile = "digests"

// pairsOf words plays for the engine.
func pairsOf(plays []job.Play) [][2]any {
	pairs := make([][2]any, len(plays))
	for i, p := range plays {
		pairs[i] = [2]any{p.Frames, p.Frozen}
	}
	return pairs
}

// hashSeedOf returns the PYTHONHASHSEED under which stock Manim would run; for
// "random", or none, the one that every node can have.
func hashSeedOf(env []string) string {
	seed := defaultHashSeed
	for _, kv := range env {
		if v, ok := strings.CutPrefix(kv, "PYTHONHASHSEED="); ok {
			if v != "" && strings.Trim(v, "0123456789") == "" {
				seed = v
			}
		}
	}
	return seed
}

// begin makes the engine one with that hash seed, and marks it as used.
func (e *engine) begin(ctx context.Context, hashSeed string) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.job || e.closed {
		return fmt.Errorf("%w: it serves one job only", renderer.ErrEnded)
	}
	e.job = true
	if hashSeed == e.hashSeed {
		return nil
	}
	// Python reads the seed when it starts: take another process.
	old := e.hub
	e.hashSeed = hashSeed
	h, err := e.startHub(ctx)
	if err != nil {
		return err
	}
	if err := copyRoot(h.proc.In(), old.proc.In()); err != nil {
		h.proc.Close()
		return fmt.Errorf("manim: inputs: %w", err)
	}
	e.hub = h
	return old.proc.Close()
}

// copyRoot copies the files of one folder into another.
func copyRoot(to, from *os.Root) error {
	return fs.WalkDir(from.FS(), ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || name == "." {
			return err
		}
		if d.IsDir() {
			return to.MkdirAll(name, 0o700)
		}
		return copyFile(to, from, name)
	})
}

func copyFile(to, from *os.Root, name string) error {
	source, err := from.Open(name)
	if err != nil {
		return err
	}
	defer source.Close()
	target, err := to.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(target, source)
	return errors.Join(err, target.Close())
}

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
	if err := h.proc.Give(); err != nil {
		return err
	}
	e.lacks.begin(missing)
	dirs := h.proc.Dirs()
	if err := h.pipe.send(map[string]any{
		"t": "work", "spec": s.Engine, "plays": [][2]any{}, "cell_frames": m.CellFrames, "slots": e.r.cfg.Slots,
		"in": dirs.In, "out": dirs.Out, "exact": m.Need.Fingerprint == e.env.id,
	}); err != nil {
		return err
	}
	for plays := range slices.Chunk(m.Plays, 10_000) {
		if err := h.pipe.send(map[string]any{"t": "work_plays", "plays": pairsOf(plays)}); err != nil {
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
	if err := h.pipe.send(map[string]any{"t": "render", "cells": []uint32{cell}}); err != nil {
		return nil, errors.Join(renderer.ErrEnded, err)
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
		_ = h.pipe.send(map[string]any{"t": "drop", "cells": []uint32{cell}}) // else it has ended
		return nil, ctx.Err()
	}
}

// cellOf words an engine's answer.
func cellOf(m *message) cellResult {
	if m.Kind == "cell_error" {
		m.Text = clip(m.Text)
		err := &renderer.SceneError{Text: m.Text}
		switch m.Reason {
		case "diverged", "pixels":
			return cellResult{err: fmt.Errorf("%w: %s", renderer.ErrDiverged, m.Text)}
		case "headers":
			return cellResult{err: fmt.Errorf("%w: %s", renderer.ErrUnfit, m.Text)}
		case "scene":
			return cellResult{err: err}
		case "memory":
			return cellResult{err: fmt.Errorf("%w: cell %d: %s", renderer.ErrMemory, *m.Cell, m.Text)}
		}
		return cellResult{err: fmt.Errorf("manim: cell %d: %s", *m.Cell, m.Text)}
	}
	var pairs [][2]any
	if err := json.Unmarshal(m.Files, &pairs); err != nil {
		return cellResult{err: fmt.Errorf("manim: cell %d: %w", *m.Cell, err)}
	}
	out := &renderer.Rendered{Seconds: m.Seconds, Raster: m.Raster, Encode: m.Encode}
	for _, f := range pairs {
		name, ok := f[0].(string)
		if !ok {
			return cellResult{err: fmt.Errorf("manim: cell %d: a file without a name", *m.Cell)}
		}
		out.Files = append(out.Files, name)
	}
	return cellResult{out: out}
}

// Assemble implements renderer.Engine.
func (e *engine) Assemble(ctx context.Context, cells map[uint32][]string, shown bool) (*renderer.Film, error) {
	h := e.current()
	out := h.proc.Dirs().Out
	for some := range slices.Chunk(slices.Sorted(maps.Keys(cells)), 1000) {
		files := make(map[uint32][]string, len(some))
		for _, cell := range some {
			paths := make([]string, len(cells[cell]))
			for i, name := range cells[cell] {
				paths[i] = path.Join(filepath.ToSlash(out), name)
			}
			files[cell] = paths
		}
		if err := h.pipe.send(map[string]any{"t": "cell_files", "cells": files}); err != nil {
			return nil, err
		}
	}
	if err := h.pipe.send(map[string]any{"t": "assemble", "shown": shown}); err != nil {
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
	e.lacks.end()
	err := h.proc.Close()
	<-h.done
	if used {
		e.r.ended(e.trust, e.env.id)
	}
	return err
}

// console cuts what an own engine prints into lines, for whoever plans now.
type console struct {
	to   atomic.Pointer[func(string)]
	mu   sync.Mutex
	part []byte // a line that has not ended
}

// consoleLine bounds a line; longer ones are cut into several.
const consoleLine = 64 << 10

func (c *console) Write(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.part = append(c.part, p...)
	for {
		line, rest, ended := bytes.Cut(c.part, []byte("\n"))
		if !ended && len(line) < consoleLine {
			return len(p), nil
		}
		c.line(strings.TrimRight(string(line), "\r"))
		c.part = rest
	}
}

func (c *console) line(text string) {
	if to := c.to.Load(); to != nil && *to != nil {
		(*to)(text)
	}
}

var _ renderer.Engine = (*engine)(nil)
