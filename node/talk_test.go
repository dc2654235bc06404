// SPDX-License-Identifier: MIT

package node

import (
	"fmt"
	"testing"
	"time"

	"meshnode/job"
)

func TestTalk(t *testing.T) {
	var k talk
	now := time.Unix(1000, 0)
	heard := func(from job.PeerID, m job.Message) (n int) {
		for range 1000 { // at once
			if k.may(from, m, now) {
				n++
			}
		}
		return n
	}
	for _, c := range []struct {
		say  job.Message
		want int
	}{
		{&job.Progress{}, 16}, {&job.Call{}, 64}, {&job.Offer{}, 16}, {&job.Split{}, 64}, {&job.Pull{}, 64}, {&job.Done{}, 1000},
	} {
		if n := heard("a", c.say); n != c.want {
			t.Errorf("of a %T %d at once are heard; want %d", c.say, n, c.want)
		}
	}
	if !k.may("b", &job.Progress{}, now) {
		t.Error("others are not heard")
	}
	for second := range 60 { // what an honest node says, and twice as much
		for i := range 3 {
			if at := now.Add(time.Minute + time.Duration(second)*time.Second + time.Duration(i)*time.Second/3); !k.may("a", &job.Progress{}, at) {
				t.Fatalf("not heard after %v", at.Sub(now))
			}
		}
	}
	for i := range 10 * maxTalkers {
		k.may(job.PeerID(fmt.Sprint(i)), &job.Progress{Held: held(1)}, now)
	}
	if len(k.of) > maxTalkers {
		t.Errorf("%d are measured", len(k.of))
	}
}

// held says that a peer has so many cells left, of one job or of several.
func held(cells uint32) (h []job.Held) {
	for ; cells > 0; cells -= min(cells, job.MaxCells) {
		h = append(h, job.Held{Left: job.Ranges{{A: 0, B: min(cells, job.MaxCells)}}})
	}
	return h
}

// TestTalkOfCells: who names many cells is heard less often, however he names them; whose
// film is large is heard often enough, that its claims last.
func TestTalkOfCells(t *testing.T) {
	now := time.Unix(1000, 0)
	all := job.Range{A: 0, B: job.MaxCells}
	for _, say := range []job.Message{
		&job.Claim{Range: all}, &job.Released{Range: all}, &job.Collected{Cells: job.Ranges{all}}, &job.Progress{Held: held(job.MaxCells)},
	} {
		var k talk
		k.connects("a", true)
		n := 0
		for i := range 6000 { // 100 a second
			if k.may("a", say, now.Add(time.Duration(i)*10*time.Millisecond)) {
				n++
			}
		}
		if n > 70 {
			t.Errorf("in a minute %d of %T are heard that name 100,000 cells", n, say)
		}
		if !k.may("b", say, now) {
			t.Errorf("one that names as many as another one, %T, is not heard", say)
		}
	}

	var k talk
	var last time.Duration
	for i := range 600 { // the largest job, and after its end all that can be open
		at := time.Duration(i) * time.Second
		cells := uint32(job.MaxCells)
		if i >= 300 {
			cells = job.MaxLeft
		}
		if k.may("a", &job.Progress{Held: held(cells)}, now.Add(at)) {
			last = at
		}
		if silent := at - last; i < 300 && silent > 0 || silent > 4*time.Second {
			t.Fatalf("a Progress of %d cells is not heard for %v", cells, silent)
		}
	}
}

// TestTalkOfStrangers: keys that cost nothing are heard no more than a few peers, and are
// no reason not to hear those that are connected.
func TestTalkOfStrangers(t *testing.T) {
	var k talk
	k.connects("a", true)
	now := time.Unix(1000, 0)
	claim := &job.Claim{Range: job.Range{A: 0, B: job.MaxCells}}
	n := 0
	for i := range 6000 {
		at := now.Add(time.Duration(i) * 10 * time.Millisecond)
		if k.may(job.PeerID(fmt.Sprint("key", i)), claim, at) {
			n++
		}
		if i%100 == 0 && !k.may("a", claim, at) {
			t.Fatal("a connected peer is not heard")
		}
	}
	if n > 260 {
		t.Errorf("in a minute %d claims of 100,000 cells are heard, each with another key", n)
	}
	k.connects("a", false)
	if len(k.connected) > 0 {
		t.Error("who has left is taken for connected")
	}
}
