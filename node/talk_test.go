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
	heard := 0
	for range 1000 { // at once
		if k.may("a", job.KindProgress, now) {
			heard++
		}
	}
	if heard != 16 {
		t.Errorf("%d at once are heard", heard)
	}
	if !k.may("b", job.KindProgress, now) || !k.may("a", job.KindCall, now) || !k.may("a", job.KindClaim, now) {
		t.Error("others, or other things, are not heard")
	}
	for second := range 60 { // what an honest node says, and twice as much
		for i := range 3 {
			if at := now.Add(time.Minute + time.Duration(second)*time.Second + time.Duration(i)*time.Second/3); !k.may("a", job.KindProgress, at) {
				t.Fatalf("not heard after %v", at.Sub(now))
			}
		}
	}
	for i := range 10 * maxTalkers {
		k.may(job.PeerID(fmt.Sprint(i)), job.KindProgress, now)
	}
	if len(k.of) > maxTalkers {
		t.Errorf("%d are measured", len(k.of))
	}
}
