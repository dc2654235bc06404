// SPDX-License-Identifier: MIT

package p2p

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"io"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/p2p/muxer/yamux"
	tls "github.com/libp2p/go-libp2p/p2p/security/tls"
	"github.com/libp2p/go-libp2p/p2p/transport/tcp"

	"meshnode/job"
)

func TestOrder(t *testing.T) {
	const settle = 30 * time.Second
	start := time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)
	const run = uint64(1_800_000_000_000_000_000)
	at := func(o *order, after time.Duration, number uint64) bool {
		return o.take(number, settle, start.Add(after))
	}

	var o order
	for i, step := range []struct {
		after  time.Duration
		number uint64
		want   bool
	}{
		{0, run + 10, true},
		{time.Second, run + 12, true},
		{25 * time.Second, run + 11, true}, // overtaken
		{31 * time.Second, run + 13, true},
		{80 * time.Second, run + 5, false}, // heard of nobody, but older than what was heard
		{100 * time.Second, run + 12, false},
		{121 * time.Second, run + 13, false},
		{24 * time.Hour, run + 13, false},                  // its author is gone
		{24 * time.Hour, run + 14, true},                   // or is not
		{25 * time.Hour, run + uint64(25*time.Hour), true}, // and starts anew
		{26 * time.Hour, run + 14, false},
	} {
		if got := at(&o, step.after, step.number); got != step.want {
			t.Errorf("step %d: %v", i, got)
		}
	}

	// Whatever else an author says: what was heard is old three times as long after.
	for gap := time.Second; gap < 4*settle; gap += time.Second {
		for first := time.Duration(0); first < settle; first += time.Second {
			var o order
			at(&o, 0, run)
			at(&o, first, run+1)
			number := run + 2
			for after := first + gap; after < first+3*settle; after += gap {
				at(&o, after, number)
				number++
			}
			if at(&o, first+3*settle, run+1) {
				t.Fatalf("heard again, with a message every %v from %v", gap, first)
			}
		}
	}

	// A clock that was put back: with the advert of the new run its numbers count.
	o = order{}
	o.begin(run)
	at(&o, 0, run+uint64(time.Second))
	back := run - uint64(time.Hour)
	if at(&o, 5*time.Minute, back+1) {
		t.Error("heard before its advert")
	}
	o.begin(back)
	if !at(&o, 6*time.Minute, back+2) || at(&o, 7*time.Minute, run+uint64(time.Second)) || !at(&o, 8*time.Minute, back+3) {
		t.Error("the run that the advert tells of does not count, or the one before does")
	}
	// By a little, too: nothing of the run before is in the way.
	o = order{}
	o.begin(run)
	at(&o, 0, run+1)
	sooner := run - uint64(30*time.Second)
	o.begin(sooner)
	for after := 10 * time.Second; after < 5*time.Minute; after += 20 * time.Second {
		if !at(&o, after, sooner+uint64(after.Seconds())) {
			t.Fatalf("a run that began 30 s before the last one is not heard after %v", after)
		}
	}
	// The advert of a later run may come to others only, while its author is not connected.
	o = order{}
	o.begin(run)
	at(&o, 0, run+1)
	later := run + uint64(time.Hour)
	if at(&o, time.Hour, later+1) {
		t.Error("a later run is heard before its advert, of an author that is connected")
	}
	o.away = true
	if !at(&o, time.Hour, later+2) || at(&o, time.Hour, back) {
		t.Error("a later run is not heard, or an earlier one is, of an author that is not connected")
	}
	o.begin(later)
	if at(&o, time.Hour, later+uint64(time.Hour)) {
		t.Error("the advert does not count any more")
	}
	// What a run before has said is old to who never heard it.
	o = order{}
	o.begin(run)
	if at(&o, 0, back) || !at(&o, 0, run+1) {
		t.Error("an earlier run is heard")
	}
}

// recorder is a peer that hears gossip and says it again when it likes, byte for byte.
type recorder struct {
	host.Host
	mu   sync.Mutex
	kept [][]byte // RPCs of gossipsub
}

const (
	replayGossip = "/meshnode/1/m/gossip"
	replayTopic  = "/meshnode/1/m/work"
)

func newRecorder(t *testing.T) *recorder {
	t.Helper()
	key, err := randomKey()
	if err != nil {
		t.Fatal(err)
	}
	h, err := libp2p.New(libp2p.Identity(key), libp2p.ListenAddrStrings("/ip4/127.0.0.1/tcp/0"),
		libp2p.Transport(tcp.NewTCPTransport), libp2p.Security(tls.ID, tls.New), libp2p.Muxer(yamux.ID, yamux.DefaultTransport))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { h.Close() })
	r := &recorder{Host: h}
	h.SetStreamHandler("/meshnode/1/m/advert", func(s network.Stream) {
		defer s.Close()
		if _, err := readFrame(s, advertHead+job.MaxMessage); err == nil {
			_, _ = s.Write([]byte{advertAck})
		}
	})
	h.SetStreamHandler(replayGossip, func(s network.Stream) {
		for in := bufio.NewReader(s); ; {
			n, err := binary.ReadUvarint(in)
			data := make([]byte, min(n, 1<<20))
			if err == nil {
				_, err = io.ReadFull(in, data)
			}
			if err != nil {
				s.Reset()
				return
			}
			r.mu.Lock()
			r.kept = append(r.kept, data)
			r.mu.Unlock()
		}
	})
	return r
}

// heard waits for the RPC with a text.
func (r *recorder) heard(t *testing.T, text string) []byte {
	t.Helper()
	for range 10_000 {
		r.mu.Lock()
		i := slices.IndexFunc(r.kept, func(rpc []byte) bool { return bytes.Contains(rpc, []byte(text)) })
		if i >= 0 {
			defer r.mu.Unlock()
			return r.kept[i]
		}
		r.mu.Unlock()
		time.Sleep(time.Millisecond)
	}
	t.Fatalf("%q was not recorded", text)
	return nil
}

// gossip connects to a node and returns what sends it RPCs.
func (r *recorder) gossip(t *testing.T, to *Host) func(rpc []byte) {
	t.Helper()
	info := peer.AddrInfo{ID: to.id, Addrs: to.libp2p.Network().ListenAddresses()}
	if err := r.Connect(t.Context(), info); err != nil {
		t.Fatal(err)
	}
	s, err := r.NewStream(t.Context(), to.id, replayGossip)
	if err != nil {
		t.Fatal(err)
	}
	return func(rpc []byte) {
		t.Helper()
		if _, err := s.Write(append(binary.AppendUvarint(nil, uint64(len(rpc))), rpc...)); err != nil {
			t.Fatal(err)
		}
	}
}

// What a peer has signed is not heard when somebody says it again, though it is new to
// gossipsub, and spends nothing of the peer's rate.
func TestReplay(t *testing.T) {
	const settle = 100 * time.Millisecond
	start := func() *Host {
		h, err := New(Config{Mesh: "m", Listen: []string{"/ip4/127.0.0.1/tcp/0"}, Quiet: true, settle: settle})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { h.Close() })
		if err := h.Start(); err != nil {
			t.Fatal(err)
		}
		return h
	}
	author, victim, rogue := start(), start(), newRecorder(t)
	heard := make(chan string, 100)
	if err := victim.Listen(Work, func(from job.PeerID, data []byte) Verdict {
		if from == author.self {
			heard <- string(data)
		}
		return Accept
	}); err != nil {
		t.Fatal(err)
	}
	subscription := append([]byte{1 << 3, 1, 2<<3 | 2, byte(len(replayTopic))}, replayTopic...)
	rogue.gossip(t, author)(append([]byte{1<<3 | 2, byte(len(subscription))}, subscription...))
	say := rogue.gossip(t, victim)

	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	handle := author.gossip.topics[Work].handle
	for !slices.Contains(handle.ListPeers(), rogue.ID()) && ctx.Err() == nil {
		time.Sleep(time.Millisecond)
	}
	recorded := make(map[string][]byte)
	for _, text := range []string{"first", "second", "third", "fourth"} {
		if err := handle.Publish(ctx, []byte(text)); err != nil {
			t.Fatal(err)
		}
		recorded[text] = rogue.heard(t, text)
	}
	next := func() string {
		select {
		case text := <-heard:
			return text
		case <-ctx.Done():
			return "nothing"
		}
	}
	say(recorded["third"])
	if got := next(); got != "third" {
		t.Fatalf("heard %s", got)
	}
	time.Sleep(3 * settle) // so that what is below is old
	say(recorded["first"])
	say(recorded["second"])
	time.Sleep(settle) // messages are judged in no order
	say(recorded["fourth"])
	if got := next(); got != "fourth" {
		t.Errorf("heard the %s, which is old", got)
	}
	victim.conducts.mu.Lock()
	defer victim.conducts.mu.Unlock()
	if spent := victim.conducts.of[author.id].published.spent; spent > 2 {
		t.Errorf("%v messages were counted against their author", spent)
	}
}
