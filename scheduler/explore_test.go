// SPDX-License-Identifier: MIT

package scheduler

import (
	"encoding/binary"
	"flag"
	"fmt"
	"hash/fnv"
	"hash/maphash"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"meshnode/job"
)

var full = flag.Bool("full", false, "explore the rows of TestExplore that take minutes, too")

// crew is the number of nodes; node 0 is the submitter.
const crew = 3

// world is one state of a mesh and of what is on its way in it. Worlds are never
// changed: whatever happens makes a new one.
type world struct {
	now   time.Duration
	nodes [crew]int         // numbers of explorer.nodes; -1: crashed
	links [crew * crew]line // by from*crew+to
	tasks []task            // sorted
	left  budget
	film  bool // the job was assembled
	fault bool // something went wrong on the way here

	before *world
	what   string
}

// line holds the letters from one node to another, first in first out, by their
// numbers in explorer.letters.
type line []int

// budget is what may still go wrong, and how often time may pass before the
// mesh is left in peace.
type budget struct{ lose, double, crash, revoke, ticks int8 }

// exploration is a row of TestExplore: the submitter's slots, the cells of the
// job, and what may go wrong.
type exploration struct {
	local, cells uint32
	budget
}

// note is a message, a request or an answer on its way.
type note struct {
	ev     Event
	gossip bool
	text   string
}

// task is what a node does by itself: a render, or a fetch.
type task struct {
	node  int8
	fetch bool
	cell  uint32
}

// state is one state of one node, with what it does on each event. Nodes have
// few states, worlds have many.
type state struct {
	s    *Scheduler
	memo map[string]*outcome
}

// outcome is what an event makes of a node.
type outcome struct {
	node    int
	posts   []post
	tasks   []task // begun
	dropped []task
	release bool
	film    bool
	err     string
}

type post struct{ to, letter int }

type explorer struct {
	t        *testing.T
	job      job.ID
	manifest *job.Manifest
	nodes    []state
	number   map[string]int // of node states
	letters  []note
	byText   map[string]int
	seed     [2]maphash.Seed
	live     map[[2]uint64]bool // worlds that end well when left in peace
	failed   bool
}

func names(i int) string { return string(rune('a' + i)) }

func (x *explorer) intern(s *Scheduler) int {
	h := fnv.New128a()
	word(h, uint64(s.now))
	digest(h, reflect.ValueOf(s).Elem(), s.now)
	key := string(h.Sum(nil))
	n, ok := x.number[key]
	if !ok {
		n = len(x.nodes)
		x.number[key] = n
		x.nodes = append(x.nodes, state{s, make(map[string]*outcome)})
	}
	return n
}

func (x *explorer) letter(n note, content string) int {
	i, ok := x.byText[content]
	if !ok {
		i = len(x.letters)
		x.byText[content] = i
		x.letters = append(x.letters, n)
	}
	return i
}

// step returns what an event makes of a node, at a time.
func (x *explorer) step(node int, now time.Duration, ev Event, key string) *outcome {
	key = fmt.Sprint(int64(now), key)
	if o, ok := x.nodes[node].memo[key]; ok {
		return o
	}
	o := new(outcome)
	x.nodes[node].memo[key] = o
	s := clone(x.nodes[node].s)
	self := int(s.self[0] - 'a')
	for todo := []Event{ev}; len(todo) > 0; todo = todo[1:] {
		var from job.PeerID // of a request
		var id uint64
		if ask, ok := todo[0].(Asked); ok {
			from, id = ask.From, ask.ID
		}
		actions := s.Step(now, todo[0])
		if err := invariants(s); err != "" {
			o.err = err
		}
		for _, a := range actions {
			switch a := a.(type) {
			case Publish:
				o.gossip(x, self, sealedBy(self, a.Msg))
			case Relay:
				m, err := job.Open(testKey(""), a.Raw)
				if err != nil {
					o.err = err.Error()
				}
				o.gossip(x, self, m)
			case Request:
				m := sealedBy(self, a.Msg)
				o.posts = append(o.posts, post{int(a.To[0] - 'a'), x.letter(note{Asked{a.ID, m}, false, kindOf(a.Msg)}, fmt.Sprint("?", a.ID, string(m.Raw)))})
			case Reply:
				m := sealedBy(self, a.Msg)
				o.answer(x, from, Answered{ID: id, Signed: m})
			case ReplyState:
				r := Answered{ID: id}
				state := &job.State{}
				for _, f := range a.Facts {
					if f.Raw == nil {
						f = sealedBy(self, f.Msg)
					}
					state.Facts = append(state.Facts, f.Raw)
					r.Facts = append(r.Facts, f)
				}
				r.Signed = sealedBy(self, state)
				o.answer(x, from, r)
			case FetchManifest:
				todo = append(todo, ManifestFetched{Job: a.Job, Manifest: x.manifest})
			case Prepare:
				todo = append(todo, Prepared{Job: a.Job})
			case Render:
				o.tasks = append(o.tasks, task{int8(self), false, a.Cell})
			case Drop:
				t := task{int8(self), false, a.Cell}
				if n := len(o.tasks); n > 0 && o.tasks[n-1] == t {
					o.tasks = o.tasks[:n-1]
				} else {
					o.dropped = append(o.dropped, t)
				}
			case Fetch:
				o.tasks = append(o.tasks, task{int8(self), true, a.Cell})
			case Assemble:
				for c := range uint32(len(x.manifest.Plays)) {
					if a.Cells[c] != testOutput(x.job, c) {
						o.err = "the film lacks a cell"
					}
				}
				o.film = true
				todo = append(todo, Assembled{x.job})
			case Release:
				o.release = true
			case Fail:
				o.err = "the job failed: " + a.Reason
			}
		}
	}
	o.node = x.intern(s)
	return o
}

func (o *outcome) gossip(x *explorer, self int, m job.Signed) {
	for to := range crew {
		if to != self && names(to) != string(m.From) {
			o.posts = append(o.posts, post{to, x.letter(note{Received{m}, true, fmt.Sprintf("%s %+v", kindOf(m.Msg), m.Msg)}, string(m.Raw))})
		}
	}
}

func (o *outcome) answer(x *explorer, to job.PeerID, ev Answered) {
	o.posts = append(o.posts, post{int(to[0] - 'a'), x.letter(note{ev, false, "answer " + kindOf(ev.Msg)}, fmt.Sprint("!", ev.ID, string(ev.Raw)))})
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

// invariants returns the rule that a node breaks, or "".
func invariants(s *Scheduler) string {
	if at, ok := s.Deadline(); ok && at <= s.now {
		return "the deadline has passed already"
	}
	for _, j := range s.jobs {
		open := 0
		for i := range uint32(len(j.cells)) {
			if got, want := s.status(j, i), s.derive(j, i); got.kind != want.kind || got.peer != want.peer || got.since != want.since {
				return fmt.Sprintf("%s: cell %d is kept as %+v but is %+v", s.self, i, got, want)
			}
			if !j.cells[i].collected {
				open++
			}
		}
		if open != j.open {
			return fmt.Sprintf("%s counts %d open cells of %d", s.self, j.open, open)
		}
		if n := s.busy(j); n > s.slotsFor(j) {
			return fmt.Sprintf("%s renders %d cells with %d slots", s.self, n, s.slotsFor(j))
		}
	}
	return ""
}

func (x *explorer) fail(w *world, why string) {
	if x.failed {
		return
	}
	x.failed = true
	var lines []string
	for ; w != nil; w = w.before {
		lines = append(lines, w.what)
	}
	slices.Reverse(lines)
	x.t.Errorf("%s; after:\n%s", why, strings.Join(lines, "\n"))
}

func (w *world) after(what string) *world {
	c := *w
	c.before, c.what = w, what
	return &c
}

// happen lets an event happen at a node of a new world.
func (x *explorer) happen(w *world, n int, ev Event, key string) {
	if w.nodes[n] < 0 {
		return
	}
	o := x.step(w.nodes[n], w.now, ev, key)
	w.nodes[n] = o.node
	if o.err != "" {
		x.fail(w, o.err)
	}
	if len(o.tasks) > 0 || len(o.dropped) > 0 || o.release {
		w.tasks = slices.DeleteFunc(slices.Clone(w.tasks), func(t task) bool {
			return slices.Contains(o.dropped, t) || o.release && int(t.node) == n
		})
		for _, t := range o.tasks {
			for _, other := range w.tasks {
				if !t.fetch && !other.fetch && other.cell == t.cell && !w.fault {
					x.fail(w, fmt.Sprintf("cell %d is rendered twice though nothing went wrong", t.cell))
				}
			}
			w.tasks = append(w.tasks, t)
		}
		slices.SortFunc(w.tasks, func(a, b task) int { return int(a.order()) - int(b.order()) })
	}
	w.film = w.film || o.film
	for _, p := range o.posts {
		x.post(w, n, p.to, p.letter)
	}
}

func (t task) order() uint32 {
	n := uint32(t.node)<<16 | t.cell<<1
	if t.fetch {
		n++
	}
	return n
}

func (x *explorer) post(w *world, from, to, letter int) {
	switch l := from*crew + to; {
	case w.nodes[to] >= 0:
		w.links[l] = append(slices.Clip(w.links[l]), letter)
	default:
		x.unanswered(w, letter)
	}
}

// unanswered tells the asker of a request that got lost that no answer comes.
func (x *explorer) unanswered(w *world, letter int) {
	switch ev := x.letters[letter].ev.(type) {
	case Asked:
		x.happen(w, int(ev.From[0]-'a'), Answered{ID: ev.ID}, fmt.Sprint("none", ev.ID))
	}
}

// key identifies a world.
func (x *explorer) key(w *world) [2]uint64 {
	b := make([]byte, 0, 256)
	for _, n := range w.nodes {
		b = binary.AppendVarint(b, int64(n))
	}
	for _, l := range w.links {
		b = binary.AppendUvarint(b, uint64(len(l)))
		for _, m := range l {
			b = binary.AppendUvarint(b, uint64(m))
		}
	}
	for _, t := range w.tasks {
		b = binary.AppendUvarint(b, uint64(t.order()))
	}
	b = append(b, 0xff, byte(w.left.lose), byte(w.left.double), byte(w.left.crash), byte(w.left.revoke), byte(w.left.ticks))
	if w.fault {
		b = append(b, 1)
	}
	return [2]uint64{maphash.Bytes(x.seed[0], b), maphash.Bytes(x.seed[1], b)}
}

// deliver lets the first letter of a link arrive.
func (x *explorer) deliver(w *world, l int, verb string) *world {
	n := w.links[l][0]
	c := w.after(fmt.Sprintf("%s %s>%s %s", verb, names(l/crew), names(l%crew), x.letters[n].text))
	c.links[l] = c.links[l][1:]
	x.happen(c, l%crew, x.letters[n].ev, fmt.Sprint("letter", n))
	return c
}

// finish ends a task.
func (x *explorer) finish(w *world, i int, bad bool) *world {
	t := w.tasks[i]
	c := w.after(fmt.Sprintf("%s ends cell %d, fetch %v, bad %v", names(int(t.node)), t.cell, t.fetch, bad))
	c.tasks = slices.Delete(slices.Clone(c.tasks), i, i+1)
	out := testOutput(x.job, t.cell)
	var ev Event
	switch {
	case !t.fetch:
		ev = Rendered{x.job, t.cell, out, 1, 1}
	case !bad && x.exists(w, t.cell):
		ev = Fetched{x.job, t.cell, out}
	default:
		ev = FetchFailed{Job: x.job, Cell: t.cell, CID: out, Bad: bad}
	}
	x.happen(c, int(t.node), ev, fmt.Sprintf("%T %d %v", ev, t.cell, bad))
	return c
}

// exists reports whether a node that is up has a cell's bytes.
func (x *explorer) exists(w *world, cell uint32) bool {
	for _, n := range w.nodes {
		if n < 0 {
			continue
		}
		s := x.nodes[n].s
		if j := s.find(x.job); j != nil && slices.ContainsFunc(j.cells[cell].done, func(d done) bool { return d.peer == s.self }) {
			return true
		}
	}
	return false
}

// tick lets time pass until the first deadline.
func (x *explorer) tick(w *world) *world {
	next := forever
	for _, n := range w.nodes {
		if n >= 0 {
			if at, ok := x.nodes[n].s.Deadline(); ok {
				next = min(next, at)
			}
		}
	}
	if next == forever {
		return nil
	}
	c := w.after(fmt.Sprintf("time passes until %v", next))
	c.now = max(w.now, next)
	for i, n := range c.nodes {
		if n < 0 {
			continue
		}
		if at, ok := x.nodes[n].s.Deadline(); ok && at <= c.now {
			x.happen(c, i, Tick{}, "tick")
		}
	}
	return c
}

// next returns everything that may happen next.
func (x *explorer) next(w *world) []*world {
	var out []*world
	quiet := true
	for l := range w.links {
		if len(w.links[l]) == 0 {
			continue
		}
		quiet = false
		out = append(out, x.deliver(w, l, "deliver"))
		n := w.links[l][0]
		if _, gone := x.letters[n].ev.(PeerLeft); gone {
			continue
		}
		if w.left.lose > 0 {
			c := w.after(fmt.Sprintf("lose %s>%s %s", names(l/crew), names(l%crew), x.letters[n].text))
			c.links[l] = c.links[l][1:]
			c.left.lose--
			c.fault = true
			x.unanswered(c, n)
			if a, ok := x.letters[n].ev.(Answered); ok {
				x.happen(c, l%crew, Answered{ID: a.ID}, fmt.Sprint("none", a.ID))
			}
			out = append(out, c)
		}
		if w.left.double > 0 && x.letters[n].gossip {
			c := x.deliver(w, l, "double")
			c.left.double--
			c.links[l] = append(slices.Clip(c.links[l]), n) // the copy comes last
			out = append(out, c)
		}
	}
	for i, t := range w.tasks {
		quiet = quiet && !t.fetch
		out = append(out, x.finish(w, i, false))
		if t.fetch && w.left.revoke > 0 {
			c := x.finish(w, i, true)
			c.left.revoke--
			c.fault = true
			out = append(out, c)
		}
	}
	if w.left.crash > 0 {
		for i := 1; i < crew; i++ {
			if w.nodes[i] >= 0 {
				out = append(out, x.crash(w, i))
			}
		}
	}
	if w.left.ticks > 0 && quiet {
		if c := x.tick(w); c != nil {
			c.left.ticks--
			out = append(out, c)
		}
	}
	return out
}

func (x *explorer) crash(w *world, i int) *world {
	c := w.after("crash of " + names(i))
	c.left.crash--
	c.fault = true
	c.nodes[i] = -1
	c.tasks = slices.DeleteFunc(slices.Clone(c.tasks), func(t task) bool { return int(t.node) == i })
	for k := range crew {
		if k == i || c.nodes[k] < 0 {
			continue
		}
		lost := c.links[k*crew+i]
		c.links[k*crew+i] = nil
		c.links[i*crew+k] = append(slices.Clip(c.links[i*crew+k]), x.letter(note{PeerLeft{job.PeerID(names(i))}, false, "left"}, "left"+names(i)))
		for _, m := range lost {
			x.unanswered(c, m)
		}
	}
	return c
}

// endsWell leaves a world in peace: everything arrives, every task ends, time
// passes, and the film must be made and the job forgotten by all.
func (x *explorer) endsWell(w *world) {
	var path [][2]uint64
	for range 5000 {
		k := x.key(w)
		if x.live[k] || w.film && x.over(w) {
			for _, k := range path {
				x.live[k] = true
			}
			return
		}
		path = append(path, k)
		if w = x.peace(w); w == nil {
			return
		}
	}
	x.fail(w, "the job never ends")
}

func (x *explorer) over(w *world) bool {
	return !slices.ContainsFunc(w.nodes[:], func(n int) bool { return n >= 0 && len(x.nodes[n].s.jobs) > 0 })
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

// start returns the world just after the submitter has offered the job.
func (x *explorer) start(local uint32) *world {
	w := new(world)
	for i := range crew {
		s := New(Config{Self: job.PeerID(names(i))})
		a := testAdvert(names(i))
		s.Step(0, Resources{&a})
		for k := range crew {
			if i != k {
				a := testAdvert(names(k))
				s.Step(0, PeerJoined{job.PeerID(names(k)), &a})
			}
		}
		for id := uint64(1); id < crew; id++ { // the pulls of joining found nothing
			s.Step(0, Answered{ID: id})
		}
		if i == 0 {
			s.Step(0, Plan{x.manifest.Nonce, testNeed})
			for k := 1; k < crew; k++ {
				s.Step(0, Received{job.Signed{From: job.PeerID(names(k)), Msg: &job.Ready{Nonce: x.manifest.Nonce, Slots: 1, Speed: 1}}})
			}
		}
		w.nodes[i] = x.intern(s)
	}
	x.happen(w, 0, Submit{Job: x.job, Manifest: x.manifest, LocalSlots: local}, "submit")
	return w
}

// TestExplore checks the orders in which things can happen to three nodes and a
// job of four cells. Messages from one node to another keep their order; all else
// happens in any order, and some things go wrong: messages are lost or doubled,
// a node crashes, a peer is revoked. No state breaks a rule, no cell is rendered
// twice at a time before something has gone wrong, and from every state the job
// ends well when nothing more goes wrong.
func TestExplore(t *testing.T) {
	rows := []exploration{
		{local: 1, cells: 4},
		{cells: 3, budget: budget{crash: 1}},
		{cells: 2, budget: budget{lose: 1}},
		{cells: 2, budget: budget{revoke: 1}},
		{cells: 2, budget: budget{double: 1, ticks: 1}},
	}
	if *full {
		rows = append(rows,
			exploration{cells: 4, budget: budget{crash: 1}},
			exploration{cells: 3, budget: budget{lose: 1}},
			exploration{cells: 4, budget: budget{ticks: 1}},
			exploration{cells: 4, budget: budget{double: 1}},
			exploration{cells: 3, budget: budget{revoke: 1}},
			exploration{cells: 3, budget: budget{crash: 1, lose: 1}},
			exploration{cells: 2, budget: budget{crash: 1, lose: 1, ticks: 2}},
		)
	}
	for _, row := range rows {
		x := &explorer{
			t: t, manifest: testManifest("a", row.cells, 60, 0), number: make(map[string]int), byText: make(map[string]int),
			seed: [2]maphash.Seed{maphash.MakeSeed(), maphash.MakeSeed()}, live: make(map[[2]uint64]bool),
		}
		_, id, err := x.manifest.Block()
		if err != nil {
			t.Fatal(err)
		}
		x.job = id
		w := x.start(row.local)
		w.left = row.budget
		seen := map[[2]uint64]bool{x.key(w): true}
		queue := []*world{w}
		for len(queue) > 0 && !x.failed {
			w := queue[len(queue)-1]
			queue = queue[:len(queue)-1]
			x.endsWell(w)
			for _, c := range x.next(w) {
				k := x.key(c)
				if seen[k] {
					continue
				}
				seen[k] = true
				queue = append(queue, c)
			}
		}
		t.Logf("%+v: %d states of the mesh, %d of nodes", row, len(seen), len(x.nodes))
	}
}
