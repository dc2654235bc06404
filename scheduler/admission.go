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
	known bool
	err   error // why the one is not like the other; nil: it is
}

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

// compare has the pictures of environments of the same program compared, unless
// they are equal or that has been done. from has those of the second.
func (s *Scheduler) compare(of, with []job.Environment, from job.PeerID) {
	for _, e := range of {
		for _, o := range with {
			if e.Renderer != o.Renderer || e.Version != o.Version || e.Equals(o.Need()) ||
				e.Pictures == "" || o.Pictures == "" || e.Pictures == o.Pictures || s.comparison(e.Pictures, o.Pictures) != nil {
				continue
			}
			if len(s.comparisons) >= maxComparisons {
				s.comparisons = slices.Delete(s.comparisons, 0, 1)
			}
			s.comparisons = append(s.comparisons, &comparison{a: e.Pictures, b: o.Pictures})
			s.do(Compare{e.Pictures, o.Pictures, from})
		}
	}
}

// compared takes what a comparison has shown. One that was not to be had is made
// again when the peer is met again.
func (s *Scheduler) compared(ev Compared) {
	c := s.comparison(ev.A, ev.B)
	switch {
	case c == nil:
	case errors.Is(ev.Err, job.ErrCompare):
		s.comparisons = slices.DeleteFunc(s.comparisons, func(other *comparison) bool { return other == c })
	default:
		c.known, c.err = true, ev.Err
	}
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
