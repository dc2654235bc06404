// SPDX-License-Identifier: MIT

package manim

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"meshnode/job"
	"meshnode/renderer"
	"meshnode/renderer/sandbox"
)

// protocolVersion is the engine's VERSION.
const protocolVersion = 1

// helloTime bounds an engine's start: importing Manim took 0.6 to 1.7 s.
const helloTime = 60 * time.Second

// maxScenes bounds the scenes of one file.
const maxScenes = 10_000

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

	compared chan error // of Alike
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
		cells: make(map[uint32]*waiting), early: make(map[uint32]cellResult), film: make(chan filmResult, 1), check: make(chan error, 1), compared: make(chan error, 1),
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

// send writes a message to the engine. One that does not take it is ended: else whoever
// has something for it would wait as long, one after another.
func (h *hub) send(v any) error {
	err := h.pipe.send(v)
	if errors.Is(err, renderer.ErrEnded) {
		h.proc.Kill()
	}
	return err
}

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
	err = fmt.Errorf("%w: %s", renderer.ErrEnded, ending(err, exit))
	if errors.Is(exit.Killed, sandbox.ErrMemory) {
		err = fmt.Errorf("%w: %w", renderer.ErrMemory, err)
	}
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
	case "play", "keys", "files", "read", "restart", "plan":
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
	case "compared":
		select {
		case h.compared <- comparedOf(m):
		default:
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
	case "read":
		if p.onRead != nil {
			p.onRead(m.Paths)
		}
	case "keys":
		for _, text := range m.Keys[:min(len(m.Keys), job.MaxCells-len(p.plan.Keys))] {
			key, err := job.ParseKey(text)
			if text != "" && err != nil {
				return err
			}
			p.plan.Keys = append(p.plan.Keys, key)
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
		p.plan.Seed = m.Derived
		for _, pkg := range m.Packages {
			p.packages = append(p.packages, packageName(pkg[0], pkg[1]))
		}
		p.plan.Whole, e.headers = m.What == "still" || p.frames == 0 || p.alone, m.Headers
		p.plan.Stream, p.plan.Sound, p.plan.Preview, p.plan.Inputs = m.Stream, m.Sound, m.Preview, m.Inputs
		p.done <- nil
		e.planning = nil
	}
	return nil
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
