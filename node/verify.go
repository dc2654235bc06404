// SPDX-License-Identifier: MIT

package node

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"sync"

	"golang.org/x/sync/errgroup"

	"meshnode/job"
	"meshnode/renderer"
)

// making is how a film that was published here was made: enough to draw any of it
// again.
type making struct {
	Args       []string        `json:"args"`
	Scene      string          `json:"scene,omitempty"`
	Dir        string          `json:"dir"`
	Manim      string          `json:"manim,omitempty"`
	Python     string          `json:"python,omitempty"`
	CellFrames uint32          `json:"cell_frames,omitempty"`
	Spec       json.RawMessage `json:"spec"`        // of the plan
	Made       string          `json:"fingerprint"` // of the environment
	Exact      bool            `json:"exact"`       // drawn for it, and by nobody with other pictures or another encoder
}

// maxMaking bounds what is remembered of each film, in bytes.
const maxMaking = 64 << 10

// makingOf returns how a film was made, nil if that cannot be told later.
func (n *Node) makingOf(p *publication, film *finished) *making {
	if p.man == nil || film == nil || film.sha256 == "" || p.req.Input != "" {
		return nil
	}
	m := &making{
		Args: p.req.Args, Scene: p.req.scene, Dir: p.req.Dir, Manim: p.req.Manim, Python: p.req.Python, CellFrames: p.req.CellFrames,
		Spec: p.man.Spec, Made: p.man.Need.Fingerprint, Exact: p.kept == 0 && n.exact(p.man, film.nodes),
	}
	if data, err := json.Marshal(m); err != nil || len(data) > maxMaking {
		return nil
	}
	return m
}

// exact reports whether all of a film was drawn and encoded for this job as the
// submitter would have done it.
func (n *Node) exact(m *job.Manifest, nodes []NodeFrames) bool {
	frames := uint32(0)
	peers := n.Peers()
	for _, by := range nodes {
		frames += by.Frames
		equal := func(e job.Environment) bool { return e.Equals(m.Need) }
		if !by.Self && !slices.ContainsFunc(peers, func(p PeerStatus) bool { return p.ID == by.Peer && slices.ContainsFunc(p.Environments, equal) }) {
			return false
		}
	}
	cached := slices.ContainsFunc(m.Plays, func(p job.Play) bool { return p.Frames == 0 })
	return !cached && frames == m.Frames()
}

// VerifyRequest asks whether a film is what a scene draws.
type VerifyRequest struct {
	Film  string          `json:"film"`            // absolute path
	Scene *PublishRequest `json:"scene,omitempty"` // nil: as it was published here
	Env   []string        `json:"env,omitempty"`   // "key=value", for a scene that was published here
	Cells uint32          `json:"cells,omitempty"` // to draw again; 0: enough, see EnoughCells
	All   bool            `json:"all,omitempty"`   // cells
	Seed  uint64          `json:"seed,omitempty"`  // of the choice of cells; 0: by chance
}

// EnoughCells is how many cells chosen by chance have at least one of those that were
// altered, in 95 of 100 cases, where one of five was.
const EnoughCells = 14

// Verification says how a film compares with what its scene draws.
type Verification struct {
	Name    string      `json:"name"`
	Film    string      `json:"film"`
	Frames  uint32      `json:"frames"` // of the scene
	Cells   uint32      `json:"cells"`  // of the scene
	Checked uint32      `json:"checked"`
	Seed    uint64      `json:"seed"` // of their choice
	Same    uint32      `json:"same"` // of the checked: the film has them byte for byte
	Alike   uint32      `json:"alike"`
	Differ  []Different `json:"differ"` // in the order of the film
	Known   bool        `json:"known"`  // the film was published here
	Altered bool        `json:"altered"`
	OK      bool        `json:"ok"`
}

// Different is a part of a film that is not what the scene draws.
type Different struct {
	From float64 `json:"from"` // seconds of the film
	To   float64 `json:"to"`
	PSNR float64 `json:"psnr,omitempty"` // dB, of its worst frame; 0: not compared
	Why  string  `json:"why"`
}

// verifying is a VerifyRequest that is being answered.
type verifying struct {
	VerifyRequest
	made   *making // nil: the film was not published here
	sha256 string  // of the film when it was made
}

// chosen returns what was chosen when the film was planned that is to be verified.
func (req *PublishRequest) chosen() json.RawMessage {
	if req.verify == nil || req.verify.made == nil {
		return nil
	}
	return req.verify.made.Spec
}

// Verify draws cells of a film again and compares. Nothing is sent to other nodes and
// nothing written but the program's own caches. It tells emit what happens, last
// "verified" or "failed", and returns then.
func (n *Node) Verify(ctx context.Context, req VerifyRequest, emit func(Event)) {
	v, pub, err := n.toVerify(req)
	if err != nil {
		emit(Event{Event: "failed", Kind: FailedUsage, Text: err.Error()})
		return
	}
	pub.DryRun, pub.verify = true, v
	f := newFeed()
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		defer f.end()
		last, err := n.job(ctx, pub, f.add)
		if several := (*renderer.ScenesError)(nil); errors.As(err, &several) {
			last.Kind, last.Text = FailedUsage, "a film is of one scene: name it after the script"
		}
		if err != nil { // else all that is known has been told
			f.add(last)
		}
	}()
	_ = f.follow(context.WithoutCancel(ctx), emit) // it ends soon after ctx
	<-ended
}

// toVerify finds out what is to be drawn again.
func (n *Node) toVerify(req VerifyRequest) (*verifying, PublishRequest, error) {
	v := &verifying{VerifyRequest: req}
	switch info, err := os.Stat(req.Film); {
	case err != nil:
		return nil, PublishRequest{}, fmt.Errorf("node: no film: %w", err)
	case info.IsDir():
		return nil, PublishRequest{}, fmt.Errorf("node: %s is a folder: only films can be verified", req.Film)
	}
	film := resolved(req.Film)
	n.mu.Lock()
	for _, e := range slices.Backward(n.history) {
		if e.Making != nil && resolved(e.Last.File) == film {
			v.made, v.sha256 = e.Making, e.Last.SHA256
			break
		}
	}
	n.mu.Unlock()
	var pub PublishRequest
	switch {
	case req.Scene != nil:
		pub = *req.Scene
		v.made = nil
	case v.made == nil:
		return nil, pub, fmt.Errorf("node: how %s was made is not known here: add the script, the scene and the options, as for \"meshnode publish\"", req.Film)
	default:
		m := v.made
		pub = PublishRequest{Args: m.Args, scene: m.Scene, Dir: m.Dir, Env: req.Env, Manim: m.Manim, Python: m.Python, CellFrames: m.CellFrames}
	}
	return v, pub, nil
}

// resolved returns a path without links, as far as it is there.
func resolved(path string) string {
	if path == "" {
		return ""
	}
	if real, err := filepath.EvalSymlinks(path); err == nil {
		return real
	}
	return filepath.Clean(path)
}

// verify draws cells of a planned scene and compares the film with them.
func (n *Node) verify(ctx context.Context, p *publication, plan *renderer.Plan, req PublishRequest) error {
	v := req.verify
	verifier, ok := n.parts.Renderer.(renderer.Verifier)
	if !ok || plan.Whole {
		return &renderer.UsageError{Text: "only films can be verified: others have no parts that could be compared"}
	}
	if _, err := verifier.Compare(ctx, plan.Need.Fingerprint, v.Film, plan.FPS, nil); err != nil {
		return err // before anything is drawn for it
	}
	man := n.manifest(p, plan)
	grid := man.Grid()
	found := &Verification{
		Name: plan.Name, Film: v.Film, Frames: man.Frames(), Cells: uint32(len(grid)), Seed: v.VerifyRequest.Seed, Differ: []Different{}, Known: v.made != nil,
	}
	if found.Seed == 0 {
		found.Seed = uint64(rand.Uint32()) + 1
	}
	exact := false // every byte can be told
	if v.made != nil {
		exact = v.made.Exact && v.made.Made == plan.Need.Fingerprint
		sum, err := hashFile(v.Film)
		if err != nil {
			return err
		}
		found.Altered = sum != v.sha256
	}
	cells, err := n.drawAgain(ctx, p, req, choose(grid, v.VerifyRequest, found.Seed))
	if err != nil {
		return err
	}
	compared, err := verifier.Compare(ctx, plan.Need.Fingerprint, v.Film, plan.FPS, cells)
	if err != nil {
		return err
	}
	// What is not the file that was written is not excused by what others may have written.
	found.judge(compared, cells, plan.FPS, exact || found.Altered)
	p.emit(Event{Event: "verified", Name: plan.Name, Verification: found})
	return nil
}

// choose returns the cells to draw again, in their order.
func choose(grid []job.Cell, req VerifyRequest, seed uint64) []job.Cell {
	many := EnoughCells
	switch {
	case req.All:
		many = len(grid)
	case req.Cells > 0:
		many = int(req.Cells)
	}
	many = min(many, len(grid))
	order := rand.New(rand.NewPCG(seed, 0)).Perm(len(grid))[:many]
	slices.Sort(order)
	cells := make([]job.Cell, many)
	for i, at := range order {
		cells[i] = grid[at]
	}
	return cells
}

// drawAgain draws cells, several at a time.
func (n *Node) drawAgain(ctx context.Context, p *publication, req PublishRequest, cells []job.Cell) ([]renderer.FilmCell, error) {
	drawn := make([]renderer.FilmCell, len(cells))
	progress := Event{Event: "progress"}
	for _, c := range cells {
		progress.Frames += c.Frames
	}
	var mu sync.Mutex // guards progress
	tasks, ctx := errgroup.WithContext(ctx)
	tasks.SetLimit(int(max(1, n.localSlots(req))))
	for i, c := range cells {
		tasks.Go(func() error {
			made, err := p.engine.Render(ctx, c.Index)
			if err != nil {
				return err
			}
			if len(made.Files) != 1 {
				return fmt.Errorf("cell %d: %d files where there should be one", c.Index, len(made.Files))
			}
			drawn[i] = renderer.FilmCell{First: c.First, Frames: c.Frames, File: filepath.Join(p.engine.Out().Name(), made.Files[0])}
			mu.Lock()
			defer mu.Unlock()
			progress.Done += c.Frames
			p.emit(progress)
			return nil
		})
	}
	return drawn, tasks.Wait()
}

// judge makes a verdict of a comparison.
func (v *Verification) judge(c *renderer.Comparison, cells []renderer.FilmCell, fps float64, exact bool) {
	v.Checked = uint32(len(cells))
	differ := func(from, to uint32, psnr float64, why string) {
		v.Differ = append(v.Differ, Different{milli(float64(from) / fps), milli(float64(to) / fps), psnr, why})
	}
	if c.Frames != 0 && c.Frames != v.Frames {
		differ(min(c.Frames, v.Frames), max(c.Frames, v.Frames), 0, fmt.Sprintf("the film has %d frames, the scene %d", c.Frames, v.Frames))
	} else if !c.Steady {
		differ(0, v.Frames, 0, "frames are shown at other times")
	}
	for i, one := range c.Cells {
		first := cells[i].First
		switch {
		case one.Same:
			v.Same++
		case one.To > one.From:
			differ(first+one.From, first+one.To, one.PSNR, one.Why)
		case exact:
			differ(first, first+cells[i].Frames, one.PSNR, "other bytes than are written here: it was encoded again, or differs a little")
		default:
			v.Alike++
		}
	}
	slices.SortStableFunc(v.Differ, func(a, b Different) int { return cmp.Compare(a.From, b.From) })
	v.OK = len(v.Differ) == 0
}
