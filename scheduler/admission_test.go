// SPDX-License-Identifier: MIT

package scheduler

import (
	"errors"
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
