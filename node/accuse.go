// SPDX-License-Identifier: MIT

package node

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"meshnode/job"
	"meshnode/scheduler"
)

// evidence is a peer's own word that has proved false: anybody who has the bytes can
// see it. It is the record "evidence/<peer>", the latest of each peer.
type evidence struct {
	Peer   job.PeerID `json:"peer"`
	Job    job.ID     `json:"job"`
	Cell   uint32     `json:"cell"`
	Reason string     `json:"reason"`           // for people
	Word   []byte     `json:"word"`             // its Done, as it signed it
	Output job.CID    `json:"output,omitempty"` // what it announced, if that is a cell, and wrong;
	Own    job.CID    `json:"own,omitempty"`    // and what this node has rendered: both are kept
	Time   time.Time  `json:"time"`
}

const accusePrefix = "accuse/"

func accuseKey(p job.PeerID) string { return accusePrefix + string(p) }

// accuseLeft blocks the peers that an earlier node of this home was to block.
func (n *Node) accuseLeft() {
	records, err := n.parts.Records.Read(accusePrefix)
	if err != nil {
		n.log.Error("it is not known which peers were found to lie just before the end", "err", err)
	}
	for key, value := range records {
		var a scheduler.Accuse
		if json.Unmarshal(value, &a) == nil && accuseKey(a.Peer) == key {
			n.accuse(a)
		}
	}
}

// accuse blocks a peer that has been shown to lie, and tells the user how to undo
// it. One that the user has allowed by name is not blocked: he has decided. Until that is
// done the accusation is the record "accuse/<peer>".
func (n *Node) accuse(a scheduler.Accuse) {
	if n.block(a) != nil || n.ctx.Err() != nil {
		return // the next node of this home does it again
	}
	if err := n.parts.Records.Write(Record{Key: accuseKey(a.Peer)}); err != nil {
		n.log.Error("the record of an accusation is not removed", "of", n.nameOf(a.Peer), "err", err)
	}
}

// block is accuse without the record.
func (n *Node) block(a scheduler.Accuse) error {
	e := evidence{Peer: a.Peer, Job: a.Job, Cell: a.Cell, Reason: a.Reason, Word: a.Word, Output: a.Output, Own: a.Own, Time: time.Now().UTC()}
	n.keepEvidence(e)
	forgotten, noted := n.roles.note(e)
	if forgotten != "" {
		noted = errors.Join(noted, n.parts.Store.Unpin(n.ctx, pinEvidence+string(forgotten)))
	}
	if noted != nil {
		n.log.Error("evidence not kept", "of", n.nameOf(a.Peer), "err", noted)
	}
	name := n.nameOf(a.Peer)
	blocked, err := n.roles.bar(a.Peer)
	if err != nil {
		n.log.Error("the block of a peer that lies is not kept", "peer", name, "id", a.Peer, "err", err)
	}
	if !blocked {
		n.log.Warn("a peer that was allowed by name lies", "peer", name, "id", a.Peer, "job", a.Job.Short(), "cell", a.Cell, "why", a.Reason)
		return errors.Join(noted, err)
	}
	n.rolesChanged()
	n.log.Warn("a peer that lies is blocked", "peer", name, "id", a.Peer, "job", a.Job.Short(), "cell", a.Cell, "why", a.Reason)
	n.toPublication(a.Job, func(p *publication) {
		p.emit(Event{Event: "note", Text: fmt.Sprintf("%s is blocked on this node, as it lies: \"meshnode allow %s\" undoes that", name, a.Peer.Short())})
	})
	return errors.Join(noted, err)
}

// Evidence that is kept with the bytes of both results, and how its blocks are pinned.
const (
	maxEvidence = 16
	pinEvidence = "evidence-"
)

// keepEvidence pins what a peer has rendered and what it should have, and lets go of
// the oldest of such.
func (n *Node) keepEvidence(e evidence) {
	if e.Output == "" {
		return
	}
	ctx, cancel := context.WithTimeout(n.ctx, time.Minute)
	defer cancel()
	err := n.parts.Store.Pin(ctx, pinEvidence+string(e.Peer), e.Output, e.Own)
	for _, old := range n.roles.bulky(maxEvidence - 1) {
		if old != e.Peer {
			err = errors.Join(err, n.parts.Store.Unpin(ctx, pinEvidence+string(old)))
		}
	}
	if err != nil {
		n.log.Error("results not kept as evidence", "of", n.nameOf(e.Peer), "err", err)
	}
}

// bulky returns the peers of whom there is evidence with results, but for those with
// the latest.
func (r *roles) bulky(latest int) []job.PeerID {
	kept, err := r.records.Read("evidence/")
	if err != nil {
		return nil
	}
	var all []evidence
	for _, value := range kept {
		var e evidence
		if json.Unmarshal(value, &e) == nil && e.Output != "" {
			all = append(all, e)
		}
	}
	slices.SortFunc(all, func(a, b evidence) int { return b.Time.Compare(a.Time) })
	var old []job.PeerID
	for _, e := range all[min(latest, len(all)):] {
		old = append(old, e.Peer)
	}
	return old
}

// reason is why a peer was blocked.
type reason struct {
	text  string    // for people
	since time.Time // of the evidence
}

// note keeps evidence, in place of the oldest if there is that of many peers: that of
// forgotten.
func (r *roles) note(e evidence) (forgotten job.PeerID, err error) {
	value, err := json.Marshal(e)
	if err != nil {
		return "", fmt.Errorf("node: evidence: %w", err)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	changes := []Record{{"evidence/" + string(e.Peer), value}}
	if _, ok := r.why[e.Peer]; !ok && len(r.why) >= maxRoles {
		forgotten = r.earliest(slices.Collect(maps.Keys(r.why)))
		delete(r.why, forgotten)
		changes = append(changes, Record{"evidence/" + string(forgotten), nil})
	}
	r.why[e.Peer] = reason{e.Reason, e.Time}
	return forgotten, r.records.Write(changes...)
}

// earliest returns whom there was evidence of first; of who has none, before. The caller
// holds the lock, and there are some.
func (r *roles) earliest(of []job.PeerID) job.PeerID {
	return slices.MinFunc(of, func(a, b job.PeerID) int { return r.why[a].since.Compare(r.why[b].since) })
}

// loadEvidence reads why peers were blocked.
func (r *roles) loadEvidence() error {
	kept, err := r.records.Read("evidence/")
	if err != nil {
		return err
	}
	for _, value := range kept {
		var e evidence
		if json.Unmarshal(value, &e) == nil {
			r.why[e.Peer] = reason{e.Reason, e.Time}
		}
	}
	return nil
}
