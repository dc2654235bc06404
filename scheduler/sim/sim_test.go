// SPDX-License-Identifier: MIT

package sim_test

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"testing"
	"time"

	"meshnode/job"
	"meshnode/p2p"
	"meshnode/scheduler/sim"
)

var (
	seedFlag  = flag.Uint64("seed", 0, "run this seed only, with its trace")
	seedsFlag = flag.Int("seeds", 200, "number of random runs")
)

func plays(n int, frames uint32) []job.Play {
	out := make([]job.Play, n)
	for i := range out {
		out[i].Frames = frames
	}
	return out
}

// random builds a run with faults of every kind from a seed. Submitters are not
// killed: what follows when they are is not about one job any more.
func random(seed uint64) *sim.Sim {
	rng := rand.New(rand.NewPCG(seed, 1))
	chance := func(p float64) bool { return rng.Float64() < p }
	within := func(low, high float64) time.Duration {
		return time.Duration((low + (high-low)*rng.Float64()) * float64(time.Second))
	}
	faults := p2p.NewFaults(seed)
	faults.MinDelay, faults.MaxDelay = 200*time.Microsecond, within(0.001, 0.05)
	if chance(0.5) {
		faults.Loss, faults.Duplicate, faults.Straggle = 0.2*rng.Float64(), 0.2*rng.Float64(), 0.1*rng.Float64()
	}
	cfg := sim.Config{Seed: seed, Faults: faults, Limit: 30 * time.Minute}
	n := 1 + rng.IntN(8)
	for i := range n {
		node := sim.Node{Slots: 1 + rng.Uint32N(4), Speed: 0.5 + 1.5*rng.Float64()}
		if chance(0.1) {
			node.Tells = 5 * node.Speed // it is slower than it says
		}
		if chance(0.1) {
			node.Breaks = 0.05
		}
		if i > 0 && chance(0.2) {
			node.Joins = within(0, 60)
		}
		if i > 0 && chance(0.05) {
			node.Sandbox = "none"
		}
		cfg.Nodes = append(cfg.Nodes, node)
	}
	jobs := 1 + rng.IntN(3)
	submitters := map[int]bool{}
	for range jobs {
		by := 0
		if chance(0.3) {
			by = rng.IntN(n)
		}
		if cfg.Nodes[by].Joins > 0 || cfg.Nodes[by].Sandbox != "" {
			by = 0
		}
		submitters[by] = true
		j := sim.Job{Submitter: by, At: within(1, 20), FPS: 30, CellSize: 100_000,
			Seconds: 0.002 + 0.03*rng.Float64(), Walk: 3 * rng.Float64()}
		for range 1 + rng.IntN(40) {
			j.Plays = append(j.Plays, job.Play{Frames: 1 + rng.Uint32N(120), Frozen: chance(0.2)})
		}
		cfg.Jobs = append(cfg.Jobs, j)
	}
	s := sim.New(cfg)
	for i := range n {
		if submitters[i] {
			continue
		}
		at := within(3, 60)
		switch rng.IntN(8) {
		case 0:
			s.At(at, func() { s.Kill(i) })
		case 1:
			s.At(at, func() { s.Kill(i) })
			s.At(at+within(0.1, 30), func() { s.Start(i) })
		case 2:
			s.At(at, func() { s.Hang(i) })
			s.At(at+within(1, 40), func() { s.Wake(i) })
		case 3:
			s.At(at, func() { s.Advertise(i, func(a *job.Advert) { a.Paused = true }) })
			s.At(at+within(1, 40), func() { s.Advertise(i, func(*job.Advert) {}) })
		}
	}
	if n > 1 && chance(0.3) {
		var group []job.PeerID
		for i := range n {
			if chance(0.5) {
				group = append(group, sim.ID(i))
			}
		}
		at := within(3, 40)
		s.At(at, func() { faults.Partition(group); s.Cut() })
		s.At(at+within(1, 60), func() { faults.Heal(); s.Cut() })
	}
	return s
}

// TestRandom runs many random meshes with faults. Whatever happens, every job
// ends with the right cells, and no node breaks a rule.
func TestRandom(t *testing.T) {
	if *seedFlag != 0 {
		s := random(*seedFlag)
		s.Trace(func(line string) { fmt.Fprintln(os.Stdout, line) })
		if err := s.Run(); err != nil {
			t.Fatal(err)
		}
		t.Logf("%+v", s.Results())
		return
	}
	seeds := *seedsFlag
	if testing.Short() {
		seeds = 30
	}
	for seed := uint64(1); seed <= uint64(seeds); seed++ {
		s := random(seed)
		err := s.Run()
		if err == nil {
			for _, r := range s.Results() {
				if r.Failed != "" && !strings.Contains(r.Failed, "broken") {
					err = fmt.Errorf("job failed: %s", r.Failed)
				}
			}
		}
		if err != nil {
			t.Errorf("seed %d: %v\nreplay: go test ./scheduler/sim -run TestRandom -seed %d", seed, err, seed)
		}
	}
}

// TestReplay runs a seed twice: one seed is one run.
func TestReplay(t *testing.T) {
	for seed := uint64(1); seed <= 10; seed++ {
		a, b := random(seed), random(seed)
		if errA, errB := a.Run(), b.Run(); fmt.Sprint(errA) != fmt.Sprint(errB) || a.Digest() != b.Digest() {
			t.Errorf("seed %d: two runs differ", seed)
		}
	}
}
