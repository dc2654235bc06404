// SPDX-License-Identifier: MIT

package scheduler

import (
	"flag"
	"fmt"
	"hash/fnv"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"meshnode/job"
)

var exploreStates = flag.Int("states", 60_000, "states that TestExplore visits at most")

// world is one state of a mesh of three nodes and what is on its way between
// them. Worlds are never changed: a step makes a new one.
type world struct {
	now    time.Duration
	nodes  []*Scheduler // nil: crashed
	sums   [][16]byte   // of the nodes
	links  [][]mail     // by from*n+to, first in first out
	tasks  []task       // renders and fetches that have not ended
	left   budget
	film   bool
	faults bool
	trace  *step
}

// budget is what may still go wrong, and how often time may pass before the
// mesh is left in peace.
type budget struct{ lose, double, crash, revoke, ticks int }

// mail is a message, a request, an answer, or the news that a node has gone.
type mail struct {
	ev    Event
	key   string // its content
	fact  bool   // gossip: it may be doubled
	reply int    // of a request: the asker
}

// task is what a node does by itself.
type task struct {
	node int
	cell uint32
	cid  job.CID // of a fetch; "": a render
}

// step is a linked list of how a world came about.
type step struct {
	text string
	prev *step
}

func (s *step) String() string {
	var lines []string
	for ; s != nil; s = s.prev {
		lines = append(lines, s.text)
	}
	slices.Reverse(lines)
	return strings.Join(lines, "\n")
}

func names(i int) string { return string(rune('a' + i)) }

// explorer walks through worlds.
type explorer struct {
	t        *testing.T
	job      job.ID
	manifest *job.Manifest
	seen     map[[16]byte]bool
	live     map[[16]byte]bool // worlds that end well when left in peace
	failed   bool
}

const crew = 3

func (x *explorer) start() *world {
	w := &world{nodes: make([]*Scheduler, crew), sums: make([][16]byte, crew), links: make([][]mail, crew*crew)}
	for i := range crew {
		w.nodes[i] = New(Config{Self: job.PeerID(names(i))})
		a := testAdvert(names(i))
		w.nodes[i].Step(0, Resources{&a})
	}
	for i := range crew {
		for k := range crew {
			if i != k {
				a := testAdvert(names(k))
				w.nodes[i].Step(0, PeerJoined{job.PeerID(names(k)), &a})
			}
		}
	}
	for i := range crew { // the pulls of joining have been answered: there was nothing
		for id := uint64(1); id < crew; id++ {
			w.nodes[i].Step(0, Answered{ID: id})
		}
	}
	w.nodes[0].Step(0, Plan{x.manifest.Nonce, testNeed})
	for i := 1; i < crew; i++ {
		w.nodes[0].Step(0, Received{job.Signed{From: job.PeerID(names(i)), Msg: &job.Ready{Nonce: x.manifest.Nonce, Slots: 1, Speed: 1}}})
	}
	w.apply(x, 0, Submit{x.job, x.manifest, 1}, -1, 0)
	for i := range crew {
		w.sum(i)
	}
	return w
}

func (w *world) copy(text string) *world {
	c := *w
	c.nodes, c.sums, c.tasks = slices.Clone(w.nodes), slices.Clone(w.sums), slices.Clone(w.tasks)
	c.links = slices.Clone(w.links)
	c.trace = &step{text, w.trace}
	return &c
}

func (w *world) sum(i int) {
	h := fnv.New128a()
	if w.nodes[i] != nil {
		digest(h, reflect.ValueOf(w.nodes[i]).Elem(), w.now)
	}
	w.sums[i] = [16]byte(h.Sum(nil))
}

// key identifies a world.
func (w *world) key() [16]byte {
	h := fnv.New128a()
	for i := range w.sums {
		h.Write(w.sums[i][:])
	}
	for _, l := range w.links {
		word(h, uint64(len(l)))
		for _, m := range l {
			h.Write([]byte(m.key))
		}
	}
	fmt.Fprint(h, w.tasks, w.left, w.film)
	return [16]byte(h.Sum(nil))
}

// apply lets a node take a step; asker and id are those of a request that the
// event is.
func (w *world) apply(x *explorer, n int, ev Event, asker int, id uint64) {
	if w.nodes[n] == nil {
		return
	}
	s := clone(w.nodes[n])
	w.nodes[n] = s
	actions := s.Step(w.now, ev)
	x.check(w, s)
	for _, a := range actions {
		switch a := a.(type) {
		case Publish:
			w.gossip(n, sealedBy(n, a.Msg))
		case Relay:
			m, err := job.Open(testKey(""), a.Raw)
			if err != nil {
				x.fail(w, err.Error())
			}
			w.gossip(n, m)
		case Request:
			m := sealedBy(n, a.Msg)
			to := int(a.To[0] - 'a')
			if w.nodes[to] == nil {
				w.apply(x, n, Answered{ID: a.ID}, -1, 0)
				continue
			}
			w.post(n, to, mail{ev: Asked{a.ID, m}, key: string(m.Raw) + "?", reply: n})
		case Reply:
			r := Answered{ID: id}
			key := "nothing"
			if a.Msg != nil {
				r.Signed = sealedBy(n, a.Msg)
				key = string(r.Raw)
			}
			w.post(n, asker, mail{ev: r, key: fmt.Sprint(key, id)})
		case ReplyState:
			r := Answered{ID: id}
			state := &job.State{}
			for _, f := range a.Facts {
				if f.Raw == nil {
					f = sealedBy(n, f.Msg)
				}
				state.Facts = append(state.Facts, f.Raw)
				r.Facts = append(r.Facts, f)
			}
			r.Signed = sealedBy(n, state)
			w.post(n, asker, mail{ev: r, key: fmt.Sprint(string(r.Raw), id)})
		case FetchManifest:
			w.apply(x, n, ManifestFetched{a.Job, x.manifest}, -1, 0)
		case Prepare:
			w.apply(x, n, Prepared{Job: a.Job}, -1, 0)
		case Render:
			t := task{node: n, cell: a.Cell}
			for _, o := range w.tasks {
				if o.cid == "" && o.node == n {
					x.fail(w, fmt.Sprintf("%s renders cells %d and %d with one slot", names(n), o.cell, a.Cell))
				}
				if o.cid == "" && o.cell == a.Cell && !w.faults {
					x.fail(w, fmt.Sprintf("cell %d is rendered twice though nothing went wrong", a.Cell))
				}
			}
			w.tasks = append(w.tasks, t)
		case Drop:
			w.tasks = slices.DeleteFunc(w.tasks, func(t task) bool { return t == task{node: n, cell: a.Cell} })
		case Fetch:
			w.tasks = append(w.tasks, task{n, a.Cell, a.CID})
		case Assemble:
			for c := range uint32(len(x.manifest.Plays)) {
				if a.Cells[c] != testOutput(x.job, c) {
					x.fail(w, "the film lacks a cell")
				}
			}
			w.film = true
		case Release:
			w.tasks = slices.DeleteFunc(w.tasks, func(t task) bool { return t.node == n })
		case Fail:
			x.fail(w, "the job failed: "+a.Reason)
		}
	}
	slices.SortFunc(w.tasks, func(a, b task) int {
		return strings.Compare(fmt.Sprint(a), fmt.Sprint(b))
	})
	if w.film && n == 0 && s.find(x.job) != nil {
		w.apply(x, 0, Assembled{x.job}, -1, 0)
	}
	w.sum(n)
}

func (w *world) post(from, to int, m mail) {
	if w.nodes[to] != nil {
		l := from*crew + to
		w.links[l] = append(slices.Clip(w.links[l]), m)
	}
}

func (w *world) gossip(from int, m job.Signed) {
	for to := range crew {
		if to != from && names(to) != string(m.From) {
			w.post(from, to, mail{ev: Received{m}, key: string(m.Raw), fact: true})
		}
	}
}

var sealCache = map[string]job.Signed{}

func sealedBy(n int, m job.Message) job.Signed {
	s, err := job.Seal(testKey(names(n)), m)
	if err != nil {
		panic(err)
	}
	if opened, ok := sealCache[string(s.Raw)]; ok {
		return opened
	}
	opened, err := job.Open(testKey(names(n)), s.Raw)
	if err != nil {
		panic(err)
	}
	sealCache[string(s.Raw)] = opened
	return opened
}

// check looks for broken invariants of one node.
func (x *explorer) check(w *world, s *Scheduler) {
	if at, ok := s.Deadline(); ok && at <= s.now {
		x.fail(w, "the deadline has passed already")
	}
	for _, j := range s.jobs {
		open := 0
		for i := range uint32(len(j.cells)) {
			if got, want := s.status(j, i), s.derive(j, i); got.kind != want.kind || got.peer != want.peer || got.since != want.since {
				x.fail(w, fmt.Sprintf("%s: cell %d is kept as %+v but is %+v", s.self, i, got, want))
			}
			if !j.cells[i].collected {
				open++
			}
		}
		if open != j.open {
			x.fail(w, fmt.Sprintf("%s counts %d open cells of %d", s.self, j.open, open))
		}
	}
}

func (x *explorer) fail(w *world, why string) {
	if !x.failed {
		x.failed = true
		x.t.Errorf("%s; after:\n%v", why, w.trace)
	}
}

// deliver lets the first message of a link arrive.
func (x *explorer) deliver(w *world, l int, text string) *world {
	m := w.links[l][0]
	c := w.copy(fmt.Sprintf("%s %s>%s %s", text, names(l/crew), names(l%crew), m.describe()))
	c.links[l] = c.links[l][1:]
	x.receive(c, l, m)
	return c
}

func (x *explorer) receive(c *world, l int, m mail) {
	if ask, ok := m.ev.(Asked); ok {
		c.apply(x, l%crew, m.ev, m.reply, ask.ID)
		return
	}
	c.apply(x, l%crew, m.ev, -1, 0)
}

func (m mail) describe() string {
	switch ev := m.ev.(type) {
	case Received:
		return fmt.Sprintf("%s %+v", kindOf(ev.Msg), ev.Msg)
	case Asked:
		return "asks " + kindOf(ev.Msg)
	case Answered:
		if ev.Msg != nil {
			return "answers " + kindOf(ev.Msg)
		}
		return "no answer"
	}
	return fmt.Sprintf("%T", m.ev)
}

// finish ends a task.
func (x *explorer) finish(w *world, i int, bad bool) *world {
	t := w.tasks[i]
	c := w.copy(fmt.Sprintf("%s ends %+v %v", names(t.node), t, bad))
	c.tasks = slices.Delete(c.tasks, i, i+1)
	switch {
	case t.cid == "":
		c.apply(x, t.node, Rendered{x.job, t.cell, testOutput(x.job, t.cell), 1, 1}, -1, 0)
	case bad:
		c.apply(x, t.node, FetchFailed{x.job, t.cell, t.cid, true}, -1, 0)
	case x.reachable(w, t):
		c.apply(x, t.node, Fetched{x.job, t.cell, t.cid}, -1, 0)
	default:
		c.apply(x, t.node, FetchFailed{x.job, t.cell, t.cid, false}, -1, 0)
	}
	return c
}

// reachable reports whether a node that is up has a cell's bytes.
func (x *explorer) reachable(w *world, t task) bool {
	for _, s := range w.nodes {
		if s == nil {
			continue
		}
		if j := s.find(x.job); j != nil && slices.ContainsFunc(j.cells[t.cell].done, func(d done) bool { return d.peer == s.self }) {
			return true
		}
	}
	return false
}

// tick lets time pass until the first deadline.
func (x *explorer) tick(w *world) *world {
	next := forever
	for _, s := range w.nodes {
		if s != nil {
			if at, ok := s.Deadline(); ok {
				next = min(next, at)
			}
		}
	}
	if next == forever {
		return nil
	}
	c := w.copy(fmt.Sprintf("time passes until %v", next))
	c.now = max(w.now, next)
	for i, s := range c.nodes {
		if s == nil {
			continue
		}
		if at, ok := s.Deadline(); ok && at <= c.now {
			c.apply(x, i, Tick{}, -1, 0)
		} else {
			c.sum(i)
		}
	}
	return c
}

func (w *world) quiet() bool {
	for _, l := range w.links {
		if len(l) > 0 {
			return false
		}
	}
	return !slices.ContainsFunc(w.tasks, func(t task) bool { return t.cid != "" })
}

// next returns everything that may happen next.
func (x *explorer) next(w *world) []*world {
	var out []*world
	for l := range w.links {
		if len(w.links[l]) == 0 {
			continue
		}
		out = append(out, x.deliver(w, l, "deliver"))
		m := w.links[l][0]
		if _, gone := m.ev.(PeerLeft); gone {
			continue
		}
		if w.left.lose > 0 {
			c := w.copy(fmt.Sprintf("lose %s>%s %s", names(l/crew), names(l%crew), m.describe()))
			c.links[l] = c.links[l][1:]
			c.left.lose--
			c.faults = true
			if ask, ok := m.ev.(Asked); ok {
				c.post(l%crew, l/crew, mail{ev: Answered{ID: ask.ID}, key: fmt.Sprint("lost", ask.ID)})
			} else if a, ok := m.ev.(Answered); ok {
				c.apply(x, l%crew, Answered{ID: a.ID}, -1, 0)
			}
			out = append(out, c)
		}
		if w.left.double > 0 && m.fact {
			c := x.deliver(w, l, "double")
			c.left.double--
			c.links[l] = append(slices.Clip(c.links[l]), m)
			out = append(out, c)
		}
	}
	for i, t := range w.tasks {
		out = append(out, x.finish(w, i, false))
		if t.cid != "" && w.left.revoke > 0 {
			c := x.finish(w, i, true)
			c.left.revoke--
			c.faults = true
			out = append(out, c)
		}
	}
	if w.left.crash > 0 {
		for i := 1; i < crew; i++ {
			if w.nodes[i] != nil {
				out = append(out, x.crash(w, i))
			}
		}
	}
	if w.left.ticks > 0 && w.quiet() {
		if c := x.tick(w); c != nil {
			c.left.ticks--
			out = append(out, c)
		}
	}
	return out
}

func (x *explorer) crash(w *world, i int) *world {
	c := w.copy("crash of " + names(i))
	c.left.crash--
	c.faults = true
	c.nodes[i] = nil
	c.sum(i)
	c.tasks = slices.DeleteFunc(c.tasks, func(t task) bool { return t.node == i })
	for k := range crew {
		if l := k*crew + i; k != i {
			for _, m := range c.links[l] { // whoever asked gets no answer
				if ask, ok := m.ev.(Asked); ok {
					c.post(i, k, mail{ev: Answered{ID: ask.ID}, key: fmt.Sprint("lost", ask.ID)})
				}
			}
			c.links[l] = nil
			c.post(i, k, mail{ev: PeerLeft{job.PeerID(names(i))}, key: "left"})
		}
	}
	return c
}

// endsWell leaves a world in peace: everything arrives, every task ends, and the
// film must be made and forgotten by all.
func (x *explorer) endsWell(w *world) {
	var path [][16]byte
	for n := 0; n < 4000; n++ {
		k := w.key()
		if x.live[k] || w.film && x.over(w) {
			for _, k := range path {
				x.live[k] = true
			}
			return
		}
		path = append(path, k)
		w = x.peace(w)
		if w == nil {
			return
		}
	}
	x.fail(w, "the job never ends")
}

func (x *explorer) over(w *world) bool {
	return !slices.ContainsFunc(w.nodes, func(s *Scheduler) bool { return s != nil && len(s.jobs) > 0 })
}

func (x *explorer) peace(w *world) *world {
	for l := range w.links {
		if len(w.links[l]) > 0 {
			return x.deliver(w, l, "deliver")
		}
	}
	if len(w.tasks) > 0 {
		return x.finish(w, 0, false)
	}
	c := x.tick(w)
	if c == nil {
		x.fail(w, "nothing more happens")
	}
	return c
}

// TestExplore checks all orders in which things can happen to three nodes and a
// job of four cells, within a bound on what goes wrong: messages between two
// nodes keep their order, and any two others may arrive in any order; one is
// lost or doubled, a node crashes, a peer is revoked. No state breaks a rule,
// and from every one the job ends well when nothing more goes wrong.
func TestExplore(t *testing.T) {
	for _, b := range []budget{
		{ticks: 2},
		{lose: 1, ticks: 1},
		{double: 1, ticks: 1},
		{crash: 1, ticks: 1},
		{revoke: 1, ticks: 1},
	} {
		x := &explorer{t: t, manifest: testManifest("a", 4, 60, 0), seen: make(map[[16]byte]bool), live: make(map[[16]byte]bool)}
		_, id, err := x.manifest.Block()
		if err != nil {
			t.Fatal(err)
		}
		x.job = id
		w := x.start()
		w.left = b
		queue := []*world{w}
		x.seen[w.key()] = true
		all := true
		for len(queue) > 0 && !x.failed {
			w := queue[len(queue)-1]
			queue = queue[:len(queue)-1]
			x.endsWell(w)
			for _, c := range x.next(w) {
				if k := c.key(); !x.seen[k] {
					if len(x.seen) >= *exploreStates {
						all = false
						continue
					}
					x.seen[k] = true
					queue = append(queue, c)
				}
			}
		}
		t.Logf("%+v: %d states, all: %v", b, len(x.seen), all)
	}
}
