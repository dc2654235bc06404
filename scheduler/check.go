// SPDX-License-Identifier: MIT

package scheduler

import (
	"cmp"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"slices"
	"time"

	"meshnode/job"
)

// A submitter renders some of the cells that peers have rendered again, and compares.
// Which ones nobody can know before: they follow from a secret of the job and from
// what was rendered. A peer that is wrong once is wrong in all: nothing that it has
// rendered is in the film.

// checks are those of a job of this node.
type checks struct {
	trust   Trust
	secret  []byte
	found   []found // by cell
	running []check
	retries []retry
	turn    bool // the last slot went to a check
}

// found is what a check has shown of a collected cell.
type found uint8

const (
	unchecked found = iota
	right
	uncheckable // this node cannot find it out
	passed      // in an earlier job: it is of a peer, of whose cells enough were checked then
)

// check is a check that is under way.
type check struct {
	cell   uint32
	output job.CID
	exact  bool
	since  time.Duration
}

// drawn is a cell that a peer has rendered, by the place that the secret gives it:
// the first ones of a peer are checked.
type drawn struct {
	place uint64
	cell  uint32
}

// maxCheckTries is how often a check is tried that comes to nothing.
const maxCheckTries = 3

// place returns where a cell stands among those of its peer.
func (c *checks) place(cell uint32, peer job.PeerID, output job.CID) uint64 {
	mac := hmac.New(sha256.New, c.secret)
	_ = binary.Write(mac, binary.BigEndian, cell)
	fmt.Fprintf(mac, "%s %s", peer, output)
	return binary.BigEndian.Uint64(mac.Sum(nil))
}

// toCheck notes a collected cell of a peer among those that may be checked.
func (s *Scheduler) toCheck(j *openJob, cell uint32) {
	from := j.cells[cell].from
	if j.mine.checks.trust == TrustMine || j.mine.checks.found[cell] == passed || from == s.self || from == "" {
		return
	}
	m := j.meet(from)
	if m == nil {
		return
	}
	d := drawn{j.mine.checks.place(cell, from, j.mine.outputs[cell]), cell}
	i, _ := slices.BinarySearchFunc(m.drawn, d, func(a, b drawn) int {
		return cmp.Or(cmp.Compare(a.place, b.place), cmp.Compare(a.cell, b.cell))
	})
	m.drawn = slices.Insert(m.drawn, i, d)
}

// notToCheck takes that back: the cell is not collected any more.
func (s *Scheduler) notToCheck(j *openJob, cell uint32) {
	c := &j.mine.checks
	c.found[cell] = unchecked
	c.retries = slices.DeleteFunc(c.retries, func(r retry) bool { return r.cell == cell })
	if m := j.member(j.cells[cell].from); m != nil {
		m.drawn = slices.DeleteFunc(m.drawn, func(d drawn) bool { return d.cell == cell })
	}
}

// sampleOf returns the cells of a peer that are to be checked by now. As long as it
// renders, it is only guessed how many it will be in the end: not all are checked yet
// that may have to be, so that few are in vain.
func (s *Scheduler) sampleOf(j *openJob, m *member, parties int) []drawn {
	n := len(m.drawn)
	trust := j.mine.checks.trust
	if j.open == 0 {
		return m.drawn[:trust.quota(n)]
	}
	end := max(n+s.heldBy(j, m.id).cells, len(j.cells)/parties)
	quota := trust.quota(end)
	share := float64(quota) / float64(end)
	k := 0
	for k < min(n, quota) && float64(m.drawn[k].place) < share*(1<<64) {
		k++
	}
	return m.drawn[:k]
}

// parties returns how many render a job.
func (s *Scheduler) parties(j *openJob) int {
	n := 0
	if j.open > 0 {
		for _, m := range j.members.list {
			if !m.out && (len(m.drawn) > 0 || s.heldBy(j, m.id).cells > 0) {
				n++
			}
		}
	}
	return max(1, n)
}

// nextCheck returns a cell to check now, if there is one.
func (s *Scheduler) nextCheck(j *openJob) (cell uint32, ok bool) {
	c := &j.mine.checks
	parties := s.parties(j)
	for _, m := range j.members.list {
		if len(m.drawn) == 0 {
			continue
		}
		for _, d := range s.sampleOf(j, m, parties) {
			if c.found[d.cell] != unchecked || s.checking(j, d.cell) {
				continue
			}
			if k := ofCell(c.retries, d.cell); k < 0 || s.due(c.retries[k].after) {
				return d.cell, true
			}
		}
	}
	return 0, false
}

// awaitsChecks reports whether checks hold up the film, those that have begun in any case.
// Spot checks do not: they are made as far as there is time while others render.
func (s *Scheduler) awaitsChecks(j *openJob) bool {
	return j.mine.checks.trust != TrustSpot && (s.unfinishedChecks(j) > 0 || j.checksUnderWay() > 0)
}

// unfinishedChecks returns how many checks are left, running ones among them.
func (s *Scheduler) unfinishedChecks(j *openJob) int {
	c := &j.mine.checks
	n, parties := 0, s.parties(j)
	for _, m := range j.members.list {
		if len(m.drawn) > 0 {
			for _, d := range s.sampleOf(j, m, parties) {
				if c.found[d.cell] == unchecked {
					n++
				}
			}
		}
	}
	return n
}

// checking reports whether a check of a cell is under way.
func (s *Scheduler) checking(j *openJob, cell uint32) bool {
	return j.own() && slices.ContainsFunc(j.mine.checks.running, func(c check) bool { return c.cell == cell })
}

// checksUnderWay returns how many checks of a job take a slot.
func (j *openJob) checksUnderWay() int {
	if !j.own() {
		return 0
	}
	return len(j.mine.checks.running)
}

// startChecks gives free slots to checks: every second one as long as there are cells
// to render here, too. Spot checks are one at a time; and so it is where the user wants
// nothing rendered here, as nobody else can do it.
func (s *Scheduler) startChecks(j *openJob) {
	c := &j.mine.checks
	for c.trust != TrustMine && s.mayRenderBeside(j) {
		if c.turn && s.canWork(j) && s.hasWork(j) || c.trust == TrustSpot && len(c.running) > 0 {
			return
		}
		cell, ok := s.nextCheck(j)
		if !ok {
			return
		}
		exact := j.cells[cell].alike || j.manifest.Need.Strict // that wants what is equal
		c.turn = true
		c.running = append(c.running, check{cell, j.mine.outputs[cell], exact, s.now})
		s.do(Check{Job: j.id, Cell: cell, Output: j.mine.outputs[cell], Exact: exact})
	}
}

// drawsAlike reports whether a peer says that its environment is the submitter's own,
// to the byte.
func (s *Scheduler) drawsAlike(j *openJob, id job.PeerID) bool {
	p := s.peer(id)
	if p == nil || p.advert == nil {
		return false
	}
	e, err := p.advert.Environment(j.manifest.Need, s.like)
	return err == nil && e.Fingerprint == j.manifest.Need.Fingerprint
}

// dropCheck gives up the check begun last.
func (s *Scheduler) dropCheck() {
	var of *openJob
	var last check
	for _, j := range s.jobs {
		if n := j.checksUnderWay(); n > 0 && (of == nil || j.mine.checks.running[n-1].since > last.since) {
			of, last = j, j.mine.checks.running[n-1]
		}
	}
	c := &of.mine.checks
	c.running = c.running[:len(c.running)-1]
	s.do(Drop{of.id, last.cell})
}

// dropChecks gives up all checks of a job.
func (s *Scheduler) dropChecks(j *openJob) {
	for _, c := range j.mine.checks.running {
		s.do(Drop{j.id, c.cell})
	}
	j.mine.checks.running = nil
}

// watchChecks ends checks that take too long.
func (s *Scheduler) watchChecks(j *openJob) {
	for _, c := range slices.Clone(j.mine.checks.running) {
		if s.due(c.since + s.times.Prepare + 2*s.renderTime(j, c.cell)) {
			s.do(Drop{j.id, c.cell})
			s.checked(Checked{Job: j.id, Cell: c.cell, Output: c.output, Reason: "it took too long"})
		}
	}
}

// checked takes what a check has shown.
func (s *Scheduler) checked(ev Checked) {
	j := s.find(ev.Job)
	if j == nil || !j.own() {
		return
	}
	c := &j.mine.checks
	k := slices.IndexFunc(c.running, func(o check) bool { return o.cell == ev.Cell && o.output == ev.Output })
	if k < 0 {
		return
	}
	exact := c.running[k].exact
	c.running = slices.Delete(c.running, k, k+1)
	switch {
	case ev.Verdict == Unsteady:
		s.alone(j, "the scene does not look the same each time: "+ev.Reason)
	case j.mine.outputs[ev.Cell] != ev.Output: // its peer was found out meanwhile, by another cell
		s.takeDrawn(j, ev)
	case ev.Verdict == Right:
		c.found[ev.Cell] = right
		s.recordCell(j, ev.Cell)
	case ev.Verdict == Wrong:
		s.foundOut(j, ev, exact)
	default:
		s.notChecked(j, ev)
	}
}

// takeDrawn makes what a check has rendered here the cell's output, unless it has
// one.
func (s *Scheduler) takeDrawn(j *openJob, ev Checked) {
	if ev.Own == "" || j.cells[ev.Cell].collected {
		return
	}
	d := done{peer: s.self, output: ev.Own, size: ev.Size, gen: j.cells[ev.Cell].doneGen(s.self), at: s.now}
	s.addDone(j, ev.Cell, d)
	s.keep(j, ev.Cell, &d)
	s.do(Publish{&job.Done{Job: j.id, Cell: ev.Cell, Output: d.output, Size: d.size, Gen: d.gen}})
}

// foundOut throws away all that those have rendered who have announced an output
// that is not what the scene draws.
func (s *Scheduler) foundOut(j *openJob, ev Checked, exact bool) {
	c := &j.cells[ev.Cell]
	type liar struct {
		peer  job.PeerID
		word  []byte
		alike bool
	}
	liars := []liar{{c.from, c.word, c.alike}}
	is := func(id job.PeerID) bool { return slices.ContainsFunc(liars, func(l liar) bool { return l.peer == id }) }
	for _, d := range c.done {
		if by, word := d.author(); d.output == ev.Output && by != s.self && !is(by) {
			liars = append(liars, liar{by, word, s.drawsAlike(j, by)})
		}
	}
	var cells []uint32
	for i := range j.cells {
		if c := &j.cells[i]; c.collected && is(c.from) {
			cells = append(cells, uint32(i))
		}
	}
	s.lostCollected(j, cells) // first: after a crash the same cell is checked again
	s.takeDrawn(j, ev)
	for _, l := range liars {
		s.do(Disgrace{l.peer})
		s.revokeFor(j, l.peer, fmt.Sprintf("cell %d is not what the scene draws here (%s)", ev.Cell, firstLine(ev.Reason)))
	}
	for _, l := range liars { // who draws a little differently may be honest
		if exact && l.alike && l.word != nil {
			s.do(Accuse{Peer: l.peer, Job: j.id, Cell: ev.Cell, Reason: "its pictures are not those of the scene", Word: l.word, Output: ev.Output, Own: ev.Own})
		}
	}
}

// notChecked lets a check wait that has come to nothing. After some tries spot checks
// are done without; in the other levels of trust a cell that cannot be checked is not
// taken.
func (s *Scheduler) notChecked(j *openJob, ev Checked) {
	c := &j.mine.checks
	k := ofCell(c.retries, ev.Cell)
	if k < 0 {
		k = len(c.retries)
		c.retries = append(c.retries, retry{cell: ev.Cell})
	}
	r := &c.retries[k]
	r.tries++
	r.after = s.now + s.times.Repeat<<r.tries
	if r.tries < maxCheckTries {
		return
	}
	s.do(Tell{j.id, fmt.Sprintf("cell %d of %s could not be checked: %s", ev.Cell, s.name(j.cells[ev.Cell].from), firstLine(ev.Reason))})
	if c.trust == TrustSpot {
		c.found[ev.Cell] = uncheckable
		s.recordCell(j, ev.Cell)
		return
	}
	s.lostCollected(j, []uint32{ev.Cell})
	if s.takeDrawn(j, ev); !j.cells[ev.Cell].collected {
		s.renderOnlyHere(j, ev.Cell, "what others render of it cannot be checked")
	}
}
