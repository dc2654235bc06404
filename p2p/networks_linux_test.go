// SPDX-License-Identifier: MIT

package p2p_test

import (
	"os/exec"
	"syscall"
	"testing"
	"time"

	"meshnode/job"
	"meshnode/p2p"
)

// Networks as people have them, beside those that mdns_linux_test.go has: each test is
// a few computers on a bridge, or two, that must find each other and keep each other.
func TestNetworks(t *testing.T) {
	if testing.Short() {
		t.Skip("takes half a minute")
	}
	if !inNamespace(t) {
		return
	}
	for name, test := range map[string]func(*testing.T){
		"link-local only":             linkLocalOnly,
		"IPv6 only":                   ipv6Only,
		"two subnets":                 twoSubnets,
		"the same bridge on everyone": sameBridgeOnEveryone,
		"no multicast":                noMulticast,
		"MTU 1280":                    smallPackets,
		"an address that changes":     otherAddress,
		"suspend and wake":            suspended,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t)
		})
	}
}

// joining is how long computers in an odd network may take to find each other.
const joining = 30 * time.Second

// joined waits until a node has joined with all of these.
func (n *lanNode) joined(peers ...job.PeerID) {
	n.t.Helper()
	missing := make(map[job.PeerID]bool)
	for _, p := range peers {
		missing[p] = true
	}
	for len(missing) > 0 {
		r := n.next(p2p.Joined, joining)
		delete(missing, r.Peer)
		n.t.Logf("joined %v after start", r.After.Round(time.Millisecond))
	}
}

// asks fails the test unless a peer answers the largest request.
func (n *lanNode) asks(peer job.PeerID) {
	n.t.Helper()
	n.tell("ask " + string(peer))
	if r := n.next(asked, joining); r.Err != "" {
		n.t.Errorf("asked: %s", r.Err)
	}
}

// Two computers with a cable between them, and nobody who gives out addresses: they
// have chosen some themselves.
func linkLocalOnly(t *testing.T) {
	l := newLAN(t, "local")
	a, b := l.add("169.254.7.1/16"), l.add("169.254.9.2/16")
	one, other := a.begin(), b.begin()
	a.joined(other.Self)
	b.joined(one.Self)
	a.asks(other.Self)
}

// No IPv4 at all.
func ipv6Only(t *testing.T) {
	l := newLAN(t, "six")
	a, b := l.add("fd00:6::1/64"), l.add("fd00:6::2/64")
	for _, n := range l.nodes {
		n.ip("addr", "del", "127.0.0.1/8", "dev", "lo")
	}
	one, other := a.begin(), b.begin()
	a.joined(other.Self)
	b.joined(one.Self)
	a.asks(other.Self)
}

// A computer with a leg in each of two subnets joins with those in both. They know of
// each other by it, and do not reach each other.
func twoSubnets(t *testing.T) {
	left, right := newLAN(t, "left"), newLAN(t, "right")
	a, b, both := left.add("10.2.1.1/24"), right.add("10.2.2.1/24"), left.add("10.2.1.9/24")
	right.plug(both, "eth1", "10.2.2.9/24")
	one, other, middle := a.begin(), b.begin(), both.begin()
	both.joined(one.Self, other.Self)
	a.joined(middle.Self)
	b.joined(middle.Self)
	a.asks(middle.Self)
	b.asks(middle.Self)
}

// Every computer that runs containers has a bridge of its own with the same address, and
// many have a tunnel that leads elsewhere. Neither is mistaken for a way to others.
func sameBridgeOnEveryone(t *testing.T) {
	l := newLAN(t, "plain")
	a, b := l.add("10.3.0.1/24"), l.add("10.3.0.2/24")
	for _, n := range l.nodes {
		n.ip("link", "add", "docker0", "type", "bridge")
		n.ip("link", "set", "docker0", "up")
		n.ip("addr", "add", "172.17.0.1/16", "dev", "docker0")
		n.ip("link", "add", "tun0", "type", "veth", "peer", "name", "tunnel")
		n.ip("link", "set", "tunnel", "up")
		n.ip("link", "set", "tun0", "up", "multicast", "off")
		n.ip("addr", "add", "10.8.0.2/24", "dev", "tun0")
	}
	one, other := a.begin(), b.begin()
	a.joined(other.Self)
	b.joined(one.Self)
	a.asks(other.Self)
}

// A wireless network that keeps multicast from going between its guests: nobody is
// found by mDNS. One address, given once, is enough for three.
func noMulticast(t *testing.T) {
	l := newLAN(t, "guest")
	a, b, c := l.add("10.4.0.1/24"), l.add("10.4.0.2/24"), l.add("10.4.0.3/24")
	for _, n := range l.nodes {
		if out, err := exec.Command("bridge", "link", "set", "dev", n.port, "mcast_flood", "off").CombinedOutput(); err != nil {
			t.Skipf("bridge: %v: %s", err, out)
		}
	}
	one := a.begin()
	other := b.begin()
	select {
	case r := <-a.reports:
		t.Fatalf("found without multicast: %+v", r)
	case <-time.After(3 * time.Second):
	}
	b.tell("stop")
	other = b.begin(one.Addrs[0])
	a.joined(other.Self)
	b.joined(one.Self)
	third := c.begin(one.Addrs[0])
	c.joined(one.Self, other.Self) // the second is told of by the first
	b.joined(third.Self)
}

// A path that takes no more than IPv6 asks for.
func smallPackets(t *testing.T) {
	l := newLAN(t, "small")
	a, b := l.add("10.5.0.1/24", "fd00:5::1/64"), l.add("10.5.0.2/24", "fd00:5::2/64")
	for _, n := range l.nodes {
		n.ip("link", "set", "eth0", "mtu", "1280")
		ip(t, "link", "set", n.port, "mtu", "1280")
	}
	one, other := a.begin(), b.begin()
	a.joined(other.Self)
	b.joined(one.Self)
	a.asks(other.Self)
	b.asks(one.Self)
}

// The router gives a computer another address, on a link that stays up. Its connections
// die silently; it is found again.
func otherAddress(t *testing.T) {
	l := newLAN(t, "lease")
	a, b := l.add("10.6.0.1/24"), l.add("10.6.0.2/24")
	for _, n := range l.nodes {
		n.ip("link", "set", "eth0", "addrgenmode", "none") // else they would keep in touch by IPv6
		n.ip("addr", "flush", "dev", "eth0", "scope", "link")
	}
	one, other := a.begin(), b.begin()
	a.joined(other.Self)
	b.joined(one.Self)
	changed := time.Now()
	b.ip("addr", "del", "10.6.0.2/24", "dev", "eth0")
	b.ip("addr", "add", "10.6.0.77/24", "dev", "eth0")
	a.asksUntil(other.Self)
	b.asksUntil(one.Self)
	t.Logf("in touch again %v after the change", time.Since(changed).Round(time.Millisecond))
}

// asksUntil asks a peer until it answers.
func (n *lanNode) asksUntil(peer job.PeerID) {
	n.t.Helper()
	for end := time.Now().Add(2 * joining); ; time.Sleep(200 * time.Millisecond) {
		n.tell("ask " + string(peer))
		r := n.next(asked, joining)
		if r.Err == "" {
			return
		}
		if time.Now().After(end) {
			n.t.Fatalf("asked: %s", r.Err)
		}
	}
}

// A computer sleeps for longer than its peers wait, and wakes.
func suspended(t *testing.T) {
	l := newLAN(t, "sleep")
	a, b := l.add("10.7.0.1/24"), l.add("10.7.0.2/24")
	one, other := a.begin(), b.begin()
	a.joined(other.Self)
	b.joined(one.Self)
	if err := syscall.Kill(b.pid, syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	stopped := time.Now()
	a.next(p2p.Left, 60*time.Second)
	t.Logf("missed after %v", time.Since(stopped).Round(time.Millisecond))
	if err := syscall.Kill(b.pid, syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	woken := time.Now()
	a.joined(other.Self)
	a.asks(other.Self)
	b.asks(one.Self)
	t.Logf("back %v after it woke", time.Since(woken).Round(time.Millisecond))
}
