// SPDX-License-Identifier: MIT

package scheduler

import (
	"testing"

	"meshnode/job"
)

// Another equal peer never makes a job longer, and n of them are at most n times
// as quick as one.
func TestMakespan(t *testing.T) {
	m := testManifest("p00", 60, 60, 1)
	if got := Makespan(roster(), m); got != 0 {
		t.Errorf("nobody takes %v s", got)
	}
	one := Makespan(roster(job.Member{Slots: 2, Speed: 10}), m)
	last := one
	for n := 2; n <= 16; n++ {
		members := make([]job.Member, n)
		for i := range members {
			members[i] = job.Member{Slots: 2, Speed: 10}
		}
		got := Makespan(roster(members...), m)
		if got > last*1.0001 || got < one/float64(n) {
			t.Errorf("%d peers take %.2f s, %d take %.2f s, one takes %.2f s", n, got, n-1, last, one)
		}
		last = got
	}
}
