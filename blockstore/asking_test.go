// SPDX-License-Identifier: MIT

package blockstore

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"meshnode/job"
)

func cidList(n int) []job.CID {
	out := make([]job.CID, n)
	for i := range out {
		out[i] = job.CID(fmt.Sprint("cid-", i))
	}
	return out
}

func TestAskingPrefersNamed(t *testing.T) {
	a := newAsking(cidList(2 * perSource))
	a.joined("other", false, false)
	a.joined("late", true, true)
	a.joined("one", true, false)
	a.joined("two", true, false)
	now := time.Unix(1, 0)
	asks := a.next(now, 2*perSource)
	if len(asks["one"]) != perSource || len(asks["two"]) != perSource {
		t.Errorf("asked of one %d, of two %d, want %d each", len(asks["one"]), len(asks["two"]), perSource)
	}
	a.refused(asks["one"][0], "one", now)
	a.refused(asks["one"][0], "two", now)
	if got := a.next(now, 1); len(got["other"]) != 1 {
		t.Errorf("what both refuse is asked of %v, want other", got)
	}
	a.lost("one")
	a.lost("two")
	if got := a.next(now, 1000); len(got["other"]) != perSource-1 || len(got) != 1 {
		t.Errorf("what both have lost is asked of %v, want other", got)
	}
	a.lost("other")
	if got := a.next(now, 1000); len(got["late"]) != perSource {
		t.Errorf("when nobody else is left, asked of %v, want late", got)
	}
	a.lost("late")
	a.next(now, 1000)
	if len(a.wants) > 0 {
		t.Errorf("%d blocks are wanted when nobody is left", len(a.wants))
	}
}

func TestAskingLeavesSilentPeer(t *testing.T) {
	a := newAsking(cidList(3))
	a.joined("silent", true, false)
	now := time.Unix(1, 0)
	asked := a.next(now, 10)["silent"]
	a.joined("live", false, false)
	if at, ok := a.wake(); !ok || at != now.Add(minPatience) {
		t.Errorf("wake at %v, %v", at, ok)
	}
	a.overdue(now.Add(minPatience - 1))
	if got := a.next(now, 10); len(got) > 0 {
		t.Errorf("asked again too soon: %v", got)
	}
	now = now.Add(minPatience)
	a.overdue(now)
	if got := a.next(now, 10); !slices.Equal(got["live"], asked) || len(got) != 1 {
		t.Errorf("asked %v, want all of live", got)
	}
	others, wanted := a.got(asked[0], "live", now, 1)
	if !wanted || !slices.Equal(others, []job.PeerID{"silent"}) {
		t.Errorf("wanted %v, also asked of %v", wanted, others)
	}
	if _, wanted := a.got(asked[0], "silent", now, 1); wanted {
		t.Error("wanted twice")
	}
}

// A peer that says everything but what it was asked for is a silent one.
func TestAskingLeavesWhoSaysOtherThings(t *testing.T) {
	a := newAsking(cidList(3 * perSource))
	a.joined("liar", true, false)
	a.joined("honest", true, false)
	now := time.Unix(1, 0)
	asks := a.next(now, 2*perSource)
	for i := range 3 {
		now = now.Add(minPatience - 1)
		a.got("junk", "liar", now, 1)
		a.got(asks["honest"][3*i], "liar", now, 1) // what another was asked for
		a.refused(asks["honest"][3*i+1], "liar", now)
		a.refused(a.queue[0], "liar", now) // nobody was asked for that
		a.got(asks["honest"][3*i+2], "honest", now, 1)
		a.overdue(now)
	}
	if got := a.next(now, 4); len(got["liar"]) > 0 || len(got["honest"]) != 4 {
		t.Errorf("asked again: %v", got)
	}
	a.got(asks["liar"][0], "liar", now, 1)
	if s := a.source("liar"); s.late {
		t.Error("late, though it has given what it was asked for")
	}
}

// What nobody is asked for is not kept; what was asked for only if there is room.
func TestAskingKeepsWhatWasAsked(t *testing.T) {
	a := newAsking(cidList(3))
	a.joined("a", true, false)
	now := time.Unix(1, 0)
	asked := a.next(now, 2)["a"]
	now = now.Add(minPatience)
	a.overdue(now) // nobody is asked for anything now
	for _, test := range []struct {
		cid  job.CID
		room int
		keep bool
	}{{cidList(3)[2], 1, false}, {asked[0], 0, false}, {asked[0], 1, true}, {asked[0], 1, false}} {
		if _, keep := a.got(test.cid, "a", now, test.room); keep != test.keep {
			t.Errorf("%+v: kept %v", test, keep)
		}
	}
}

// TestAskingGetsAll lets peers have, refuse, ignore and lose blocks at random:
// what a live peer has is got, by patience, and nothing is asked of two at once.
func TestAskingGetsAll(t *testing.T) {
	for seed := range uint64(300) {
		rng := rand.New(rand.NewPCG(seed, 0))
		if err := askAtRandom(rng); err != nil {
			t.Errorf("seed %d: %v", seed, err)
		}
	}
}

func askAtRandom(rng *rand.Rand) error {
	cids := cidList(1 + rng.IntN(100))
	a := newAsking(cids)
	now := time.Unix(0, 0)
	peers := []job.PeerID{"a", "b", "c", "d", "e"}[:1+rng.IntN(5)]
	has := make(map[job.PeerID]map[job.CID]bool)
	silent := make(map[job.PeerID]bool)
	obtainable := make(map[job.CID]bool)
	for i, p := range peers {
		has[p] = make(map[job.CID]bool)
		silent[p] = i > 0 && rng.IntN(3) == 0
		for _, c := range cids {
			if rng.IntN(2) == 0 {
				has[p][c] = true
				obtainable[c] = obtainable[c] || !silent[p]
			}
		}
		a.joined(p, rng.IntN(2) == 0, rng.IntN(2) == 0)
	}
	got := make(map[job.CID]bool)
	pending := make(map[job.CID]job.PeerID)
	for step := 0; len(a.wants) > 0; step++ {
		if step > 20_000 {
			return fmt.Errorf("%d blocks still wanted", len(a.wants))
		}
		for p, asked := range a.next(now, rng.IntN(10)) {
			for _, c := range asked {
				if other, ok := pending[c]; ok {
					return fmt.Errorf("%s asked of %s and %s", c, other, p)
				}
				pending[c] = p
			}
		}
		for _, s := range a.sources {
			if len(s.asked) > perSource {
				return fmt.Errorf("%d blocks asked of %s", len(s.asked), s.id)
			}
		}
		order := slices.Sorted(maps.Keys(pending))
		rng.Shuffle(len(order), func(i, j int) { order[i], order[j] = order[j], order[i] })
		for _, c := range order[:rng.IntN(len(order)+1)] {
			switch p := pending[c]; {
			case silent[p] || rng.IntN(20) == 0: // lost on the way
			case has[p][c]:
				if _, wanted := a.got(c, p, now, 0); !wanted {
					return fmt.Errorf("%s not wanted", c)
				}
				got[c] = true
				delete(pending, c)
			default:
				a.refused(c, p, now)
				delete(pending, c)
			}
		}
		now = now.Add(time.Duration(rng.IntN(2000)) * time.Millisecond)
		a.overdue(now)
		for c := range pending {
			if slices.Contains(a.queue, c) {
				delete(pending, c)
			}
		}
		if rng.IntN(50) == 0 { // a peer goes and comes back
			p := peers[rng.IntN(len(peers))]
			a.lost(p)
			for c, at := range pending {
				if at == p {
					delete(pending, c)
				}
			}
			a.joined(p, false, false)
		}
		// A block that only silent peers have is wanted for ever.
		if left := maps.Keys(a.wants); !slices.ContainsFunc(slices.Collect(left), func(c job.CID) bool { return obtainable[c] }) {
			break
		}
	}
	for c := range obtainable {
		if obtainable[c] && !got[c] {
			return fmt.Errorf("%s was not got", c)
		}
	}
	return nil
}
