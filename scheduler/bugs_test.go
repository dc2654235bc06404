// SPDX-License-Identifier: MIT

package scheduler_test

import (
	"errors"
	"flag"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"meshnode/job"
	"meshnode/scheduler"
	"meshnode/scheduler/sim"
)

var search = flag.Bool("search", false, "let TestBugs look for each bug from seed 1 to 1,000")

// buggy is a scheduler with a mistake, put in from outside: it gets its events,
// records and times changed, its actions are changed, or it forgets something.
type buggy struct {
	*scheduler.Scheduler
	records func(map[string][]byte)
	before  func(*scheduler.Scheduler, scheduler.Event) scheduler.Event
	after   func(*scheduler.Scheduler, scheduler.Event, []scheduler.Action) []scheduler.Action
}

func (b *buggy) Step(now time.Duration, ev scheduler.Event) []scheduler.Action {
	if b.before != nil {
		ev = b.before(b.Scheduler, ev)
	}
	actions := b.Scheduler.Step(now, ev)
	if b.after != nil {
		actions = b.after(b.Scheduler, ev, actions)
	}
	return actions
}

func (b *buggy) Restore(now time.Duration, records map[string][]byte) []scheduler.Action {
	if b.records != nil {
		b.records(records)
	}
	actions := b.Scheduler.Restore(now, records)
	if b.after != nil {
		actions = b.after(b.Scheduler, nil, actions)
	}
	return actions
}

// says reports whether an action sends a message of a type.
func says[M job.Message](a scheduler.Action) bool {
	switch a := a.(type) {
	case scheduler.Publish:
		_, ok := a.Msg.(M)
		return ok
	case scheduler.Reply:
		_, ok := a.Msg.(M)
		return ok
	case scheduler.Request:
		_, ok := a.Msg.(M)
		return ok
	}
	return false
}

// first moves the actions for which is holds before all others.
func first(actions []scheduler.Action, is func(scheduler.Action) bool) []scheduler.Action {
	slices.SortStableFunc(actions, func(a, b scheduler.Action) int {
		switch {
		case is(a) && !is(b):
			return -1
		case is(b) && !is(a):
			return 1
		}
		return 0
	})
	return actions
}

func without(actions []scheduler.Action, is func(scheduler.Action) bool) []scheduler.Action {
	return slices.DeleteFunc(actions, is)
}

// forget makes a node forget one kind of its records at a restart.
func forget(kind string) func(map[string][]byte) {
	return func(records map[string][]byte) {
		maps.DeleteFunc(records, func(key string, _ []byte) bool { return strings.Contains(key, kind) })
	}
}

// bug is a mistake, and a seed whose run it breaks.
type bug struct {
	name  string
	seed  uint64
	times scheduler.Times
	wall  bool
	with  buggy
}

const never = 1000 * time.Hour

var bugs = []bug{
	{name: "Done is announced before it is on disk", seed: 1, with: buggy{
		after: func(_ *scheduler.Scheduler, _ scheduler.Event, a []scheduler.Action) []scheduler.Action {
			return first(a, says[*job.Done])
		},
	}},
	{name: "a claim is announced before it is on disk", seed: 1, with: buggy{
		after: func(_ *scheduler.Scheduler, _ scheduler.Event, a []scheduler.Action) []scheduler.Action {
			return first(a, says[*job.Claim])
		},
	}},
	{name: "a range is granted before that is on disk", seed: 1, with: buggy{
		after: func(_ *scheduler.Scheduler, _ scheduler.Event, a []scheduler.Action) []scheduler.Action {
			return first(a, says[*job.Grant])
		},
	}},
	{name: "a dead holder's Done is taken as final", seed: 118, times: scheduler.Times{Grace: never}},
	{name: "the time to live is on the wall clock", seed: 185, wall: true},
	{name: "a claim lives for half a second", seed: 1, times: scheduler.Times{TTL: 500 * time.Millisecond}},
	{name: "a hung holder keeps its claims", seed: 14, times: scheduler.Times{TTL: never}},
	{name: "two grants of one split", seed: 1, with: buggy{
		after: func(s *scheduler.Scheduler, _ scheduler.Event, actions []scheduler.Action) []scheduler.Action {
			for _, a := range actions {
				if r, ok := a.(scheduler.Reply); ok {
					if g, ok := r.Msg.(*job.Grant); ok && g.Range.Len() > 0 {
						s.Regain(g.Job, g.Range)
					}
				}
			}
			return actions
		},
	}},
	{name: "no anti-entropy", seed: 10, with: buggy{
		after: func(_ *scheduler.Scheduler, _ scheduler.Event, a []scheduler.Action) []scheduler.Action {
			return without(a, says[*job.Pull])
		},
	}},
	{name: "a late Offer plans the job again", seed: 1, with: buggy{
		before: func(s *scheduler.Scheduler, ev scheduler.Event) scheduler.Event {
			if r, ok := ev.(scheduler.Received); ok {
				if o, ok := r.Msg.(*job.Offer); ok {
					s.Replan(o.Job)
				}
			}
			return ev
		},
	}},
	{name: "a lost Cancel is not said again", seed: 207, with: buggy{
		after: func(_ *scheduler.Scheduler, ev scheduler.Event, actions []scheduler.Action) []scheduler.Action {
			for i, a := range actions {
				if r, ok := a.(scheduler.ReplyState); ok {
					r.Facts = slices.DeleteFunc(r.Facts, func(f job.Signed) bool { _, is := f.Msg.(*job.Cancel); return is })
					actions[i] = r
				}
			}
			if _, ok := ev.(scheduler.Abort); ok {
				return actions
			}
			return without(actions, says[*job.Cancel])
		},
	}},
	{name: "a revoked peer is back after it has joined again", seed: 123, with: buggy{
		before: func(s *scheduler.Scheduler, ev scheduler.Event) scheduler.Event {
			if p, ok := ev.(scheduler.PeerJoined); ok {
				s.Pardon(p.Peer)
			}
			return ev
		},
	}},
	{name: "a restart forgets the claims", seed: 10, with: buggy{records: forget("/claims")}},
	{name: "a restart forgets what was collected", seed: 15, with: buggy{records: forget("/collected")}},
	{name: "a restart forgets what was finished", seed: 26, with: buggy{records: forget("/done")}},
	{name: "an engine may take for ever", seed: 122, times: scheduler.Times{Render: never}},
	{name: "a cell goes back to the node that has failed it", seed: 39, with: buggy{
		after: func(s *scheduler.Scheduler, _ scheduler.Event, a []scheduler.Action) []scheduler.Action {
			s.Forgive()
			return a
		},
	}},
	{name: "what a check finds is ignored", seed: 1, with: buggy{
		before: func(_ *scheduler.Scheduler, ev scheduler.Event) scheduler.Event {
			if c, ok := ev.(scheduler.Checked); ok && c.Verdict == scheduler.Wrong {
				c.Verdict = scheduler.Right
				return c
			}
			return ev
		},
	}},
	{name: "anybody may say that a job is over", seed: 340, with: buggy{
		before: func(s *scheduler.Scheduler, ev scheduler.Event) scheduler.Event {
			r, ok := ev.(scheduler.Received)
			if !ok {
				return ev
			}
			if c, ok := r.Msg.(*job.Collected); ok {
				for _, j := range s.Jobs() {
					if j.ID == c.Job {
						r.From = j.Submitter
					}
				}
			}
			return r
		},
	}},
}

// Who knows which cells will be checked forges the others: the secret must be one.
func TestKnownSecretIsFound(t *testing.T) {
	caught := func(secret bool) (n int) {
		const seeds = 20
		for seed := range uint64(seeds) {
			script := &sim.Script{Seed: seed, Net: sim.Net{Min: time.Millisecond, Max: time.Millisecond}}
			for i := range 4 {
				script.Nodes = append(script.Nodes, sim.Node{Number: i, Slots: 2, Speed: 1})
			}
			script.Nodes[3].Liar = "forge"
			script.Jobs = []sim.Job{{
				At: time.Second, FPS: 30, Frame: 20 * time.Millisecond, Bytes: 1000, Trust: "known", Plays: slices.Repeat([]job.Play{{Frames: 60}}, 240),
			}}
			s := sim.New(script)
			s.Forges = func(cell uint32, peer job.PeerID, forged job.CID) bool {
				return scheduler.CheckPlace(nil, cell, peer, forged) > 0.8
			}
			s.New = func(cfg scheduler.Config) sim.Machine {
				return &buggy{Scheduler: scheduler.New(cfg), before: func(_ *scheduler.Scheduler, ev scheduler.Event) scheduler.Event {
					if submit, ok := ev.(scheduler.Submit); ok && !secret {
						submit.Secret = nil
						return submit
					}
					return ev
				}}
			}
			if err := s.Run(); err != nil {
				t.Fatal(err)
			}
			if r := s.Results()[0]; r.Lies == 0 {
				t.Errorf("seed %d: nothing was forged", seed)
			} else if r.Forged == 0 {
				n++
			}
		}
		return n
	}
	if n := caught(true); n < 18 {
		t.Errorf("with a secret %d of 20 are found out", n)
	}
	if n := caught(false); n > 4 {
		t.Errorf("without one %d of 20 are found out: the bug is not seen", n)
	}
}

// breaks runs a seed with the mistake in every node, and returns the rule that it
// breaks.
func (b *bug) breaks(seed uint64) string {
	s := sim.New(sim.Random(seed))
	s.WallClock = b.wall
	s.New = func(cfg scheduler.Config) sim.Machine {
		if cfg.Times == (scheduler.Times{}) { // not of a liar
			cfg.Times = b.times
		}
		m := b.with
		m.Scheduler = scheduler.New(cfg)
		return &m
	}
	var v *sim.Violation
	if errors.As(s.Run(), &v) {
		return v.Rule
	}
	return ""
}

// TestBugs puts mistakes in on purpose: the simulation must find each. The seeds
// are those that found it when they were last looked for, with -search.
func TestBugs(t *testing.T) {
	const most = 1000
	for _, b := range bugs {
		t.Run(b.name, func(t *testing.T) {
			first, last := b.seed, b.seed
			if *search {
				first, last = 1, most
			}
			for seed := first; seed <= last; seed++ {
				if small := 8; *search && len(sim.Random(seed).Nodes) > small {
					continue // it would find the bug as well, and take longer
				}
				if rule := b.breaks(seed); rule != "" {
					if rule := new(bug).breaks(seed); rule != "" {
						t.Fatalf("seed %d breaks the rule %q without the bug", seed, rule)
					}
					t.Logf("found with seed %d: %s", seed, rule)
					return
				}
			}
			t.Errorf("not found with seed %d to %d; look for another with -search", first, last)
		})
	}
}
