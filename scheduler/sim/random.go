// SPDX-License-Identifier: MIT

package sim

import (
	"cmp"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"time"

	"meshnode/job"
)

// Random returns a script with faults of every kind: nodes that crash, freeze, lie
// and part, and then are left in peace. It depends on the seed alone.
func Random(seed uint64) *Script {
	g := &generator{Script: &Script{Seed: seed}, rng: rand.New(rand.NewPCG(seed, 1))}
	g.mesh()
	g.work()
	for _, f := range []struct {
		chance float64
		add    func(*generator)
	}{
		{0.5, (*generator).crashes},
		{0.3, (*generator).submitterCrashes},
		{0.1, (*generator).submitterGone},
		{0.2, (*generator).leaves},
		{0.3, (*generator).freezes},
		{0.2, (*generator).suspensions},
		{0.2, (*generator).clockJumps},
		{0.3, (*generator).partition},
		{0.2, (*generator).swizzleClog},
		{0.2, (*generator).storm},
		{0.2, (*generator).disks},
		{0.2, (*generator).decay},
		{0.2, (*generator).engines},
		{0.2, (*generator).users},
		{0.2, (*generator).liars},
		{0.25, (*generator).checks}, // the last: seeds without it are what they were before
	} {
		if g.chance(f.chance) {
			f.add(g)
		}
	}
	slices.SortStableFunc(g.Faults, func(a, b Fault) int { return cmp.Compare(a.At, b.At) })
	g.Settle = 75 * time.Second
	return g.Script
}

type generator struct {
	*Script
	rng    *rand.Rand
	anchor int // a node that others can rely on: it is honest, and back in the end
}

func (g *generator) chance(p float64) bool { return g.rng.Float64() < p }

// within returns a time between two numbers of seconds, in milliseconds.
func (g *generator) within(low, high float64) time.Duration {
	return time.Duration(1000*(low+(high-low)*g.rng.Float64())) * time.Millisecond
}

func (g *generator) between(low, high float64) float64 {
	return float64(int(1000*(low+(high-low)*g.rng.Float64()))) / 1000
}

// anyone returns the number of a node.
func (g *generator) anyone() int { return g.Nodes[g.rng.IntN(len(g.Nodes))].Number }

// worker returns the number of a node that submits nothing, or false.
func (g *generator) worker() (int, bool) {
	for range 10 {
		n := g.anyone()
		if !slices.ContainsFunc(g.Jobs, func(j Job) bool { return j.By == n }) {
			return n, true
		}
	}
	return 0, false
}

func (g *generator) at(t time.Duration, verb string, args ...any) {
	f := Fault{At: t, Verb: verb}
	for _, a := range args {
		switch a := a.(type) {
		case int:
			f.Args = append(f.Args, strconv.Itoa(a))
		case float64:
			f.Args = append(f.Args, strconv.FormatFloat(a, 'g', 4, 64))
		case time.Duration:
			f.Args = append(f.Args, a.String())
		}
	}
	g.Faults = append(g.Faults, f)
}

// size draws the number of nodes: mostly few, where faults meet most often.
func (g *generator) size() int {
	switch p := g.rng.Float64(); {
	case g.Seed%2000 == 0:
		return 1000
	case p < 0.9:
		return 1 + g.rng.IntN(8)
	case p < 0.98:
		return 9 + g.rng.IntN(16)
	case p < 0.997:
		return 25 + g.rng.IntN(40)
	}
	return 65 + g.rng.IntN(136)
}

func (g *generator) mesh() {
	g.Net = Net{Min: 200 * time.Microsecond, Max: g.within(0.001, 0.05)}
	if g.chance(0.5) {
		g.Net.Loss, g.Net.Double, g.Net.Late = g.between(0, 0.2), g.between(0, 0.2), g.between(0, 0.1)
	}
	for i := range g.size() {
		n := Node{Number: i, Slots: 1 + g.rng.Uint32N(4), Speed: g.between(0.5, 2)}
		if g.chance(0.1) {
			n.Says = 5 * n.Speed // it is slower than it says
		}
		if g.chance(0.1) {
			n.Breaks = 0.05
		}
		if g.chance(0.1) {
			n.Drift = g.between(0.95, 1.05)
		}
		if i > 0 && g.chance(0.2) {
			n.Joins = g.within(0, 60)
		}
		if i > 0 && g.chance(0.05) {
			n.Sandbox = "none"
		}
		g.Nodes = append(g.Nodes, n)
	}
	g.anchor = g.anyone()
	g.Nodes[g.anchor].Sandbox = ""
}

// work adds jobs: each node's part is some seconds.
func (g *generator) work() {
	slots := 0.0
	for _, n := range g.Nodes {
		slots += float64(n.Slots) * n.Speed
	}
	jobs := 1 + g.rng.IntN(3)
	for i := range jobs {
		by := g.Nodes[0]
		if n := g.Nodes[g.rng.IntN(len(g.Nodes))]; g.chance(0.3) && n.Joins == 0 && n.Sandbox == "" {
			by = n
		}
		j := Job{
			Number: i, By: by.Number, At: g.within(1, 20), FPS: 30, Bytes: 100_000,
			Frame: g.within(0.002, 0.03), Walk: g.within(0, 3),
		}
		j.Away = g.chance(0.2) && by.Number != g.anchor
		if g.chance(0.1) {
			j.FPS, j.Cell = 15, 5+g.rng.Uint32N(20)
		}
		work := g.between(2, 20) * slots / float64(jobs)
		for frames := min(work/j.Frame.Seconds(), 4000*60/float64(jobs)); frames > 0; {
			p := job.Play{Frames: 1 + g.rng.Uint32N(120), Frozen: g.chance(0.2)}
			if len(g.Nodes) > 64 {
				p = job.Play{Frames: 60}
			}
			frames -= float64(p.Frames)
			j.Plays = append(j.Plays, p)
		}
		g.Jobs = append(g.Jobs, j)
	}
}

// some is how many nodes one kind of fault strikes.
func (g *generator) some() int { return 1 + g.rng.IntN(1+len(g.Nodes)/4) }

// kill ends a node, with that chance between two actions of a step.
func (g *generator) kill(at time.Duration, n int, amid float64) {
	if g.chance(amid) {
		g.at(at, "kill", n, 1+g.rng.IntN(30))
	} else {
		g.at(at, "kill", n)
	}
}

func (g *generator) crash(n int) {
	at := g.within(3, 65)
	g.kill(at, n, 0.5)
	g.at(at+g.within(1.1, 30), "start", n)
}

func (g *generator) crashes() {
	for range g.some() {
		n, ok := g.worker()
		if !ok {
			return
		}
		if g.chance(0.3) && n != g.anchor {
			g.at(g.within(3, 65), "kill", n)
			continue
		}
		g.crash(n)
		if g.chance(0.2) {
			g.crash(n)
		}
	}
}

// submitterCrashes ends submitters; they come back before the script settles.
func (g *generator) submitterCrashes() {
	for range 1 + g.rng.IntN(2) {
		by := g.Jobs[g.rng.IntN(len(g.Jobs))].By
		at := g.within(5, 50)
		g.kill(at, by, 0.7)
		g.at(at+g.within(1.1, 20), "start", by)
		g.at(74*time.Second, "start", by)
	}
}

// submitterGone ends a submitter for good; another node makes the film.
func (g *generator) submitterGone() {
	j := g.Jobs[g.rng.IntN(len(g.Jobs))]
	n, ok := g.worker()
	if !ok || slices.ContainsFunc(g.Nodes, func(o Node) bool { return o.Number == n && o.Sandbox != "" }) {
		return
	}
	if j.By == g.anchor {
		return
	}
	at := g.within(10, 60)
	g.at(at, "kill", j.By)
	g.Faults = slices.DeleteFunc(g.Faults, func(f Fault) bool { return f.Verb == "start" && f.Args[0] == strconv.Itoa(j.By) })
	for _, o := range g.Jobs {
		if o.By == j.By {
			g.at(at+g.within(0, 14), "finish", n, o.Number)
		}
	}
}

func (g *generator) leaves() {
	n, ok := g.worker()
	if !ok {
		return
	}
	at := g.within(3, 60)
	g.at(at, "leave", n)
	if g.chance(0.7) || n == g.anchor {
		g.at(at+g.within(0.5, 30), "start", n)
	}
}

func (g *generator) freezes() {
	for range g.some() {
		n, at := g.anyone(), g.within(3, 60)
		g.at(at, "hang", n)
		g.at(at+g.within(1, 40), "wake", n)
	}
}

func (g *generator) suspensions() {
	for range g.some() {
		n, at := g.anyone(), g.within(3, 60)
		g.at(at, "suspend", n)
		g.at(at+g.within(1, 60), "resume", n)
	}
}

func (g *generator) clockJumps() {
	for range g.some() {
		d := time.Hour
		if g.chance(0.5) {
			d = -d
		}
		g.at(g.within(3, 60), "jump", g.anyone(), d)
	}
}

func (g *generator) partition() {
	var side []any
	for _, n := range g.Nodes {
		if g.chance(0.5) {
			side = append(side, n.Number)
		}
	}
	if len(side) == 0 {
		return
	}
	at := g.within(3, 40)
	g.at(at, "part", side...)
	g.at(at+g.within(1, 60), "heal")
}

// swizzleClog stops the ways of some nodes one by one, and opens them again in
// another order.
func (g *generator) swizzleClog() {
	var ways [][2]int
	for range 1 + g.rng.IntN(6) {
		if a, b := g.anyone(), g.anyone(); a != b {
			ways = append(ways, [2]int{a, b})
		}
	}
	at := g.within(3, 20)
	for _, w := range ways {
		g.at(at, "clog", w[0], w[1])
		at += g.within(0, 5)
	}
	g.rng.Shuffle(len(ways), func(i, k int) { ways[i], ways[k] = ways[k], ways[i] })
	for _, w := range ways {
		at += g.within(0, 5)
		g.at(at, "unclog", w[0], w[1])
	}
}

func (g *generator) storm() {
	at := g.within(3, 40)
	g.at(at, "net", g.between(0.1, 0.5), g.between(0, 0.3), g.between(0, 0.3))
	g.at(at+g.within(1, 30), "net", 0, 0, 0)
}

func (g *generator) disks() {
	n, at := g.anyone(), g.within(3, 50)
	g.at(at, []string{"full", "failing"}[g.rng.IntN(2)], n)
	g.at(at+g.within(1, 20), "repair", n)
}

func (g *generator) decay() {
	for range 1 + g.rng.IntN(4) {
		g.at(g.within(5, 70), []string{"rot", "erase", "spoil"}[g.rng.IntN(3)], g.anyone(), g.rng.IntN(1000))
	}
}

func (g *generator) engines() {
	n, at := g.anyone(), g.within(3, 50)
	switch g.rng.IntN(4) {
	case 0:
		g.at(at, "slow", n, g.between(2, 10))
	case 1:
		g.at(at, "stick", n)
		g.at(at+g.within(5, 30), "free", n)
	case 2:
		g.at(at, "oom", n, 1+g.rng.IntN(6))
	case 3:
		g.at(at, "break", n, g.between(0.1, 1))
		g.at(at+g.within(5, 30), "break", n, 0)
	}
}

func (g *generator) users() {
	n, at := g.anyone(), g.within(3, 50)
	switch g.rng.IntN(3) {
	case 0:
		g.at(at, "slots", n, g.rng.IntN(4))
	case 1:
		g.at(at, "pause", n)
		g.at(at+g.within(1, 40), "go", n)
	case 2:
		g.at(at, "abort", g.rng.IntN(len(g.Jobs)))
	}
}

// liars makes up to a third of the nodes cheat, each in its way.
func (g *generator) liars() {
	kinds := strings.Fields(liars)
	for range 1 + g.rng.IntN(1+len(g.Nodes)/3) {
		if n, ok := g.worker(); ok && n != g.anchor {
			i := slices.IndexFunc(g.Nodes, func(o Node) bool { return o.Number == n })
			g.Nodes[i].Liar = kinds[g.rng.IntN(len(kinds))]
		}
	}
}

// checks makes submitters check, and some nodes forge.
func (g *generator) checks() {
	for i := range g.Jobs {
		g.Jobs[i].Trust = []string{"known", "open"}[g.rng.IntN(2)]
	}
	for range g.rng.IntN(3) {
		if n, ok := g.worker(); ok && n != g.anchor {
			i := slices.IndexFunc(g.Nodes, func(o Node) bool { return o.Number == n })
			g.Nodes[i].Liar = "forge"
		}
	}
}

// patience is how much longer than others a script may take to end once it has
// settled: engines that never end and peers that never work are given up by the
// clock, and who failed sits out.
func (s *Script) patience() time.Duration {
	t := time.Duration(0)
	for _, f := range s.Faults {
		switch f.Verb {
		case "stick":
			t = max(t, 16*time.Minute)
		case "break", "oom", "full", "failing":
			t = max(t, 5*time.Minute)
		}
	}
	for _, n := range s.Nodes {
		switch {
		case n.Liar != "":
			t = max(t, 16*time.Minute)
		case n.Breaks > 0:
			t = max(t, 5*time.Minute)
		}
	}
	return t
}
