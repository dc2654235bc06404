// SPDX-License-Identifier: MIT

// Package sim runs a whole mesh in one goroutine on virtual time. The nodes run
// the production state machine of package scheduler; rendering, walking, the
// disk and the network are modeled. One seed is one run, bit for bit.
package sim

import (
	"container/heap"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"math/rand/v2"
	"time"

	"meshnode/job"
)

// Faults spoils what nodes send each other; p2p.Faults is one.
type Faults interface {
	// Deliveries returns the delay of each copy of a gossiped message that
	// arrives.
	Deliveries(from, to job.PeerID, size int) []time.Duration
	// Stream returns the delay of a message on a stream; ok is false while
	// nothing gets through.
	Stream(from, to job.PeerID, size int) (delay time.Duration, ok bool)
	// Cut reports whether a partition is between two nodes.
	Cut(a, b job.PeerID) bool
}

// Node describes one node.
type Node struct {
	Slots    uint32
	Speed    float64 // of a slot; 1 is typical
	Tells    float64 // speed that it advertises; 0: the true one
	Joins    time.Duration
	Sandbox  string  // "": a good one
	Breaks   float64 // probability that rendering a cell fails
	OwnSlots uint32  // for jobs that it submits; 0: Slots
}

// Job describes one job.
type Job struct {
	Submitter int           // index of its node
	At        time.Duration // when the user pressed the key
	Plays     []job.Play
	FPS       float64
	Seconds   float64 // to render the weight of one frame at speed 1
	Walk      float64 // seconds to walk through all of it at speed 1
	CellSize  uint64  // bytes of a finished cell
}

// Config describes a run.
type Config struct {
	Seed   uint64
	Nodes  []Node
	Jobs   []Job
	Faults Faults
	Limit  time.Duration // of virtual time
	Trace  func(line string)
}

// Sim is a run. Use New, change what happens by At, then Run.
type Sim struct {
	cfg   Config
	rng   *rand.Rand
	now   time.Duration
	seq   uint64
	queue events
	nodes []*node
	jobs  []*jobRun
	wire  map[string]job.Signed // every envelope that was ever sent
	sum   hash.Hash
	err   error

	Messages map[string]int // deliveries by kind
	Sent     map[string]int // messages sent by kind, gossip counted once
}

// jobRun is what the simulation knows of a job.
type jobRun struct {
	Job
	nonce     job.Nonce
	manifest  *job.Manifest
	id        job.ID
	grid      []job.Cell
	submitted time.Duration
	rendered  map[uint32]int // times that a cell was finished
	Result
}

// Result is how a job ended.
type Result struct {
	Done       bool          // assembled, with the right cells
	Failed     string        // or failed, and why
	Makespan   time.Duration // from the offer to the last collected cell
	Cells      int
	Duplicates float64 // weight rendered more than once, as a share of all
}

type event struct {
	at  time.Duration
	seq uint64
	do  func()
}

type events []event

func (e events) Len() int { return len(e) }
func (e events) Less(i, j int) bool {
	return e[i].at < e[j].at || e[i].at == e[j].at && e[i].seq < e[j].seq
}
func (e events) Swap(i, j int) { e[i], e[j] = e[j], e[i] }
func (e *events) Push(x any)   { *e = append(*e, x.(event)) }
func (e *events) Pop() any {
	old := *e
	x := old[len(old)-1]
	*e = old[:len(old)-1]
	return x
}

// New returns a run that has not begun.
func New(cfg Config) *Sim {
	s := &Sim{
		cfg: cfg, rng: rand.New(rand.NewPCG(cfg.Seed, 0x73696d)), wire: make(map[string]job.Signed), sum: sha256.New(),
		Messages: make(map[string]int), Sent: make(map[string]int),
	}
	for i, n := range cfg.Nodes {
		s.nodes = append(s.nodes, newNode(s, i, n))
	}
	for i, j := range cfg.Jobs {
		s.jobs = append(s.jobs, s.newJob(i, j))
	}
	for _, n := range s.nodes {
		s.At(n.Joins, func() { n.start() })
	}
	for _, j := range s.jobs {
		s.At(j.At, func() { s.nodes[j.Submitter].publish(j) })
	}
	return s
}

func (s *Sim) newJob(i int, j Job) *jobRun {
	r := &jobRun{Job: j, rendered: make(map[uint32]int)}
	binary.BigEndian.PutUint64(r.nonce[:], uint64(i)+1)
	r.manifest = &job.Manifest{
		V: job.Version, Submitter: s.nodes[j.Submitter].id, Nonce: r.nonce, Name: fmt.Sprintf("Scene%d", i), Need: need,
		Assets: job.CIDOf(nil), Width: 1920, Height: 1080, FPS: j.FPS, Plays: j.Plays, Walk: j.Walk,
	}
	_, id, err := r.manifest.Block()
	if err != nil {
		s.err = err
		return r
	}
	r.id, r.grid = id, r.manifest.Grid()
	r.Cells = len(r.grid)
	return r
}

// Trace sets what is called with a line for everything that happens.
func (s *Sim) Trace(line func(string)) { s.cfg.Trace = line }

// ID returns the id of the node with that index.
func ID(i int) job.PeerID { return job.PeerID(fmt.Sprintf("node%02d", i)) }

// At does something at a virtual time.
func (s *Sim) At(t time.Duration, do func()) {
	s.seq++
	heap.Push(&s.queue, event{t, s.seq, do})
}

func (s *Sim) after(d time.Duration, do func()) { s.At(s.now+d, do) }

// Run runs until all jobs are over everywhere, and returns an error when one is
// not within the limit, or when a node broke a rule.
func (s *Sim) Run() error {
	for s.queue.Len() > 0 && s.err == nil {
		e := heap.Pop(&s.queue).(event)
		if e.at > s.cfg.Limit {
			return fmt.Errorf("sim: %s at %v", s.open(), s.cfg.Limit)
		}
		s.now = e.at
		e.do()
		if s.over() {
			break
		}
	}
	if s.err == nil && !s.over() {
		s.err = errors.New("sim: nothing happens any more: " + s.open())
	}
	return s.err
}

// over reports whether every job has ended on every node that is up.
func (s *Sim) over() bool {
	for _, j := range s.jobs {
		if !j.Done && j.Failed == "" {
			return false
		}
	}
	for _, n := range s.nodes {
		if n.up && len(n.sched.Jobs()) > 0 {
			return false
		}
	}
	return true
}

func (s *Sim) open() string {
	text := ""
	for _, n := range s.nodes {
		if n.up {
			for _, j := range n.sched.Jobs() {
				text += fmt.Sprintf("node %d has job %s %s at %d of %d cells %s; ", n.index, j.Name, j.State, j.DoneCells, j.Cells, j.Waiting)
			}
		}
	}
	return text
}

func (s *Sim) fail(format string, args ...any) {
	if s.err == nil {
		s.err = fmt.Errorf("sim: at %v: %s", s.now, fmt.Sprintf(format, args...))
	}
}

// Results returns how the jobs ended.
func (s *Sim) Results() []Result {
	var out []Result
	for _, j := range s.jobs {
		all, twice := 0.0, 0.0
		for c, n := range j.grid {
			all += n.Weight()
			if k := j.rendered[uint32(c)]; k > 1 {
				twice += float64(k-1) * n.Weight()
			}
		}
		j.Duplicates = twice / all
		out = append(out, j.Result)
	}
	return out
}

// Digest is a hash of everything that happened.
func (s *Sim) Digest() [32]byte { return [32]byte(s.sum.Sum(nil)) }

// note adds to the digest and the trace.
func (s *Sim) note(n *node, format string, args ...any) {
	line := fmt.Sprintf("%9.3f %d %s", s.now.Seconds(), n.index, fmt.Sprintf(format, args...))
	s.sum.Write([]byte(line))
	if s.cfg.Trace != nil {
		s.cfg.Trace(line)
	}
}

func (s *Sim) job(id job.ID) *jobRun {
	for _, j := range s.jobs {
		if j.id == id {
			return j
		}
	}
	return nil
}

// Ideal returns the least time in which nodes that render as fast as these could
// do a job together without walking, when each is there until the given time.
func (s *Sim) Ideal(index int, until map[int]time.Duration) time.Duration {
	weight := 0.0
	j := s.jobs[index]
	for _, c := range j.grid {
		weight += c.Weight() * j.Seconds
	}
	low, high := 0.0, 1e6
	for range 100 {
		t := (low + high) / 2
		done := 0.0
		for i, n := range s.nodes {
			slots := n.Slots
			if i == j.Submitter && n.OwnSlots > 0 {
				slots = n.OwnSlots
			}
			end := t
			if u, ok := until[i]; ok {
				end = min(t, (u - j.submitted).Seconds())
			}
			done += max(end, 0) * n.Speed * float64(slots)
		}
		if done < weight {
			low = t
		} else {
			high = t
		}
	}
	return time.Duration(high * float64(time.Second))
}

var need = job.Need{Renderer: "synthetic", Version: "1", Fingerprint: "f"}

// advert is what a node says of itself.
func advert(i int, n Node) *job.Advert {
	a := &job.Advert{
		V: job.Version, Name: fmt.Sprintf("node%d", i), Cores: n.Slots, Slots: n.Slots, Speed: n.Speed, Sandbox: n.Sandbox,
		Environments: []job.Environment{{Renderer: need.Renderer, Version: need.Version, Fingerprint: need.Fingerprint}},
	}
	if n.Tells > 0 {
		a.Speed = n.Tells
	}
	if a.Sandbox == "" {
		a.Sandbox = "full"
	}
	return a
}

// key signs by a hash of the author's name: nobody cheats here.
type key job.PeerID

func (k key) Self() job.PeerID { return job.PeerID(k) }

func (k key) Sign(data []byte) ([]byte, error) {
	sum := sha256.Sum256(append([]byte(k), data...))
	return sum[:8], nil
}

func (k key) Verify(by job.PeerID, data, sig []byte) error {
	if want, _ := key(by).Sign(data); string(want) != string(sig) {
		return errors.New("sim: bad signature")
	}
	return nil
}
