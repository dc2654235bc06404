// SPDX-License-Identifier: MIT

package sim_test

import (
	"testing"
	"time"

	"meshnode/p2p"
	"meshnode/scheduler/sim"
)

// BenchmarkLargeJob runs a one-hour film at 60 fps on eight nodes, and reports
// what all schedulers together cost for each cell.
func BenchmarkLargeJob(b *testing.B) {
	for range b.N {
		faults := p2p.NewFaults(1)
		faults.MinDelay, faults.MaxDelay = time.Millisecond, 5*time.Millisecond
		cfg := sim.Config{Seed: 1, Faults: faults, Limit: 100 * time.Hour}
		for range 8 {
			cfg.Nodes = append(cfg.Nodes, sim.Node{Slots: 8, Speed: 1})
		}
		cfg.Jobs = []sim.Job{{At: time.Second, Plays: plays(1800, 120), FPS: 60, Seconds: 0.03, Walk: 50, CellSize: 1 << 20}}
		s := sim.New(cfg)
		if err := s.Run(); err != nil {
			b.Fatal(err)
		}
		b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N)/3600, "µs/cell")
	}
}
