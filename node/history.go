// SPDX-License-Identifier: MIT

package node

import (
	"encoding/json"
	"fmt"
	"iter"
	"maps"
	"slices"
	"strings"
	"time"

	"meshnode/job"
)

// keptEnded is how many endings of jobs are remembered.
const keptEnded = 200

// keptText is how much of the reason of a failure is remembered, in bytes.
const keptText = 16 << 10

// ending is how a job published here has ended, or a request for several. It is
// the record "ended/<number>", with rising numbers.
type ending struct {
	Number uint64     `json:"-"`
	Ticket string     `json:"ticket"`           // of the request
	Job    *JobStatus `json:"job,omitempty"`    // nil: of all jobs of the request
	Last   Event      `json:"last"`             // of the job, or of the request
	Single bool       `json:"single,omitempty"` // the request has no other job
	Making *making    `json:"making,omitempty"` // nil: there is no film, or not enough is known
}

func endingKey(number uint64) string { return fmt.Sprintf("ended/%016d", number) }

// loadHistory reads what earlier nodes of this home have remembered.
func (n *Node) loadHistory() error {
	records, err := n.parts.Records.Read("ended/")
	if err != nil {
		return err
	}
	for _, key := range slices.Sorted(maps.Keys(records)) {
		var e ending
		if _, err := fmt.Sscanf(key, "ended/%d", &e.Number); err != nil || json.Unmarshal(records[key], &e) != nil {
			continue // it is of no use to anybody
		}
		n.history = append(n.history, e)
	}
	return nil
}

// ended describes a job that has ended.
func (n *Node) ended(p *publication, last Event) *JobStatus {
	status := &JobStatus{
		ID: p.id, Name: p.name, Submitter: n.self, From: n.nameOf(n.self), Begun: p.begun, Ended: time.Now(),
		State: last.Event, File: last.File, Nodes: last.Nodes, Text: last.Text,
	}
	if p.man != nil {
		status.Frames = p.man.Frames()
	}
	switch {
	case last.Event == "finished":
		status.Done = status.Frames
	case last.Kind == FailedCanceled:
		status.State = "canceled"
	}
	return status
}

// remember puts an ending on disk, with other records, and forgets the oldest. p is
// its publication, or nil.
func (n *Node) remember(p *publication, e ending, with ...Record) {
	e.Last.Text = e.Last.Text[max(0, len(e.Last.Text)-keptText):]
	if e.Job != nil {
		e.Job.Text = e.Job.Text[max(0, len(e.Job.Text)-keptText):]
	}
	n.remembering.Lock() // the order on disk is that in memory
	defer n.remembering.Unlock()
	n.mu.Lock()
	history := n.history
	n.mu.Unlock()
	e.Number = 1
	if len(history) > 0 {
		e.Number = history[len(history)-1].Number + 1
	}
	oldest := max(0, len(history)+1-keptEnded)
	changes := append(with, record(endingKey(e.Number), e))
	for _, old := range history[:oldest] {
		changes = append(changes, Record{Key: endingKey(old.Number)})
	}
	if err := n.parts.Records.Write(changes...); err != nil {
		n.log.Error("the end of a job is not recorded", "err", err)
	}
	history = append(slices.Clone(history[oldest:]), e)
	n.mu.Lock()
	defer n.mu.Unlock()
	n.history = history
	if p != nil {
		delete(n.published, p.nonce) // it is in one of the two at any time
	}
}

// endingOf returns how a job published here has ended, by the end of its id.
func (n *Node) endingOf(id string) (e ending, ok bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, e := range slices.Backward(n.history) {
		if e.Job != nil && endsIn(e.Job.ID, id) {
			return e, true
		}
	}
	return e, false
}

// outcomeOf returns how a request has ended, by its ticket.
func (n *Node) outcomeOf(ticket string) (last Event, ok bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, e := range slices.Backward(n.history) {
		if e.Ticket == ticket && (e.Single || e.Job == nil) {
			return e.Last, true
		}
	}
	return last, false
}

// meant returns the one that is meant by the end of a job's id, of those to which jobs
// belong; nil if none is.
func meant[J any](all iter.Seq2[job.ID, *J], id string) (found *J, err error) {
	var at job.ID
	for full, one := range all {
		switch {
		case !endsIn(full, id) || one == found || full == at:
		case found != nil:
			return nil, fmt.Errorf("several jobs have an id that ends in %q: give more of it", id)
		default:
			found, at = one, full
		}
	}
	return found, nil
}

// endsIn reports whether a job is meant by the end of its id.
func endsIn(full job.ID, id string) bool {
	return full != "" && len(id) >= 4 && strings.HasSuffix(string(full), id)
}
