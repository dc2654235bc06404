// SPDX-License-Identifier: MIT

package scheduler

import (
	"errors"
	"fmt"
	"slices"

	"github.com/fxamacker/cbor/v2"

	"meshnode/job"
)

// Record is the value of a Persist. Which fields are set depends on the key:
//
//	job/<id>                   Job: an open job
//	job/<id>/claims            Claims, Top: what this node holds of it; Failed: what it has failed
//	job/<id>/done/<page>       Cells: what this node has rendered of it
//	job/<id>/collected/<page>  Cells: what this node, its submitter, has collected
//
// A page has the cells [page*PageCells, (page+1)*PageCells).
type Record struct {
	V      uint          `cbor:"0,keyasint"`
	Job    *JobRecord    `cbor:"1,keyasint,omitempty"`
	Claims []ClaimRecord `cbor:"2,keyasint,omitempty"`
	Cells  []CellRecord  `cbor:"3,keyasint,omitempty"`
	Failed []FailRecord  `cbor:"4,keyasint,omitempty"`
	Top    uint32        `cbor:"5,keyasint,omitempty"` // the highest generation of this node's claims, with those given up
}

// JobRecord is an open job. It has the manifest itself, so that nothing else is
// needed to go on with the job.
type JobRecord struct {
	Offer    job.Offer `cbor:"0,keyasint"`
	Manifest []byte    `cbor:"1,keyasint"`           // encoded
	Raw      []byte    `cbor:"2,keyasint,omitempty"` // the offer's envelope, if another node signed it
	Lives    uint32    `cbor:"3,keyasint,omitempty"` // of this node, one after the other, that ended without a finished cell

	Finishing bool `cbor:"7,keyasint,omitempty"` // see Finish

	// Of a job of this node:
	LocalSlots uint32          `cbor:"4,keyasint,omitempty"`
	Epoch      uint32          `cbor:"5,keyasint,omitempty"` // of its Collected
	Revoked    []RevokedRecord `cbor:"6,keyasint,omitempty"`
	Trust      Trust           `cbor:"8,keyasint,omitempty"`
	Secret     []byte          `cbor:"9,keyasint,omitempty"` // see Submit
}

// RevokedRecord is a peer whose work does not count.
type RevokedRecord struct {
	Peer   job.PeerID `cbor:"0,keyasint"`
	Reason string     `cbor:"1,keyasint"`
}

// ClaimRecord is a range that this node holds.
type ClaimRecord struct {
	Range job.Range `cbor:"0,keyasint"`
	Gen   uint32    `cbor:"1,keyasint"`
	Grant []byte    `cbor:"2,keyasint,omitempty"`
}

// FailRecord is a cell that could not be rendered here, under a claim of that
// generation.
type FailRecord struct {
	Cell uint32 `cbor:"0,keyasint"`
	Gen  uint32 `cbor:"1,keyasint"`
}

// CellRecord is a finished cell.
type CellRecord struct {
	Cell   uint32  `cbor:"0,keyasint"`
	Output job.CID `cbor:"1,keyasint"`
	Size   uint64  `cbor:"2,keyasint,omitempty"`
	Gen    uint32  `cbor:"3,keyasint,omitempty"` // as in job.Done

	// Of a collected cell:
	Found found `cbor:"5,keyasint,omitempty"` // by a check
	Alike bool  `cbor:"7,keyasint,omitempty"` // From drew what this node draws, to the byte

	// Of a collected cell, and of a copy:
	From job.PeerID `cbor:"4,keyasint,omitempty"` // who rendered it; "": this node
	Word []byte     `cbor:"6,keyasint,omitempty"` // its Done, as it signed it, in so far as it may be of use
}

// PageCells is the number of cells of a page.
const PageCells = 64

// maxRecord bounds a record that is read back, in bytes.
const maxRecord = 4 << 20

var (
	recordEnc = must(cbor.CoreDetEncOptions().EncMode())
	recordDec = must(cbor.DecOptions{
		DupMapKey:         cbor.DupMapKeyEnforcedAPF,
		IndefLength:       cbor.IndefLengthForbidden,
		TagsMd:            cbor.TagsForbidden,
		ExtraReturnErrors: cbor.ExtraDecErrorUnknownField,
		MaxNestedLevels:   8,
	}.DecMode())
)

func must[T any](v T, err error) T {
	if err != nil { // options are constants: a mistake here is found by the first test
		panic(err)
	}
	return v
}

// Encode returns the stored form.
func (r *Record) Encode() ([]byte, error) {
	b, err := recordEnc.Marshal(r)
	if err != nil {
		return nil, fmt.Errorf("scheduler: encode record: %w", err)
	}
	return b, nil
}

// DecodeRecord reads a stored record.
func DecodeRecord(b []byte) (*Record, error) {
	if len(b) > maxRecord {
		return nil, fmt.Errorf("scheduler: record of %d bytes, at most %d allowed", len(b), maxRecord)
	}
	r := new(Record)
	if err := recordDec.Unmarshal(b, r); err != nil {
		return nil, fmt.Errorf("scheduler: decode record: %w", err)
	}
	if r.V != job.Version {
		return nil, errors.New("scheduler: record of another version: remove it")
	}
	return r, nil
}

// record emits the write of a record. Values come from this node alone and are
// far below any limit, so that encoding cannot fail.
func (s *Scheduler) record(j *openJob, sub string, r Record) {
	key := recordKey(j.id, sub)
	if s.persist(key, r) && !slices.Contains(j.records, key) {
		j.records = append(j.records, key)
	}
}

func (s *Scheduler) persist(key string, r Record) bool {
	r.V = job.Version
	b, err := r.Encode()
	if err == nil {
		s.do(Persist{key, b})
	}
	return err == nil
}

func recordKey(id job.ID, sub string) string {
	if sub == "" {
		return "job/" + string(id)
	}
	return "job/" + string(id) + "/" + sub
}

func (s *Scheduler) recordJob(j *openJob) {
	block, _, err := j.manifest.Block()
	if err != nil { // it was decoded, or came with a Submit that checked it
		return
	}
	r := JobRecord{Offer: *j.offer, Manifest: block, Raw: j.offerRaw, Lives: j.lives, Finishing: j.keep.finishing}
	if j.own() {
		r.LocalSlots, r.Epoch, r.Trust, r.Secret = j.mine.localSlots, j.epoch, j.mine.checks.trust, j.mine.checks.secret
		for _, m := range j.members.list {
			if word, ok := m.revoked.Msg.(*job.Revoked); ok {
				r.Revoked = append(r.Revoked, RevokedRecord{word.Peer, word.Reason})
			}
		}
	}
	s.record(j, "", Record{Job: &r})
}

func (s *Scheduler) recordClaims(j *openJob) {
	r := Record{Top: j.work.top}
	for _, c := range s.claims(j) {
		r.Claims = append(r.Claims, ClaimRecord{c.Range, c.Gen, c.Grant})
	}
	for _, i := range j.failing {
		for _, m := range j.cells[i].failed {
			if m.peer == s.self {
				r.Failed = append(r.Failed, FailRecord{i, m.gen})
			}
		}
	}
	s.record(j, "claims", r)
}

// recordCell writes the page of a cell again: of those this node has done, or of
// those it has collected.
func (s *Scheduler) recordCell(j *openJob, cell uint32) {
	page := cell / PageCells
	var r Record
	for i := page * PageCells; i < min((page+1)*PageCells, uint32(len(j.cells))); i++ {
		if j.own() {
			if c := &j.cells[i]; c.collected {
				one := CellRecord{Cell: i, Output: j.mine.outputs[i], Found: j.mine.checks.found[i], Word: c.word, Alike: c.alike}
				if c.from != s.self {
					one.From = c.from
				}
				r.Cells = append(r.Cells, one)
			}
			continue
		}
		for _, d := range j.cells[i].done {
			if d.peer == s.self {
				r.Cells = append(r.Cells, CellRecord{Cell: i, Output: d.output, Size: d.size, Gen: d.gen, From: d.of, Word: d.word})
			}
		}
	}
	name := "done"
	if j.own() {
		name = "collected"
	}
	s.record(j, fmt.Sprintf("%s/%d", name, page), r)
}

// dropRecords deletes a job's records, the job itself first: the others mean
// nothing without it.
func (s *Scheduler) dropRecords(j *openJob) {
	for _, key := range j.records {
		s.do(Persist{Key: key})
	}
	j.records = nil
}
