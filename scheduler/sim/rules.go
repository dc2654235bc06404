// SPDX-License-Identifier: MIT

package sim

import (
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"meshnode/job"
	"meshnode/scheduler"
)

// rules are what must hold whatever happens. They are checked from outside: by
// what a node does, says, and has on its disk.
//
//	announced  a Done, Claim, Offer, Collected or Grant leaves only when what it
//	           says is on disk, and is still there after any crash
//	grant      no victim grants a cell twice under one generation, or one that it
//	           is rendering
//	lease      nobody adopts a cell whose holder's claim it has heard of within
//	           the time to live, by its own monotonic clock
//	collected  a submitter does not render what it has collected
//	revoked    a submitter takes nothing from a peer that it has revoked
//	again      a node does not render a cell again that it failed while others
//	           that have not failed it are there, and have been for a while
//	slots      a node renders no more cells at a time than it has slots, and none
//	           for others when it is paused, or has said that it leaves
//	back       what a node knows of a cell does not go back
//	film       a film is made of the right cells, and of all of them
//	checked    no cell of a film is by a peer that a check has found out
//	failed     a job fails only for a cell that failed three times
//	leftover   when a job is over, nothing of it is left on a disk
//
// There are more in the models: prepared, twice, message, spin, liveness.
type rules struct {
	sim    *Sim
	nodes  map[*node]*memory
	grants map[granted]job.PeerID
	// revoked has, for each job, whom its submitter has revoked.
	revoked map[job.ID]map[job.PeerID]bool
	failed  map[failure]time.Duration
	tries   map[jobCell]int
}

type jobCell struct {
	job  job.ID
	cell uint32
}

type granted struct {
	victim *node
	jobCell
	gen uint32
}

type failure struct {
	node *node
	jobCell
}

// memory is what the rules remember of a node.
type memory struct {
	records map[string]*scheduler.Record // on its disk, decoded
	spoiled map[string]bool
	leases  map[jobCell]*lease // by claims that it has heard
	steps   int
	seen    map[job.ID]*view
}

// lease is the highest claim of a cell that a node has heard of.
type lease struct {
	holder *node
	gen    uint32
	at     time.Duration // on the node's clock
	void   bool          // given up, or one of several of that generation
	// granted by this node, and not heard of since
	granted bool
}

// view is what a node knew of a job.
type view struct {
	life  uint64
	epoch uint32
	cells []scheduler.CellState
}

// closely is up to how many nodes the costly rules are checked.
const closely = 12

func newRules(s *Sim) rules {
	return rules{
		sim: s, nodes: make(map[*node]*memory), grants: make(map[granted]job.PeerID),
		revoked: make(map[job.ID]map[job.PeerID]bool), failed: make(map[failure]time.Duration), tries: make(map[jobCell]int),
	}
}

func (r *rules) of(n *node) *memory {
	m := r.nodes[n]
	if m == nil {
		m = &memory{records: make(map[string]*scheduler.Record), spoiled: make(map[string]bool)}
		m.forget()
		r.nodes[n] = m
	}
	return m
}

func (m *memory) forget() {
	m.leases, m.seen = make(map[jobCell]*lease), make(map[job.ID]*view)
}

// started notes that a node has begun another life.
func (r *rules) started(n *node) {
	m := r.of(n)
	m.forget()
	for key := range m.spoiled { // it finds out now
		delete(m.records, key)
		if j := r.sim.job(job.ID(strings.TrimPrefix(key, "job/"))); j != nil && j.submitter == n {
			j.deleted = true
		}
		for k := range m.records {
			if strings.HasPrefix(k, key+"/") {
				delete(m.records, k)
			}
		}
	}
	for key, record := range m.records {
		for _, c := range record.Claims {
			r.holds(n, job.ID(strings.Split(key, "/")[1]), c.Range, c.Gen, n)
		}
	}
}

// spoiled notes that a record has rotted on a disk.
func (r *rules) spoiled(n *node, key string) {
	r.of(n).spoiled[key] = true
	if j := r.sim.job(job.ID(strings.TrimPrefix(key, "job/"))); j != nil && j.submitter == n {
		j.spoiled = true
	}
}

// persisted takes a record that has been written.
func (r *rules) persisted(n *node, a scheduler.Persist) {
	m := r.of(n)
	delete(m.spoiled, a.Key)
	words := strings.Split(a.Key, "/")
	j := r.sim.job(job.ID(words[1]))
	if j != nil && len(words) == 2 && j.submitter == n {
		if a.Value == nil {
			j.deleted = j.recorded && !j.Done // and Fail is to follow
		} else {
			j.recorded = true
		}
	}
	if a.Value == nil {
		delete(m.records, a.Key)
		if j != nil && len(words) == 2 { // if it hears of the job again, it begins anew
			maps.DeleteFunc(r.grants, func(g granted, _ job.PeerID) bool { return g.victim == n && g.job == j.id })
		}
		return
	}
	record, err := scheduler.DecodeRecord(a.Value)
	if err != nil {
		r.sim.fail("announced", "%v", err)
		return
	}
	m.records[a.Key] = record
}

// before checks an action that a node is about to carry out.
func (r *rules) before(n *node, a scheduler.Action) {
	switch a := a.(type) {
	case scheduler.Publish:
		r.says(n, a.Msg)
	case scheduler.Reply:
		if g, ok := a.Msg.(*job.Grant); ok && g.Range.Len() > 0 {
			r.grantsTo(n, g)
		}
	case scheduler.Fetch:
		for _, p := range a.From {
			if r.revoked[a.Job][p] && r.sim.job(a.Job).submitter == n {
				r.sim.fail("revoked", "node %d takes cell %d from %s, which it has revoked", n.Number, a.Cell, r.sim.name(p))
			}
		}
	case scheduler.Render:
		r.renders(n, a)
	case scheduler.Fail:
		r.fails(a)
	}
}

// says checks what a node says against its disk.
func (r *rules) says(n *node, msg job.Message) {
	m := r.of(n)
	switch msg := msg.(type) {
	case *job.Done:
		key := jobCell{msg.Job, msg.Cell}
		if !m.has("done", key, msg.Output) && !m.has("collected", key, msg.Output) {
			r.sim.fail("announced", "node %d says Done of cell %d, which is not on its disk", n.Number, msg.Cell)
		}
	case *job.Claim:
		if !m.claims(msg.Job, msg.Range, msg.Gen) {
			r.sim.fail("announced", "node %d claims %v gen %d, which is not on its disk", n.Number, msg.Range, msg.Gen)
		}
		if msg.Gen > 0 && len(msg.Grant) == 0 {
			r.adopts(n, msg)
		}
		r.holds(n, msg.Job, msg.Range, msg.Gen, n)
	case *job.Offer:
		if m.records["job/"+string(msg.Job)] == nil {
			r.sim.fail("announced", "node %d offers a job that is not on its disk", n.Number)
		}
	case *job.Collected:
		if msg.Final || len(r.sim.nodes) > closely {
			return
		}
		for c := range msg.Cells.Cells() {
			if !m.has("collected", jobCell{msg.Job, c}, "") {
				r.sim.fail("announced", "node %d says that it has collected cell %d, which is not on its disk", n.Number, c)
			}
		}
	case *job.Revoked:
		if r.revoked[msg.Job] == nil {
			r.revoked[msg.Job] = make(map[job.PeerID]bool)
		}
		r.revoked[msg.Job][msg.Peer] = true
	case *job.Released:
		if msg.Cause == job.CauseFailed {
			for c := msg.Range.A; c < msg.Range.B; c++ {
				r.tries[jobCell{msg.Job, c}]++
				r.failed[failure{n, jobCell{msg.Job, c}}] = r.sim.now
			}
		}
	}
}

// has reports whether a node's records have a cell, with that output if one is
// given.
func (m *memory) has(pages string, key jobCell, output job.CID) bool {
	r := m.records["job/"+string(key.job)+"/"+pages+"/"+strconv.Itoa(int(key.cell/scheduler.PageCells))]
	return r != nil && slices.ContainsFunc(r.Cells, func(c scheduler.CellRecord) bool {
		return c.Cell == key.cell && (output == "" || c.Output == output)
	})
}

func (m *memory) claims(id job.ID, want job.Range, gen uint32) bool {
	r := m.records["job/"+string(id)+"/claims"]
	if r == nil {
		return false
	}
	var have job.Ranges
	for _, c := range r.Claims {
		if c.Gen == gen {
			have = have.Union(job.Ranges{c.Range})
		}
	}
	return len(job.Ranges{want}.Minus(have)) == 0
}

// grantsTo checks a grant.
func (r *rules) grantsTo(n *node, g *job.Grant) {
	m := r.of(n)
	r.holds(n, g.Job, g.Range, g.Gen, r.sim.byID[g.To])
	e := n.engines[g.Job]
	claims := m.records["job/"+string(g.Job)+"/claims"]
	for c := g.Range.A; c < g.Range.B; c++ {
		key := granted{n, jobCell{g.Job, c}, g.Gen}
		if to, ok := r.grants[key]; ok && to != g.To {
			r.sim.fail("grant", "node %d grants cell %d gen %d to %s, and has to %s", n.Number, c, g.Gen, r.sim.name(g.To), r.sim.name(to))
		}
		r.grants[key] = g.To
		if e != nil {
			if _, busy := e.busy[c]; busy {
				r.sim.fail("grant", "node %d grants cell %d, which it is rendering", n.Number, c)
			}
		}
		if claims != nil && slices.ContainsFunc(claims.Claims, func(k scheduler.ClaimRecord) bool { return k.Range.Has(c) }) {
			r.sim.fail("announced", "node %d grants cell %d, which is still its own on disk", n.Number, c)
		}
	}
	if r.revoked[g.Job][g.To] && r.sim.job(g.Job).submitter == n {
		r.sim.fail("revoked", "node %d grants cells to %s, which it has revoked", n.Number, r.sim.name(g.To))
	}
}

// renders checks a cell that a node begins.
func (r *rules) renders(n *node, a scheduler.Render) {
	j := r.sim.job(a.Job)
	key := jobCell{a.Job, a.Cell}
	if j.submitter == n && r.of(n).has("collected", key, "") {
		r.sim.fail("collected", "node %d renders cell %d, which it has collected", n.Number, a.Cell)
	}
	if n.left {
		r.sim.fail("slots", "node %d renders cell %d though it has said that it leaves", n.Number, a.Cell)
	}
	const patience = 15 * time.Minute // then others have had their time
	if at, ok := r.failed[failure{n, key}]; !ok || j.finisher == n || n.sim.now-at > patience {
		return
	}
	for _, o := range n.links {
		if _, failed := r.failed[failure{o, key}]; o != nil && !failed && r.fit(o, j) && !r.sim.net.stuck(n, o) && !r.sim.net.stuck(o, n) && n.sim.now-max(n.met[o.index], o.woke) > 20*time.Second {
			r.sim.fail("again", "node %d renders cell %d again, which it failed; node %d has not", n.Number, a.Cell, o.Number)
		}
	}
}

// fit reports whether a node could render a job for all that anybody knows.
func (r *rules) fit(o *node, j *run) bool {
	if !o.up || o.frozen() || o.Liar != "" || o.left || o.advert.Paused || o.advert.Slots == 0 || o.Sandbox != "" || r.revoked[j.id][o.id] {
		return false
	}
	for f := range r.failed {
		if f.node == o {
			return false
		}
	}
	return o != j.submitter && !o.disk.full && !o.disk.failing
}

// fails checks the end of a job without a film.
func (r *rules) fails(a scheduler.Fail) {
	j := r.sim.job(a.Job)
	if j.aborted || j.spoiled {
		return
	}
	for key, n := range r.tries {
		_, here := r.failed[failure{j.submitter, key}]
		if key.job == a.Job && n >= 3 && here {
			return
		}
	}
	r.sim.fail("failed", "job %d fails: %s", j.Number, a.Reason)
}

// stepped checks a node after a step.
func (r *rules) stepped(n *node) {
	own, foreign := 0, 0
	for _, e := range n.engines {
		if e.run.submitter == n {
			own += len(e.busy)
		} else {
			foreign += len(e.busy)
		}
	}
	may := int(n.told.Slots)
	if n.told.Paused || n.Sandbox != "" {
		may = 0
	}
	beside := 0 // a check, or a cell that others have failed, where the user wants nothing to be rendered
	for _, j := range r.sim.jobs {
		if j.submitter == n && j.Away {
			beside++
		}
	}
	if foreign > may || own+foreign > int(max(n.told.Slots, n.Slots))+beside {
		r.sim.fail("slots", "node %d renders %d cells for others and %d of its own, with %d slots", n.Number, foreign, own, n.told.Slots)
	}
	for _, j := range r.sim.jobs {
		if j.submitter == n && j.deleted && j.Failed == "" && !j.aborted && !j.spoiled {
			r.sim.fail("film", "node %d has given up job %d without a word", n.Number, j.Number)
		}
	}
	if m := r.of(n); len(r.sim.nodes) <= closely {
		if m.steps++; m.steps%256 == 0 {
			r.lookBack(n, m)
		}
	}
}

// lookBack compares what a node knows with what it knew.
func (r *rules) lookBack(n *node, m *memory) {
	for _, j := range r.sim.jobs {
		cells, epoch := n.sched.Cells(j.id)
		if cells == nil {
			continue
		}
		now := &view{n.life, epoch, cells}
		old := m.seen[j.id]
		m.seen[j.id] = now
		if old == nil {
			continue
		}
		for c := range cells {
			was, is := old.cells[c], cells[c]
			if is.Gen < was.Gen || epoch < old.epoch || epoch == old.epoch && was.Kind == "collected" && is.Kind != "collected" {
				r.sim.fail("back", "node %d took cell %d of job %d for %+v (epoch %d), and now for %+v (epoch %d)", n.Number, c, j.Number, was, old.epoch, is, epoch)
			}
		}
	}
}

// atEnd checks what is left when all jobs are over.
func (r *rules) atEnd() {
	for _, n := range r.sim.nodes {
		if !n.up || n.frozen() {
			continue
		}
		for _, j := range r.sim.jobs {
			if j.orphan() || j.forsaken() {
				continue
			}
			for key := range n.disk.records {
				if strings.HasPrefix(key, "job/"+string(j.id)) {
					r.sim.fail("leftover", "node %d still has %s", n.Number, key)
				}
			}
			for _, b := range n.disk.blocks {
				if b.job == j.id {
					r.sim.fail("leftover", "node %d still has cell %d of job %d", n.Number, b.cell, j.Number)
				}
			}
			if n.engines[j.id] != nil {
				r.sim.fail("leftover", "node %d still has an engine for job %d", n.Number, j.Number)
			}
		}
	}
}
