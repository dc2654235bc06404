// SPDX-License-Identifier: MIT

package scheduler

import (
	"slices"

	"meshnode/job"
)

// maxAnnounced bounds the cells that are announced at once. Of more, others learn when
// they pull.
const maxAnnounced = 256

// keepCached notes the cells of an own job that are here before it begins.
func (s *Scheduler) keepCached(j *openJob, cached []Cached) {
	var cells []uint32
	for _, c := range cached {
		if int(c.Cell) < len(j.cells) && !j.cells[c.Cell].collected {
			d := done{peer: s.self, output: c.Output, size: c.Size}
			if c.From != "" && j.meet(c.From) != nil { // it counts as long as that peer is not found out
				d.peer, j.mine.checks.found[c.Cell] = c.From, passed
			}
			s.note(j, c.Cell, &d)
			cells = append(cells, c.Cell)
		}
	}
	s.recordCells(j, cells)
}

// announceCached announces the cells of another node's job that are here before it
// begins.
func (s *Scheduler) announceCached(j *openJob, cached []Cached) {
	var cells []uint32
	var words []Action
	for _, c := range cached {
		if int(c.Cell) >= len(j.cells) {
			continue
		}
		d := done{peer: s.self, output: c.Output, size: c.Size, gen: j.cells[c.Cell].doneGen(s.self), at: s.now}
		if !s.addDone(j, c.Cell, d) {
			continue
		}
		cells = append(cells, c.Cell)
		if len(words) < maxAnnounced {
			words = append(words, Publish{&job.Done{Job: j.id, Cell: c.Cell, Output: c.Output, Size: c.Size, Gen: d.gen}})
		}
	}
	s.recordCells(j, cells)
	s.do(words...)
}

// recordCells writes the pages of cells, in order, each once.
func (s *Scheduler) recordCells(j *openJob, cells []uint32) {
	slices.Sort(cells)
	for i, c := range cells {
		if i == 0 || cells[i-1]/PageCells != c/PageCells {
			s.recordCell(j, c)
		}
	}
}
