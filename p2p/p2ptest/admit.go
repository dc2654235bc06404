// SPDX-License-Identifier: MIT

package p2ptest

import (
	"errors"
	"slices"
	"testing"
	"time"

	"meshnode/job"
	"meshnode/p2p"
)

// testAdmit: whoever is not admitted any more leaves, does not come back by
// himself, and is not heard through others either, until he is admitted again.
func testAdmit(t *testing.T, build Factory) {
	a, b, c := line(t, build)
	retry(t, a, c, "before")
	c.Admit(func(id job.PeerID) bool { return id != a.Self() })
	must(t, a.Publish(within(t, patience), p2p.Work, []byte("meanwhile")))
	b.hears(message{p2p.Work, a.Self(), "meanwhile"})
	retry(t, b, c, "after that") // so that the one before it had its time
	if slices.Contains(c.heard(), message{p2p.Work, a.Self(), "meanwhile"}) {
		t.Error("heard through another peer")
	}

	b.Admit(func(id job.PeerID) bool { return id != a.Self() })
	b.sees(p2p.Left, a.Self(), nil)
	a.sees(p2p.Left, b.Self(), nil)
	if err := a.Connect(within(t, 2*time.Second), b.Addrs()[0]); err == nil {
		t.Error("connected to who does not admit it")
	}
	if err := b.Connect(within(t, 2*time.Second), a.Addrs()[0]); !errors.Is(err, p2p.ErrUnreachable) {
		t.Errorf("connecting to who is not admitted: %v", err)
	}
	if slices.ContainsFunc(b.Peers(), func(p p2p.Peer) bool { return p.ID == a.Self() }) {
		t.Error("it is a peer again")
	}

	b.Admit(nil)
	must(t, b.Connect(within(t, patience), a.Addrs()[0]))
}
