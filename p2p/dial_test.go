// SPDX-License-Identifier: MIT

package p2p

import (
	"testing"
	"time"
)

// Addresses have a head start over each other, and our own networks over the
// rest: here loopback, which every machine has.
func TestRankDials(t *testing.T) {
	got := rankDials(addrs("/ip6/2001:db8::1/tcp/1", "/ip4/192.0.2.1/tcp/1", "/ip4/127.0.0.2/tcp/1"))
	want := []string{"/ip4/127.0.0.2/tcp/1", "/ip4/192.0.2.1/tcp/1", "/ip6/2001:db8::1/tcp/1"}
	for i, d := range got {
		if d.Addr.String() != want[i] || d.Delay != time.Duration(i)*dialStagger {
			t.Errorf("%d: %s after %v, want %s", i, d.Addr, d.Delay, want[i])
		}
	}
}
