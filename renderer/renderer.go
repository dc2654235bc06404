// SPDX-License-Identifier: MIT

package renderer

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"meshnode/job"
)

// Renderer turns cells into files. One implementation per program: manim,
// synthetic (which needs none), later any command line.
//
// All methods are safe for concurrent use.
type Renderer interface {
	// Name is the renderer's name in a manifest: "manim".
	Name() string

	// Environments returns what is installed and works here, the one for jobs of
	// this machine first, with the self-tests that are known by now. Each has a
	// fingerprint of its own, by which the methods below know it. It is quick
	// after the first call. When there is none, the error says why and what to do.
	Environments(ctx context.Context) ([]job.Environment, error)

	// Choose returns the environment that a job of this machine asks for, or what
	// to do to have it.
	Choose(ctx context.Context, want Wish) (job.Environment, error)

	// SelfTest renders the renderer's fixed scene in an environment, unless what
	// it gives is known. Environments and Choose have the result from then on.
	SelfTest(ctx context.Context, env string) (*SelfTest, error)

	// Sandbox returns the tier in which Foreign engines run, or why there is
	// none and what to do. It is quick after the first call.
	Sandbox(ctx context.Context) (tier string, err error)

	// Warm starts an idle engine of an environment for jobs of that trust, so that
	// the next Take of it is quick. There are few at a time, of the environments that
	// were used last. It does not wait.
	Warm(trust Trust, env string)

	// Take returns an engine of an environment for one job, warm if there is one.
	// The caller must Close it.
	Take(ctx context.Context, trust Trust, env string) (Engine, error)

	// Close ends all idle engines.
	Close() error
}

// Wish says which environment a job is to be planned in. An empty one leaves it to
// the renderer.
type Wish struct {
	Version string // of the program
	Program string // absolute path: for manim, of a Python
}

// SelfTest is what a renderer's fixed scene gave in an environment.
type SelfTest struct {
	Hash     string  `json:"hash"`              // of its pictures and films
	Speed    float64 `json:"speed"`             // frames per second of one slot
	Headers  string  `json:"headers,omitempty"` // see job.Environment
	Pictures []byte  `json:"pictures"`          // PNG files, one behind the other, for Compare; the block that job.Environment names
}

// Streamer is a Renderer whose cells can be watched, joined in their order,
// before the film is there.
type Streamer interface {
	// Stream returns what writes the film to w as its cells come. frames is the
	// length of the film.
	Stream(w io.Writer, frames uint32) Stream
}

// Stream is a film that grows.
type Stream interface {
	// Add appends the file of the next cell, which may come from a stranger: it
	// has size bytes and should have so many frames.
	Add(file io.ReaderAt, size int64, frames int) error
}

// Verifier is a Renderer that can tell whether a film has the pictures of cells that
// were drawn again.
type Verifier interface {
	// Compare compares a film with cells, which may be none, drawn in an environment. An
	// error means that the film cannot be read, a *UsageError that it is none that can be
	// compared.
	Compare(ctx context.Context, env, film string, fps float64, cells []FilmCell) (*Comparison, error)
}

// FilmCell is a cell that was drawn again.
type FilmCell struct {
	First  uint32 // frame of the film
	Frames uint32
	File   string // absolute
}

// Comparison says how a film differs from cells.
type Comparison struct {
	Frames uint32 // of the film; 0: not known
	Steady bool   // each frame is shown at its time
	Cells  []CellComparison
}

// CellComparison says how a part of a film differs from a cell.
type CellComparison struct {
	Same     bool    // byte for byte; the rest is of pictures, where it is not
	PSNR     float64 // dB, of the worst frame
	From, To uint32  // frames of the cell whose pictures differ by more than an encoder makes; equal: none
	Why      string  // for people
}

// Trust says whose scene an engine will run.
type Trust int

// Own engines run with the user's rights, for the user's own plans. Foreign
// engines run other peers' jobs, in the sandbox only.
const (
	Own Trust = iota
	Foreign
)

// Engine is one process tree that works on one job. After Plan (on the
// submitter) or Load (elsewhere) it renders cells, several at a time; Join only
// makes a film of them.
type Engine interface {
	// Plan walks the user's scene as the program itself would run it, without
	// drawing. It returns a *SceneError or a *UsageError for the user's own
	// mistakes, a *ScenesError when the arguments are not about one scene, and a
	// *ChangedError when the walk is not that of Request.Again.
	// onPlay may be nil; it is called for each play as it is passed.
	Plan(ctx context.Context, req Request, onPlay func(PlanProgress)) (*Plan, error)

	// Load prepares to render cells of a job whose assets lie under In. missing
	// is called, also after Load has returned, for files of the job that are not
	// among them; it ends with the engine.
	Load(ctx context.Context, m *job.Manifest, missing Missing) error

	// In is the folder from which Load reads the job's assets, and Join the cells.
	// The caller exports them into it first.
	In() *os.Root

	// Render draws and encodes one cell and returns when its files are complete
	// under Out. Cells may be asked for in any order and at once; each costs
	// least just after its predecessor. Ending ctx drops the cell.
	Render(ctx context.Context, cell uint32) (*Rendered, error)

	// Out is the folder in which files named by Rendered lie, and into which
	// the caller exports the cells for Assemble. Everything in it is untrusted
	// when the engine is Foreign: open files with OpenOutput only.
	Out() *os.Root

	// Assemble, after Plan, writes the film from the cells' files, named
	// relative to Out, through the program's own writer. The program then shows
	// the film if the user asked for that, unless he has been shown it already.
	Assemble(ctx context.Context, cells map[uint32][]string, shown bool) (*Film, error)

	// Join makes a film of the cells of a job alone, in place of Plan or Load: their
	// files, which the caller exports into In first and names relative to it, one
	// behind the other. What only the plan has, such as sound, is lacking. It
	// returns the film's files, relative to Out; a sequence of pictures is many.
	Join(ctx context.Context, m *job.Manifest, cells map[uint32][]string) ([]string, error)

	// Alike, after Load, compares the files of two renderings of a cell, named
	// relative to In. It returns nil when they show the same, as far as anybody
	// could see, and an error that wraps ErrUnlike and tells what differs when they
	// do not, or when others cannot be read. Neither needs to be honest.
	Alike(ctx context.Context, own, other []string) error

	// Look, after Load, looks at the files of a cell, named relative to In, that a
	// stranger has rendered: their number and size, headers, frames and times, each
	// decoded. An error that wraps ErrNoCell tells what is wrong with them.
	Look(ctx context.Context, cell uint32, files []string) error

	// Check, after Plan, walks the scene once more in another process and returns
	// nil when it plays as planned, an error that wraps ErrDiverged and tells what
	// differs when it does not, and any other when that could not be found out.
	// Cells may be rendered meanwhile; one Check at a time.
	Check(ctx context.Context) error

	// Close ends every process of the engine and removes In and Out. It waits
	// for them.
	Close() error
}

// Request is what the user typed, with his folder and environment.
type Request struct {
	Args       []string // the program's own arguments, the scene file among them
	Scene      string   // of the scenes that the arguments are about, the one of this job; "": there is one only
	Input      string   // what the user typed in for a file named "-"
	Dir        string   // working folder
	Env        []string // "key=value"
	CellFrames uint32   // length of a cell; 0: by the grid's rule
	Ahead      int      // cells that may be drawn at a time while the walk goes on: the first ones, for Render to give at once
	Assets     []string // files to share that the walk may not read: paths, or patterns of them
	Alone      bool     // the program draws everything itself, in the one walk of the plan: Assemble alone ends it
	Keys       *Keying  // the cells' keys are wanted; nil: they are not
	Again      *Earlier // the walk has been made before, and is to be the same; nil: it has not
	Console    func(line string)

	// Fresh plans cells for all plays, also for those of which the program has the film in
	// its own cache.
	Fresh bool

	// Seed is one that counts more than that of the arguments; nil: there is none.
	Seed *uint64

	// Chosen is the Spec of an earlier plan: what was chosen then, such as a seed, is
	// chosen again, but the plays may be others. nil: there is none.
	Chosen json.RawMessage

	// Read is told, before Plan returns, of the user's files that the walk has read, also
	// of one that has failed, as absolute paths; not of what it writes itself. It may be
	// nil.
	Read func(paths []string)
}

// Keying says what keys of cells are wanted for.
type Keying struct {
	Salt  string    // cells that are made with another one are not equal
	Known []job.Key // cells with these are not drawn ahead: they are there
}

// Earlier is a plan that an earlier engine has made of the same Request: what was
// chosen then, such as a seed, is chosen again. A walk that differs ends with a
// *ChangedError; whether the files are the same is for the caller to see.
type Earlier struct {
	Spec  json.RawMessage
	Plays []job.Play
	File  func(path string) ([]byte, error) // one of Plan.Files, as it was then
}

// PlanProgress says how far the walk is.
type PlanProgress struct {
	Plays  uint32
	Frames uint32
	Name   string // of the play just passed, for people
}

// Plan is what the walk found.
type Plan struct {
	Name       string // the scene's name
	Need       job.Need
	Spec       json.RawMessage // the renderer's own part of the manifest
	Width      uint32          // pixels
	Height     uint32          // pixels
	FPS        float64
	Plays      []job.Play
	CellFrames uint32
	Walk       float64    // CPU seconds of the walk
	Costs      []PlayCost // of each of Plays, where that is known
	Files      []Asset    // what the job needs beside Spec
	Root       string     // absolute folder of the user's project; "": none
	Lendable   []string   // files below Root that a walk elsewhere may yet open, as paths in a file set
	Seed       *uint64    // chosen by the renderer, as nobody has given one; nil: it was given, or there is none
	Notes      []string   // one line each, for the user
	Whole      bool       // nothing to distribute: Assemble alone makes the result (a still)
	Stream     bool       // the cells can be watched: the renderer is a Streamer
	Sound      bool       // the film has sound, which is mixed when it is assembled: the cells have none
	Preview    bool       // the program will show the film when it is assembled

	// Keys has for each cell what its output depends on; a zero one depends on
	// Inputs, on Files, and on its place in the job. Inputs "": the cells have none.
	Keys   []job.Key
	Inputs string
}

// Missing brings a file of a job that the plan did not read, named as in
// Plan.Lendable: it puts the file under In, where nothing of that name is, and
// returns its path there. The error says why not, in words for the scene's
// author; see [ErrRefused]. It returns when ctx ends, or within half a minute.
type Missing func(ctx context.Context, path string) (string, error)

// PlayCost is what the walk spent on a play and on what comes before it.
type PlayCost struct {
	Name     string  // for people
	Walk     float64 // CPU seconds, without those of Outlines
	Outlines float64 // seconds in which formulas and text were made to shapes
}

// Asset is a file of the submitter that the job needs.
type Asset struct {
	Path   string `json:"path"`   // in the file set
	Source string `json:"source"` // absolute, on the submitter
}

// Rendered is a finished cell.
type Rendered struct {
	Files   []string // relative to Out; may be none (frames that make no file)
	Seconds float64  // wall time of drawing and encoding it, without the walk to it
	Raster  float64  // CPU seconds of drawing; 0: not known
	Encode  float64  // CPU seconds of encoding; 0: not known
}

// Film is the finished result.
type Film struct {
	Files []string // absolute paths, the one to show first
}

// SceneError is a failure of the user's own scene: Text is what the program
// itself prints for it.
type SceneError struct{ Text string }

func (e *SceneError) Error() string { return "renderer: the scene failed" }

// UsageError is a mistake in the user's arguments: one line, exit code 2.
type UsageError struct{ Text string }

func (e *UsageError) Error() string { return e.Text }

// ScenesError says that the arguments are about several scenes, each of which is
// a job of its own, or about none in particular, and then the user must Choose.
type ScenesError struct {
	Scenes []string // in the program's order
	Choose bool
}

func (e *ScenesError) Error() string {
	return fmt.Sprintf("renderer: %d scenes: %s", len(e.Scenes), strings.Join(e.Scenes, ", "))
}

// ChangedError says that a scene is not any more what it was when it was planned.
type ChangedError struct{ Text string } // what differs

func (e *ChangedError) Error() string { return "renderer: the scene has changed: " + e.Text }

// ErrRefused is wrapped by the error of a Missing that will not be another one
// when it is asked again.
var ErrRefused = errors.New("refused by the submitter")

// Failure classes of Render that the caller treats differently; any other error
// may pass on another try or another node.
var (
	// ErrDiverged: the walk here differs from the one that made the plan, in the
	// frame table, in what the scene shows, or by failing. This node must not work
	// on this job.
	ErrDiverged = errors.New("renderer: the scene plays differently here")
	// ErrUnfit: what is written here would not fit what others write. This node
	// must not work on this job either.
	ErrUnfit = errors.New("renderer: the output does not fit the job's")
	// ErrNoCell: files are not what a cell's should be.
	ErrNoCell = errors.New("renderer: not a cell of this job")
	// ErrUnlike: two renderings of a cell do not show the same.
	ErrUnlike = errors.New("renderer: other pictures")
	// ErrMemory: the engine ran out of memory; with ErrEnded, it was ended for that.
	ErrMemory = errors.New("renderer: out of memory")
	// ErrEnded: the engine's processes are gone. Take another.
	ErrEnded = errors.New("renderer: engine ended")
)
