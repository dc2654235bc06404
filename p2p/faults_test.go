// SPDX-License-Identifier: MIT

package p2p

import (
	"slices"
	"testing"
	"time"

	"meshnode/job"
)

func TestFaultsNone(t *testing.T) {
	f := NewFaults(1)
	for range 100 {
		if got := f.Deliveries("a", "b", 1000); !slices.Equal(got, []time.Duration{0}) {
			t.Fatalf("deliveries %v", got)
		}
	}
}

func TestFaultsRepeat(t *testing.T) {
	run := func(seed uint64) (all []time.Duration) {
		f := NewFaults(seed)
		f.Loss, f.Duplicate, f.Straggle, f.MaxDelay = 0.1, 0.1, 0.1, time.Second
		for range 1000 {
			all = append(all, f.Deliveries("a", "b", 1)...)
			d, _ := f.Stream("a", "b", 1)
			all = append(all, d)
		}
		return all
	}
	if !slices.Equal(run(7), run(7)) {
		t.Error("one seed, two histories")
	}
	if slices.Equal(run(7), run(8)) {
		t.Error("two seeds, one history")
	}
}

// Over many messages each fault is as frequent as it was asked to be.
func TestFaultsRates(t *testing.T) {
	const n = 20_000
	f := NewFaults(3)
	f.Loss, f.Duplicate, f.MinDelay, f.MaxDelay, f.Rate = 0.2, 0.1, 10*time.Millisecond, 30*time.Millisecond, 1000
	var lost, doubled, overtaken int
	last := time.Duration(0)
	for range n {
		d := f.Deliveries("a", "b", 5) // 5 ms at the rate
		switch len(d) {
		case 0:
			lost++
		case 2:
			doubled++
		}
		for _, delay := range d {
			if delay < 15*time.Millisecond || delay > 35*time.Millisecond {
				t.Fatalf("delay %v", delay)
			}
			if delay < last {
				overtaken++
			}
			last = delay
		}
	}
	within := func(what string, got int, want float64) {
		if share := float64(got) / n; share < want*0.9 || share > want*1.1 {
			t.Errorf("%s: %.3f, want %.3f", what, share, want)
		}
	}
	within("lost", lost, 0.2)
	within("doubled", doubled, 0.08)
	if overtaken == 0 {
		t.Error("nothing is ever reordered")
	}
	if _, ok := f.Stream("a", "b", 5); !ok {
		t.Error("a stream loses")
	}
}

func TestFaultsPartition(t *testing.T) {
	f := NewFaults(1)
	through := func(from, to job.PeerID) bool {
		_, ok := f.Stream(from, to, 1)
		if (len(f.Deliveries(from, to, 1)) > 0) != ok {
			t.Fatalf("%s to %s: messages and streams differ", from, to)
		}
		return ok
	}
	f.Partition([]job.PeerID{"a", "b"}, []job.PeerID{"c"})
	for _, tc := range []struct {
		from, to job.PeerID
		want     bool
	}{{"a", "b", true}, {"a", "c", false}, {"c", "a", false}, {"d", "e", true}, {"d", "a", false}, {"e", "c", false}} {
		if through(tc.from, tc.to) != tc.want || f.Cut(tc.from, tc.to) == tc.want {
			t.Errorf("%s to %s: through %v", tc.from, tc.to, !tc.want)
		}
	}
	f.Partition()
	if !through("a", "c") {
		t.Error("an empty partition parts")
	}
	f.Clog("a", "b")
	if through("a", "b") || !through("b", "a") || f.Cut("a", "b") {
		t.Error("clogged: one direction only, and no cut")
	}
	f.Unclog("a", "b")
	f.Clog("b", "a")
	f.Heal()
	if !through("a", "b") || !through("b", "a") {
		t.Error("not healed")
	}
}
