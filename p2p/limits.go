// SPDX-License-Identifier: MIT

package p2p

import (
	"fmt"
	"net/netip"

	"github.com/libp2p/go-libp2p/core/network"
	rcmgr "github.com/libp2p/go-libp2p/p2p/host/resource-manager"
	"github.com/libp2p/go-libp2p/x/rate"
)

// Limits on connections, for a mesh of up to about 200 nodes that all sit in
// one subnet. libp2p's own are made for public nodes: eight connections from
// one IPv4 address or IPv6 /56, and a new one every five seconds.
const (
	maxConns     = 512 // two of each peer for a moment, when both dial at once
	maxPeerConns = 8
	// From one public IPv4 address or IPv6 /56, new connections per second.
	// From the networks of homes and offices they are not counted.
	publicConnRate  = 50
	publicConnBurst = 256
)

// localNetworks are those of homes and offices, and this machine.
var localNetworks = []netip.Prefix{
	netip.MustParsePrefix("127.0.0.0/8"),
	netip.MustParsePrefix("10.0.0.0/8"),
	netip.MustParsePrefix("172.16.0.0/12"),
	netip.MustParsePrefix("192.168.0.0/16"),
	netip.MustParsePrefix("169.254.0.0/16"), // link-local
	netip.MustParsePrefix("100.64.0.0/10"),  // carriers, and overlays such as Tailscale
	netip.MustParsePrefix("::1/128"),
	netip.MustParsePrefix("fc00::/7"),  // unique local
	netip.MustParsePrefix("fe80::/10"), // link-local
}

// newResourceManager bounds what all peers together and each of them can make
// libp2p hold. The limits do not depend on the machine.
func newResourceManager() (network.ResourceManager, error) {
	const mib = 1 << 20
	streams := func(n rcmgr.LimitVal) rcmgr.ResourceLimits {
		return rcmgr.ResourceLimits{Streams: n, StreamsInbound: n, StreamsOutbound: n}
	}
	all := func(conns, n rcmgr.LimitVal, memory rcmgr.LimitVal64) rcmgr.ResourceLimits {
		l := streams(n)
		l.Conns, l.ConnsInbound, l.ConnsOutbound, l.FD, l.Memory = conns, conns, conns, conns, memory
		return l
	}
	limits := rcmgr.PartialLimitConfig{
		System:              all(maxConns, 16_384, 1024*mib),
		Transient:           all(256, 2_048, 128*mib), // not yet known who it is, or what for
		ServiceDefault:      streams(8_192),
		ServicePeerDefault:  streams(128),
		ProtocolDefault:     streams(8_192),
		ProtocolPeerDefault: streams(128),
		PeerDefault:         all(maxPeerConns, 256, 128*mib),
	}.Build(rcmgr.DefaultLimits.Scale(1024*mib, maxConns))

	var v4, v6 []rcmgr.NetworkPrefixLimit
	connRate := &rate.Limiter{SubnetRateLimiter: rate.SubnetLimiter{
		IPv4SubnetLimits: []rate.SubnetLimit{{PrefixLength: 32, Limit: rate.Limit{RPS: publicConnRate, Burst: publicConnBurst}}},
		IPv6SubnetLimits: []rate.SubnetLimit{{PrefixLength: 56, Limit: rate.Limit{RPS: publicConnRate, Burst: publicConnBurst}}},
	}}
	for _, prefix := range localNetworks {
		limit := rcmgr.NetworkPrefixLimit{Network: prefix, ConnCount: maxConns}
		if prefix.Addr().Is4() {
			v4 = append(v4, limit)
		} else {
			v6 = append(v6, limit)
		}
		connRate.NetworkPrefixLimits = append(connRate.NetworkPrefixLimits, rate.PrefixLimit{Prefix: prefix})
	}
	m, err := rcmgr.NewResourceManager(rcmgr.NewFixedLimiter(limits),
		rcmgr.WithMetricsDisabled(),
		rcmgr.WithNetworkPrefixLimit(v4, v6),
		rcmgr.WithLimitPerSubnet(
			[]rcmgr.ConnLimitPerSubnet{{PrefixLength: 32, ConnCount: maxConns}},
			[]rcmgr.ConnLimitPerSubnet{{PrefixLength: 56, ConnCount: maxConns}}),
		rcmgr.WithConnRateLimiters(connRate))
	if err != nil {
		return nil, fmt.Errorf("p2p: resource limits: %w", err)
	}
	return m, nil
}
