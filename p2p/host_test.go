// SPDX-License-Identifier: MIT

package p2p_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"meshnode/job"
	"meshnode/p2p"
	"meshnode/p2p/p2ptest"
)

// hostFactory makes hosts on the loopback interface, without mDNS. The home of
// number n is under dir.
func hostFactory(dir string) p2ptest.Factory {
	return func(t *testing.T, mesh string, number int) p2ptest.Node {
		home := filepath.Join(dir, fmt.Sprint(number))
		if err := os.MkdirAll(home, 0o700); err != nil {
			t.Fatal(err)
		}
		return newHost(t, p2p.Config{Mesh: mesh, Dir: home, NoExchange: true})
	}
}

func newHost(t testing.TB, config p2p.Config) *p2p.Host {
	t.Helper()
	config.Quiet = true
	if config.Port == 0 && config.Listen == nil {
		config.Listen = []string{"/ip4/127.0.0.1/tcp/0"}
	}
	h, err := p2p.New(config)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func TestHost(t *testing.T) {
	for _, tc := range p2ptest.Tests {
		t.Run(tc.Name, func(t *testing.T) { tc.Run(t, hostFactory(t.TempDir())) })
	}
}

// started returns a host whose events are dropped.
func started(t testing.TB, config p2p.Config) *p2p.Host {
	t.Helper()
	h := newHost(t, config)
	t.Cleanup(func() { h.Close() })
	go func() {
		for range h.Events() {
		}
	}()
	if err := h.Start(); err != nil {
		t.Fatal(err)
	}
	return h
}

func deadline(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	t.Cleanup(cancel)
	return ctx
}

// eventually waits for what no event tells of.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("not within 20 s: %s", what)
		}
	}
}

func TestHostLeavesNoGoroutine(t *testing.T) {
	run := func() {
		a, b := newHost(t, p2p.Config{Mesh: "m"}), newHost(t, p2p.Config{Mesh: "m"})
		b.Answer(func(context.Context, job.PeerID, []byte) ([]byte, error) { return nil, nil })
		for _, h := range []*p2p.Host{a, b} {
			go func() {
				for range h.Events() {
				}
			}()
			if err := h.Start(); err != nil {
				t.Fatal(err)
			}
		}
		if err := a.Connect(deadline(t), b.Addrs()[0]); err != nil {
			t.Fatal(err)
		}
		if _, err := a.Request(deadline(t), b.Self(), nil); err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(a.Close(), b.Close()); err != nil {
			t.Fatal(err)
		}
	}
	run() // what libraries start once is there after this
	before := stacks()
	run()
	var after map[string]int
	eventually(t, "as many goroutines as before", func() bool {
		after = stacks()
		for where, n := range after {
			if n > before[where] {
				return false
			}
		}
		return true
	})
}

// stacks counts goroutines by where they were created.
func stacks() map[string]int {
	buf := make([]byte, 4<<20)
	buf = buf[:runtime.Stack(buf, true)]
	count := make(map[string]int)
	for g := range strings.SplitSeq(string(buf), "\n\n") {
		_, where, _ := strings.Cut(g, "created by ")
		where, _, _ = strings.Cut(where, " in goroutine")
		count[where]++
	}
	return count
}

// A host that cannot be built or started leaves nothing either, and says why.
func TestHostRefusesConfig(t *testing.T) {
	for _, config := range []p2p.Config{
		{Mesh: ""},
		{Mesh: "a/b"},
		{Mesh: strings.Repeat("x", 65)},
		{Mesh: "m", Peers: []string{"192.0.2.1:4001"}},
		{Mesh: "m", Dir: filepath.Join(t.TempDir(), "absent")},
	} {
		if _, err := p2p.New(config); err == nil {
			t.Errorf("accepted %+v", config)
		}
	}
	taken := started(t, p2p.Config{Mesh: "m"})
	h := newHost(t, p2p.Config{Mesh: "m", Listen: []string{strings.Split(taken.Addrs()[0], "/p2p/")[0]}})
	defer h.Close()
	if err := h.Start(); err == nil {
		t.Error("listens where another does")
	}
}

// A peer named before it is up joins when it is, by itself.
func TestHostRedials(t *testing.T) {
	dir := t.TempDir()
	late := started(t, p2p.Config{Mesh: "m", Dir: dir})
	addr := late.Addrs()[0]
	late.Close()
	h := started(t, p2p.Config{Mesh: "m", Peers: []string{addr}})
	if err := h.Connect(deadline(t), addr); !errors.Is(err, p2p.ErrUnreachable) {
		t.Fatalf("connect to nobody: %v", err)
	}
	started(t, p2p.Config{Mesh: "m", Dir: dir, Listen: []string{strings.Split(addr, "/p2p/")[0]}})
	eventually(t, "a join", func() bool { return len(h.Peers()) == 1 })
}

// A host that was told of a peer once finds it again after a restart, at the
// port that the peer kept.
func TestHostRemembers(t *testing.T) {
	home, other := t.TempDir(), t.TempDir()
	h := started(t, p2p.Config{Mesh: "m", Dir: home})
	peer := started(t, p2p.Config{Mesh: "m", Dir: other})
	if err := h.Connect(deadline(t), peer.Addrs()[0]); err != nil {
		t.Fatal(err)
	}
	id := h.Self()
	if err := h.Close(); err != nil {
		t.Fatal(err)
	}
	again := started(t, p2p.Config{Mesh: "m", Dir: home})
	if again.Self() != id {
		t.Errorf("identity %s became %s", id, again.Self())
	}
	eventually(t, "a join", func() bool { return len(again.Peers()) == 1 })
}

// One known peer leads to all others.
func TestHostExchangesPeers(t *testing.T) {
	var hosts []*p2p.Host
	for range 5 {
		hosts = append(hosts, started(t, p2p.Config{Mesh: "m"}))
	}
	for _, h := range hosts[1:] {
		if err := h.Connect(deadline(t), hosts[0].Addrs()[0]); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, "a full mesh", func() bool {
		for _, h := range hosts {
			if len(h.Peers()) != len(hosts)-1 {
				return false
			}
		}
		return true
	})
}

// A restart so quick that the peer never finds it gone is still seen as one.
func TestHostQuickRestart(t *testing.T) {
	dir := t.TempDir()
	a := newHost(t, p2p.Config{Mesh: "m"})
	defer a.Close()
	kinds := make(chan p2p.EventKind, 100)
	go func() {
		for e := range a.Events() {
			kinds <- e.Kind
		}
	}()
	if err := a.Start(); err != nil {
		t.Fatal(err)
	}
	b := started(t, p2p.Config{Mesh: "m", Dir: dir})
	addr := b.Addrs()[0]
	if err := b.Connect(deadline(t), a.Addrs()[0]); err != nil {
		t.Fatal(err)
	}
	expect := func(want p2p.EventKind) {
		t.Helper()
		select {
		case got := <-kinds:
			if got != want {
				t.Fatalf("event of kind %d, want %d", got, want)
			}
		case <-time.After(20 * time.Second):
			t.Fatalf("no event of kind %d", want)
		}
	}
	expect(p2p.Joined)
	b.Close()
	started(t, p2p.Config{Mesh: "m", Dir: dir, Listen: []string{strings.Split(addr, "/p2p/")[0]}})
	expect(p2p.Left)
	expect(p2p.Joined)
}
