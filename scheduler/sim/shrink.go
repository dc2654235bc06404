// SPDX-License-Identifier: MIT

package sim

import (
	"errors"
	"slices"
	"strconv"
)

// Breaks returns the rule that a script breaks, or "".
func Breaks(s *Script) string {
	var v *Violation
	if errors.As(New(s).Run(), &v) {
		return v.Rule
	}
	return ""
}

// Shrink returns a script that still fails, with as few faults, nodes, jobs and
// cells as it can find within some number of tries. Each try takes one thing away
// and is kept if the script fails without it.
func Shrink(s *Script, fails func(*Script) bool, tries int) *Script {
	k := shrinker{best: s, fails: fails, tries: tries}
	for smaller := true; smaller && k.tries > 0; {
		before := k.best
		k.faults()
		k.nodes()
		k.jobs()
		k.details()
		smaller = k.best != before
	}
	return k.best
}

type shrinker struct {
	best  *Script
	fails func(*Script) bool
	tries int
}

// try keeps a change of the script if that still fails.
func (k *shrinker) try(change func(*Script)) bool {
	if k.tries <= 0 {
		return false
	}
	k.tries--
	s := k.best.clone()
	change(s)
	if s.check() != nil || !k.fails(s) {
		return false
	}
	k.best = s
	return true
}

func (s *Script) clone() *Script {
	c := *s
	c.Nodes, c.Jobs, c.Faults = slices.Clone(s.Nodes), slices.Clone(s.Jobs), slices.Clone(s.Faults)
	for i := range c.Jobs {
		c.Jobs[i].Plays = slices.Clone(c.Jobs[i].Plays)
	}
	return &c
}

// faults takes faults away: halves, quarters, and so on down to single ones.
func (k *shrinker) faults() {
	for size := (len(k.best.Faults) + 1) / 2; size > 0; size /= 2 {
		for at := 0; at < len(k.best.Faults); {
			end := min(at+size, len(k.best.Faults))
			if !k.try(func(s *Script) { s.Faults = slices.Delete(s.Faults, at, end) }) {
				at = end
			}
		}
	}
}

// nodes takes nodes away, with the faults that name them.
func (k *shrinker) nodes() {
	for i := len(k.best.Nodes) - 1; i >= 0; i-- {
		number := k.best.Nodes[i].Number
		if slices.ContainsFunc(k.best.Jobs, func(j Job) bool { return j.By == number }) {
			continue
		}
		k.try(func(s *Script) {
			s.Nodes = slices.Delete(s.Nodes, i, i+1)
			s.Faults = slices.DeleteFunc(s.Faults, func(f Fault) bool {
				nodes, _ := verbs[f.Verb].nodes(f.Args)
				return f.Verb != "part" && slices.Contains(nodes, number)
			})
			for f := range s.Faults {
				if s.Faults[f].Verb == "part" {
					s.Faults[f].Args = slices.DeleteFunc(slices.Clone(s.Faults[f].Args), func(a string) bool { return a == strconv.Itoa(number) })
				}
			}
		})
	}
}

// jobs takes jobs away, and plays.
func (k *shrinker) jobs() {
	for i := len(k.best.Jobs) - 1; i >= 0 && len(k.best.Jobs) > 1; i-- {
		k.try(func(s *Script) { s.Jobs = slices.Delete(s.Jobs, i, i+1) })
	}
	for i := range k.best.Jobs {
		for size := len(k.best.Jobs[i].Plays) / 2; size > 0; size /= 2 {
			for at := 0; at+size <= len(k.best.Jobs[i].Plays) && len(k.best.Jobs[i].Plays) > size; {
				if !k.try(func(s *Script) { s.Jobs[i].Plays = slices.Delete(s.Jobs[i].Plays, at, at+size) }) {
					at += size
				}
			}
		}
	}
}

// details makes nodes, jobs and the network ordinary.
func (k *shrinker) details() {
	k.try(func(s *Script) { s.Net.Loss, s.Net.Double, s.Net.Late = 0, 0, 0 })
	k.try(func(s *Script) { s.Net.Min, s.Net.Max = 1e6, 1e6 })
	for i := range k.best.Nodes {
		for _, plain := range []func(*Node){
			func(n *Node) { n.Says = 0 },
			func(n *Node) { n.Breaks = 0 },
			func(n *Node) { n.Drift = 0 },
			func(n *Node) { n.Liar = "" },
			func(n *Node) { n.Joins = 0 },
			func(n *Node) { n.Sandbox = "" },
			func(n *Node) { n.Slots = 1 },
			func(n *Node) { n.Speed = 1 },
		} {
			if n := k.best.Nodes[i]; func() bool { plain(&n); return n != k.best.Nodes[i] }() {
				k.try(func(s *Script) { plain(&s.Nodes[i]) })
			}
		}
	}
	for i := range k.best.Jobs {
		if k.best.Jobs[i].Walk > 0 {
			k.try(func(s *Script) { s.Jobs[i].Walk = 0 })
		}
	}
}
