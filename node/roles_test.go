// SPDX-License-Identifier: MIT

package node

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"meshnode/job"
	"meshnode/renderer/synthetic"
	"meshnode/scheduler"
)

// renderers publishes a scene that its submitter does not render, and returns the
// names of those who did.
func (m *mesh) renderers(submitter *Node) (names []string) {
	m.t.Helper()
	req, _ := m.scene(demo, 0)
	var got events
	submitter.Publish(m.t.Context(), req, got.add)
	last := got.last()
	if last.Event != "finished" {
		m.t.Fatalf("ended with %+v", last)
	}
	for _, n := range last.Nodes {
		names = append(names, n.Name)
	}
	slices.Sort(names)
	return names
}

func setRole(t *testing.T, at *Node, peer string, role Role) {
	t.Helper()
	if _, err := at.SetRole(peer, role); err != nil {
		t.Fatal(err)
	}
}

// A peer that only works renders for the node, and has nothing rendered there. One
// that is blocked is no peer, until it is allowed again.
func TestRoles(t *testing.T) {
	m := newMesh(t)
	a := m.add(&synthetic.Renderer{Slow: 2 * time.Millisecond}, 1)
	b := m.add(&synthetic.Renderer{Slow: 2 * time.Millisecond}, 1)
	c := m.add(&synthetic.Renderer{Slow: 2 * time.Millisecond}, 1)
	m.settle()
	setRole(t, c, "node0", RoleWorker)
	if got := m.renderers(a); !slices.Equal(got, []string{"node1"}) {
		t.Errorf("for a peer that only works rendered %v", got)
	}
	if got := m.renderers(c); !slices.Contains(got, "node0") {
		t.Errorf("of a peer that only works and others, rendered: %v", got)
	}

	setRole(t, b, string(a.self[len(a.self)-8:]), RoleBlocked)
	m.wait("the blocked peer to leave", func() bool { return len(b.Peers()) == 1 && len(a.Peers()) == 1 })
	setRole(t, c, "node0", RoleFull)
	if got := m.renderers(a); !slices.Equal(got, []string{"node2"}) {
		t.Errorf("for a peer that node1 has blocked rendered %v", got)
	}
	if got := m.renderers(b); !slices.Equal(got, []string{"node2"}) {
		t.Errorf("for node1, which has blocked node0, rendered %v", got)
	}

	setRole(t, b, string(Others), RoleBlocked)
	m.wait("all to leave", func() bool { return len(b.Peers()) == 0 })
	setRole(t, b, string(a.self), RoleFull)
	m.wait("the one that is allowed to come back", func() bool { return len(b.Peers()) == 1 && len(a.Peers()) == 2 })
	want := []PeerRole{{Peer: a.self, Name: "node0", Role: RoleFull}, {Peer: Others, Role: RoleBlocked}}
	if got := b.Roles(); !slices.Equal(got, want) {
		t.Errorf("roles %+v", got)
	}
	again, err := loadRoles(b.parts.Records)
	if err != nil || again.role(a.self) != RoleFull || again.role(c.self) != RoleBlocked {
		t.Errorf("after a restart: %+v, %v", again.list(), err)
	}
}

// A peer that is blocked in the middle of a job: what it did and has not been
// collected does not count, and its own job is left.
func TestBlockDuringJobs(t *testing.T) {
	m := newMesh(t)
	a := m.add(&synthetic.Renderer{Slow: 20 * time.Millisecond}, 1)
	b := m.add(&synthetic.Renderer{Slow: 20 * time.Millisecond}, 1)
	m.add(&synthetic.Renderer{Slow: 20 * time.Millisecond}, 1)
	m.settle()
	req, path := m.scene(demo, 1)
	var got events
	blocked := false
	a.Publish(t.Context(), req, func(e Event) {
		got.add(e)
		for _, f := range e.Nodes {
			if f.Peer == b.self && f.Frames > 0 && !blocked {
				blocked = true
				setRole(t, a, "node1", RoleBlocked)
			}
		}
	})
	if last := got.last(); last.Event != "finished" || last.File != path || !blocked {
		t.Fatalf("blocked: %v, ended with %+v", blocked, last)
	}
}

// The jobs of a submitter that is away are left as well when it gets another role, be
// it while the worker's node runs or while it does not.
func TestBlockAbsent(t *testing.T) {
	for _, role := range []Role{RoleBlocked, RoleWorker} {
		for _, running := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s, running %v", role, running), func(t *testing.T) {
				m := newMesh(t)
				submitter, worker := m.computer(101, 1, 0), m.computer(102, 1, 50*time.Millisecond)
				n := worker.start()
				submitter.killed(demo, func(e Event) bool { return e.Event == "progress" && e.Done >= 5 })
				m.wait("the submitter to be missed", func() bool { return len(n.Peers()) == 0 })
				if len(n.Jobs()) == 0 {
					t.Fatal("the worker has no job to leave")
				}
				if running {
					setRole(t, n, string(Others), role)
				} else {
					n.Close()
					m.drop(n)
					r, err := loadRoles(&worker.records)
					if err == nil {
						err = r.set(Others, role)
					}
					if err != nil {
						t.Fatal(err)
					}
					n = worker.start()
				}
				m.wait("the job to be left", func() (left bool) {
					n.ask(func(s *scheduler.Scheduler) { left = s.Open() == 0 })
					return left
				})
				worker.kept()
			})
		}
	}
}

// fullDisk is where records can be read, and not written.
type fullDisk struct{ Records }

var errFull = errors.New("no space left")

func (fullDisk) Write(...Record) error { return errFull }

// Keys cost nothing: liars without end neither keep later ones from being blocked, nor
// take the place of what the user says.
func TestLiarsWithoutEnd(t *testing.T) {
	records := new(MemoryRecords)
	r, err := loadRoles(records)
	if err != nil {
		t.Fatal(err)
	}
	lies := func(p job.PeerID, at int) bool {
		t.Helper()
		if _, err := r.note(evidence{Peer: p, Reason: "lies", Time: time.Unix(int64(at), 0)}); err != nil {
			t.Fatal(err)
		}
		blocked, err := r.bar(p)
		if err != nil {
			t.Fatal(err)
		}
		return blocked
	}
	given := map[job.PeerID]Role{"foe": RoleBlocked, "friend": RoleFull, "worker": RoleWorker}
	for p, role := range given {
		if err := r.set(p, role); err != nil {
			t.Fatal(err)
		}
	}
	junk := func(i int) job.PeerID { return job.PeerID(fmt.Sprint("junk", i)) }
	for i := range maxRoles + maxLiars {
		if !lies(junk(i), i) {
			t.Fatalf("liar %d is not blocked", i)
		}
	}
	if lies("friend", 1e6) || !lies("foe", 1e6) {
		t.Error("what the user has said of a liar does not hold")
	}
	if err := r.set(junk(maxRoles+maxLiars-1), RoleFull); err != nil {
		t.Error(err)
	}
	for i := range maxRoles - len(given) - 1 {
		if err := r.set(job.PeerID(fmt.Sprint("own", i)), RoleBlocked); err != nil {
			t.Fatalf("after %d roles: %v", i, err)
		}
	}
	if r.set("one more", RoleBlocked) == nil || r.set(Others, RoleWorker) != nil || r.set("foe", RoleFull) != nil || r.set("foe", RoleBlocked) != nil {
		t.Error("the user's roles are not bounded, or those that he has given cannot be changed")
	}
	again, err := loadRoles(records)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range []*roles{r, again} {
		for p, want := range map[job.PeerID]Role{
			"foe": RoleBlocked, "friend": RoleFull, "worker": RoleWorker, junk(0): RoleWorker, // as Others
			junk(maxRoles - 1): RoleWorker,
			junk(maxRoles):     RoleBlocked, junk(maxRoles + maxLiars - 1): RoleFull, junk(maxRoles + maxLiars - 2): RoleBlocked,
		} {
			if got := r.role(p); got != want {
				t.Errorf("%s is %s", p, got)
			}
		}
		if len(r.of) != maxRoles+1+maxLiars-1 || len(r.why) != maxRoles || len(r.list()) != len(r.of) {
			t.Errorf("%d roles, %d reasons", len(r.of), len(r.why))
		}
		for _, one := range r.list() {
			if one.Role != RoleFull && one.Role != RoleWorker && one.Role != RoleBlocked {
				t.Fatalf("%+v", one)
			}
		}
	}
}

// What cannot be kept is in force all the same.
func TestRolesOnAFullDisk(t *testing.T) {
	m := newMesh(t)
	a, b := m.add(&synthetic.Renderer{}, 1), m.add(&synthetic.Renderer{}, 1)
	m.settle()
	a.roles.records = fullDisk{a.parts.Records}
	set, err := a.SetRole(string(b.self), RoleBlocked)
	if !errors.Is(err, errFull) || set.Role != RoleBlocked {
		t.Errorf("%+v, %v", set, err)
	}
	m.wait("the blocked peer to leave", func() bool { return len(a.Peers()) == 0 && len(b.Peers()) == 0 })
	if blocked, err := a.roles.bar("liar"); !blocked || !errors.Is(err, errFull) || a.roles.role("liar") != RoleBlocked {
		t.Errorf("a liar: %v, %v", blocked, err)
	}
}

func TestRolesWithoutNode(t *testing.T) {
	home := filepath.Join(t.TempDir(), "home")
	const peer = "12D3KooWDpJ7As7BWAwRMfu1VU2WCqNjvq387JEYKDBj4kx6nXTN"
	for _, bad := range []string{"laptop", "", peer[1:]} {
		if _, err := SetRole(home, bad, RoleBlocked); !errors.Is(err, ErrPeer) {
			t.Errorf("%q: %v", bad, err)
		}
	}
	if _, err := SetRole(home, peer, "king"); err == nil {
		t.Error("a role that is none was given")
	}
	if _, err := SetRole(home, peer, RoleBlocked); err != nil {
		t.Fatal(err)
	}
	got, err := Roles(home)
	if err != nil || !slices.Equal(got, []PeerRole{{Peer: peer, Role: RoleBlocked}, {Peer: Others, Role: RoleFull}}) {
		t.Errorf("%+v, %v", got, err)
	}
	h, err := lockHome(home)
	if err != nil {
		t.Fatal(err)
	}
	defer h.Close()
	if _, err := SetRole(home, peer, RoleFull); !errors.Is(err, ErrInUse) {
		t.Errorf("while a node runs: %v", err)
	}
}
