// SPDX-License-Identifier: MIT

package p2p

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
	ma "github.com/multiformats/go-multiaddr"
)

var bookStart = time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)

func testBook(self string) *book {
	return newBook(peer.ID(self), rand.New(rand.NewPCG(1, 2)))
}

func addrs(s ...string) (all []ma.Multiaddr) {
	for _, a := range s {
		all = append(all, ma.StringCast(a))
	}
	return all
}

func nobody(peer.ID) bool { return false }

func newTestID() (peer.ID, error) {
	key, err := randomKey()
	if err != nil {
		return "", err
	}
	return peer.IDFromPrivateKey(key)
}

// A peer that does not answer is dialed at growing intervals, each within the
// bounds that the jitter allows; an announcement brings it forward, but not
// into the past.
func TestBookBacksOff(t *testing.T) {
	b, now := testBook("self"), bookStart
	b.met("p", addrs("/ip4/10.0.0.1/tcp/1"), now)
	b.known["p"].due = now
	want := []time.Duration{1, 2, 4, 8, 16, 32, 60, 60}
	for i, w := range want {
		w *= time.Second
		ids, _ := b.due(now, nobody)
		if len(ids) != 1 {
			t.Fatalf("dial %d: due %v", i, ids)
		}
		if again, _ := b.due(now, nobody); len(again) != 0 {
			t.Fatalf("dial %d: due twice", i)
		}
		b.dialed("p", false, now)
		_, next := b.due(now, nobody)
		if wait := next.Sub(now); wait < w*4/5 || wait > w*6/5 {
			t.Errorf("dial %d: next after %v, want about %v", i, wait, w)
		}
		now = next
	}
	b.known["p"].due = now.Add(time.Minute)
	b.heard("p", addrs("/ip4/10.0.0.2/tcp/1"), now)
	if _, next := b.due(now, nobody); next.Sub(now) > 2*dialBackoff || !next.After(now) {
		t.Errorf("after an announcement: next dial after %v", next.Sub(now))
	}
	if got := fmt.Sprint(b.addrs("p")); got != "[/ip4/10.0.0.2/tcp/1 /ip4/10.0.0.1/tcp/1]" {
		t.Errorf("addresses %s", got)
	}
	b.hurry(now)
	if ids, _ := b.due(now, nobody); len(ids) != 1 {
		t.Error("not due in a hurry")
	}
}

// What anybody says of a peer's addresses does not displace those where it was met, nor
// those that the user has named; after a restart neither.
func TestBookKeepsWhatIsProven(t *testing.T) {
	b, now := testBook("self"), bookStart
	met, err := newTestID()
	if err != nil {
		t.Fatal(err)
	}
	pinned, err := newTestID()
	if err != nil {
		t.Fatal(err)
	}
	b.met(met, addrs("/ip4/10.0.0.1/tcp/1"), now)
	b.saw(met, now)
	if err := b.pin(pinned, ma.StringCast("/ip4/10.0.0.3/tcp/1"), now); err != nil {
		t.Fatal(err)
	}
	for round := range 3 {
		for i := range 3 {
			var hints []ma.Multiaddr
			for k := range maxAddrs {
				hints = append(hints, ma.StringCast(fmt.Sprintf("/ip4/203.0.%d.%d/tcp/9", i, k+1)))
			}
			b.heard(met, hints, now)
			b.heard(pinned, hints, now)
		}
		for id, addr := range map[peer.ID]string{met: "/ip4/10.0.0.1/tcp/1", pinned: "/ip4/10.0.0.3/tcp/1"} {
			if got := b.addrs(id); len(got) != maxAddrs || !slices.ContainsFunc(got, ma.StringCast(addr).Equal) {
				t.Errorf("round %d: %s is not in %v", round, addr, got)
			}
		}
		data, err := b.encode("m", 1)
		if err != nil {
			t.Fatal(err)
		}
		b = testBook("self")
		b.decode(data, "m", now)
		if err := b.pin(pinned, ma.StringCast("/ip4/10.0.0.3/tcp/1"), now); err != nil {
			t.Fatal(err)
		}
	}
}

// A peer that is named by one address again and again keeps the others.
func TestBookKeepsAllThatIsNamed(t *testing.T) {
	b, now := testBook("self"), bookStart
	for _, addr := range []string{"/ip4/10.0.0.1/tcp/1", "/ip4/10.0.0.2/tcp/1", "/ip4/10.0.0.2/tcp/1", "/ip4/10.0.0.2/tcp/1", "/ip4/10.0.0.2/tcp/1"} {
		if err := b.pin("p", ma.StringCast(addr), now); err != nil {
			t.Fatal(err)
		}
	}
	for k := range 2 * maxAddrs {
		b.heard("p", addrs(fmt.Sprintf("/ip4/203.0.113.%d/tcp/9", k+1)), now)
	}
	if got := b.addrs("p"); !slices.ContainsFunc(got, ma.StringCast("/ip4/10.0.0.1/tcp/1").Equal) {
		t.Errorf("the address that was named first is not in %v", got)
	}
}

// Invented peers do not keep one from being dialed that was there before.
func TestBookDialsWhoWasThere(t *testing.T) {
	b, now := testBook("self"), bookStart
	b.met("was", addrs("/ip4/10.0.0.1/tcp/1"), now)
	b.saw("was", now)
	b.dialed("was", false, now)
	for i := range 2 * fullMesh {
		b.heard(peer.ID(fmt.Sprint("new", i)), addrs(fmt.Sprintf("/ip4/10.9.0.1/tcp/%d", i+1)), now)
	}
	now = now.Add(2 * dialBackoff)
	if ids, _ := b.due(now, nobody); !slices.Contains(ids, "was") {
		t.Errorf("of %d known peers these are dialed: %v", len(b.known), ids)
	}
}

func TestBookForgetsWhoNeverJoined(t *testing.T) {
	b, now := testBook("self"), bookStart
	b.heard("heard", addrs("/ip4/10.0.0.1/tcp/1"), now)
	b.met("met", addrs("/ip4/10.0.0.2/tcp/1"), now)
	if err := b.pin("pinned", ma.StringCast("/ip4/10.0.0.3/tcp/1"), now); err != nil {
		t.Fatal(err)
	}
	for range giveUp {
		for id := range b.known {
			b.dialed(id, false, now)
		}
	}
	if len(b.known) != 2 || b.known["heard"] != nil {
		t.Errorf("known: %v", b.known)
	}
}

// Anybody can announce anything: the book stays bounded, and keeps the peers
// that it has met.
func TestBookIsBounded(t *testing.T) {
	b := testBook("self")
	b.met("met", addrs("/ip4/10.0.0.2/tcp/1"), bookStart)
	for i := range 2 * maxKnown {
		var many []ma.Multiaddr
		for k := range 2 * maxAddrs {
			many = append(many, ma.StringCast(fmt.Sprintf("/ip4/10.0.%d.%d/tcp/%d", i%256, k, i+1)))
		}
		b.heard(peer.ID(fmt.Sprint(i)), many, bookStart)
	}
	if len(b.known) != maxKnown || b.known["met"] == nil {
		t.Errorf("%d known", len(b.known))
	}
	for id, e := range b.known {
		if len(e.addrs) > maxAddrs {
			t.Fatalf("%s: %d addresses", id, len(e.addrs))
		}
	}
	b.heard("self", addrs("/ip4/10.0.0.2/tcp/1"), bookStart)
	if b.known["self"] != nil {
		t.Error("knows itself")
	}
}

// Keys cost nothing: those that have joined once fill the book, and it forgets them
// again, but neither who is here nor whom the user has named.
func TestBookForgetsWhoWasHereLongAgo(t *testing.T) {
	b, now := testBook("self"), bookStart
	if err := b.pin("pinned", ma.StringCast("/ip4/10.0.0.3/tcp/1"), now); err != nil {
		t.Fatal(err)
	}
	b.met("here", addrs("/ip4/10.0.0.2/tcp/1"), now)
	junk := func(i int) peer.ID { return peer.ID(fmt.Sprint("junk", i)) }
	for i := range 2 * maxKnown {
		now = now.Add(time.Second)
		b.met(junk(i), addrs(fmt.Sprintf("/ip4/10.0.0.1/tcp/%d", i+1)), now)
		b.saw(junk(i), now)
	}
	if len(b.known) != maxKnown || b.known["here"] == nil || b.known["pinned"] == nil ||
		b.known[junk(maxKnown)] != nil || b.known[junk(2*maxKnown-1)] == nil {
		t.Errorf("%d known", len(b.known))
	}
	b.heard("new", addrs("/ip4/10.0.0.4/tcp/1"), now)
	if err := b.pin("named", ma.StringCast("/ip4/10.0.0.5/tcp/1"), now); err != nil || b.known["named"] == nil {
		t.Errorf("a peer that the user names: %v", err)
	}
	b.met("joins", addrs("/ip4/10.0.0.6/tcp/1"), now)
	if b.known["joins"] == nil || len(b.known) != maxKnown {
		t.Error("who joins is not known")
	}
	data, err := b.encode("_mn1", 0)
	if err != nil || !bytes.Contains(data, []byte(peer.ID("here").String())) {
		t.Errorf("who is here is not saved: %v", err)
	}
}

// Up to fullMesh peers are all dialed; of more, partialMesh, not the same by
// everybody, and connections that are there count.
func TestBookPartialMesh(t *testing.T) {
	fill := func(b *book, n int) {
		for i := range n {
			b.heard(peer.ID(fmt.Sprint(i)), addrs(fmt.Sprintf("/ip4/10.0.0.1/tcp/%d", i+1)), bookStart)
		}
	}
	b := testBook("self")
	fill(b, fullMesh)
	if ids, _ := b.due(bookStart, nobody); len(ids) != fullMesh {
		t.Errorf("of %d peers %d are dialed", fullMesh, len(ids))
	}
	dialed := make(map[peer.ID]int)
	for i := range 50 {
		b := testBook(fmt.Sprint("node", i))
		fill(b, 2*fullMesh)
		ids, _ := b.due(bookStart, nobody)
		if len(ids) != partialMesh {
			t.Fatalf("of %d peers %d are dialed", 2*fullMesh, len(ids))
		}
		for _, id := range ids {
			dialed[id]++
			b.dialed(id, true, bookStart)
		}
		there := func(id peer.ID) bool { return id == ids[0] || id == ids[1] }
		if ids, _ := b.due(bookStart, there); len(ids) != partialMesh-2 {
			t.Errorf("with 2 connected, %d are dialed", len(ids))
		}
	}
	if len(dialed) < fullMesh {
		t.Errorf("50 nodes dial only %d of %d peers", len(dialed), 2*fullMesh)
	}
}

func TestBookSaves(t *testing.T) {
	ids := make([]peer.ID, 4)
	for i := range ids {
		var err error
		if ids[i], err = newTestID(); err != nil {
			t.Fatal(err)
		}
	}
	b := testBook("self")
	b.met(ids[0], addrs("/ip4/10.0.0.1/tcp/1", "/ip6/fd00::1/tcp/1"), bookStart)
	b.met(ids[1], addrs("/ip4/10.0.0.2/tcp/1"), bookStart.Add(-2*forgetAfter))
	b.heard(ids[2], addrs("/ip4/10.0.0.3/tcp/1"), bookStart)
	data, err := b.encode("_mn1", 4242)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := writeFile(filepath.Join(dir, bookFile), data); err != nil {
		t.Fatal(err)
	}
	again := testBook("self")
	if port := again.load(dir, "_mn1", bookStart.Add(time.Hour)); port != 4242 {
		t.Errorf("port %d", port)
	}
	if len(again.known) != 1 || fmt.Sprint(again.addrs(ids[0])) != fmt.Sprint(b.addrs(ids[0])) {
		t.Errorf("loaded %v", again.known)
	}
	moved := testBook("self")
	if port := moved.load(dir, "_mn2", bookStart.Add(time.Hour)); port != 4242 || len(moved.known) != 0 {
		t.Errorf("in another mesh: port %d, loaded %v", port, moved.known)
	}
	for _, bad := range []string{"", "{", `{"v":2}`, `{"v":1,"mesh":"_mn1","port":-1,"peers":[{"id":"x"},{"id":"` + ids[0].String() + `","seen":"2026-11-01T12:00:00Z","addrs":["x","/ip4/0.0.0.0/tcp/1","/ip4/10.0.0.1/udp/1"]}]}`} {
		if err := os.WriteFile(filepath.Join(dir, bookFile), []byte(bad), 0o600); err != nil {
			t.Fatal(err)
		}
		b := testBook("self")
		if port := b.load(dir, "_mn1", bookStart); port != 0 || len(b.known) != 0 {
			t.Errorf("from %q: port %d, %d known", bad, port, len(b.known))
		}
	}
}

func TestDialable(t *testing.T) {
	got := dialable(addrs("/ip4/0.0.0.0/tcp/1", "/ip4/10.0.0.1/tcp/0", "/ip4/10.0.0.1/udp/1", "/ip4/224.0.0.1/tcp/1",
		"/ip4/10.0.0.1/tcp/1", "/ip4/10.0.0.1/tcp/1", "/ip4/10.0.0.1/tcp/1/ws", "/dns4/example.org/tcp/1", "/ip6/fd00::1/tcp/1"))
	if fmt.Sprint(got) != "[/ip4/10.0.0.1/tcp/1 /ip6/fd00::1/tcp/1]" {
		t.Errorf("dialable: %v", got)
	}
}
