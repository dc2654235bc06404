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
	of := make([][]job.Cell, len(plays))
	for _, c := range grid {
		of[c.Play] = append(of[c.Play], c)
	}
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

func (s *sampled) add(o sampled) {
	s.cells += o.cells
	s.frames += o.frames
	s.weight += o.weight
	s.raster += o.raster
	s.encode += o.encode
}

// explained counts up what the walk and the samples have found. cellFrames is
// the length of the job's own cells.
func explained(plan *renderer.Plan, samples []sampled, cellFrames, slots uint32) *Explanation {
	grid := job.Grid(plan.Plays, plan.FPS, cellFrames)
	ex := &Explanation{
		Name: plan.Name, Cells: uint32(len(grid)), FPS: plan.FPS, Width: plan.Width, Height: plan.Height, Slots: slots,
		Plays: []PlayCost{}, Forecast: []Estimate{},
	}
	var moving, frozen sampled
	for i, s := range samples {
		if plan.Plays[i].Frozen {
			frozen.add(s)
		} else {
			moving.add(s)
		}
	}
	usual := moving.rates(false, frozen.rates(true, rates{}))
	still := frozen.rates(true, usual)
	for i, p := range plan.Plays {
		cost := PlayCost{Frames: p.Frames, Frozen: p.Frozen, Drawn: samples[i].frames}
		if i < len(plan.Costs) {
			cost.Name, cost.Walk, cost.Outlines = plan.Costs[i].Name, plan.Costs[i].Walk, plan.Costs[i].Outlines
		}
		ex.Plays = append(ex.Plays, cost)
	}
	cells := make([]scheduler.CellCost, len(grid))
	passed := 0 // plays whose walk is counted
	for i, c := range grid {
		play := &ex.Plays[c.Play]
		r, raster, encode := rates{}, 0.0, 0.0
		if c.Frozen {
			r = samples[c.Play].rates(true, still)
			raster, encode = r.raster, r.encode*c.Weight()
		} else {
			r = samples[c.Play].rates(false, usual)
			raster, encode = r.raster*float64(c.Frames), r.encode*float64(c.Frames)
		}
		play.Raster += raster
		play.Encode += encode
		cells[i] = scheduler.CellCost{Render: raster + encode, Walk: play.Walk * float64(c.Frames) / float64(play.Frames)}
		for ; passed < int(c.Play); passed++ {
			if skipped := ex.Plays[passed]; skipped.Frames == 0 {
				cells[i].Walk += skipped.Walk
			}
		}
		ex.Longest = max(ex.Longest, cells[i].Render)
	}
	for i := range ex.Plays {
		play := &ex.Plays[i]
		ex.Frames += play.Frames
		ex.Drawn += play.Drawn
		ex.Walk += play.Walk
		ex.Outlines += play.Outlines
		ex.Raster += play.Raster
		ex.Encode += play.Encode
		play.Walk, play.Outlines, play.Raster, play.Encode = milli(play.Walk), milli(play.Outlines), milli(play.Raster), milli(play.Encode)
	}
	ex.forecast(cells, ex.Walk+ex.Outlines)
	ex.Walk, ex.Outlines, ex.Raster, ex.Encode, ex.Longest = milli(ex.Walk), milli(ex.Outlines), milli(ex.Raster), milli(ex.Encode), milli(ex.Longest)
	return ex
}

// forecast says how long the job takes with more and more nodes. The plan comes
// first; a node alone draws meanwhile, on the cores that do not walk.
func (ex *Explanation) forecast(cells []scheduler.CellCost, plan float64) {
	if len(cells) == 0 {
		return
	}
	for i, t := range scheduler.Forecast(cells, int(ex.Slots), mostNodes) {
		if t += plan; i == 0 {
			t = max(plan, t-plan*float64(ex.Slots-1)/float64(ex.Slots))
		} else {
			t = min(t, ex.Forecast[0].Seconds)
		}
		ex.Forecast = append(ex.Forecast, Estimate{i + 1, milli(t)})
		if i == 0 || ex.Forecast[i-1].Seconds-t >= enoughGain*ex.Forecast[i-1].Seconds {
			ex.Enough = i + 1
		}
	}
}

// milli rounds seconds for people and programs.
func milli(s float64) float64 { return math.Round(s*1000) / 1000 }
