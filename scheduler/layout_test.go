// SPDX-License-Identifier: MIT

package scheduler

import (
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"

	"meshnode/job"
)

func roster(members ...job.Member) *job.Offer {
	o := &job.Offer{Job: job.ID(job.CIDOf(nil))}
	for i, m := range members {
		m.Peer = job.PeerID(fmt.Sprintf("p%02d", i))
		o.Roster = append(o.Roster, m)
	}
	return o
}

// TestLayoutProperties: the ranges are in order, without gaps or overlaps, one
// for each peer at most, and do not depend on the order of the roster.
func TestLayoutProperties(t *testing.T) {
	for seed := range uint64(3000) {
		rng := rand.New(rand.NewPCG(seed, 0))
		m := testManifest("p00", 1+rng.Uint32N(300), 60, 30*rng.Float64())
		for i := range m.Plays {
			m.Plays[i] = job.Play{Frames: 1 + rng.Uint32N(60), Frozen: rng.IntN(5) == 0}
		}
		var members []job.Member
		for range rng.IntN(20) {
			members = append(members, job.Member{Slots: rng.Uint32N(9), Speed: float64(rng.IntN(4)) * rng.Float64(), Queue: float64(rng.IntN(2)) * 20 * rng.Float64()})
		}
		o := roster(members...)
		shares := Layout(o, m)
		at := uint32(0)
		peers := map[job.PeerID]bool{}
		for _, s := range shares {
			if s.Range.A != at || s.Range.Len() == 0 || peers[s.Peer] {
				t.Fatalf("seed %d: %v", seed, shares)
			}
			at, peers[s.Peer] = s.Range.B, true
		}
		able := slices.ContainsFunc(o.Roster, func(m job.Member) bool { return m.Slots > 0 })
		if cells := uint32(len(m.Grid())); able && at != cells || !able && at != 0 {
			t.Fatalf("seed %d: %d of %d cells laid out: %v", seed, at, cells, shares)
		}
		rng.Shuffle(len(o.Roster), func(i, k int) { o.Roster[i], o.Roster[k] = o.Roster[k], o.Roster[i] })
		if again := Layout(o, m); !reflect.DeepEqual(shares, again) {
			t.Fatalf("seed %d: the order of the roster matters: %v, %v", seed, shares, again)
		}
	}
}

func TestLayout(t *testing.T) {
	one := job.Member{Slots: 1, Speed: 1}
	for _, c := range []struct {
		name    string
		cells   uint32
		walk    float64 // seconds; a cell takes 0.54 s to render
		members []job.Member
		want    []int // cells of p00, p01, ...; p00 is the submitter
	}{
		{"two nodes and four cells", 4, 0, []job.Member{one, one}, []int{2, 2}},
		{"as many cells as nodes", 3, 0, []job.Member{one, one, one}, []int{1, 1, 1}},
		{"fewer cells than nodes", 1, 0, []job.Member{one, one, one}, []int{1, 0, 0}},
		{"everybody gets something that costs nothing", 5, 0, []job.Member{one, one, one}, []int{1, 2, 2}},
		{"by speed", 120, 0, []job.Member{one, {Slots: 1, Speed: 2}}, []int{40, 80}},
		{"by slots", 120, 0, []job.Member{one, {Slots: 3, Speed: 1}}, []int{30, 90}},
		{"unknown speed is typical", 120, 0, []job.Member{one, {Slots: 1}}, []int{60, 60}},
		{"a busy node gets less", 120, 0, []job.Member{one, {Slots: 1, Speed: 1, Queue: 21.6}}, []int{80, 40}},
		{"a very busy node gets nothing", 10, 0, []job.Member{one, {Slots: 1, Speed: 1, Queue: 100}}, []int{10, 0}},
		{"a far cell costs a long walk", 6, 100, []job.Member{one, one, one}, []int{3, 2, 1}},
	} {
		m := testManifest("p00", c.cells, 60, c.walk)
		got := make([]int, len(c.members))
		for _, s := range Layout(roster(c.members...), m) {
			var i int
			fmt.Sscanf(string(s.Peer), "p%d", &i)
			got[i] = s.Range.Len()
		}
		for i := range got {
			if d := got[i] - c.want[i]; d > 1 || d < -1 || c.cells < 10 && d != 0 {
				t.Errorf("%s: %v, want %v", c.name, got, c.want)
				break
			}
		}
	}
}

// TestLayoutOrder: slow cores first, the submitter last.
func TestLayoutOrder(t *testing.T) {
	o := roster(job.Member{Slots: 1, Speed: 1}, job.Member{Slots: 2, Speed: 3}, job.Member{Slots: 8, Speed: 0.5}, job.Member{Slots: 1, Speed: 2})
	var order []job.PeerID
	for _, s := range Layout(o, testManifest("p00", 300, 60, 1)) {
		order = append(order, s.Peer)
	}
	if want := []job.PeerID{"p02", "p03", "p01", "p00"}; !slices.Equal(order, want) {
		t.Errorf("%v, want %v", order, want)
	}
}

func BenchmarkLayout(b *testing.B) {
	var members []job.Member
	for range 32 {
		members = append(members, job.Member{Slots: 8, Speed: 1})
	}
	o, m := roster(members...), testManifest("p00", 14_400, 60, 200)
	for b.Loop() {
		Layout(o, m)
	}
}
