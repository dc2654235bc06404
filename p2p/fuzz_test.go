// SPDX-License-Identifier: MIT

package p2p

import (
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/zeroconf/v2"

	"meshnode/job"
)

const fuzzPeer = "12D3KooWGzBk3Fhf7Pk4wGyMhnGn9ghRa5bWxSpwKuGyUXMxXnn7"

// FuzzHear: whatever an mDNS answer says, what is dialed because of it is few
// addresses of the one form.
func FuzzHear(f *testing.F) {
	f.Add("dnsaddr=/ip4/10.0.0.1/tcp/1/p2p/" + fuzzPeer)
	f.Add("dnsaddr=/ip6/fd00::1/tcp/1/p2p/" + fuzzPeer + "\ndnsaddr=/ip4/10.0.0.1/udp/1/p2p/" + fuzzPeer)
	f.Add("dnsaddr=/p2p/" + fuzzPeer + "\ndnsaddr=\n\nother=x")
	f.Add(strings.Repeat("dnsaddr=/dns4/example.org/tcp/1\n", 100))
	f.Fuzz(func(t *testing.T, texts string) {
		b := newBook("self", rand.New(rand.NewPCG(1, 1)))
		d := &discovery{self: "self", found: func(info peer.AddrInfo) { b.heard(info.ID, info.Addrs, bookStart) }}
		d.hear(&zeroconf.ServiceEntry{Text: strings.Split(texts, "\n")})
		if len(b.known) > maxHeardTexts {
			t.Errorf("%d peers of one answer", len(b.known))
		}
		for id, e := range b.known {
			if len(e.addrs) == 0 || len(e.addrs) > maxAddrs {
				t.Errorf("%s has %d addresses", id, len(e.addrs))
			}
		}
	})
}

// FuzzBook: a file of known peers, however damaged, gives few peers and addresses
// that can be dialed, and what is saved of it can be loaded again.
func FuzzBook(f *testing.F) {
	f.Add(`{"v":1,"mesh":"_mn1","port":4001,"peers":[{"id":"` + fuzzPeer + `","addrs":["/ip4/10.0.0.1/tcp/1"],"seen":"2026-11-01T12:00:00Z"}]}`)
	f.Add(`{"v":1,"mesh":"_mn1","port":-1,"peers":[{"id":"x"},{}]}`)
	f.Add("[")
	f.Fuzz(func(t *testing.T, text string) {
		b := newBook("self", rand.New(rand.NewPCG(1, 1)))
		port := b.decode([]byte(text), "_mn1", bookStart)
		if port < 0 || port > 65535 || len(b.known) > maxSaved {
			t.Errorf("port %d, %d peers", port, len(b.known))
		}
		data, err := b.encode("_mn1", port)
		if err != nil {
			t.Fatal(err)
		}
		again := newBook("self", rand.New(rand.NewPCG(1, 1)))
		if again.decode(data, "_mn1", bookStart.Add(time.Second)); len(again.known) > len(b.known) {
			t.Errorf("%d peers were saved, %d loaded", len(b.known), len(again.known))
		}
	})
}

// FuzzPeerID: a node has one name.
func FuzzPeerID(f *testing.F) {
	f.Add(fuzzPeer)
	f.Add("QmYyQSo1c1Ym7orWxLYvCrM2EmxFTANf8wXmmE7DWjhx5N")
	f.Add("bafzaajaiaejcbpltl72da5f3y7ojrtsa7hsfn5bbnkjbkwyesziqqtdry6vjilku")
	f.Fuzz(func(t *testing.T, text string) {
		id, _, err := parsePeerID(job.PeerID(text))
		if err == nil && nameOf(id) != job.PeerID(text) {
			t.Errorf("%q is %q", text, nameOf(id))
		}
	})
}
