// SPDX-License-Identifier: MIT

package scheduler

import (
	"time"

	"meshnode/job"
)

// openJob is a job whose manifest is here and which is not over.
type openJob struct {
	id        job.ID
	submitter job.PeerID
	manifest  *job.Manifest
	offer     *job.Offer
	offerRaw  []byte // nil: of this node
	grid      []job.Cell
	frames    uint32
	weight    []float64 // weight[i] is that of the cells before i; one more than cells

	since     time.Duration // when the manifest came
	offerSent time.Duration // when the offer was last heard or sent
	offerAt   time.Duration // when it is to be sent next

	cells    []cell
	tally    tally
	failing  []uint32 // cells that have failed somewhere
	open     int      // cells not collected
	typical  float64  // speed of the roster; see relative
	heaviest float64  // weight of a cell
	members  directory[member]

	collected job.Signed  // the fullest Collected of the submitter in this epoch; Msg nil: none
	epoch     uint32      // of the submitter's Collected
	lives     uint32      // of this node that ended while it held cells, without a finished one in between
	mine      *submission // nil: of another node
	keep      keeping     // of another node
	work      work
	records   []string // keys written
}

// offered is an offer whose manifest has been asked for.
type offered struct {
	signed      job.Signed
	offer       *job.Offer
	asking      bool          // a FetchManifest has not been answered
	askAt       time.Duration // when to ask again
	tries       int
	backlog     []job.Signed // facts of the job
	backlogSize int          // bytes
	missed      job.PeerID   // has more facts than the backlog takes
}

// member is a peer in its relation to one job.
type member struct {
	id       job.PeerID
	slots    uint32
	speed    float64
	rate     float64       // weight per second, by its own word; 0: not known
	holding  holding       // see tally
	left     int           // cells it said it has left
	moved    time.Duration // when it last began or finished something
	worked   time.Duration // when it last finished a cell, or began to hold some; 0: it holds none
	reach    uint32        // one after the furthest cell it has been at, for all that is known
	finished bool          // it has finished a cell
	askAfter time.Duration // no split is asked of it before
	out      bool          // revoked, or left the job
	outAt    time.Duration
	told     bool          // people know that it may draw a little differently
	revoked  job.Signed    // the submitter's Revoked; Msg nil: none
	faults   int           // cells it has failed since it last sat out
	sitOuts  int           // times that it has
	backAt   time.Duration // until when it does
	drawn    []drawn       // collected cells that it has rendered, by place; of a job of this node
}

func newJob(id job.ID, m *job.Manifest, o *job.Offer, raw []byte, now time.Duration) *openJob {
	grid := m.Grid()
	j := &openJob{
		id: id, submitter: m.Submitter, manifest: m, offer: o, offerRaw: raw, grid: grid, frames: m.Frames(),
		weight: make([]float64, len(grid)+1), since: now, offerSent: now,
		cells: make([]cell, len(grid)), open: len(grid), typical: typicalSpeed(o), tally: tally{epoch: 1, next: forever},
	}
	for i, c := range grid {
		j.weight[i+1] = j.weight[i] + c.Weight()
		j.heaviest = max(j.heaviest, c.Weight())
	}
	for _, r := range o.Roster {
		if m := j.meet(r.Peer); m != nil {
			m.slots, m.speed = r.Slots, r.Speed
		}
	}
	if m := j.meet(j.submitter); m != nil {
		m.reach = uint32(len(grid)) // planning has walked through it
	}
	return j
}

func (j *openJob) own() bool { return j.mine != nil }

// weigh returns the weight of the cells in [a, b).
func (j *openJob) weigh(a, b uint32) float64 { return j.weight[b] - j.weight[a] }

// walk returns the seconds that a node as fast as the submitter walks from
// one cell's first frame to another's.
func (j *openJob) walk(from, to uint32) float64 {
	if to <= from {
		return 0
	}
	return j.manifest.Walk * float64(j.frame(to)-j.frame(from)) / float64(j.frames)
}

// frame returns the first frame of a cell, or the number of frames.
func (j *openJob) frame(cell uint32) uint32 {
	if int(cell) < len(j.grid) {
		return j.grid[cell].First
	}
	return j.frames
}

func (j *openJob) member(id job.PeerID) *member { return j.members.find(id) }

// meet returns the member, remembered from now on if there is room; else nil.
func (j *openJob) meet(id job.PeerID) *member {
	m := j.members.find(id)
	if m == nil && j.members.len() < maxMembers {
		m = &member{id: id}
		j.members.add(id, m)
	}
	return m
}

// out reports whether nothing of that peer counts in this job.
func (j *openJob) out(id job.PeerID) bool {
	m := j.member(id)
	return m != nil && m.out
}

// revoked reports whether the submitter has said that nothing of that peer counts.
func (j *openJob) revoked(id job.PeerID) bool {
	m := j.member(id)
	return m != nil && m.revoked.Msg != nil
}

// inGrid reports whether a range of cells exists in this job.
func (j *openJob) inGrid(r job.Range) bool { return r.Len() > 0 && int(r.B) <= len(j.cells) }

// beginAgain notes that cells are open again that were collected: nobody was to work
// on them meanwhile.
func (j *openJob) beginAgain(now time.Duration) {
	for _, m := range j.members.list {
		if m.worked > 0 {
			m.worked = now
		}
	}
}

// begins notes that a peer has claimed cells.
func (m *member) begins(now time.Duration) {
	if m.moved = now; m.worked == 0 {
		m.worked = now
	}
}
