// SPDX-License-Identifier: MIT

package sim_test

import (
	"errors"
	"flag"
	"fmt"
	"maps"
	"os"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"

	"meshnode/scheduler/sim"
)

var (
	seedsFlag  = flag.Int("seeds", 200, "number of random runs")
	firstFlag  = flag.Uint64("first", 1, "seed of the first of them")
	mostFlag   = flag.Int("most", 0, "leave out meshes of more nodes; 0: none. Of 1,000 seeds three have more than 64, which take minutes each")
	replayFlag = flag.String("replay", "", "run the script in this file, and print what happens")
)

// TestRandom runs many random meshes with faults of every kind. Whatever happens,
// no rule is broken, and every job ends. A seed that fails is made as small as it
// still fails, and printed as a script for TestReplay.
func TestRandom(t *testing.T) {
	seeds := uint64(*seedsFlag)
	if testing.Short() {
		seeds = 30
	}
	var next, leftOut atomic.Uint64
	next.Store(*firstFlag)
	var wg sync.WaitGroup
	var mu sync.Mutex // guards what follows
	failed := make(map[uint64]error)
	for range runtime.GOMAXPROCS(0) {
		wg.Go(func() {
			for seed := next.Add(1) - 1; seed < *firstFlag+seeds; seed = next.Add(1) - 1 {
				script := sim.Random(seed)
				if *mostFlag > 0 && len(script.Nodes) > *mostFlag {
					leftOut.Add(1)
					continue
				}
				if err := sim.New(script).Run(); err != nil {
					t.Errorf("seed %d: %v", seed, err)
					mu.Lock()
					failed[seed] = err
					mu.Unlock()
				}
			}
		})
	}
	wg.Wait()
	if n := leftOut.Load(); n > 0 {
		t.Logf("%d meshes of more than %d nodes are left out", n, *mostFlag)
	}
	const most = 3
	for i, seed := range slices.Sorted(maps.Keys(failed)) {
		if i < most {
			t.Logf("the least that fails like seed %d; for go test ./scheduler/sim -run Replay -replay FILE:\n%s", seed, least(sim.Random(seed), failed[seed]))
		}
	}
}

// least makes a script that fails as small as it still breaks the same rule.
func least(script *sim.Script, err error) *sim.Script {
	var v *sim.Violation
	if !errors.As(err, &v) {
		return script
	}
	return sim.Shrink(script, func(s *sim.Script) bool { return sim.Breaks(s) == v.Rule }, 400)
}

// TestReplay runs the script in a file.
func TestReplay(t *testing.T) {
	if *replayFlag == "" {
		t.Skip("no -replay FILE")
	}
	f, err := os.Open(*replayFlag)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	script, err := sim.ParseScript(f)
	if err != nil {
		t.Fatal(err)
	}
	s := sim.New(script)
	s.Trace = func(line string) { fmt.Println("> " + line) }
	var v *sim.Violation
	if err := s.Run(); errors.As(err, &v) {
		t.Fatal(err)
	}
	t.Logf("%+v", s.Results())
}
