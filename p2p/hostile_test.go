// SPDX-License-Identifier: MIT

package p2p_test

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"

	"meshnode/job"
	"meshnode/p2p"
)

// pair returns two hosts that have joined each other.
func pair(t testing.TB) (a, b *p2p.Host) {
	t.Helper()
	a, b = started(t, p2p.Config{Mesh: "m"}), started(t, p2p.Config{Mesh: "m"})
	if err := a.Connect(deadline(t), b.Addrs()[0]); err != nil {
		t.Fatal(err)
	}
	eventually(t, "a join on both sides", func() bool { return len(a.Peers()) == 1 && len(b.Peers()) == 1 })
	return a, b
}

// raw opens a stream beneath the rules that a host keeps.
func raw(t *testing.T, from, to *p2p.Host, proto protocol.ID) network.Stream {
	t.Helper()
	id, err := peer.Decode(string(to.Self()))
	if err != nil {
		t.Fatal(err)
	}
	s, err := from.LibP2P().NewStream(deadline(t), id, proto)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Reset() })
	return s
}

// A length over the limit ends the stream at once, before the data come.
func TestHostRefusesLengths(t *testing.T) {
	a, b := pair(t)
	b.Answer(func(context.Context, job.PeerID, []byte) ([]byte, error) { return []byte("x"), nil })
	for _, proto := range []protocol.ID{"/meshnode/1/m/request", "/meshnode/1/m/advert"} {
		for _, n := range []uint32{job.MaxMessage + 17, 1 << 31, 1<<32 - 1} {
			s := raw(t, a, b, proto)
			if _, err := s.Write(binary.BigEndian.AppendUint32(nil, n)); err != nil {
				t.Fatal(err)
			}
			_ = s.SetReadDeadline(time.Now().Add(10 * time.Second))
			if _, err := io.ReadAll(s); !errors.Is(err, network.ErrReset) {
				t.Errorf("%s: %d bytes announced: %v", proto, n, err)
			}
		}
	}
	if len(b.Peers()) != 1 {
		t.Error("the peer was lost over it")
	}
}

// A peer gets so many requests answered at a time and no more; others get
// theirs meanwhile.
func TestHostBoundsRequestsOfAPeer(t *testing.T) {
	a, b := pair(t)
	other := started(t, p2p.Config{Mesh: "m"})
	if err := other.Connect(deadline(t), b.Addrs()[0]); err != nil {
		t.Fatal(err)
	}
	release := make(chan struct{})
	var mu sync.Mutex
	running := 0
	b.Answer(func(ctx context.Context, from job.PeerID, _ []byte) ([]byte, error) {
		if from == a.Self() {
			mu.Lock()
			running++
			mu.Unlock()
			select {
			case <-release:
			case <-ctx.Done():
			}
		}
		return []byte("x"), nil
	})
	const limit = 16
	results := make(chan error, 2*limit)
	for range 2 * limit {
		s := raw(t, a, b, "/meshnode/1/m/request")
		go func() {
			_, err := s.Write(make([]byte, 4))
			if err == nil {
				_, err = io.ReadAll(s)
			}
			results <- err
		}()
	}
	for range limit {
		if err := <-results; err == nil {
			t.Error("answered, though all slots are taken")
		}
	}
	eventually(t, "all slots taken", func() bool { mu.Lock(); defer mu.Unlock(); return running == limit })
	if _, err := other.Request(deadline(t), b.Self(), nil); err != nil {
		t.Errorf("another peer's request: %v", err)
	}
	close(release)
	for range limit {
		if err := <-results; err != nil {
			t.Errorf("an admitted request: %v", err)
		}
	}
}

// A few peers whose requests take long do not keep others from being answered.
func TestHostKeepsSlotsForOthers(t *testing.T) {
	b := started(t, p2p.Config{Mesh: "m"})
	honest := started(t, p2p.Config{Mesh: "m"})
	release := make(chan struct{})
	var running atomic.Int32
	b.Answer(func(ctx context.Context, from job.PeerID, _ []byte) ([]byte, error) {
		if from != honest.Self() {
			running.Add(1)
			defer running.Add(-1)
			select {
			case <-release:
			case <-ctx.Done():
			}
		}
		return []byte("x"), nil
	})
	const slow, each = 5, 16
	var asked sync.WaitGroup
	for range slow {
		a := started(t, p2p.Config{Mesh: "m"})
		if err := a.Connect(deadline(t), b.Addrs()[0]); err != nil {
			t.Fatal(err)
		}
		for range each {
			s := raw(t, a, b, "/meshnode/1/m/request")
			asked.Go(func() {
				if _, err := s.Write(make([]byte, 4)); err == nil {
					_, err = io.ReadAll(s)
					if err != nil {
						t.Errorf("a slow request: %v", err)
					}
				}
			})
		}
	}
	if err := honest.Connect(deadline(t), b.Addrs()[0]); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the slow ones have half of the slots", func() bool { return running.Load() >= 32 })
	var answered sync.WaitGroup
	for range 2 * each {
		answered.Go(func() {
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
			defer cancel()
			if _, err := honest.Request(ctx, b.Self(), nil); err != nil {
				t.Error(err)
			}
		})
	}
	answered.Wait()
	if n := running.Load(); n > 32+slow {
		t.Errorf("%d slow requests are being answered", n)
	}
	close(release)
	asked.Wait() // those that waited are answered too
}

// Who asks without end is answered in his turn, at a rate.
func TestHostPacesRequests(t *testing.T) {
	a, b := pair(t)
	var answered atomic.Int32
	b.Answer(func(context.Context, job.PeerID, []byte) ([]byte, error) { answered.Add(1); return []byte("x"), nil })
	const burst, rate, more = 100, 50, 30
	begin := time.Now()
	var wg sync.WaitGroup
	for range burst + more {
		wg.Go(func() {
			if _, err := a.Request(deadline(t), b.Self(), nil); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if took := time.Since(begin); took < more*time.Second/rate {
		t.Errorf("%d requests answered in %v", answered.Load(), took)
	}
}

// Requests over what one peer may have at a time wait their turn.
func TestHostQueuesItsRequests(t *testing.T) {
	a, b := pair(t)
	b.Answer(func(context.Context, job.PeerID, []byte) ([]byte, error) {
		time.Sleep(time.Millisecond)
		return []byte("x"), nil
	})
	var wg sync.WaitGroup
	for range 100 {
		wg.Go(func() {
			if _, err := a.Request(deadline(t), b.Self(), nil); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
}

// Nodes that dial each other at the same moment join once.
func TestHostSimultaneousDial(t *testing.T) {
	for range 10 {
		a, b := started(t, p2p.Config{Mesh: "m"}), started(t, p2p.Config{Mesh: "m"})
		heard := make(chan struct{}, 1)
		accept := func(job.PeerID, []byte) p2p.Verdict { heard <- struct{}{}; return p2p.Accept }
		if err := b.Listen(p2p.Work, accept); err != nil {
			t.Fatal(err)
		}
		var wg sync.WaitGroup
		for _, dial := range [][2]*p2p.Host{{a, b}, {b, a}} {
			wg.Go(func() {
				if err := dial[0].Connect(deadline(t), dial[1].Addrs()[0]); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if len(a.Peers()) != 1 || len(b.Peers()) != 1 {
			t.Errorf("peers %v and %v", a.Peers(), b.Peers())
		}
		if err := a.Publish(deadline(t), p2p.Work, []byte("x")); err != nil {
			t.Fatal(err)
		}
		select {
		case <-heard:
		case <-time.After(10 * time.Second):
			t.Fatal("the message is lost")
		}
		a.Close()
		b.Close()
	}
}

// libp2p tells of a connection a moment after it has it. Who wants the peer in
// between is not told that it has gone.
func TestHostWantsThePeerThatJustCame(t *testing.T) {
	a, b := started(t, p2p.Config{Mesh: "m"}), started(t, p2p.Config{Mesh: "m"})
	b.Answer(func(context.Context, job.PeerID, []byte) ([]byte, error) { return []byte("x"), nil })
	id, err := peer.Decode(string(b.Self()))
	if err != nil {
		t.Fatal(err)
	}
	release := make(chan struct{})
	for range 20 { // libp2p tells in any order: some of these come before the host
		a.LibP2P().Network().Notify(&network.NotifyBundle{ConnectedF: func(network.Network, network.Conn) { <-release }})
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := b.Connect(deadline(t), a.Addrs()[0]); err != nil {
			t.Error(err)
		}
	})
	eventually(t, "a connection", func() bool { return a.LibP2P().Network().Connectedness(id) == network.Connected })
	wg.Go(func() {
		if err := a.Connect(deadline(t), b.Addrs()[0]); err != nil {
			t.Error(err)
		}
	})
	if _, err := a.Request(deadline(t), b.Self(), nil); err != nil {
		t.Error(err)
	}
	close(release)
	wg.Wait()
}

// Gossipsub gives up a peer whose streams break again and again, while the
// connection stands. The host notices, and makes a new one.
func TestHostRepairsGossip(t *testing.T) {
	if testing.Short() {
		t.Skip("takes ten seconds")
	}
	a, b := pair(t)
	heard := make(chan struct{}, 1000)
	accept := func(job.PeerID, []byte) p2p.Verdict { heard <- struct{}{}; return p2p.Accept }
	if err := b.Listen(p2p.Work, accept); err != nil {
		t.Fatal(err)
	}
	id, err := peer.Decode(string(b.Self()))
	if err != nil {
		t.Fatal(err)
	}
	last := time.Now() // when there was a stream to break
	eventually(t, "gossip gives up", func() bool {
		for _, c := range a.LibP2P().Network().ConnsToPeer(id) {
			for _, s := range c.GetStreams() {
				if s.Protocol() == "/meshnode/1/m/gossip" {
					s.Reset()
					last = time.Now()
				}
			}
		}
		return time.Since(last) > 2*time.Second
	})
	eventually(t, "a message after the repair", func() bool {
		if err := a.Publish(deadline(t), p2p.Work, []byte("x")); err != nil {
			t.Fatal(err)
		}
		select {
		case <-heard:
			return true
		case <-time.After(200 * time.Millisecond):
			return false
		}
	})
}

// A peer that keeps publishing what listeners reject is not heard for a while.
func TestHostMutes(t *testing.T) {
	a, b := pair(t)
	heard := make(chan string, 1000)
	reject := func(_ job.PeerID, data []byte) p2p.Verdict { heard <- string(data); return p2p.Reject }
	if err := b.Listen(p2p.Work, reject); err != nil {
		t.Fatal(err)
	}
	b.Answer(func(context.Context, job.PeerID, []byte) ([]byte, error) { return []byte("x"), nil })
	const tolerated = 10
	for range tolerated + 1 {
		if err := a.Publish(deadline(t), p2p.Work, []byte("bad")); err != nil {
			t.Fatal(err)
		}
		<-heard // so that one after the other is judged
	}
	eventually(t, "no answer for who is muted", func() bool {
		_, err := a.Request(deadline(t), b.Self(), nil)
		return err != nil
	})
	if err := a.Publish(deadline(t), p2p.Work, []byte("more")); err != nil {
		t.Fatal(err)
	}
	select {
	case data := <-heard:
		t.Errorf("heard %q of who is muted", data)
	case <-time.After(300 * time.Millisecond):
	}
}
