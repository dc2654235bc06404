// SPDX-License-Identifier: MIT

// Package synthetic is a renderer without a program behind it: its cells are
// bytes that follow from the job's spec and the cell's number. It stands for a
// real renderer wherever only time, size and failure matter: in tests of the
// mesh and in measurements of the mesh alone.
package synthetic

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"meshnode/job"
	"meshnode/renderer"
)

// Renderer renders synthetic jobs. The zero value is ready: it takes no time,
// and keeps its scratch folders under the system's temporary folder.
type Renderer struct {
	Scratch  string                                             // folder for engines' files; "": the system's
	Slow     time.Duration                                      // time of one frame
	Fail     func(m *job.Manifest, cell uint32) error           // called before a cell is drawn; may be nil
	Foreign  error                                              // why Foreign engines are refused; nil: they are not
	Packages []string                                           // of its environment
	Taken    func(trust renderer.Trust, engine renderer.Engine) // told of every engine; may be nil

	// Installed are environments to have in place of the built-in one, Pictures the
	// blocks with the pictures of their self-tests, by fingerprint.
	Installed []job.Environment
	Pictures  map[string][]byte
}

// Scene is what a synthetic job draws. It is read from a file, as JSON: the
// arguments of a Request are such files, each of which is a scene.
type Scene struct {
	Name     string     `json:"name"`
	FPS      float64    `json:"fps"`
	Plays    []job.Play `json:"plays"`
	Bytes    int        `json:"bytes"`              // size of a cell's file
	Assets   []string   `json:"assets,omitempty"`   // files beside the scene that every cell must see
	Packages []string   `json:"packages,omitempty"` // that the scene uses
	Late     []string   `json:"late,omitempty"`     // files beside the scene that cells open, but the walk does not
	Error    string     `json:"error,omitempty"`    // fails the walk
	Differs  string     `json:"differs,omitempty"`  // what a second walk finds to be other than the first
	Keyed    bool       `json:"keyed,omitempty"`    // its cells have keys: their bytes; but for the first, which depends on all inputs
}

// environment is built in, and equal on all machines: synthetic bytes depend on
// nothing.
var environment = job.Environment{Renderer: "synthetic", Version: "1", Fingerprint: "synthetic", SelfTest: "synthetic"}

// Name returns "synthetic".
func (*Renderer) Name() string { return environment.Renderer }

// Environments returns those that are installed.
func (r *Renderer) Environments(context.Context) ([]job.Environment, error) {
	if r.Installed != nil {
		return r.Installed, nil
	}
	env := environment
	env.Packages = r.Packages
	return []job.Environment{env}, nil
}

// Choose returns the first environment of the version.
func (r *Renderer) Choose(ctx context.Context, want renderer.Wish) (job.Environment, error) {
	envs, _ := r.Environments(ctx)
	for _, e := range envs {
		if want.Version == "" || want.Version == e.Version {
			return e, nil
		}
	}
	return job.Environment{}, &renderer.UsageError{Text: fmt.Sprintf("there is no synthetic %q", want.Version)}
}

// SelfTest returns what an environment says of itself.
func (r *Renderer) SelfTest(ctx context.Context, env string) (*renderer.SelfTest, error) {
	e, err := r.byID(ctx, env)
	return &renderer.SelfTest{Hash: e.SelfTest, Speed: 1, Pictures: r.Pictures[env]}, err
}

func (r *Renderer) byID(ctx context.Context, env string) (job.Environment, error) {
	envs, _ := r.Environments(ctx)
	for _, e := range envs {
		if e.Fingerprint == env {
			return e, nil
		}
	}
	return job.Environment{}, fmt.Errorf("synthetic: no environment %q", env)
}

// Sandbox returns a tier that needs no sandbox: a synthetic scene is not a
// program.
func (r *Renderer) Sandbox(context.Context) (string, error) { return "synthetic", r.Foreign }

// Warm does nothing: an engine starts at once.
func (*Renderer) Warm(renderer.Trust, string) {}

// Close does nothing.
func (*Renderer) Close() error { return nil }

// Stream implements renderer.Streamer: the film is its cells, end to end.
func (*Renderer) Stream(w io.Writer, _ uint32) renderer.Stream { return stream{w} }

// Compare implements renderer.Verifier. A cell in capitals is one of another encoder.
func (*Renderer) Compare(_ context.Context, _, film string, _ float64, cells []renderer.FilmCell) (*renderer.Comparison, error) {
	data, err := os.ReadFile(film)
	if err != nil {
		return nil, err
	}
	c := &renderer.Comparison{Steady: true}
	for _, cell := range cells {
		want, err := os.ReadFile(cell.File)
		if err != nil {
			return nil, err
		}
		switch {
		case bytes.Contains(data, want):
			c.Cells = append(c.Cells, renderer.CellComparison{Same: true})
		case bytes.Contains(data, bytes.ToUpper(want)):
			c.Cells = append(c.Cells, renderer.CellComparison{PSNR: 40})
		default:
			c.Cells = append(c.Cells, renderer.CellComparison{PSNR: 10, To: cell.Frames, Why: "other bytes"})
		}
	}
	return c, nil
}

type stream struct{ w io.Writer }

func (s stream) Add(file io.ReaderAt, size int64, _ int) error {
	_, err := io.Copy(s.w, io.NewSectionReader(file, 0, size))
	return err
}

// Take returns a new engine.
func (r *Renderer) Take(ctx context.Context, trust renderer.Trust, env string) (renderer.Engine, error) {
	in, err := r.byID(ctx, env)
	if err != nil {
		return nil, err
	}
	if trust == renderer.Foreign && r.Foreign != nil {
		return nil, r.Foreign
	}
	dir, err := os.MkdirTemp(r.Scratch, "synthetic-")
	if err != nil {
		return nil, fmt.Errorf("synthetic: scratch: %w", err)
	}
	e := &engine{r: r, env: in, dir: dir}
	e.ended, e.end = context.WithCancelCause(context.Background())
	for _, f := range []struct {
		name string
		root **os.Root
	}{{"in", &e.in}, {"out", &e.out}} {
		if err = os.Mkdir(filepath.Join(dir, f.name), 0o700); err == nil {
			*f.root, err = os.OpenRoot(filepath.Join(dir, f.name))
		}
		if err != nil {
			return nil, fmt.Errorf("synthetic: scratch: %w", err)
		}
	}
	if r.Taken != nil {
		r.Taken(trust, e)
	}
	return e, nil
}

type engine struct {
	r       *Renderer
	env     job.Environment
	dir     string
	in, out *os.Root
	ended   context.Context
	end     context.CancelCauseFunc

	mu    sync.Mutex // guards the rest; set once by Plan or Load
	scene Scene
	man   *job.Manifest
	grid  []job.Cell
	film  string // where Assemble writes
	alone bool   // Assemble makes the cells, too

	missing renderer.Missing // nil after Plan
	late    sync.Mutex       // held while a late file is brought
}

func (e *engine) In() *os.Root  { return e.in }
func (e *engine) Out() *os.Root { return e.out }

// Check finds what the scene says.
func (e *engine) Check(context.Context) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.scene.Differs != "" {
		return fmt.Errorf("%w: %s", renderer.ErrDiverged, e.scene.Differs)
	}
	return nil
}

func (e *engine) Close() error {
	e.end(renderer.ErrEnded)
	e.in.Close()
	e.out.Close()
	return os.RemoveAll(e.dir)
}

func (e *engine) Plan(ctx context.Context, req renderer.Request, onPlay func(renderer.PlanProgress)) (*renderer.Plan, error) {
	if len(req.Args) == 0 {
		return nil, &renderer.UsageError{Text: "synthetic: no scene file"}
	}
	if req.Scene == "" {
		if len(req.Args) > 1 {
			return nil, &renderer.ScenesError{Scenes: req.Args}
		}
		req.Scene = req.Args[0]
	}
	path := filepath.Join(req.Dir, req.Scene)
	if req.Read != nil {
		req.Read([]string{path})
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, &renderer.UsageError{Text: err.Error()}
	}
	var scene Scene
	if err := json.Unmarshal(text, &scene); err != nil {
		return nil, &renderer.SceneError{Text: err.Error()}
	}
	if scene.Error != "" {
		return nil, &renderer.SceneError{Text: scene.Error}
	}
	files := []renderer.Asset{{Path: filepath.Base(path), Source: path}}
	for _, a := range scene.Assets {
		files = append(files, renderer.Asset{Path: a, Source: filepath.Join(req.Dir, a)})
		if req.Read != nil {
			req.Read([]string{filepath.Join(req.Dir, a)})
		}
	}
	frames := uint32(0)
	for i, p := range scene.Plays {
		frames += p.Frames
		if onPlay != nil {
			onPlay(renderer.PlanProgress{Plays: uint32(i + 1), Frames: frames, Name: fmt.Sprintf("play %d", i)})
		}
	}
	spec, err := json.Marshal(scene)
	if err != nil {
		return nil, fmt.Errorf("synthetic: %w", err)
	}
	if was := req.Again; was != nil && (!bytes.Equal(was.Spec, spec) || !slices.Equal(was.Plays, scene.Plays)) {
		return nil, &renderer.ChangedError{Text: "other plays"}
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.scene, e.film, e.alone = scene, filepath.Join(req.Dir, scene.Name+".film"), req.Alone
	e.grid = job.Grid(scene.Plays, scene.FPS, req.CellFrames)
	need := e.env.Need()
	need.Packages = scene.Packages
	plan := &renderer.Plan{
		Name: scene.Name, Spec: spec, Width: 16, Height: 16, FPS: scene.FPS,
		Need:  need,
		Plays: scene.Plays, CellFrames: req.CellFrames, Files: files, Whole: frames == 0 || req.Alone,
		Root: req.Dir, Lendable: scene.Late,
		Stream: true,
	}
	if scene.Keyed && req.Keys != nil {
		plan.Inputs = req.Keys.Salt + scene.Name
		plan.Keys = make([]job.Key, len(e.grid))
		for i := range plan.Keys[1:] {
			plan.Keys[i+1] = sha256.Sum256(append([]byte(req.Keys.Salt), Bytes(scene, uint32(i+1))...))
		}
	}
	return plan, nil
}

func (e *engine) Load(_ context.Context, m *job.Manifest, missing renderer.Missing) error {
	var scene Scene
	if err := json.Unmarshal(m.Spec, &scene); err != nil {
		return fmt.Errorf("synthetic: spec: %w", err)
	}
	for _, a := range scene.Assets {
		if _, err := e.in.Stat(a); err != nil {
			return fmt.Errorf("synthetic: asset: %w", err)
		}
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.scene, e.man, e.grid, e.missing = scene, m, m.Grid(), missing
	return nil
}

// open has the scene's late files brought, once.
func (e *engine) open(ctx context.Context, scene Scene, missing renderer.Missing) error {
	e.late.Lock()
	defer e.late.Unlock()
	for _, name := range scene.Late {
		if _, err := e.in.Stat(name); err == nil || missing == nil {
			continue
		}
		at, err := missing(ctx, name)
		if err == nil {
			err = e.in.Rename(at, name)
		}
		if err != nil {
			return fmt.Errorf("synthetic: %s: %w", name, err)
		}
	}
	return nil
}

func (e *engine) Render(ctx context.Context, cell uint32) (*renderer.Rendered, error) {
	e.mu.Lock()
	scene, grid, man, missing := e.scene, e.grid, e.man, e.missing
	e.mu.Unlock()
	if cell >= uint32(len(grid)) {
		return nil, fmt.Errorf("synthetic: cell %d of %d", cell, len(grid))
	}
	if e.r.Fail != nil {
		if err := e.r.Fail(man, cell); err != nil {
			return nil, err
		}
	}
	if err := e.open(ctx, scene, missing); err != nil {
		return nil, err
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	start := time.Now()
	if e.r.Slow > 0 {
		wait := time.NewTimer(time.Duration(grid[cell].Weight() * float64(e.r.Slow)))
		defer wait.Stop()
		select {
		case <-wait.C:
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-e.ended.Done():
			return nil, renderer.ErrEnded
		}
	}
	name := fmt.Sprintf("cells/%d.bin", cell)
	if err := e.out.MkdirAll("cells", 0o700); err != nil {
		return nil, fmt.Errorf("%w: %v", renderer.ErrEnded, err)
	}
	if err := e.out.WriteFile(name, Bytes(scene, cell), 0o600); err != nil {
		return nil, fmt.Errorf("synthetic: %w", err)
	}
	took := time.Since(start).Seconds()
	return &renderer.Rendered{Files: []string{name}, Seconds: took, Raster: took}, nil
}

// Look finds nothing: any bytes may be a cell.
func (e *engine) Look(context.Context, uint32, []string) error { return nil }

// Alike compares bytes: there are no pictures in them.
func (e *engine) Alike(_ context.Context, own, other []string) error {
	if len(own) != len(other) {
		return fmt.Errorf("%w: %d files, not %d", renderer.ErrUnlike, len(other), len(own))
	}
	for i := range own {
		a, err := e.in.ReadFile(own[i])
		if err != nil {
			return fmt.Errorf("synthetic: %w", err)
		}
		b, err := e.in.ReadFile(other[i])
		if err != nil {
			return fmt.Errorf("synthetic: %w", err)
		}
		if !bytes.Equal(a, b) {
			return fmt.Errorf("%w: file %d has other bytes", renderer.ErrUnlike, i)
		}
	}
	return nil
}

func (e *engine) Assemble(_ context.Context, cells map[uint32][]string, _ bool) (*renderer.Film, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	var film []byte
	var err error
	if e.alone {
		for _, c := range e.grid {
			film = append(film, Bytes(e.scene, c.Index)...)
		}
	} else if film, err = join(e.out, e.grid, cells); err != nil {
		return nil, err
	}
	if err := os.WriteFile(e.film, film, 0o600); err != nil {
		return nil, fmt.Errorf("synthetic: film: %w", err)
	}
	return &renderer.Film{Files: []string{e.film}}, nil
}

// Join makes the film that Assemble would.
func (e *engine) Join(_ context.Context, m *job.Manifest, cells map[uint32][]string) ([]string, error) {
	film, err := join(e.in, m.Grid(), cells)
	if err != nil {
		return nil, err
	}
	const name = "joined.film"
	if err := e.out.WriteFile(name, film, 0o600); err != nil {
		return nil, fmt.Errorf("synthetic: film: %w", err)
	}
	return []string{name}, nil
}

// join reads the cells' files.
func join(dir *os.Root, grid []job.Cell, cells map[uint32][]string) ([]byte, error) {
	var film []byte
	for _, c := range grid {
		names, ok := cells[c.Index]
		if !ok {
			return nil, fmt.Errorf("synthetic: cell %d is missing", c.Index)
		}
		for _, name := range names {
			data, err := dir.ReadFile(name)
			if err != nil {
				return nil, fmt.Errorf("synthetic: cell %d: %w", c.Index, err)
			}
			film = append(film, data...)
		}
	}
	return film, nil
}

// Bytes returns the contents of a cell's file.
func Bytes(s Scene, cell uint32) []byte {
	seed := sha256.Sum256(binary.BigEndian.AppendUint32([]byte(s.Name+"\x00"), cell))
	line := hex.EncodeToString(seed[:]) + "\n"
	n := max(s.Bytes, 1)
	return []byte(strings.Repeat(line, n/len(line)+1)[:n])
}

var (
	_ renderer.Renderer = (*Renderer)(nil)
	_ renderer.Streamer = (*Renderer)(nil)
	_ renderer.Verifier = (*Renderer)(nil)
	_ renderer.Engine   = (*engine)(nil)
)
