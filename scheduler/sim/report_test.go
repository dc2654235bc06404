// SPDX-License-Identifier: MIT

package sim_test

import (
	"fmt"
	"testing"
	"time"

	"meshnode/p2p"
	"meshnode/scheduler/sim"
)

// scenario is one row of the table in docs/scheduling.md: nodes of two slots,
// and two minutes of work for one of them, in cells of 1.8 s.
type scenario struct {
	nodes       int
	crash, slow bool
	walk        float64 // of the job, as a share of rendering it
}

func (c scenario) String() string {
	what := "-"
	switch {
	case c.crash && c.slow:
		what = "both"
	case c.crash:
		what = "one crashes"
	case c.slow:
		what = "one is 5 x slower than it says"
	}
	return fmt.Sprintf("%d | %.0f %% | %s", c.nodes, 100*c.walk, what)
}

type figures struct {
	ratio, worst         float64 // makespan by the ideal
	duplicates, messages float64
}

func measure(t *testing.T, c scenario, seeds uint64) figures {
	const frame, minutes = 0.03, 120.0
	var f figures
	for seed := uint64(1); seed <= seeds; seed++ {
		faults := p2p.NewFaults(seed)
		faults.MinDelay, faults.MaxDelay = time.Millisecond, 5*time.Millisecond
		frames := minutes * 2 / frame
		cfg := sim.Config{Seed: seed, Faults: faults, Limit: time.Hour}
		for i := range c.nodes {
			n := sim.Node{Slots: 2, Speed: 1}
			if c.slow && i == 1 {
				n.Speed, n.Tells = 0.2, 1
			}
			cfg.Nodes = append(cfg.Nodes, n)
		}
		cfg.Jobs = []sim.Job{{
			At: 2 * time.Second, Plays: plays(int(frames/120), 120), FPS: 60, Seconds: frame,
			Walk: frames * frame * c.walk, CellSize: 1 << 20,
		}}
		s := sim.New(cfg)
		until := map[int]time.Duration{}
		if c.crash {
			last := c.nodes - 1
			planned := time.Duration(cfg.Jobs[0].Walk * float64(time.Second))
			at := cfg.Jobs[0].At + planned + time.Duration(minutes/float64(c.nodes)*(0.1+0.16*float64(seed))*float64(time.Second))
			until[last] = at
			s.At(at, func() { s.Kill(last) })
		}
		if err := s.Run(); err != nil {
			t.Fatalf("%v, seed %d: %v", c, seed, err)
		}
		r := s.Results()[0]
		ratio := r.Makespan.Seconds() / s.Ideal(0, until).Seconds()
		f.ratio += ratio / float64(seeds)
		f.worst = max(f.worst, ratio)
		f.duplicates += r.Duplicates / float64(seeds)
		for _, n := range s.Sent {
			f.messages += float64(n) / float64(seeds)
		}
	}
	return f
}

// TestMakespan holds the bounds that docs/scheduling.md promises; with -v it
// prints its table.
func TestMakespan(t *testing.T) {
	for _, walk := range []float64{0.01, 0.04} {
		for _, n := range []int{2, 4, 8} {
			for _, c := range []scenario{{nodes: n}, {nodes: n, crash: true}, {nodes: n, slow: true}, {nodes: n, crash: true, slow: true}} {
				if c.walk = walk; c.crash && c.slow && n == 2 {
					continue // the submitter would be on its own
				}
				f := measure(t, c, 5)
				t.Logf("| %v | %.2f | %.2f | %.1f %% | %.0f |", c, f.ratio, f.worst, 100*f.duplicates, f.messages)
				// The walk to the last range and the last cell weigh more the shorter
				// each node's part is.
				most := 1.1 + 0.02*float64(n)
				if walk > 0.02 {
					most = 1.1 + 0.06*float64(n)
				}
				if f.ratio > most || f.duplicates > 0.02 {
					t.Errorf("%v: %.2f of the ideal, %.1f %% duplicates", c, f.ratio, 100*f.duplicates)
				}
			}
		}
	}
}
