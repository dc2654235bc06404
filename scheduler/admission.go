// SPDX-License-Identifier: MIT

package scheduler

import (
	"errors"
	"fmt"
	"slices"

	"meshnode/job"
)

// comparison is what is known of the pictures of two self-tests.
type comparison struct {
	a, b  job.CID
	from  job.PeerID // has the second
	known bool
	lacks bool  // from did not give the pictures
	err   error // why the one is not like the other; nil: it is
}

func (c *comparison) underWay() bool { return !c.known && !c.lacks }

// maxComparisons bounds them; there are as many as pairs of environments that
// differ, which are few in any mesh.
const maxComparisons = 1024

// like is this node's job.Likeness.
func (s *Scheduler) like(a, b job.CID) error {
	if c := s.comparison(a, b); c != nil && c.known {
		return c.err
	}
	return job.ErrCompare
}

func (s *Scheduler) comparison(a, b job.CID) *comparison {
	for _, c := range s.comparisons {
		if c.a == a && c.b == b || c.a == b && c.b == a {
			return c
		}
	}
	return nil
}

// suits returns nil when a node with that advert may work on a job with that
// need that another node submitted, or the reason why not.
func (s *Scheduler) suits(a *job.Advert, n job.Need) error {
	switch {
	case a.Paused:
		return errors.New("paused")
	case a.Sick != "":
		return fmt.Errorf("sick: %s", a.Sick)
	case a.Sandbox == "none" || a.Sandbox == "":
		if a.Lacks != "" {
			return fmt.Errorf("no sandbox: %s", a.Lacks)
		}
		return errors.New("no sandbox")
	case a.Slots == 0:
		if a.Lacks != "" {
			return fmt.Errorf("no slots: %s", a.Lacks)
		}
		return errors.New("no slots")
	}
	_, err := a.Environment(n, s.like)
	return err
}

// maySuit is suits for a peer: what this node has not compared, the peer has.
func (s *Scheduler) maySuit(a *job.Advert, n job.Need) error {
	if err := s.suits(a, n); !errors.Is(err, job.ErrCompare) {
		return err
	}
	return nil
}

// compare has the pictures of environments of the same program compared, unless they are
// equal or that has been done: of one peer, which has those of the second, one pair after
// the other.
func (s *Scheduler) compare(of, with []job.Environment, from job.PeerID) {
	if slices.ContainsFunc(s.comparisons, func(c *comparison) bool { return c.from == from && c.underWay() }) {
		return // the others follow; see compared
	}
	for _, e := range of {
		for _, o := range with {
			if e.Renderer != o.Renderer || e.Version != o.Version || e.Equals(o.Need()) ||
				e.Pictures == "" || o.Pictures == "" || e.Pictures == o.Pictures || s.comparison(e.Pictures, o.Pictures) != nil {
				continue
			}
			s.keepComparison(&comparison{a: e.Pictures, b: o.Pictures, from: from})
			s.do(Compare{e.Pictures, o.Pictures, from})
			return
		}
	}
}

// keepComparison takes a new one. A peer may say each time that it has other pictures:
// where there are too many, the oldest goes of the peer that has the most.
func (s *Scheduler) keepComparison(c *comparison) {
	s.comparisons = append(s.comparisons, c)
	if len(s.comparisons) <= maxComparisons {
		return
	}
	of, most := make(map[job.PeerID]int), 0
	for _, o := range s.comparisons {
		of[o.from]++
		most = max(most, of[o.from])
	}
	oldest := slices.IndexFunc(s.comparisons, func(o *comparison) bool { return of[o.from] == most })
	s.comparisons = slices.Delete(s.comparisons, oldest, oldest+1)
}

// compared takes what a comparison has shown, and makes the next one of that peer. One
// that was not to be had is made again when the peer is met again.
func (s *Scheduler) compared(ev Compared) {
	c := s.comparison(ev.A, ev.B)
	if c == nil {
		return
	}
	c.known, c.lacks, c.err = true, false, ev.Err
	if errors.Is(ev.Err, job.ErrCompare) {
		c.known, c.lacks, c.err = false, true, nil
	}
	if p := s.peer(c.from); p != nil && p.connected() {
		s.compare(s.advert.Environments, p.advert.Environments, p.id)
	}
}

// compareAgain forgets which pictures were not to be had, of those that a peer has.
func (s *Scheduler) compareAgain(has []job.Environment) {
	s.comparisons = slices.DeleteFunc(s.comparisons, func(c *comparison) bool {
		return c.lacks && slices.ContainsFunc(has, func(e job.Environment) bool { return e.Pictures == c.a || e.Pictures == c.b })
	})
}

// Compared returns how many pairs of environments have been compared.
func (s *Scheduler) Compared() int {
	n := 0
	for _, c := range s.comparisons {
		if c.known {
			n++
		}
	}
	return n
}

// tellLike says once that a peer, which holds cells of a job of this node, draws
// or encodes a little differently.
func (s *Scheduler) tellLike(j *openJob, m *member) {
	p := s.peer(m.id)
	if !j.own() || m.told || p == nil || p.advert == nil {
		return
	}
	e, err := p.advert.Environment(j.manifest.Need, s.like)
	if err != nil || e.Equals(j.manifest.Need) {
		return
	}
	how := "draws a little differently, within the tolerance of Manim's own tests"
	if e.Pictures == j.manifest.Need.Pictures {
		how = "draws the same, but its encoder is another"
	}
	m.told = true
	s.do(Tell{j.id, fmt.Sprintf("%s %s (--strict leaves it out)", s.name(m.id), how)})
}
