// SPDX-License-Identifier: MIT

package p2p

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
	ma "github.com/multiformats/go-multiaddr"
)

// What the book holds, and when it dials.
const (
	maxKnown    = 1024                // peers remembered, of which
	maxSaved    = 256                 // are written to disk
	maxAddrs    = 8                   // addresses of one peer
	fullMesh    = 64                  // up to so many known peers, dial them all
	partialMesh = 24                  // beyond that, dial so many and the others on demand
	dialBackoff = time.Second         // after the first failure, doubled by each
	maxBackoff  = time.Minute         // at most
	giveUp      = 4                   // failures after which a peer that never joined is forgotten
	forgetAfter = 30 * 24 * time.Hour // a saved peer not seen for so long
	bookFile    = "peers.json"
	maxBookFile = 1 << 20 // bytes
	bookVersion = 1
)

// book is what a node knows of other nodes' addresses, and decides when to
// dial whom. It holds no lock and no clock: its owner brings both.
type book struct {
	self  peer.ID
	rng   *rand.Rand
	known map[peer.ID]*entry
	dirty bool // what is saved has changed
}

type entry struct {
	addrs    []ma.Multiaddr
	proven   []ma.Multiaddr // of addrs: where it was met, or where the user says that it is; half of maxAddrs
	pinned   bool           // named by the user: never forgotten
	joined   bool           // has been a peer of this mesh, now or in an earlier run
	here     bool           // is one now
	seen     time.Time      // when it last joined or left, by the wall clock
	due      time.Time      // when to dial it next
	failures int            // in a row
	dialing  bool
}

func newBook(self peer.ID, rng *rand.Rand) *book {
	return &book{self: self, rng: rng, known: make(map[peer.ID]*entry)}
}

// heard notes addresses that somebody announced for a peer: they are hints,
// and displace nothing that is known to work.
func (b *book) heard(id peer.ID, addrs []ma.Multiaddr, now time.Time) {
	addrs = dialable(addrs)
	if id == b.self || len(addrs) == 0 {
		return
	}
	e, ok := b.known[id]
	if !ok {
		if !b.room() {
			return
		}
		e = &entry{due: now}
		b.known[id] = e
	}
	hints := mergeAddrs(addrs[:min(len(addrs), maxAddrs-len(e.proven))], e.proven)
	if merged := mergeAddrs(hints, e.addrs); !slices.EqualFunc(merged, e.addrs, ma.Multiaddr.Equal) {
		e.addrs = merged
		b.dirty = b.dirty || e.joined
	}
	if e.failures > 0 && e.due.After(now.Add(dialBackoff)) {
		e.due = now.Add(b.jitter(dialBackoff)) // it is back; but an announcement must not make a hammer of this node
	}
}

// pin notes an address that the user gave.
func (b *book) pin(id peer.ID, addr ma.Multiaddr, now time.Time) error {
	addrs := dialable([]ma.Multiaddr{addr})
	if id == b.self || len(addrs) == 0 {
		return fmt.Errorf("p2p: %s/p2p/%s cannot be dialed: give /ip4/…/tcp/…/p2p/… of another node", addr, id)
	}
	e, ok := b.known[id]
	if !ok {
		if !b.room() {
			return fmt.Errorf("p2p: %d peers are known: too many to add one", len(b.known))
		}
		e = &entry{}
		b.known[id] = e
	}
	e.pinned, e.failures, e.due = true, 0, now
	e.addrs = mergeAddrs(addrs, e.addrs)
	e.prove(mergeAddrs(addrs, e.proven))
	return nil
}

// met notes that a peer has joined, and where it can be dialed.
func (b *book) met(id peer.ID, addrs []ma.Multiaddr, now time.Time) {
	e, ok := b.known[id]
	if !ok {
		if !b.room() {
			return
		}
		e = &entry{}
		b.known[id] = e
	}
	e.joined, e.here, e.seen, e.failures = true, true, now, 0
	if addrs = dialable(addrs); len(addrs) > 0 && !slices.EqualFunc(addrs, e.addrs, ma.Multiaddr.Equal) {
		e.addrs = addrs
	}
	e.prove(e.addrs)
	b.dirty = true
}

// prove notes where the peer is for sure, the surest first.
func (e *entry) prove(addrs []ma.Multiaddr) {
	e.proven = slices.Clone(addrs[:min(len(addrs), maxAddrs/2)])
}

// saw notes that a peer that had joined was there until now.
func (b *book) saw(id peer.ID, now time.Time) {
	if e, ok := b.known[id]; ok {
		e.here, e.seen, b.dirty = false, now, true
	}
}

// room makes place for one more entry, at the cost of one that never joined, or else of
// the one that was seen longest ago. It fails if all are pinned, here, or being dialed.
func (b *book) room() bool {
	if len(b.known) < maxKnown {
		return true
	}
	var oldest peer.ID
	var worst *entry
	for id, e := range b.known {
		switch {
		case e.pinned || e.here || e.dialing:
		case !e.joined:
			delete(b.known, id)
			return true
		case worst == nil || e.seen.Before(worst.seen):
			oldest, worst = id, e
		}
	}
	if worst == nil {
		return false
	}
	delete(b.known, oldest)
	b.dirty = true
	return true
}

// hurry makes every peer due now: the network has changed, or the machine
// slept.
func (b *book) hurry(now time.Time) {
	for _, e := range b.known {
		e.failures, e.due = 0, now
	}
}

// due returns peers to dial now, and when to ask again. The caller reports
// each by dialed. connected says who is there already.
func (b *book) due(now time.Time, connected func(peer.ID) bool) (ids []peer.ID, next time.Time) {
	next = now.Add(maxBackoff)
	present, busy := 0, 0
	var candidates []peer.ID
	for id, e := range b.known {
		switch {
		case e.dialing:
			busy++
		case connected(id):
			present++
		default:
			candidates = append(candidates, id)
		}
	}
	want := len(candidates)
	if len(b.known) > fullMesh {
		want = min(want, max(0, partialMesh-present-busy))
	}
	// First who was there once, as ids cost nothing, then who is likely to be there;
	// and each node in an order of its own, so that a partial mesh holds together.
	slices.SortFunc(candidates, func(x, y peer.ID) int {
		p, q := b.known[x], b.known[y]
		switch {
		case len(p.proven) > 0 && len(q.proven) == 0:
			return -1
		case len(q.proven) > 0 && len(p.proven) == 0:
			return 1
		}
		return cmp.Or(p.failures-q.failures, bytes.Compare(b.rank(x), b.rank(y)))
	})
	for _, id := range candidates {
		e := b.known[id]
		if len(ids) >= want {
			break
		}
		if e.due.After(now) {
			if e.due.Before(next) {
				next = e.due
			}
			continue
		}
		e.dialing = true
		ids = append(ids, id)
	}
	return ids, next
}

func (b *book) rank(id peer.ID) []byte {
	sum := sha256.Sum256([]byte(b.self + id))
	return sum[:]
}

// dialed reports how a dial went: failures count until the peer joins. One
// that never did is forgotten after some.
func (b *book) dialed(id peer.ID, ok bool, now time.Time) {
	e, known := b.known[id]
	if !known {
		return
	}
	e.dialing = false
	if ok {
		return
	}
	e.failures++
	if e.failures >= giveUp && !e.joined && !e.pinned {
		delete(b.known, id)
		return
	}
	wait := dialBackoff << min(e.failures-1, 10)
	e.due = now.Add(b.jitter(min(wait, maxBackoff)))
}

// jitter spreads a wait by a fifth to either side.
func (b *book) jitter(d time.Duration) time.Duration {
	return d*4/5 + time.Duration(b.rng.Int64N(int64(d*2/5)+1))
}

func (b *book) addrs(id peer.ID) []ma.Multiaddr {
	if e, ok := b.known[id]; ok {
		return slices.Clone(e.addrs)
	}
	return nil
}

// mergeAddrs returns fresh addresses first, then old ones, at most maxAddrs.
func mergeAddrs(fresh, old []ma.Multiaddr) []ma.Multiaddr {
	merged := slices.Clone(fresh)
	for _, a := range old {
		if !slices.ContainsFunc(merged, a.Equal) {
			merged = append(merged, a)
		}
	}
	return merged[:min(len(merged), maxAddrs)]
}

// dialable keeps addresses of the one form that nodes dial, /ip4|ip6/…/tcp/…,
// at most maxAddrs.
func dialable(addrs []ma.Multiaddr) []ma.Multiaddr {
	var kept []ma.Multiaddr
	for _, a := range addrs {
		if ip, port := ipPort(a); ip.IsValid() && !ip.IsUnspecified() && !ip.IsMulticast() && port != 0 &&
			!slices.ContainsFunc(kept, a.Equal) {
			if kept = append(kept, a); len(kept) == maxAddrs {
				break
			}
		}
	}
	return kept
}

// savedBook is the form on disk.
type savedBook struct {
	Version int         `json:"v"`
	Mesh    string      `json:"mesh"` // whose peers these are, as serviceName tells it
	Port    int         `json:"port"` // last listened on
	Peers   []savedPeer `json:"peers"`
}

type savedPeer struct {
	ID    string    `json:"id"`
	Addrs []string  `json:"addrs"`
	Seen  time.Time `json:"seen"`
}

// encode returns the form on disk of the peers that have joined: those that are
// here, then the latest.
func (b *book) encode(mesh string, port int) ([]byte, error) {
	var joined []peer.ID
	for id, e := range b.known {
		if e.joined {
			joined = append(joined, id)
		}
	}
	slices.SortFunc(joined, func(x, y peer.ID) int {
		p, q := b.known[x], b.known[y]
		switch {
		case p.here && !q.here:
			return -1
		case q.here && !p.here:
			return 1
		}
		return cmp.Or(q.seen.Compare(p.seen), cmp.Compare(x, y))
	})
	saved := savedBook{Version: bookVersion, Mesh: mesh, Port: port, Peers: []savedPeer{}}
	for _, id := range joined[:min(len(joined), maxSaved)] {
		e := b.known[id]
		p := savedPeer{ID: id.String(), Seen: e.seen.UTC().Round(time.Second)}
		for _, a := range mergeAddrs(e.proven, e.addrs) {
			p.Addrs = append(p.Addrs, a.String())
		}
		saved.Peers = append(saved.Peers, p)
	}
	data, err := json.MarshalIndent(saved, "", "  ")
	return append(data, '\n'), err
}

// load reads the file of what encode returned, and returns the port. A file that is
// missing is as good as an empty one: the peers will be found again.
func (b *book) load(dir, mesh string, now time.Time) (port int) {
	data, err := readSmall(filepath.Join(dir, bookFile), maxBookFile)
	if err != nil {
		return 0
	}
	return b.decode(data, mesh, now)
}

// decode takes what encode returned, and returns the port. What is damaged or of another
// version is as good as nothing. Of another mesh only the port is taken.
func (b *book) decode(data []byte, mesh string, now time.Time) (port int) {
	var saved savedBook
	if err := json.Unmarshal(data, &saved); err != nil || saved.Version != bookVersion {
		return 0
	}
	if saved.Mesh != mesh {
		saved.Peers = nil
	}
	for _, p := range saved.Peers[:min(len(saved.Peers), maxSaved)] {
		id, err := peer.Decode(p.ID)
		if err != nil || id == b.self || now.Sub(p.Seen) > forgetAfter {
			continue
		}
		var addrs []ma.Multiaddr
		for _, s := range p.Addrs[:min(len(p.Addrs), maxAddrs)] {
			if a, err := ma.NewMultiaddr(s); err == nil {
				addrs = append(addrs, a)
			}
		}
		if addrs = dialable(addrs); len(addrs) > 0 {
			e := &entry{addrs: addrs, joined: true, seen: p.Seen, due: now}
			e.prove(addrs)
			b.known[id] = e
		}
	}
	if saved.Port < 0 || saved.Port > 65535 {
		return 0
	}
	return saved.Port
}

func readSmall(path string, limit int64) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() || info.Size() > limit {
		return nil, errors.Join(fs.ErrInvalid, fmt.Errorf("%s: not a small file", path))
	}
	return io.ReadAll(io.LimitReader(f, limit))
}
