// SPDX-License-Identifier: MIT

package node

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"os"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"meshnode/job"
	"meshnode/p2p"
	"meshnode/renderer/synthetic"
	"meshnode/scheduler"
)

var (
	swarmFlag = flag.Int("swarm", 0, "number of nodes of TestSwarm")
	frameFlag = flag.Duration("swarm.frame", 100*time.Millisecond, "for which each renders a frame; many nodes on few cores need long to verify each other's messages")
	slowFlag  = flag.Int("swarm.slow", 1, "so many times as long as usual a node waits before it says or asks something again, or takes a silent peer for gone")
)

// counted is a network that counts what its node sends.
type counted struct {
	*p2p.Host
	messages, bytes *atomic.Int64
}

func (c counted) Publish(ctx context.Context, topic p2p.Topic, data []byte) error {
	c.messages.Add(1)
	c.bytes.Add(int64(len(data)))
	return c.Host.Publish(ctx, topic, data)
}

func (c counted) Request(ctx context.Context, to job.PeerID, data []byte) ([]byte, error) {
	answer, err := c.Host.Request(ctx, to, data)
	c.messages.Add(1)
	c.bytes.Add(int64(len(data) + len(answer)))
	return answer, err
}

// slowTimes returns the times of the protocol by -swarm.slow.
func slowTimes() scheduler.Times {
	s := time.Duration(*slowFlag) * time.Second
	return scheduler.Times{Progress: s, TTL: 10 * s, ClaimWait: 2 * s, Repeat: 10 * s, Pull: 15 * s, Grace: 5 * s, Answer: s, Retry: 2 * s}
}

// TestSwarm puts many nodes, over libp2p on loopback, into this process, and measures a
// job that all of them render.
func TestSwarm(t *testing.T) {
	if *swarmFlag == 0 {
		t.Skip("no -swarm")
	}
	count := *swarmFlag
	m := &mesh{t: t}
	rng := rand.New(rand.NewPCG(1, uint64(count)))
	var messages, sent atomic.Int64
	var hosts []*p2p.Host
	heap := func() float64 {
		runtime.GC()
		var s runtime.MemStats
		runtime.ReadMemStats(&s)
		return float64(s.HeapInuse+s.StackInuse) / (1 << 20)
	}
	before, threads := heap(), runtime.NumGoroutine()
	begin := time.Now()
	const cellFrames, cellsEach = 5, 10
	for i := range count {
		host, store := onLoopback(t)
		n, err := New(Parts{
			Network: counted{host, &messages, &sent}, Store: store, Renderer: &synthetic.Renderer{Scratch: t.TempDir(), Slow: *frameFlag}, Records: new(MemoryRecords), Times: slowTimes(),
			Advert: job.Advert{Name: fmt.Sprintf("node%d", i), Slots: 1, Speed: 1}, Log: slog.New(slog.NewTextHandler(io.Discard, nil)),
		})
		if err == nil {
			err = host.Start()
		}
		if err != nil {
			t.Fatal(err)
		}
		m.nodes, hosts = append(m.nodes, n), append(hosts, host)
		var wait sync.WaitGroup
		for _, k := range rng.Perm(i)[:min(i, 3)] { // the others it hears of
			wait.Go(func() {
				ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
				defer cancel()
				if err := host.Connect(ctx, hosts[k].Addrs()[0]); err != nil {
					t.Log(err)
				}
			})
		}
		wait.Wait()
	}
	defer func() {
		var wait sync.WaitGroup
		for _, n := range m.nodes {
			wait.Go(func() { n.Close() })
		}
		wait.Wait()
	}()
	t.Logf("%d nodes started in %v", count, time.Since(begin).Round(time.Millisecond))
	enough := min(count-1, 20)
	for end := time.Now().Add(3 * time.Minute); slices.ContainsFunc(hosts, func(h *p2p.Host) bool { return len(h.Peers()) < enough }); time.Sleep(100 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("some node has not %d peers", enough)
		}
	}
	connections := 0
	for _, h := range hosts {
		connections += len(h.LibP2P().Network().Conns())
	}
	t.Logf("each with %d peers or more after %v; %.1f connections, %.1f MiB, %.0f goroutines each", enough, time.Since(begin).Round(time.Millisecond),
		float64(connections)/float64(count), (heap()-before)/float64(count), float64(runtime.NumGoroutine()-threads)/float64(count))

	scene := synthetic.Scene{Name: "Swarm", FPS: 30, Plays: []job.Play{{Frames: uint32(count * cellsEach * cellFrames)}}, Bytes: 20_000}
	m.t.Setenv("TMPDIR", t.TempDir())
	req, path := m.scene(scene, 1)
	messages.Store(0)
	sent.Store(0)
	offered := make(chan job.ID, 1)
	claimed := make(chan struct{})
	go func() {
		defer close(claimed)
		id := <-offered
		start := time.Now()
		for t.Context().Err() == nil {
			var free int
			m.nodes[0].ask(func(s *scheduler.Scheduler) {
				cells, _ := s.Cells(id)
				for _, c := range cells {
					if c.Kind == "free" || c.Kind == "planned" {
						free++
					}
				}
				if len(cells) == 0 {
					free = 1
				}
			})
			if free == 0 {
				t.Logf("offer to all claimed: %v", time.Since(start).Round(time.Millisecond))
				return
			}
			time.Sleep(20 * time.Millisecond)
		}
	}()
	begin = time.Now()
	var got events
	m.nodes[0].Publish(t.Context(), req, func(e Event) {
		if got.add(e); e.Event == "planned" {
			offered <- e.Job
		}
	})
	took := time.Since(begin)
	last := got.last()
	if data, err := os.ReadFile(path); last.Event != "finished" || err != nil || !bytes.Equal(data, film(scene)) {
		t.Fatalf("ended with %+v (%v)", last, err)
	}
	<-claimed
	ideal := cellsEach * cellFrames * *frameFlag
	t.Logf("film after %v, %.2f of the ideal %v; %d nodes rendered", took.Round(time.Millisecond), took.Seconds()/ideal.Seconds(), ideal, len(last.Nodes))
	t.Logf("%.1f messages and %.1f kB sent by each node; %.1f MiB each now", float64(messages.Load())/float64(count), float64(sent.Load())/1000/float64(count), (heap()-before)/float64(count))
}
