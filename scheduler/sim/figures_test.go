// SPDX-License-Identifier: MIT

package sim_test

import (
	"bytes"
	"cmp"
	"encoding/csv"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"maps"
	"math"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"meshnode/job"
	"meshnode/scheduler/sim"
)

var (
	figuresFlag = flag.Bool("figures", false, "measure meshes of 2 to 1,000 nodes, for an hour and more, and put the figures into docs/")
	nodesFlag   = flag.String("nodes", "2,8,32,100,200,1000", "numbers of nodes to measure with -figures")
)

// row is one mesh to be measured. Each node has one slot, of a speed between 0.35
// and 2.8, evenly on a logarithmic scale. All nodes together need 100 s for the
// job; its cells take 2.5 s at speed 1, those of 1,000 nodes 10 s: each node knows of
// all cells, and all nodes are in one memory. Walking through the whole of it takes a
// share of the time that rendering it takes at speed 1.
type row struct {
	nodes       int
	walk        float64
	crash, slow bool // a tenth of the nodes crash; a tenth are 5 times slower than they say
}

func (r row) String() string {
	return fmt.Sprintf("%d nodes, walk %g, crash %v, slow %v", r.nodes, r.walk, r.crash, r.slow)
}

// figure is what was measured, the mean of some seeds.
type figure struct {
	ratio      float64 // makespan by the ideal: all the work by all the speed that is there
	bound      float64 // the same of the best plan for those who know all, with walks but without cells and messages
	duplicates float64 // weight rendered more than once, by all
	messages   float64 // published or sent, each once
	progress   float64 // those of them that repeat claims
	bytes      float64 // of all
	worst      float64 // ratio
}

const jobSeconds, cellFrames = 100.0, 60

// cellSeconds returns how long a node of speed 1 needs for a cell.
func (r row) cellSeconds() float64 {
	if r.nodes < 1000 {
		return 2.5
	}
	return 10
}

// script makes the mesh of a row, and returns until when each node is there.
func (r row) script(seed uint64) (*sim.Script, map[int]float64) {
	rng := rand.New(rand.NewPCG(seed, uint64(r.nodes)))
	s := &sim.Script{Seed: seed, Net: sim.Net{Min: time.Millisecond, Max: 5 * time.Millisecond}}
	speed := 0.0
	for i := range r.nodes {
		n := sim.Node{Number: i, Slots: 1, Speed: math.Exp2(3*rng.Float64() - 1.5)}
		if i > 0 && r.slow && (i%10 == 1 || r.nodes < 10 && i == 1) {
			n.Says = n.Speed
			n.Speed /= 5
		}
		speed += n.Speed
		s.Nodes = append(s.Nodes, n)
	}
	cells := int(jobSeconds * speed / r.cellSeconds())
	j := sim.Job{
		At: 2 * time.Second, FPS: 60, Bytes: 1 << 20, Frame: time.Duration(r.cellSeconds() / cellFrames * float64(time.Second)),
		Walk: time.Duration(r.walk * float64(cells) * r.cellSeconds() * float64(time.Second)),
	}
	for range cells {
		j.Plays = append(j.Plays, job.Play{Frames: cellFrames})
	}
	s.Jobs = []sim.Job{j}
	until := make(map[int]float64)
	if r.crash {
		offered := 2 + 0.2 + j.Walk.Seconds()/s.Nodes[0].Speed
		for i := range r.nodes {
			if i%10 != 2 && !(r.nodes == 2 && i == 1) {
				continue
			}
			until[i] = jobSeconds * (0.1 + 0.8*rng.Float64())
			s.Faults = append(s.Faults, sim.Fault{
				At: time.Duration((offered + until[i]) * float64(time.Second)), Verb: "kill", Args: []string{strconv.Itoa(i)},
			})
		}
		slices.SortFunc(s.Faults, func(a, b sim.Fault) int { return int(a.At - b.At) })
	}
	return s, until
}

// leastTimes returns the earliest time by which a plan can end: ideal without walks,
// and bound with them, when slow nodes come first and each walks to its place.
func (r row) leastTimes(s *sim.Script, until map[int]float64) (ideal, bound float64) {
	work := float64(len(s.Jobs[0].Plays)) * r.cellSeconds()
	nodes := slices.Clone(s.Nodes[1:])
	slices.SortFunc(nodes, func(a, b sim.Node) int { return int(math.Copysign(1, a.Speed-b.Speed)) })
	nodes = append(nodes, s.Nodes[0]) // its walk is over when the job begins
	done := func(t, walk float64) float64 {
		at := 0.0
		for i, n := range nodes {
			there := t
			if u, ok := until[n.Number]; ok {
				there = min(t, u)
			}
			if i == len(nodes)-1 {
				at += there * n.Speed
			} else if left := there*n.Speed - walk*at; left > 0 {
				at += left / (1 + walk)
			}
		}
		return at
	}
	solve := func(walk float64) float64 {
		low, high := 0.0, 1e5
		for range 60 {
			if mid := (low + high) / 2; done(mid, walk) < work {
				low = mid
			} else {
				high = mid
			}
		}
		return high
	}
	return solve(0), solve(r.walk)
}

func (r row) measure(t *testing.T, seeds uint64) (f figure) {
	for seed := uint64(1); seed <= seeds; seed++ {
		script, until := r.script(seed)
		s := sim.New(script)
		start := time.Now()
		if err := s.Run(); err != nil {
			t.Fatalf("%v, seed %d: %v", r, seed, err)
		}
		ideal, bound := r.leastTimes(script, until)
		result := s.Results()[0]
		ratio := result.Makespan.Seconds() / ideal
		share := 1 / float64(seeds)
		f.ratio += ratio * share
		f.worst = max(f.worst, ratio)
		f.bound += bound / ideal * share
		f.duplicates += result.Duplicates * share
		for kind, n := range s.Sent {
			f.messages += float64(n) * share
			if kind == "Progress" {
				f.progress += float64(n) * share
			}
			f.bytes += float64(s.Bytes[kind]) * share
		}
		t.Logf("%v, seed %d: %.3f of the ideal, bound %.3f, %.2f %% twice; %v", r, seed, ratio, bound/ideal, 100*result.Duplicates, time.Since(start).Round(time.Millisecond))
	}
	return f
}

// The figures, and where they are shown.
const (
	figuresFile = "../../docs/scheduling.csv"
	figuresPlot = "../../docs/scheduling.svg"
	figuresPage = "../../docs/scheduling.md"
)

// TestFigures measures how near to the ideal meshes come. Rows that the file of
// figures has already are not measured again: without it, all are. With -nodes ""
// only the table and the plot are made anew.
func TestFigures(t *testing.T) {
	if !*figuresFlag {
		t.Skip("no -figures")
	}
	walks := []float64{0.002, 0.02}
	var nodes []int
	for word := range strings.FieldsFuncSeq(*nodesFlag, func(r rune) bool { return r == ',' }) {
		n, err := strconv.Atoi(word)
		if err != nil {
			t.Fatal(err)
		}
		nodes = append(nodes, n)
	}
	all, err := readFigures(figuresFile)
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range nodes {
		for _, walk := range walks {
			for _, c := range conditions {
				r := row{n, walk, c.crash, c.slow}
				if n > 200 && walk > 0.01 || n == 2 && r.crash && r.slow {
					continue // the walk alone takes longer than the job; nobody else would be there
				}
				if _, ok := all[r]; ok {
					continue
				}
				all[r] = r.measure(t, uint64(max(1, min(5, 200/n))))
				if err := all.write(figuresFile); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	nodes = nil
	for r := range all {
		if !slices.Contains(nodes, r.nodes) {
			nodes = append(nodes, r.nodes)
		}
	}
	slices.Sort(nodes)
	if err := replaceTable(figuresPage, all.table(walks, nodes)); err != nil {
		t.Error(err)
	}
	if err := os.WriteFile(figuresPlot, all.plot(walks, nodes), 0o644); err != nil {
		t.Error(err)
	}
}

func (all results) write(file string) error {
	var b bytes.Buffer
	w := csv.NewWriter(&b)
	w.Write([]string{"nodes", "walk", "crash", "slow", "ratio", "worst", "bound", "duplicates", "messages", "progress", "bytes"})
	rows := slices.SortedFunc(maps.Keys(all), func(a, b row) int {
		return cmp.Or(cmp.Compare(a.walk, b.walk), cmp.Compare(a.nodes, b.nodes), strings.Compare(a.String(), b.String()))
	})
	number := func(v float64) string { return strconv.FormatFloat(v, 'f', -1, 64) }
	for _, r := range rows {
		f := all[r]
		w.Write([]string{
			strconv.Itoa(r.nodes), number(r.walk), strconv.FormatBool(r.crash), strconv.FormatBool(r.slow),
			short(f.ratio), short(f.worst), short(f.bound), short(f.duplicates), short(f.messages), short(f.progress), short(f.bytes),
		})
	}
	w.Flush()
	return os.WriteFile(file, b.Bytes(), 0o644)
}

func short(v float64) string { return strconv.FormatFloat(v, 'f', 4, 64) }

func readFigures(file string) (results, error) {
	all := make(results)
	b, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return all, nil
	}
	if err != nil {
		return nil, err
	}
	lines, err := csv.NewReader(bytes.NewReader(b)).ReadAll()
	if err != nil {
		return nil, err
	}
	for _, line := range lines[min(1, len(lines)):] {
		var r row
		var f figure
		values := []any{&r.nodes, &r.walk, &r.crash, &r.slow, &f.ratio, &f.worst, &f.bound, &f.duplicates, &f.messages, &f.progress, &f.bytes}
		if _, err := fmt.Sscan(strings.Join(line, " "), values...); err != nil {
			return nil, fmt.Errorf("%s: %q: %w", file, line, err)
		}
		all[r] = f
	}
	return all, nil
}
