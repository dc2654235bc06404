// SPDX-License-Identifier: MIT

package p2p

import (
	"fmt"
	"testing"

	"github.com/libp2p/go-libp2p/core/network"
	ma "github.com/multiformats/go-multiaddr"
)

// Two hundred nodes get in wherever a LAN may be: from one address behind a
// NAT, from one IPv4 /24, from one IPv6 /56, at once.
func TestLimitsAdmitALAN(t *testing.T) {
	for _, format := range []string{
		"/ip4/192.168.1.2/tcp/%d", "/ip4/198.51.100.2/tcp/%d",
		"/ip6/2001:db8::2/tcp/%d", "/ip6/2001:db8::%x/tcp/1", "/ip6/fd00::2/tcp/%d", "/ip4/10.0.0.%d/tcp/1",
	} {
		m, err := newResourceManager()
		if err != nil {
			t.Fatal(err)
		}
		for i := range 200 {
			c, err := m.OpenConnection(network.DirInbound, true, ma.StringCast(fmt.Sprintf(format, i+1)))
			if err != nil {
				t.Errorf("connection %d of %s: %v", i, format, err)
				break
			}
			id, err := newTestID()
			if err != nil {
				t.Fatal(err)
			}
			if err := c.SetPeer(id); err != nil {
				t.Errorf("peer %d of %s: %v", i, format, err)
				break
			}
		}
		m.Close()
	}
}
