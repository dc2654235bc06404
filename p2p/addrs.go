// SPDX-License-Identifier: MIT

package p2p

import (
	"net"
	"net/netip"
	"slices"
	"strconv"

	ma "github.com/multiformats/go-multiaddr"
)

// ipPort takes apart an address of the form /ip4|ip6/…/tcp/…; of any other it
// returns zero values.
func ipPort(a ma.Multiaddr) (netip.Addr, int) {
	if len(a) != 2 || a[1].Protocol().Code != ma.P_TCP {
		return netip.Addr{}, 0
	}
	if code := a[0].Protocol().Code; code != ma.P_IP4 && code != ma.P_IP6 {
		return netip.Addr{}, 0
	}
	ip, err := netip.ParseAddr(a[0].Value())
	if err != nil {
		return netip.Addr{}, 0
	}
	port, err := strconv.Atoi(a[1].Value())
	if err != nil {
		return netip.Addr{}, 0
	}
	return ip, port
}

// tcpAddr is the reverse of ipPort.
func tcpAddr(ip netip.Addr, port int) ma.Multiaddr {
	proto := "/ip6/"
	if ip.Is4() {
		proto = "/ip4/"
	}
	return ma.StringCast(proto + ip.String() + "/tcp/" + strconv.Itoa(port))
}

// netInterface is a network interface that is up, with its addresses.
type netInterface struct {
	net.Interface
	prefixes []netip.Prefix // each with the host's address, not masked
}

// netInterfaces asks the system each time: libp2p's own answer may be a minute
// old. Link-local IPv6 addresses are left out, they mean nothing elsewhere.
func netInterfaces() []netInterface {
	all, err := net.Interfaces()
	if err != nil {
		return nil
	}
	var up []netInterface
	for _, ifi := range all {
		if ifi.Flags&net.FlagUp == 0 {
			continue
		}
		addrs, err := ifi.Addrs()
		if err != nil {
			continue
		}
		n := netInterface{Interface: ifi}
		for _, a := range addrs {
			prefix, err := netip.ParsePrefix(a.String())
			if err != nil {
				continue
			}
			if ip := prefix.Addr(); !(ip.Is6() && ip.IsLinkLocalUnicast()) {
				n.prefixes = append(n.prefixes, prefix)
			}
		}
		if len(n.prefixes) > 0 {
			up = append(up, n)
		}
	}
	return up
}

// expand turns the addresses listened on into addresses to dial: those of the
// interfaces, IPv4 first.
func expand(listening []ma.Multiaddr, interfaces []netInterface) []ma.Multiaddr {
	var found []netip.AddrPort
	for _, a := range listening {
		ip, port := ipPort(a)
		switch {
		case !ip.IsValid():
		case !ip.IsUnspecified():
			found = append(found, netip.AddrPortFrom(ip, uint16(port)))
		default:
			for _, n := range interfaces {
				for _, own := range n.prefixes {
					if own.Addr().Is4() == ip.Is4() {
						found = append(found, netip.AddrPortFrom(own.Addr(), uint16(port)))
					}
				}
			}
		}
	}
	slices.SortFunc(found, netip.AddrPort.Compare) // IPv4 sorts first
	found = slices.Compact(found)
	var addrs []ma.Multiaddr
	for _, a := range found {
		addrs = append(addrs, tcpAddr(a.Addr(), int(a.Port())))
	}
	return withoutLoopback(addrs)
}

// withoutLoopback drops addresses that only this machine can dial, unless
// there are no others.
func withoutLoopback(addrs []ma.Multiaddr) []ma.Multiaddr {
	isLoopback := func(a ma.Multiaddr) bool { ip, _ := ipPort(a); return ip.IsLoopback() }
	if others := slices.DeleteFunc(slices.Clone(addrs), isLoopback); len(others) > 0 {
		return others
	}
	return addrs
}
