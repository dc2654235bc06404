// SPDX-License-Identifier: MIT

package sim_test

import (
	"fmt"
	"testing"
	"time"

	"meshnode/p2p"
	"meshnode/scheduler/sim"
)

// scenario is one row of the table in docs/scheduling.md.
type scenario struct {
	nodes       int
	crash, slow bool
	walk        float64 // seconds, of 120 s of rendering on one slot... see run
}

type figures struct {
	ratio, worst, duplicates, messages float64
}

// measure runs a scenario with several seeds: nodes of two slots, and as much
// work as keeps each of them busy for a minute.
func measure(t *testing.T, c scenario, seeds uint64) figures {
	var f figures
	for seed := uint64(1); seed <= seeds; seed++ {
		faults := p2p.NewFaults(seed)
		faults.MinDelay, faults.MaxDelay = time.Millisecond, 5*time.Millisecond
		const frame = 0.03
		weight := 120 * 2 / frame
		cfg := sim.Config{Seed: seed, Faults: faults, Limit: time.Hour}
		for i := range c.nodes {
			n := sim.Node{Slots: 2, Speed: 1}
			if c.slow && i == 1 {
				n.Speed, n.Tells = 0.2, 1
			}
			cfg.Nodes = append(cfg.Nodes, n)
		}
		cfg.Jobs = []sim.Job{{At: 2 * time.Second, Plays: plays(int(weight/120), 120), FPS: 60, Seconds: frame, Walk: weight * frame * c.walk, CellSize: 1 << 20}}
		s := sim.New(cfg)
		until := map[int]time.Duration{}
		if c.crash {
			at := cfg.Jobs[0].At + time.Duration(120/float64(c.nodes)*(0.2+0.1*float64(seed))*float64(time.Second))
			until[c.nodes-1] = at
			s.At(at, func() { s.Kill(c.nodes - 1) })
		}
		if err := s.Run(); err != nil {
			t.Fatalf("%+v, seed %d: %v", c, seed, err)
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
			for _, c := range []scenario{{n, false, false, walk}, {n, true, false, walk}, {n, false, true, walk}, {n, true, true, walk}} {
				if c.crash && c.slow && n == 2 {
					continue
				}
				f := measure(t, c, 5)
				what := map[[2]bool]string{{}: "-", {true, false}: "crash", {false, true}: "5x slow", {true, true}: "both"}[[2]bool{c.crash, c.slow}]
				t.Log(fmt.Sprintf("| %d | %.0f %% | %s | %.2f | %.2f | %.1f %% | %.0f |", c.nodes, 100*walk, what, f.ratio, f.worst, 100*f.duplicates, f.messages))
			}
		}
	}
}
