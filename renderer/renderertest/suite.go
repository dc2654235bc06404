// SPDX-License-Identifier: MIT

// Package renderertest is the conformance suite of [renderer.Renderer]: what
// every renderer must do for the mesh, whatever program is behind it.
package renderertest

import (
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"meshnode/job"
	"meshnode/renderer"
)

// Subject is a renderer with scenes of its own to try it on.
type Subject struct {
	New func(t *testing.T) renderer.Renderer
	// Scene writes into dir a scene with at least four cells of the given
	// length, and one asset that the worker must see, and returns the arguments
	// to render it.
	Scene func(t *testing.T, dir string) (args []string, cellFrames uint32)
	// Broken does the same for a scene that fails in its own code.
	Broken func(t *testing.T, dir string) (args []string)
	// Pictures returns what all pictures of a film are equal by; nil: its bytes.
	Pictures func(t *testing.T, film []byte) string
	// Limit bounds each test.
	Limit time.Duration
}

// Run runs the suite.
func Run(t *testing.T, s Subject) {
	t.Run("whole job", s.wholeJob)
	t.Run("any order, same bytes", s.anyOrder)
	t.Run("drop", s.drop)
	t.Run("scene error", s.sceneError)
	t.Run("usage error", s.usageError)
	t.Run("close ends a cell", s.closeEnds)
	t.Run("planned again", s.again)
}

type planned struct {
	engine renderer.Engine
	req    renderer.Request
	plan   *renderer.Plan
	man    *job.Manifest
	grid   []job.Cell
}

func (s Subject) plan(ctx context.Context, t *testing.T, r renderer.Renderer) planned {
	t.Helper()
	dir := t.TempDir()
	args, cellFrames := s.Scene(t, dir)
	e := take(ctx, t, r, renderer.Own)
	played := uint32(0)
	req := renderer.Request{Args: args, Dir: dir, Env: os.Environ(), CellFrames: cellFrames}
	p, err := e.Plan(ctx, req, func(p renderer.PlanProgress) { played = p.Plays })
	if err != nil {
		t.Fatalf("plan: %v", err)
	}
	if int(played) != len(p.Plays) {
		t.Errorf("told of %d plays, the plan has %d", played, len(p.Plays))
	}
	m := &job.Manifest{
		V: job.Version, Submitter: "submitter", Name: p.Name, Need: p.Need, Spec: p.Spec, Assets: job.CIDOf(nil),
		Width: p.Width, Height: p.Height, FPS: p.FPS, Plays: p.Plays, CellFrames: p.CellFrames, Walk: p.Walk,
	}
	if _, _, err := m.Block(); err != nil {
		t.Fatalf("the plan makes no valid manifest: %v", err)
	}
	grid := m.Grid()
	if len(grid) < 4 {
		t.Fatalf("the scene has %d cells, the suite needs 4", len(grid))
	}
	return planned{e, req, p, m, grid}
}

// load takes an engine as another node would: with the shipped files only.
func (s Subject) load(ctx context.Context, t *testing.T, r renderer.Renderer, p planned) renderer.Engine {
	t.Helper()
	e := take(ctx, t, r, renderer.Foreign)
	for _, f := range p.plan.Files {
		data, err := os.ReadFile(f.Source)
		if err != nil {
			t.Fatalf("asset: %v", err)
		}
		if err := job.CheckPath(f.Path); err != nil {
			t.Fatalf("asset: %v", err)
		}
		if err := e.In().MkdirAll(filepath.Dir(f.Path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := e.In().WriteFile(f.Path, data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := e.Load(ctx, p.man, p.missing(e)); err != nil {
		t.Fatalf("load: %v", err)
	}
	return e
}

// missing lends files as the submitter would.
func (p planned) missing(to renderer.Engine) renderer.Missing {
	return func(_ context.Context, name string) (string, error) {
		if !slices.Contains(p.plan.Lendable, name) {
			return "", errors.New("not to be lent")
		}
		data, err := os.ReadFile(filepath.Join(p.plan.Root, name))
		if err == nil {
			err = to.In().WriteFile("lent", data, 0o600)
		}
		return "lent", err
	}
}

func (s Subject) wholeJob(t *testing.T) {
	ctx, r := s.start(t)
	p := s.plan(ctx, t, r)
	cells := s.cells(ctx, t, s.load(ctx, t, r, p), p.grid)
	film := s.assemble(ctx, t, p.engine, cells)
	if joined := s.join(ctx, t, r, p.man, cells); s.pictures(t, joined) != s.pictures(t, film) {
		t.Error("joined without the plan, the film has other pictures")
	}
}

// join makes the film in an engine that knows nothing but the cells, and returns its
// first file.
func (s Subject) join(ctx context.Context, t *testing.T, r renderer.Renderer, m *job.Manifest, cells map[uint32]map[string][]byte) []byte {
	t.Helper()
	e := take(ctx, t, r, renderer.Foreign)
	defer e.Close()
	files, err := e.Join(ctx, m, s.export(t, e.In(), cells))
	if scene := (*renderer.SceneError)(nil); errors.As(err, &scene) {
		t.Fatal(scene.Text)
	}
	if err != nil || len(files) == 0 {
		t.Fatalf("join: %v, %v", files, err)
	}
	f, _, err := renderer.OpenOutput(e.Out(), files[0], 1<<30)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	data, err := io.ReadAll(f)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func (s Subject) pictures(t *testing.T, film []byte) string {
	if s.Pictures == nil {
		return string(film)
	}
	return s.Pictures(t, film)
}

// cells renders all cells.
func (s Subject) cells(ctx context.Context, t *testing.T, worker renderer.Engine, grid []job.Cell) map[uint32]map[string][]byte {
	t.Helper()
	cells := make(map[uint32]map[string][]byte)
	for _, c := range grid {
		cells[c.Index] = render(ctx, t, worker, c.Index)
	}
	return cells
}

// export puts cells where an engine can join them, and returns their names there.
func (s Subject) export(t *testing.T, dir *os.Root, cells map[uint32]map[string][]byte) map[uint32][]string {
	t.Helper()
	at := make(map[uint32][]string)
	for cell, files := range cells {
		for _, name := range slices.Sorted(maps.Keys(files)) {
			to := filepath.ToSlash(filepath.Join("collected", filepath.Base(name)))
			if err := dir.MkdirAll("collected", 0o700); err != nil {
				t.Fatal(err)
			}
			if err := dir.WriteFile(to, files[name], 0o600); err != nil {
				t.Fatal(err)
			}
			at[cell] = append(at[cell], to)
		}
	}
	return at
}

// assemble makes the film, and returns its first file.
func (s Subject) assemble(ctx context.Context, t *testing.T, e renderer.Engine, cells map[uint32]map[string][]byte) []byte {
	t.Helper()
	film, err := e.Assemble(ctx, s.export(t, e.Out(), cells), false)
	if err != nil {
		t.Fatalf("assemble: %v", err)
	}
	if len(film.Files) == 0 {
		t.Fatal("the film has no file")
	}
	for _, f := range film.Files {
		if info, err := os.Stat(f); err != nil || info.Size() == 0 {
			t.Errorf("film %s: %v", f, err)
		}
	}
	data, err := os.ReadFile(film.Files[0])
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// again plans a job once more, as after the end of the process that planned it, when
// the film has been written already, too.
func (s Subject) again(t *testing.T) {
	ctx, r := s.start(t)
	p := s.plan(ctx, t, r)
	cells := s.cells(ctx, t, s.load(ctx, t, r, p), p.grid)
	assets := make(map[string][]byte)
	for _, f := range p.plan.Files {
		data, err := os.ReadFile(f.Source)
		if err != nil {
			t.Fatal(err)
		}
		assets[f.Path] = data
	}
	film := s.assemble(ctx, t, p.engine, cells)
	if err := p.engine.Close(); err != nil {
		t.Fatal(err)
	}

	e, req := take(ctx, t, r, renderer.Own), p.req
	req.Again = &renderer.Earlier{Spec: p.plan.Spec, Plays: p.plan.Plays, File: func(path string) ([]byte, error) {
		if data, ok := assets[path]; ok {
			return data, nil
		}
		return nil, fs.ErrNotExist
	}}
	plan, err := e.Plan(ctx, req, nil)
	if err != nil {
		t.Fatalf("plan again: %v", err)
	}
	if !slices.Equal(plan.Plays, p.plan.Plays) || !bytes.Equal(plan.Spec, p.plan.Spec) {
		t.Errorf("planned again, it has plays %v and spec\n%s\nbefore %v and\n%s", plan.Plays, plan.Spec, p.plan.Plays, p.plan.Spec)
	}
	for name, data := range render(ctx, t, e, 2) {
		if !bytes.Equal(data, cells[2][name]) {
			t.Errorf("cell 2 is another after it was planned again")
		}
	}
	if !bytes.Equal(s.assemble(ctx, t, e, cells), film) {
		t.Error("the film is another after it was planned again")
	}

	e = take(ctx, t, r, renderer.Own)
	req.Again.Plays = slices.Clone(req.Again.Plays)
	req.Again.Plays[0].Frames++
	var changed *renderer.ChangedError
	if _, err := e.Plan(ctx, req, nil); !errors.As(err, &changed) || changed.Text == "" {
		t.Errorf("another frame table: %v", err)
	}
}

func (s Subject) anyOrder(t *testing.T) {
	ctx, r := s.start(t)
	p := s.plan(ctx, t, r)
	first, second := s.load(ctx, t, r, p), s.load(ctx, t, r, p)
	want := make(map[uint32]map[string][]byte)
	for _, c := range p.grid {
		want[c.Index] = render(ctx, t, first, c.Index)
	}
	seed := rand.Uint64()
	order := rand.New(rand.NewPCG(seed, 0)).Perm(len(p.grid))
	type result struct {
		cell  uint32
		files map[string][]byte
		err   error
	}
	results := make(chan result)
	slots := make(chan struct{}, 2)
	for _, i := range order {
		go func() {
			slots <- struct{}{}
			defer func() { <-slots }()
			files, err := output(ctx, second, uint32(i))
			results <- result{uint32(i), files, err}
		}()
	}
	for range order {
		got := <-results
		if got.err != nil {
			t.Errorf("seed %d: cell %d: %v", seed, got.cell, got.err)
			continue
		}
		if len(got.files) != len(want[got.cell]) {
			t.Errorf("seed %d: cell %d has %d files, then %d", seed, got.cell, len(want[got.cell]), len(got.files))
		}
		for name, data := range got.files {
			if !bytes.Equal(data, want[got.cell][name]) {
				t.Errorf("seed %d: cell %d: %s differs between two engines", seed, got.cell, name)
			}
		}
	}
}

func (s Subject) drop(t *testing.T) {
	ctx, r := s.start(t)
	p := s.plan(ctx, t, r)
	worker := s.load(ctx, t, r, p)
	dropped, cancel := context.WithCancel(ctx)
	cancel()
	if _, err := worker.Render(dropped, 0); !errors.Is(err, context.Canceled) {
		t.Errorf("a dropped cell: %v", err)
	}
	render(ctx, t, worker, 0)
	if _, err := worker.Render(ctx, uint32(len(p.grid))); err == nil {
		t.Error("a cell outside the grid was rendered")
	}
}

func (s Subject) sceneError(t *testing.T) {
	ctx, r := s.start(t)
	dir := t.TempDir()
	_, err := take(ctx, t, r, renderer.Own).Plan(ctx, renderer.Request{Args: s.Broken(t, dir), Dir: dir, Env: os.Environ()}, nil)
	var scene *renderer.SceneError
	if !errors.As(err, &scene) || scene.Text == "" {
		t.Errorf("a broken scene: %v", err)
	}
}

func (s Subject) usageError(t *testing.T) {
	ctx, r := s.start(t)
	_, err := take(ctx, t, r, renderer.Own).Plan(ctx, renderer.Request{Dir: t.TempDir(), Env: os.Environ()}, nil)
	var usage *renderer.UsageError
	if !errors.As(err, &usage) || usage.Text == "" {
		t.Errorf("no arguments: %v", err)
	}
}

func (s Subject) closeEnds(t *testing.T) {
	ctx, r := s.start(t)
	p := s.plan(ctx, t, r)
	worker := s.load(ctx, t, r, p)
	if err := worker.Close(); err != nil {
		t.Errorf("close: %v", err)
	}
	if _, err := worker.Render(ctx, 0); err == nil {
		t.Error("a closed engine rendered")
	}
}

func (s Subject) start(t *testing.T) (context.Context, renderer.Renderer) {
	ctx, cancel := context.WithTimeout(t.Context(), s.Limit)
	t.Cleanup(cancel)
	r := s.New(t)
	t.Cleanup(func() { r.Close() })
	return ctx, r
}

func take(ctx context.Context, t *testing.T, r renderer.Renderer, trust renderer.Trust) renderer.Engine {
	t.Helper()
	envs, err := r.Environments(ctx)
	if err != nil {
		t.Fatalf("environments: %v", err)
	}
	e, err := r.Take(ctx, trust, envs[0].Fingerprint)
	if err != nil {
		t.Fatalf("take: %v", err)
	}
	t.Cleanup(func() { e.Close() })
	return e
}

func render(ctx context.Context, t *testing.T, e renderer.Engine, cell uint32) map[string][]byte {
	t.Helper()
	files, err := output(ctx, e, cell)
	if err != nil {
		t.Fatalf("cell %d: %v", cell, err)
	}
	return files
}

func output(ctx context.Context, e renderer.Engine, cell uint32) (map[string][]byte, error) {
	out, err := e.Render(ctx, cell)
	if err != nil {
		return nil, err
	}
	files := make(map[string][]byte)
	for _, name := range out.Files {
		f, size, err := renderer.OpenOutput(e.Out(), name, 64<<20)
		if err != nil {
			return nil, err
		}
		data := make([]byte, size)
		_, err = io.ReadFull(f, data)
		f.Close()
		if err != nil {
			return nil, err
		}
		files[name] = data
	}
	return files, nil
}
