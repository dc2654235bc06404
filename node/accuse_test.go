// SPDX-License-Identifier: MIT

package node

import (
	"errors"
	"slices"
	"testing"

	"meshnode/job"
	"meshnode/renderer/synthetic"
	"meshnode/scheduler"
)

// refusingRecords are on a disk that takes nothing while err is set.
type refusingRecords struct {
	Records
	err   error
	tried []Record // the latest write
}

func (r *refusingRecords) Write(changes ...Record) error {
	if r.tried = changes; r.err != nil {
		return r.err
	}
	return r.Records.Write(changes...)
}

// What a liar has rendered goes from the disk with the very write that says that he is
// one, which notes whom to block; and nothing of his is kept any more.
func TestFoundOutAtOnce(t *testing.T) {
	records := &refusingRecords{Records: new(MemoryRecords)}
	remembered, err := loadResults(records)
	if err != nil {
		t.Fatal(err)
	}
	n := &Node{parts: Parts{Records: records}, results: remembered, works: make(map[job.ID]*work), ctx: t.Context()}
	w := n.workOn("job")
	w.setManifest(&job.Manifest{Submitter: "self"})
	w.setKeys([]job.Key{{1}}, "")
	made := func() map[job.Key]result {
		return map[job.Key]result{{1}: {}, {2}: {By: "liar"}, {3}: {By: "honest"}}
	}
	if err := remembered.keep("self", made()); err != nil {
		t.Fatal(err)
	}
	found := []scheduler.Action{scheduler.Persist{Key: "job/job", Value: []byte("revoked")}, scheduler.Disgrace{Peer: "liar"}}
	records.err = errors.New("the disk is full")
	if err := n.carryOut(append(found, scheduler.Accuse{Peer: "liar", Job: "job"})); err == nil {
		t.Error("nothing could be written, and all is well")
	}
	var keys []string
	for _, r := range records.tried {
		keys = append(keys, r.Key)
	}
	of := func(key job.Key) string { return resultKey{"self", key}.record() }
	slices.Sort(keys)
	if want := []string{"accuse/liar", "job/job", of(job.Key{1}), of(job.Key{2})}; !slices.Equal(keys, want) {
		t.Errorf("written at once would be %q, not %q", keys, want)
	}
	if len(remembered.kept) != 3 {
		t.Errorf("%d results are kept, 3 are on disk", len(remembered.kept))
	}
	records.err = nil
	if err := n.carryOut(found); err != nil {
		t.Fatal(err)
	}
	if err := remembered.keep("self", made()); err != nil { // by a job that has not heard of it
		t.Fatal(err)
	}
	again, err := loadResults(records)
	if err != nil {
		t.Fatal(err)
	}
	for _, kept := range []map[resultKey]result{remembered.kept, again.kept} {
		if _, ok := kept[resultKey{"self", job.Key{2}}]; ok || len(kept) != 2 {
			t.Errorf("%d results are kept; one of the liar: %v", len(kept), ok)
		}
	}
}

// A node that is killed before it has blocked a liar does so when it is started again.
func TestLiarIsBlockedAfterCrash(t *testing.T) {
	m := newMesh(t)
	c := m.computer(101, 1, 0)
	liar := m.add(&synthetic.Renderer{}, 1)
	if err := c.records.Write(record(accuseKey(liar.self), scheduler.Accuse{Peer: liar.self, Job: "job", Cell: 3, Reason: "lies"})); err != nil {
		t.Fatal(err)
	}
	n := c.start()
	m.wait("the liar to be blocked", func() bool { return n.roles.role(liar.self) == RoleBlocked })
	m.wait("the accusation to be over", func() bool { return len(names(t, &c.records, accusePrefix)) == 0 })
	if len(names(t, &c.records, "evidence/")) != 1 {
		t.Error("there is no evidence of it")
	}
}
