// SPDX-License-Identifier: MIT

package scheduler

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"meshnode/job"
)

// environment is one of which nothing but its name is known.
func environment(name string) job.Environment {
	return job.Environment{Renderer: "manim", Version: "1", Fingerprint: name, SelfTest: "of " + name, Pictures: job.CIDOf([]byte(name))}
}

func advertOf(envs ...job.Environment) *job.Advert {
	return &job.Advert{V: job.Version, Slots: 1, Sandbox: "own", Environments: envs}
}

// only returns the actions of one kind.
func only[A Action](actions []Action) (found []A) {
	for _, a := range actions {
		if a, ok := a.(A); ok {
			found = append(found, a)
		}
	}
	return found
}

func TestAdmission(t *testing.T) {
	ours, theirs := environment("ours"), environment("theirs")
	s := New(Config{Self: "a"})
	s.Step(0, Resources{advertOf(ours)})
	call := Received{job.Signed{From: "b", Msg: &job.Call{Need: theirs.Need()}}}

	// Who is met is compared with, once; nobody works before it is known.
	want := Compare{ours.Pictures, theirs.Pictures, "b"}
	if got := only[Compare](s.Step(0, PeerJoined{"b", advertOf(theirs)})); !slices.Equal(got, []Compare{want}) {
		t.Fatalf("compares %v; want %v", got, want)
	}
	for _, ev := range []Event{PeerJoined{"b", advertOf(theirs)}, PeerJoined{"c", advertOf(theirs, ours)}, Resources{advertOf(ours)}} {
		if got := only[Compare](s.Step(0, ev)); len(got) != 0 {
			t.Errorf("compares again: %v", got)
		}
	}
	if got := only[Warm](s.Step(0, call)); len(got) != 0 {
		t.Error("answers a call before anything is known")
	}

	// What was not to be had is tried again when the peer is met again.
	s.Step(0, Compared{want.A, want.B, errors.Join(job.ErrCompare, errors.New("not fetched"))})
	if got := only[Compare](s.Step(0, PeerJoined{"b", advertOf(theirs)})); !slices.Equal(got, []Compare{want}) {
		t.Errorf("compares %v; want %v again", got, want)
	}

	s.Step(0, Compared{want.A, want.B, errors.New("they differ")})
	if got := only[Warm](s.Step(0, call)); len(got) != 0 {
		t.Error("answers a call although the pictures differ")
	}
	s.Step(0, Compared{want.A, want.B, nil})
	if got := only[Warm](s.Step(0, call)); !slices.Equal(got, []Warm{{"ours"}}) {
		t.Errorf("warms %v", got)
	}
	strict := theirs.Need()
	strict.Strict = true
	if got := only[Warm](s.Step(0, Received{job.Signed{From: "b", Msg: &job.Call{Need: strict}}})); len(got) != 0 {
		t.Error("answers a strict call")
	}

	// Of several environments the submitter's own is taken.
	s.Step(0, Resources{advertOf(ours, theirs)})
	if got := only[Warm](s.Step(0, call)); !slices.Equal(got, []Warm{{"theirs"}}) {
		t.Errorf("warms %v", got)
	}
}

func TestPeopleAreToldOfLikeness(t *testing.T) {
	ours, like, unlike := environment("ours"), environment("like"), environment("unlike")
	s := New(Config{Self: "a"})
	s.Step(0, Resources{advertOf(ours)})
	s.Step(0, PeerJoined{"b", advertOf(like)})
	s.Step(0, PeerJoined{"c", advertOf(unlike)})
	s.Step(0, PeerJoined{"d", advertOf(ours)})
	s.Step(0, Compared{ours.Pictures, like.Pictures, nil})
	s.Step(0, Compared{ours.Pictures, unlike.Pictures, errors.New("they differ")})
	m := &job.Manifest{
		V: job.Version, Submitter: "a", Name: "Scene", Need: ours.Need(), Assets: job.CIDOf(nil), Width: 1, Height: 1, FPS: 30,
		Plays: []job.Play{{Frames: 30}, {Frames: 30}, {Frames: 30}},
	}
	_, id, err := m.Block()
	if err != nil {
		t.Fatal(err)
	}
	s.Step(0, Submit{Job: id, Manifest: m})
	told := func(from job.PeerID) (texts []string) {
		claim := &job.Claim{Job: id, Range: job.Range{A: 0, B: 1}, Gen: 1}
		for _, a := range only[Tell](s.Step(0, Received{job.Signed{From: from, Msg: claim}})) {
			texts = append(texts, a.Text)
		}
		return texts
	}
	if got := told("b"); len(got) != 1 || !strings.Contains(got[0], "within the tolerance of Manim's own tests") {
		t.Errorf("of the first claim of a like peer people are told %q", got)
	}
	if again, equal := told("b"), told("d"); len(again)+len(equal) != 0 {
		t.Errorf("then they are told %q and %q", again, equal)
	}
}

// TestCompareOneByOne: a peer that says again and again that it has other pictures has one
// of them fetched at a time, and does not have those of others forgotten.
func TestCompareOneByOne(t *testing.T) {
	ours, honest := environment("ours"), environment("honest")
	s := New(Config{Self: "a"})
	s.Step(0, Resources{advertOf(ours)})
	s.Step(0, PeerJoined{"honest", advertOf(honest)})
	s.Step(0, Compared{ours.Pictures, honest.Pictures, nil})
	underWay, made := Compare{}, 0
	take := func(actions []Action) {
		for _, c := range only[Compare](actions) {
			if underWay.From != "" {
				t.Fatal("two comparisons of one peer are under way")
			}
			underWay = c
			made++
		}
	}
	for i := range 2 * maxComparisons {
		take(s.Step(0, PeerJoined{"evil", advertOf(environment(fmt.Sprint("a", i)), environment(fmt.Sprint("b", i)))}))
		if i%2 == 0 {
			done := underWay
			underWay = Compare{}
			take(s.Step(0, Compared{done.A, done.B, nil}))
		}
	}
	if n := len(s.comparisons); n != maxComparisons {
		t.Errorf("%d comparisons are kept", n)
	}
	if made < maxComparisons {
		t.Errorf("only %d were made", made)
	}
	if s.like(ours.Pictures, honest.Pictures) != nil {
		t.Error("what another peer draws is forgotten")
	}
}

// TestCompareAll: all environments of a peer are compared, one after the other, also after
// one that was not to be had.
func TestCompareAll(t *testing.T) {
	ours := environment("ours")
	s := New(Config{Self: "a"})
	s.Step(0, Resources{advertOf(ours)})
	theirs := []job.Environment{environment("1"), environment("2"), environment("3")}
	actions := s.Step(0, PeerJoined{"b", advertOf(theirs...)})
	for i, e := range theirs {
		if got, want := only[Compare](actions), (Compare{ours.Pictures, e.Pictures, "b"}); !slices.Equal(got, []Compare{want}) {
			t.Fatalf("comparison %d: %v; want %v", i, got, want)
		}
		var err error
		if i == 1 {
			err = job.ErrCompare
		}
		actions = s.Step(0, Compared{ours.Pictures, e.Pictures, err})
	}
	if got := only[Compare](actions); len(got) != 0 {
		t.Errorf("then %v", got)
	}
	if n := s.Compared(); n != 2 {
		t.Errorf("%d are known", n)
	}
	if got := only[Compare](s.Step(0, PeerJoined{"b", advertOf(theirs...)})); len(got) != 1 || got[0].B != theirs[1].Pictures {
		t.Errorf("when it is met again, %v", got)
	}
}
