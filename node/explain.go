// SPDX-License-Identifier: MIT

package node

import (
	"context"
	"errors"
	"math"
	"slices"
	"strings"
	"sync"
	"time"

	"meshnode/job"
	"meshnode/renderer"
	"meshnode/scheduler"
)

// Explanation says what a scene costs, in CPU seconds of this computer's cores,
// and what more computers would make of it.
type Explanation struct {
	Name   string  `json:"name"`
	Frames uint32  `json:"frames"`
	Cells  uint32  `json:"cells"`
	FPS    float64 `json:"fps"`
	Width  uint32  `json:"width"`
	Height uint32  `json:"height"`

	Plays    []PlayCost `json:"plays"`
	Walk     float64    `json:"walk"`     // of all plays, and of what comes after them
	Outlines float64    `json:"outlines"` // by the clock
	Raster   float64    `json:"raster"`
	Encode   float64    `json:"encode"`
	Longest  float64    `json:"longest"` // of the cells, which are not divided
	Drawn    uint32     `json:"drawn"`   // frames drawn to know it

	Slots    uint32     `json:"slots"`    // of each node
	Forecast []Estimate `json:"forecast"` // for equal nodes, from the key press to the last cell
	Enough   int        `json:"enough"`   // so many nodes: another saves less than a twentieth
}

// PlayCost is what one play costs.
type PlayCost struct {
	Name     string  `json:"name"`
	Frames   uint32  `json:"frames"` // 0: it is skipped, or in the program's own cache
	Frozen   bool    `json:"frozen"`
	Walk     float64 `json:"walk"`     // stepping, and what comes before it in the scene
	Outlines float64 `json:"outlines"` // making formulas and text to shapes
	Raster   float64 `json:"raster"`
	Encode   float64 `json:"encode"`
	Drawn    uint32  `json:"drawn"` // of its frames; 0: its cost is that of the others
}

// Bounds of an explanation.
const (
	sampleFrames = 12               // of a play, drawn at a time
	sampleTime   = 10 * time.Second // after which no sample is begun
	sampleRounds = 3                // samples of a long play
	mostNodes    = 16               // that a forecast is made for
	enoughGain   = 0.05             // of the time, for which another node is worth it
)

// Explain plans a scene and draws samples of it. Nothing is sent to other nodes
// and nothing written but the program's own caches. It tells emit what happens,
// last "explained" or "failed", and returns then.
func (n *Node) Explain(ctx context.Context, req PublishRequest, emit func(Event)) {
	req.DryRun, req.explain = true, true
	req.cells, req.CellFrames = req.CellFrames, sampleFrames
	f := newFeed()
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		defer f.end()
		last, err := n.job(ctx, req, f.add)
		if several := (*renderer.ScenesError)(nil); errors.As(err, &several) {
			last.Kind, last.Text = FailedUsage, "explain takes one scene at a time: name one of "+strings.Join(several.Scenes, ", ")
		}
		if err != nil { // else all that is known has been told
			f.add(last)
		}
	}()
	_ = f.follow(context.WithoutCancel(ctx), emit) // it ends soon after ctx
	<-ended
}

// explain draws samples of a planned scene and counts up.
func (n *Node) explain(ctx context.Context, p *publication, plan *renderer.Plan, req PublishRequest) error {
	slots := max(1, n.localSlots(req))
	grid := job.Grid(plan.Plays, plan.FPS, sampleFrames)
	samples := make([]sampled, len(plan.Plays))
	p.emit(Event{Event: "sampling", Name: plan.Name, Plays: uint32(len(plan.Plays))})
	if !plan.Whole {
		if err := sample(ctx, p.engine, sampleOrder(plan.Plays, grid), int(slots), samples); err != nil {
			return err
		}
	}
	ex := explained(plan, samples, req.cells, slots)
	p.emit(Event{Event: "explained", Explanation: ex})
	return nil
}

// sampleOrder returns the cells to draw: one of each play, from its middle, those
// of the longest plays first; then others of plays with many.
func sampleOrder(plays []job.Play, grid []job.Cell) []job.Cell {
	of := byPlay(plays, grid)
	longest := make([]int, len(plays))
	for i := range longest {
		longest[i] = i
	}
	slices.SortStableFunc(longest, func(a, b int) int { return int(plays[b].Frames) - int(plays[a].Frames) })
	var order []job.Cell
	for round, at := range []float64{0.5, 0.2, 0.8}[:sampleRounds] {
		for _, i := range longest {
			if few := 4 * round; len(of[i]) > few && !(round > 0 && plays[i].Frozen) {
				order = append(order, of[i][int(at*float64(len(of[i])))])
			}
		}
	}
	return order
}

// byPlay returns the cells of each play.
func byPlay(plays []job.Play, grid []job.Cell) [][]job.Cell {
	of := make([][]job.Cell, len(plays))
	for _, c := range grid {
		of[c.Play] = append(of[c.Play], c)
	}
	return of
}

// sampled is what was drawn of a play.
type sampled struct {
	cells, frames  uint32
	weight         float64 // of frozen cells
	raster, encode float64
}

// sample draws cells, so many at a time, until the time is over.
func sample(ctx context.Context, engine renderer.Engine, order []job.Cell, slots int, out []sampled) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	until := time.Now().Add(sampleTime)
	var mu sync.Mutex // guards order and out
	next := func() (c job.Cell, ok bool) {
		mu.Lock()
		defer mu.Unlock()
		if len(order) == 0 || time.Now().After(until) {
			return c, false
		}
		c, order = order[0], order[1:]
		return c, true
	}
	var drawing sync.WaitGroup
	for range slots {
		drawing.Go(func() {
			for c, ok := next(); ok && ctx.Err() == nil; c, ok = next() {
				r, err := engine.Render(ctx, c.Index)
				if err != nil {
					cancel(err)
					return
				}
				for _, name := range r.Files { // the engine's folder may be memory
					engine.Out().Remove(name)
				}
				mu.Lock()
				s := &out[c.Play]
				s.cells++
				s.frames += c.Frames
				s.weight += c.Weight()
				s.raster += r.Raster
				s.encode += r.Encode
				mu.Unlock()
			}
		})
	}
	drawing.Wait()
	return context.Cause(ctx)
}

func (s *sampled) add(o sampled) {
	s.cells += o.cells
	s.frames += o.frames
	s.weight += o.weight
	s.raster += o.raster
	s.encode += o.encode
}

// rates are what drawing and encoding cost: a frame of moving plays, a picture
// of frozen ones and what they weigh.
type rates struct{ raster, encode float64 }

// rates returns what the samples have cost, or the given rates without any.
func (s sampled) rates(frozen bool, otherwise rates) rates {
	switch {
	case s.cells == 0:
		return otherwise
	case frozen:
		return rates{s.raster / float64(s.cells), s.encode / s.weight}
	}
	return rates{s.raster / float64(s.frames), s.encode / float64(s.frames)}
}

// prices says what cells cost: by the samples of their play or, without any, by
// those of the others.
type prices struct {
	of             []sampled // by play
	moving, frozen rates
}

func newPrices(plays []job.Play, of []sampled) prices {
	var moving, frozen sampled
	for i, s := range of {
		if plays[i].Frozen {
			frozen.add(s)
		} else {
			moving.add(s)
		}
	}
	p := prices{of: of}
	p.moving = moving.rates(false, frozen.rates(true, rates{}))
	p.frozen = frozen.rates(true, p.moving)
	return p
}

func (p prices) cell(c job.Cell) (raster, encode float64) {
	if c.Frozen {
		r := p.of[c.Play].rates(true, p.frozen)
		return r.raster, r.encode * c.Weight()
	}
	r := p.of[c.Play].rates(false, p.moving)
	return r.raster * float64(c.Frames), r.encode * float64(c.Frames)
}

// explained counts up what the walk and the samples have found. cellFrames is
// the length of the job's own cells.
func explained(plan *renderer.Plan, samples []sampled, cellFrames, slots uint32) *Explanation {
	grid := job.Grid(plan.Plays, plan.FPS, cellFrames)
	ex := &Explanation{
		Name: plan.Name, Cells: uint32(len(grid)), FPS: plan.FPS, Width: plan.Width, Height: plan.Height, Slots: slots,
		Plays: []PlayCost{}, Forecast: []Estimate{},
	}
	prices := newPrices(plan.Plays, samples)
	var cells []scheduler.CellCost
	var known []float64 // when the walk has passed the play of each cell
	walked := 0.0       // seconds
	skipped := 0.0      // of these, in plays without cells since the last cell
	for i, of := range byPlay(plan.Plays, grid) {
		play := PlayCost{Frames: plan.Plays[i].Frames, Frozen: plan.Plays[i].Frozen, Drawn: samples[i].frames}
		if i < len(plan.Costs) {
			play.Name, play.Walk, play.Outlines = plan.Costs[i].Name, plan.Costs[i].Walk, plan.Costs[i].Outlines
		}
		walked += play.Walk + play.Outlines
		if len(of) == 0 {
			skipped += play.Walk
		}
		for _, c := range of {
			raster, encode := prices.cell(c)
			play.Raster += raster
			play.Encode += encode
			walk := skipped + play.Walk*float64(c.Frames)/float64(play.Frames)
			cells, known, skipped = append(cells, scheduler.CellCost{Render: raster + encode, Walk: walk}), append(known, walked), 0
			ex.Longest = max(ex.Longest, milli(raster+encode))
		}
		ex.count(play)
	}
	ex.forecast(cells, known, walked)
	return ex
}

// count takes a play into the sums. Figures are rounded, for people and programs.
func (ex *Explanation) count(p PlayCost) {
	p.Walk, p.Outlines, p.Raster, p.Encode = milli(p.Walk), milli(p.Outlines), milli(p.Raster), milli(p.Encode)
	ex.Plays = append(ex.Plays, p)
	ex.Frames += p.Frames
	ex.Drawn += p.Drawn
	ex.Walk = milli(ex.Walk + p.Walk)
	ex.Outlines = milli(ex.Outlines + p.Outlines)
	ex.Raster = milli(ex.Raster + p.Raster)
	ex.Encode = milli(ex.Encode + p.Encode)
}

func milli(seconds float64) float64 { return math.Round(seconds*1000) / 1000 }

// forecast says how long the job takes with more and more nodes: the plan comes
// first. known is when the walk has passed the play of each cell.
func (ex *Explanation) forecast(cells []scheduler.CellCost, known []float64, plan float64) {
	if len(cells) == 0 {
		return
	}
	alone := rendersAlone(cells, known, plan, int(ex.Slots))
	for i, t := range scheduler.Forecast(cells, int(ex.Slots), mostNodes) {
		if t = min(plan+t, alone); i == 0 {
			t = alone
		}
		ex.Forecast = append(ex.Forecast, Estimate{i + 1, milli(t)})
		if i == 0 || ex.Forecast[i-1].Seconds-t >= enoughGain*ex.Forecast[i-1].Seconds {
			ex.Enough = i + 1
		}
	}
}

// rendersAlone returns when one node is done. While a core walks, the others draw
// the plays that it has passed.
func rendersAlone(cells []scheduler.CellCost, known []float64, plan float64, slots int) float64 {
	free := make([]float64, slots) // when each core is
	free[0] = plan
	for i, c := range cells {
		next := 0
		for k := range free {
			if max(free[k], known[i]) < max(free[next], known[i]) {
				next = k
			}
		}
		free[next] = max(free[next], known[i]) + c.Render + c.Walk
	}
	return slices.Max(free)
}
