// SPDX-License-Identifier: MIT

package sim_test

import (
	"testing"
	"time"

	"meshnode/job"
	"meshnode/p2p"
	"meshnode/scheduler/sim"
)

func plays(n int, frames uint32) []job.Play {
	out := make([]job.Play, n)
	for i := range out {
		out[i].Frames = frames
	}
	return out
}

func TestSmoke(t *testing.T) {
	f := p2p.NewFaults(1)
	f.MinDelay, f.MaxDelay = time.Millisecond, 5*time.Millisecond
	for _, n := range []int{1, 2, 4, 8} {
		cfg := sim.Config{Seed: 1, Faults: f, Limit: time.Hour,
			Jobs: []sim.Job{{At: 2 * time.Second, Plays: plays(60, 120), FPS: 60, Seconds: 0.03, Walk: 3, CellSize: 1 << 20}}}
		for range n {
			cfg.Nodes = append(cfg.Nodes, sim.Node{Slots: 2, Speed: 1})
		}
		s := sim.New(cfg)
		if err := s.Run(); err != nil {
			t.Error(err)
		}
		r := s.Results()[0]
		id := s.Ideal(0, nil)
		t.Logf("n %d: %+v ideal %v ratio %.3f sent %v", n, r, id, r.Makespan.Seconds()/id.Seconds(), s.Sent)
	}
}
