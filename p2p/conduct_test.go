// SPDX-License-Identifier: MIT

package p2p

import (
	"fmt"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
)

func TestBucket(t *testing.T) {
	var b bucket
	now := time.Now()
	take := func() (n int) {
		for b.take(1, 10, 30, now) {
			n++
		}
		return n
	}
	if n := take(); n != 30 {
		t.Errorf("a full bucket holds %d", n)
	}
	now = now.Add(time.Second)
	if n := take(); n != 10 {
		t.Errorf("%d after a second", n)
	}
	now = now.Add(time.Hour)
	if n := take(); n != 30 {
		t.Errorf("%d after an hour", n)
	}
}

func TestConductMutes(t *testing.T) {
	c, now := newConducts(), time.Now()
	for i := range faultBurst + 1 {
		if c.muted("p", now) || !c.mayPublish("p", now) {
			t.Fatalf("muted after %d faults", i)
		}
		c.fault("p", now)
	}
	if !c.muted("p", now) || c.mayPublish("p", now) {
		t.Errorf("not muted after %d faults", faultBurst+1)
	}
	if c.muted("q", now) {
		t.Error("another is muted")
	}
	now = now.Add(muteDuration + time.Second)
	if c.muted("p", now) || !c.mayPublish("p", now) {
		t.Error("muted for ever")
	}
}

func TestConductsAreBounded(t *testing.T) {
	c, now := newConducts(), time.Now()
	for i := range 3 * maxConducts {
		now = now.Add(time.Millisecond)
		c.mayPublish(peer.ID(fmt.Sprint(i)), now)
		c.mayPublish("regular", now)
	}
	if len(c.of) != maxConducts || c.of["regular"] == nil {
		t.Errorf("%d records", len(c.of))
	}
}
