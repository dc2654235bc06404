// SPDX-License-Identifier: MIT

package sim_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"meshnode/job"
	"meshnode/scheduler/sim"
)

// forgery is a mesh of so many nodes, each of which has not met the submitter before,
// and of which the last forges a fifth of its cells.
func forgery(seed uint64, nodes, cells int) *sim.Script {
	s := &sim.Script{Seed: seed, Net: sim.Net{Min: time.Millisecond, Max: 5 * time.Millisecond}}
	for i := range nodes {
		s.Nodes = append(s.Nodes, sim.Node{Number: i, Slots: 2, Speed: 1})
	}
	s.Nodes[nodes-1].Liar = "forge"
	s.Jobs = []sim.Job{{FPS: 30, At: time.Second, Frame: 20 * time.Millisecond, Walk: time.Second, Bytes: 1000, Trust: "known"}}
	for range cells {
		s.Jobs[0].Plays = append(s.Jobs[0].Plays, job.Play{Frames: 60})
	}
	return s
}

// outcome is what became of many jobs.
type outcome struct {
	jobs   int // in which something was forged
	wrong  int // whose films are
	checks float64
	twice  float64
}

func (o outcome) String() string {
	return fmt.Sprintf("%d jobs with forged cells, %d films with some; %.1f %% rendered again to check, %.1f %% because of what was found",
		o.jobs, o.wrong, 100*o.checks, 100*o.twice)
}

func judge(t *testing.T, seeds int, script func(seed uint64) *sim.Script) (o outcome) {
	t.Helper()
	runs := 0.0
	for seed := range uint64(seeds) {
		s := sim.New(script(seed))
		if err := s.Run(); err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		r := s.Results()[0]
		if r.Lies > 0 {
			o.jobs++
		}
		if r.Forged > 0 {
			o.wrong++
		}
		o.checks += r.Checks
		o.twice += r.Duplicates
		runs++
	}
	o.checks, o.twice = o.checks/runs, o.twice/runs
	return o
}

// TestForgers has a peer render a fifth of its cells wrongly. At level known it is found
// out before the film is made in 95 of 100 jobs, and never does a film have anything by
// who was found out.
func TestForgers(t *testing.T) {
	seeds := 100
	if testing.Short() {
		seeds = 30
	}
	for _, mesh := range []struct{ nodes, cells int }{{2, 30}, {4, 60}} {
		o := judge(t, seeds, func(seed uint64) *sim.Script { return forgery(seed, mesh.nodes, mesh.cells) })
		t.Logf("%d nodes, %d cells: %v", mesh.nodes, mesh.cells, o)
		if o.jobs < seeds/2 || 20*o.wrong > o.jobs {
			t.Errorf("%d nodes, %d cells: %v", mesh.nodes, mesh.cells, o)
		}
	}
}

// Without checks hardly a film is right.
func TestForgersUnchecked(t *testing.T) {
	o := judge(t, 20, func(seed uint64) *sim.Script {
		s := forgery(seed, 4, 60)
		s.Jobs[0].Trust = "mine"
		return s
	})
	if o.wrong < o.jobs*9/10 || strings.Contains(o.String(), "NaN") {
		t.Errorf("the forger does not forge: %v", o)
	}
}

// TestCheckCosts measures what checks of honest peers cost: with -figures, for
// docs/threats.md.
func TestCheckCosts(t *testing.T) {
	if !*figuresFlag {
		t.Skip("no -figures")
	}
	for _, nodes := range []int{2, 4, 8} {
		for _, cells := range []int{30, 120, 480} {
			_, unchecked := costs(t, nodes, cells, "mine")
			line := fmt.Sprintf("| %d | %d |", nodes, cells)
			for _, trust := range []string{"spot", "known", "open"} {
				share, makespan := costs(t, nodes, cells, trust)
				line += fmt.Sprintf(" %.0f %%, x %.1f |", 100*share, makespan/unchecked)
			}
			t.Log(line)
		}
	}
}

// costs runs four equal jobs of one submitter, one after the other, and returns the
// means of the share that was rendered again and of the seconds that a job took.
func costs(t *testing.T, nodes, cells int, trust string) (share, makespan float64) {
	s := &sim.Script{Seed: 5, Net: sim.Net{Min: time.Millisecond, Max: 5 * time.Millisecond}}
	for i := range nodes {
		s.Nodes = append(s.Nodes, sim.Node{Number: i, Slots: 4, Speed: 1})
	}
	plays := slices.Repeat([]job.Play{{Frames: 60}}, cells)
	each := time.Minute + time.Duration(cells)*2*time.Second // more than one needs
	const jobs = 4
	for k := range jobs {
		s.Jobs = append(s.Jobs, sim.Job{
			Number: k, At: time.Second + time.Duration(k)*each, FPS: 30, Frame: 20 * time.Millisecond, Walk: time.Second, Bytes: 1000, Trust: trust, Plays: plays,
		})
	}
	s.Settle = jobs * each
	r := sim.New(s)
	if err := r.Run(); err != nil {
		t.Fatal(err)
	}
	for _, result := range r.Results() {
		share += result.Checks / jobs
		makespan += result.Makespan.Seconds() / jobs
	}
	return share, makespan
}
