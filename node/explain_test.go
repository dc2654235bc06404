// SPDX-License-Identifier: MIT

package node

import (
	"math"
	"os"
	"slices"
	"testing"
	"time"

	"meshnode/job"
	"meshnode/renderer"
	"meshnode/renderer/synthetic"
)

// TestExplain: what a scene costs is found out here, and nobody hears of it.
func TestExplain(t *testing.T) {
	m := newMesh(t)
	n := m.add(&synthetic.Renderer{Slow: 2 * time.Millisecond}, 2)
	other := m.add(&synthetic.Renderer{}, 2)
	m.settle()
	req, path := m.scene(demo, 2)
	var got events
	n.Explain(t.Context(), req, got.add)
	last := got.last()
	if last.Event != "explained" {
		t.Fatalf("ended with %+v", last)
	}
	ex := last.Explanation
	if ex.Name != "Demo" || ex.Frames != 135 || ex.Cells != 27 || len(ex.Plays) != 3 || ex.Slots != 2 || len(ex.Forecast) != mostNodes {
		t.Errorf("explained %+v", ex)
	}
	if weight := 60 + 45 + 6*(1+5.0/4); ex.Raster < 0.9*weight*0.002 || ex.Drawn == 0 || ex.Drawn >= ex.Frames {
		t.Errorf("by %d frames of 2 ms, drawing is said to take %.3f s", ex.Drawn, ex.Raster)
	}
	for _, f := range ex.Forecast[1:] {
		if f.Seconds > ex.Forecast[0].Seconds {
			t.Errorf("%d nodes are said to take longer than one: %+v", f.Nodes, ex.Forecast)
		}
	}
	if usage, err := other.parts.Store.Usage(t.Context()); err != nil || usage != 0 {
		t.Errorf("the other node has %d bytes (%v)", usage, err)
	}
	if jobs := append(n.Jobs(), other.Jobs()...); len(jobs) != 0 {
		t.Errorf("an explanation is listed as a job: %+v", jobs)
	}
	if _, err := os.Stat(path); err == nil {
		t.Error("a film was written")
	}
	m.forgotten()
}

func TestExplainABrokenScene(t *testing.T) {
	m := newMesh(t)
	n := m.add(&synthetic.Renderer{}, 1)
	m.settle()
	req, _ := m.scene(synthetic.Scene{Name: "Broken", Error: "Traceback: it broke"}, 1)
	var got events
	n.Explain(t.Context(), req, got.add)
	if last := got.last(); last.Event != "failed" || last.Kind != FailedScene || last.Text != "Traceback: it broke" {
		t.Errorf("ended with %+v", last)
	}
	n2 := m.add(&synthetic.Renderer{Fail: func(*job.Manifest, uint32) error { return renderer.ErrMemory }}, 1)
	m.settle()
	req, _ = m.scene(demo, 1)
	n2.Explain(t.Context(), req, got.add)
	if last := got.last(); last.Event != "failed" || last.Kind != FailedRender {
		t.Errorf("ended with %+v", last)
	}
	m.forgotten()
}

// TestExplained counts up by hand what a few samples mean.
func TestExplained(t *testing.T) {
	plan := &renderer.Plan{
		Name: "Demo", FPS: 30,
		Plays: []job.Play{{Frames: 120}, {Frames: 0}, {Frames: 300, Frozen: true}, {Frames: 60}},
		Costs: []renderer.PlayCost{{Name: "a", Walk: 1.2, Outlines: 0.5}, {Name: "skipped", Walk: 0.4}, {Name: "c"}, {Name: "d", Walk: 0.6}},
	}
	samples := []sampled{
		{cells: 2, frames: 24, weight: 24, raster: 0.24, encode: 0.48},
		{},
		{cells: 1, frames: 12, weight: 4, raster: 0.05, encode: 0.08},
		{}, // as the other
	}
	ex := explained(plan, samples, 0, 2)
	want := []PlayCost{
		{Name: "a", Frames: 120, Walk: 1.2, Outlines: 0.5, Raster: 1.2, Encode: 2.4, Drawn: 24},
		{Name: "skipped", Walk: 0.4},
		{Name: "c", Frames: 300, Frozen: true, Raster: 0.05, Encode: 0.02 * 76, Drawn: 12},
		{Name: "d", Frames: 60, Walk: 0.6, Raster: 0.6, Encode: 1.2},
	}
	if !slices.Equal(ex.Plays, want) {
		t.Errorf("the plays cost %+v\nwant %+v", ex.Plays, want)
	}
	near := func(what string, got, want float64) {
		t.Helper()
		if math.Abs(got-want) > 0.002 {
			t.Errorf("%s: %.3f s, want %.3f", what, got, want)
		}
	}
	near("walk", ex.Walk, 2.2)
	near("outlines", ex.Outlines, 0.5)
	near("raster", ex.Raster, 1.85)
	near("encode", ex.Encode, 5.12)
	near("longest", ex.Longest, 1.8) // of four: 60 + 60, 300, 60 frames
	// One core draws 1.8 + 0.6 s from 1.7 s on, to 4.1, the other, which has walked,
	// from 2.7 on, to 5.1; then 1.97 and 2.4 s are left.
	near("one node", ex.Forecast[0].Seconds, 7.5)
}

func TestSampleOrder(t *testing.T) {
	plays := []job.Play{{Frames: 20}, {Frames: 600}, {}, {Frames: 900, Frozen: true}, {Frames: 100}}
	grid := job.Grid(plays, 60, sampleFrames)
	var of []uint32
	seen := map[uint32]bool{}
	for _, c := range sampleOrder(plays, grid) {
		of = append(of, c.Play)
		if seen[c.Index] {
			t.Errorf("cell %d is drawn twice", c.Index)
		}
		seen[c.Index] = true
	}
	if want := []uint32{3, 1, 4, 0, 1, 4, 1}; !slices.Equal(of, want) {
		t.Errorf("samples of the plays %v, want %v", of, want)
	}
}
