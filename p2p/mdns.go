// SPDX-License-Identifier: MIT

package p2p

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net"
	"slices"
	"strings"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/zeroconf/v2"
	ma "github.com/multiformats/go-multiaddr"
)

// Timers and limits of discovery.
const (
	pollInterval  = time.Second      // between looks at the interfaces
	renewInterval = 10 * time.Minute // after which everything is announced anew
	aloneInterval = 15 * time.Second // between questions of a node that has found nobody
	sleepGap      = 20 * time.Second // by which the wall clock must have jumped to say that the machine slept
	recordTTL     = 120              // seconds; an answer is taken as new after it
	maxAnnounced  = 8                // addresses in an announcement, so that it fits one packet
	maxHeardTexts = 16               // texts of an answer that are looked at
	maxHeard      = 4096             // answers, and
	maxHeardBytes = 8 << 20          // bytes of them, that zeroconf is let keep,
	floodPause    = 10 * time.Second // and for how long none are heard after that
	addrText      = "dnsaddr="       // as libp2p's own discovery writes them
)

// discovery finds nodes of the same mesh by mDNS and keeps doing so whatever
// happens to the network interfaces. It uses zeroconf directly: libp2p's
// service neither retries nor browses where one of IPv4 and IPv6 is missing.
type discovery struct {
	service string // from serviceName
	self    peer.ID
	quiet   bool                  // only watch the interfaces
	addrs   func() []ma.Multiaddr // to announce
	found   func(peer.AddrInfo)   // called for each answer; may be called again
	alone   func() bool           // whether to keep asking
	changed func()                // called when the network changed or the machine slept
}

// serviceName derives the mDNS service from the name of a mesh, or from its
// secret: that of a private mesh tells nobody its name. A service name has at
// most 15 characters.
func serviceName(mesh Mesh) string {
	sum := sha256.Sum256([]byte("meshnode/1 mdns\x00" + mesh.Name))
	if mesh.Private() {
		sum = [sha256.Size]byte(mesh.derive("mdns"))
	}
	return "_mn" + hex.EncodeToString(sum[:6]) + "._udp"
}

// run discovers until ctx ends.
func (d *discovery) run(ctx context.Context) {
	poll := time.NewTicker(pollInterval)
	defer poll.Stop()
	var current *announcement
	defer func() { current.close() }()
	var seen string
	last := time.Now()
	for first := true; ; first = false {
		now := time.Now()
		slept := now.Round(0).Sub(last.Round(0)) > now.Sub(last)+sleepGap || now.Sub(last) > sleepGap
		last = now
		interfaces := netInterfaces()
		state := fingerprint(interfaces)
		if !first && (state != seen || slept) {
			d.changed()
		}
		if state != seen || slept || current.age(now) > renewInterval {
			seen = state
			current.close()
			current = nil
		}
		if current == nil && !d.quiet {
			current = d.announce(ctx, interfaces) // nil if that failed: tried again at the next look
		}
		select {
		case <-poll.C:
		case <-ctx.Done():
			return
		}
	}
}

func fingerprint(interfaces []netInterface) string {
	var b strings.Builder
	for _, n := range interfaces {
		fmt.Fprintln(&b, n.Index, n.Name, n.Flags, n.prefixes) // the flags tell whether there is a carrier
	}
	return b.String()
}

// announcement is a responder and a browser on a given set of interfaces.
type announcement struct {
	server *zeroconf.Server
	since  time.Time
	stop   context.CancelFunc
	done   chan struct{} // closed when browsing has ended
}

// announce returns nil when the interfaces do not let it.
func (d *discovery) announce(ctx context.Context, interfaces []netInterface) *announcement {
	interfaces = slices.DeleteFunc(interfaces, func(n netInterface) bool { return n.Flags&net.FlagMulticast == 0 })
	addrs := d.addrs()
	addrs = addrs[:min(len(addrs), maxAnnounced)]
	if len(addrs) == 0 || len(interfaces) == 0 {
		return nil
	}
	var texts, ips []string
	for _, full := range fullAddrs(d.self, addrs) {
		texts = append(texts, addrText+full)
	}
	for _, a := range addrs {
		ip, _ := ipPort(a)
		ips = append(ips, ip.String())
	}
	_, port := ipPort(addrs[0])
	var raw []net.Interface
	for _, n := range interfaces {
		raw = append(raw, n.Interface)
	}
	// A new instance name each time: others would take the old one for known.
	instance := strings.ToLower(rand.Text())
	server, err := zeroconf.RegisterProxy(instance, d.service, "local", port, instance, ips[:1], texts, raw, zeroconf.TTL(recordTTL))
	if err != nil {
		return nil
	}
	ctx, stop := context.WithCancel(ctx)
	a := &announcement{server: server, since: time.Now(), stop: stop, done: make(chan struct{})}
	go func() {
		defer close(a.done)
		for ctx.Err() == nil {
			d.browse(ctx, interfaces, raw)
		}
	}()
	return a
}

// age is how long ago it was made; zero for nil.
func (a *announcement) age(now time.Time) time.Duration {
	if a == nil {
		return 0
	}
	return now.Sub(a.since)
}

func (a *announcement) close() {
	if a == nil {
		return
	}
	a.stop()
	a.server.Shutdown()
	<-a.done
}

// browse asks for nodes, and then listens and asks ever less often. It returns
// when it is time to start over.
func (d *discovery) browse(parent context.Context, interfaces []netInterface, raw []net.Interface) {
	ctx, cancel := context.WithCancel(parent)
	defer cancel()
	entries := make(chan *zeroconf.ServiceEntry, 64)
	ended := make(chan error, 1)
	go func() {
		ended <- zeroconf.Browse(ctx, d.service, "local", entries,
			zeroconf.SelectIfaces(raw), zeroconf.SelectIPTraffic(families(interfaces)))
	}()
	again := time.NewTicker(aloneInterval)
	defer again.Stop()
	var kept answers
	for {
		select {
		case e, ok := <-entries:
			switch {
			case !ok:
				entries = nil
			case kept.add(e):
				d.hear(e)
			default:
				cancel()
			}
		case <-again.C:
			if d.alone() {
				cancel()
			}
		case err := <-ended:
			switch {
			case kept.full:
				pause(parent, floodPause)
			case err != nil: // it could not even start: not at once again
				pause(parent, pollInterval)
			}
			return
		}
	}
}

func pause(ctx context.Context, d time.Duration) {
	select {
	case <-time.After(d):
	case <-ctx.Done():
	}
}

// answers counts what zeroconf keeps while it browses: each answer for as long as its
// sender has asked for. Anybody on the network can send them, also where the mesh is
// private; they are let go by browsing anew.
type answers struct {
	count, bytes int
	full         bool
}

// add returns false once there are too many.
func (a *answers) add(e *zeroconf.ServiceEntry) bool {
	const entry, text, addr = 512, 16, 32 // what holds them
	a.count++
	a.bytes += entry + len(e.Instance) + len(e.HostName) + addr*(len(e.AddrIPv4)+len(e.AddrIPv6))
	for _, s := range e.Text {
		a.bytes += text + len(s)
	}
	a.full = a.full || a.count > maxHeard || a.bytes > maxHeardBytes
	return !a.full
}

// families are the IP versions that the interfaces have: zeroconf fails if it
// is asked for one that none has.
func families(interfaces []netInterface) zeroconf.IPType {
	var t zeroconf.IPType
	for _, n := range interfaces {
		for _, own := range n.prefixes {
			if own.Addr().Is4() {
				t |= zeroconf.IPv4
			} else {
				t |= zeroconf.IPv6
			}
		}
	}
	return t
}

// hear reports the addresses of an answer. Anybody on the network can send
// one: they are hints, the dial proves who is there.
func (d *discovery) hear(e *zeroconf.ServiceEntry) {
	var addrs []ma.Multiaddr
	for _, text := range e.Text[:min(len(e.Text), maxHeardTexts)] {
		if s, ok := strings.CutPrefix(text, addrText); ok {
			if a, err := ma.NewMultiaddr(s); err == nil {
				addrs = append(addrs, a)
			}
		}
	}
	infos, err := peer.AddrInfosFromP2pAddrs(addrs...)
	if err != nil {
		return
	}
	for _, info := range infos {
		if info.ID != d.self {
			d.found(info)
		}
	}
}
