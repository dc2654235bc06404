// SPDX-License-Identifier: MIT

// Package sim runs a whole mesh in one goroutine on virtual time. The nodes run
// the production state machine of package scheduler; rendering, walking, disks,
// clocks and the network are modeled, and fail as a [Script] says. One script is
// one run, bit for bit.
//
// While it runs, the rules of safety are checked at every action (rules.go). When
// the script settles, nothing goes wrong any more, and every job must end within
// [Sim.Bound]. A script that breaks a rule can be made smaller by [Shrink].
package sim

import (
	"encoding/binary"
	"fmt"
	"hash"
	"hash/fnv"
	"math/rand/v2"
	"strconv"
	"time"

	"meshnode/job"
	"meshnode/scheduler"
)

// Sim is a run. Use New, set the hooks, then Run.
type Sim struct {
	// New makes the state machine of a life of a node: one of package scheduler.
	// Trace is called with a line for everything that happens; it may be nil.
	New   func(scheduler.Config) Machine
	Trace func(line string)
	// Forges decides which cells a peer that forges renders wrongly; nil: chance does.
	Forges func(cell uint32, peer job.PeerID, forged job.CID) bool
	// WallClock feeds the state machines the wall clock, which is a bug.
	WallClock bool

	script  *Script
	rng     *rand.Rand
	now     time.Duration
	queue   queue
	nodes   []*node
	byID    map[job.PeerID]*node
	jobs    []*run
	net     network
	wire    map[string]job.Signed // every envelope that was ever sent
	rules   rules
	settled bool
	digest  hash.Hash64
	failure *Violation

	Sent  map[string]int    // messages by kind, gossip counted once
	Bytes map[string]uint64 // of those messages
}

// Machine is a state machine that the simulation drives: a *scheduler.Scheduler, or
// one with a mistake in it.
type Machine interface {
	Step(now time.Duration, ev scheduler.Event) []scheduler.Action
	Restore(now time.Duration, records map[string][]byte) []scheduler.Action
	Deadline() (time.Duration, bool)
	Jobs() []scheduler.JobStatus
	Cells(job.ID) (cells []scheduler.CellState, epoch uint32)
	Has(job.ID) bool
	Open() int
}

// Violation is a rule that was broken.
type Violation struct {
	Rule string // one word
	At   time.Duration
	Text string
}

func (v *Violation) Error() string { return fmt.Sprintf("sim: %v: %s: %s", v.At, v.Rule, v.Text) }

// New returns a run that has not begun. The script must not be changed while it
// runs.
func New(script *Script) *Sim {
	s := &Sim{
		New:    func(cfg scheduler.Config) Machine { return scheduler.New(cfg) },
		script: script, rng: rand.New(rand.NewPCG(script.Seed, 0x73696d)), byID: make(map[job.PeerID]*node),
		wire: make(map[string]job.Signed), digest: fnv.New64a(), Sent: make(map[string]int), Bytes: make(map[string]uint64),
	}
	s.net = newNetwork(s, script.Net)
	s.rules = newRules(s)
	for i, n := range script.Nodes {
		made := newNode(s, i, n)
		s.nodes = append(s.nodes, made)
		s.byID[made.id] = made
	}
	for _, n := range s.nodes {
		n.links, n.met = make([]*node, len(s.nodes)), make([]time.Duration, len(s.nodes))
		s.at(n.Joins, n.start)
	}
	for _, j := range script.Jobs {
		r := s.newRun(j)
		s.jobs = append(s.jobs, r)
		s.at(j.At, func() { r.submitter.publish(r) })
	}
	for _, f := range script.Faults {
		if script.Settle == 0 || f.At < script.Settle {
			s.at(f.At, func() { s.inject(f) })
		}
	}
	if script.Settle > 0 {
		s.at(script.Settle, s.settle)
	}
	return s
}

// Run runs until all jobs are over everywhere, and returns the *Violation when a
// rule was broken.
func (s *Sim) Run() error {
	limit := s.script.Settle + s.Bound()
	for s.failure == nil && !s.over() {
		e, ok := s.queue.pop()
		if !ok {
			s.fail("liveness", "nothing happens any more: %s", s.open())
			break
		}
		if s.now = e.at; s.now > limit {
			s.fail("liveness", "%s", s.open())
			break
		}
		if e.do != nil {
			e.do()
		} else if e.to.up && e.to.life == e.life {
			e.to.receive(e.msg)
		}
	}
	if s.failure == nil {
		s.rules.atEnd()
	}
	if s.failure != nil {
		return s.failure
	}
	return nil
}

// Bound is the time after settling within which every job must end: 2 minutes,
// and as long as one slot of typical speed needs for all work, divided by a
// quarter of the slots that there are then; and what a submitter needs to plan its jobs
// and to check all cells, and a node for a job that it finishes in a submitter's place.
//
// The two minutes have room for each of the waits of docs/scheduling.md once, and
// for one more try of what failed.
func (s *Sim) Bound() time.Duration {
	const waits = 2 * time.Minute
	capacity := 0.0
	for _, n := range s.script.Nodes {
		if n.Liar == "" && n.Sandbox == "" {
			capacity += float64(n.Slots) * n.Speed
		}
	}
	work, plans, checks := 0.0, 0.0, time.Duration(0)
	for _, j := range s.jobs {
		work += j.work() + j.Walk.Seconds()
		plans += j.Walk.Seconds() / j.submitter.Speed
		checks += j.checkTime()
	}
	alone := 0.0 // who finishes a job elsewhere may have all of it to itself
	for _, f := range s.script.Faults {
		for _, j := range s.jobs {
			if f.Verb == "finish" && f.Args[1] == strconv.Itoa(j.Number) {
				var number int
				scan(f.Args[0], &number)
				n := s.node(number)
				alone += (j.work() + j.Walk.Seconds()) / (float64(n.Slots) * n.Speed)
			}
		}
	}
	return waits + secs(plans+work/max(capacity/4, 0.1)+alone) + checks + s.script.patience()
}

// at does something at a virtual time.
func (s *Sim) at(t time.Duration, do func()) { s.queue.push(event{at: t, do: do}) }

func (s *Sim) after(d time.Duration, do func()) { s.at(s.now+d, do) }

// between returns a random time of so many milliseconds.
func (s *Sim) between(low, high int) time.Duration {
	return time.Duration(low+s.rng.IntN(high-low+1)) * time.Millisecond
}

func (s *Sim) chance(p float64) bool { return p > 0 && s.rng.Float64() < p }

// over reports whether every job has ended, on every node that is up.
func (s *Sim) over() bool {
	if s.now < s.script.Settle {
		return false
	}
	for _, j := range s.jobs {
		if !j.ended() {
			return false
		}
	}
	for _, n := range s.nodes {
		if !n.up || n.sched.Open() == 0 {
			continue
		}
		for _, j := range s.jobs {
			if n.sched.Has(j.id) && !j.orphan() && !j.forsaken() {
				return false
			}
		}
	}
	return true
}

// open says which jobs have not ended, and where.
func (s *Sim) open() string {
	text := ""
	for _, n := range s.nodes {
		if !n.up {
			continue
		}
		for _, j := range n.sched.Jobs() {
			text += fmt.Sprintf("node %d has job %s %s at %d of %d cells %s; ", n.Number, j.Name, j.State, j.DoneCells, j.Cells, j.Waiting)
		}
	}
	if text == "" {
		text = "a job has not ended, and no node has it"
	}
	return text
}

func (s *Sim) fail(rule, format string, args ...any) {
	if s.failure == nil {
		s.failure = &Violation{rule, s.now, fmt.Sprintf(format, args...)}
		s.tell("%v", s.failure)
	}
}

// Digest is a hash of everything that happened.
func (s *Sim) Digest() uint64 { return s.digest.Sum64() }

// mark adds to the digest.
func (s *Sim) mark(n *node, what string, raw []byte) {
	var b [16]byte
	binary.LittleEndian.PutUint64(b[:], uint64(s.now))
	binary.LittleEndian.PutUint64(b[8:], uint64(n.index))
	s.digest.Write(b[:])
	s.digest.Write([]byte(what))
	s.digest.Write(raw)
}

// tell writes a line to the trace.
func (s *Sim) tell(format string, args ...any) {
	if s.Trace != nil {
		s.Trace(fmt.Sprintf("%9.3f %s", s.now.Seconds(), fmt.Sprintf(format, args...)))
	}
}

func (s *Sim) node(number int) *node {
	for _, n := range s.nodes {
		if n.Number == number {
			return n
		}
	}
	return nil
}

func secs(f float64) time.Duration { return time.Duration(f * float64(time.Second)) }
