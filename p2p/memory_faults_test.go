// SPDX-License-Identifier: MIT

package p2p_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"meshnode/job"
	"meshnode/p2p"
)

// memoryNode is a node that counts what it hears.
type memoryNode struct {
	*p2p.Memory
	mu     sync.Mutex
	events string // one digit for each
	heard  map[string]int
}

// board starts nodes that discover each other.
func board(t *testing.T, faults *p2p.Faults, n int) (*p2p.Switchboard, []*memoryNode) {
	t.Helper()
	b := p2p.NewSwitchboard(faults)
	b.Discover = true
	var nodes []*memoryNode
	for i := range n {
		m, err := b.NewMemory("m", uint64(i))
		if err != nil {
			t.Fatal(err)
		}
		node := &memoryNode{Memory: m, heard: make(map[string]int)}
		t.Cleanup(func() { node.Close() })
		go func() {
			for e := range node.Events() {
				node.mu.Lock()
				node.events += fmt.Sprint(e.Kind)
				node.mu.Unlock()
			}
		}()
		err = node.Listen(p2p.Work, func(_ job.PeerID, data []byte) p2p.Verdict {
			node.mu.Lock()
			defer node.mu.Unlock()
			node.heard[string(data)]++
			return p2p.Accept
		})
		if err != nil {
			t.Fatal(err)
		}
		node.Answer(func(context.Context, job.PeerID, []byte) ([]byte, error) { return []byte("x"), nil })
		if err := node.Start(); err != nil {
			t.Fatal(err)
		}
		nodes = append(nodes, node)
	}
	settle()
	return b, nodes
}

// settle lets pass the time in which all that was begun is done.
func settle() {
	time.Sleep(30 * time.Second)
	synctest.Wait()
}

func (n *memoryNode) sawEvents(t *testing.T, want string) {
	t.Helper()
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.events != want {
		t.Errorf("%s: events %q, want %q", n.Self(), n.events, want)
	}
}

func TestMemoryPartition(t *testing.T) {
	bubble(t, func(t *testing.T) {
		faults := p2p.NewFaults(1)
		faults.MinDelay, faults.MaxDelay = time.Millisecond, 5*time.Millisecond
		b, n := board(t, faults, 3)
		for _, node := range n {
			node.sawEvents(t, "00")
		}
		b.Spoil(func(f *p2p.Faults) { f.Partition([]job.PeerID{n[0].Self()}) })
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := n[0].Request(ctx, n[1].Self(), nil); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("request into a partition not yet noticed: %v", err)
		}
		settle()
		n[0].sawEvents(t, "0022")
		n[1].sawEvents(t, "002")
		ctx, cancel = context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if _, err := n[0].Request(ctx, n[1].Self(), nil); !errors.Is(err, p2p.ErrUnreachable) {
			t.Errorf("request into a partition: %v", err)
		}
		if err := n[1].Publish(ctx, p2p.Work, []byte("behind")); err != nil {
			t.Fatal(err)
		}
		settle()
		if n[0].heard["behind"] != 0 || n[2].heard["behind"] != 1 {
			t.Errorf("heard through a partition %d times, within it %d times", n[0].heard["behind"], n[2].heard["behind"])
		}
		b.Spoil((*p2p.Faults).Heal)
		settle()
		n[0].sawEvents(t, "002200")
		n[1].sawEvents(t, "0020")
	})
}

// A short partition is not noticed, and what a stream carries gets through
// after it.
func TestMemoryShortPartition(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b, n := board(t, p2p.NewFaults(1), 2)
		b.Spoil(func(f *p2p.Faults) { f.Partition([]job.PeerID{n[0].Self()}) })
		time.AfterFunc(2*time.Second, func() { b.Spoil((*p2p.Faults).Heal) })
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		if _, err := n[0].Request(ctx, n[1].Self(), nil); err != nil {
			t.Error(err)
		}
		settle()
		n[0].sawEvents(t, "0")
	})
}

func TestMemoryLosesAndDoubles(t *testing.T) {
	bubble(t, func(t *testing.T) {
		faults := p2p.NewFaults(1)
		b, n := board(t, faults, 2)
		b.Spoil(func(f *p2p.Faults) { f.Loss, f.Duplicate = 0.3, 0.3 })
		const messages = 200
		for i := range messages {
			if err := n[0].Publish(t.Context(), p2p.Work, fmt.Append(nil, i)); err != nil {
				t.Fatal(err)
			}
			time.Sleep(100 * time.Millisecond) // under the rate of one author
		}
		settle()
		var lost, doubled int
		for i := range messages {
			switch n[1].heard[fmt.Sprint(i)] {
			case 0:
				lost++
			case 2:
				doubled++
			}
		}
		if lost < messages/10 || doubled < messages/10 || lost+doubled > messages*8/10 {
			t.Errorf("of %d messages %d lost and %d doubled", messages, lost, doubled)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		for range 50 { // streams lose nothing
			if _, err := n[0].Request(ctx, n[1].Self(), nil); err != nil {
				t.Fatal(err)
			}
		}
	})
}

// Who is muted is heard again after a while.
func TestMemoryMutes(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b := p2p.NewSwitchboard(p2p.NewFaults(1))
		b.Discover = true
		n := make([]*p2p.Memory, 2)
		var mu sync.Mutex
		heard := 0
		for i := range n {
			m, err := b.NewMemory("m", uint64(i))
			if err != nil {
				t.Fatal(err)
			}
			defer m.Close()
			go func() {
				for range m.Events() {
				}
			}()
			err = m.Listen(p2p.Work, func(job.PeerID, []byte) p2p.Verdict {
				mu.Lock()
				defer mu.Unlock()
				heard++
				return p2p.Reject
			})
			if err != nil {
				t.Fatal(err)
			}
			if err := m.Start(); err != nil {
				t.Fatal(err)
			}
			n[i] = m
		}
		settle()
		for _, want := range []int{11, 22} {
			for range 30 {
				if err := n[0].Publish(t.Context(), p2p.Work, []byte("bad")); err != nil {
					t.Fatal(err)
				}
			}
			synctest.Wait()
			mu.Lock()
			if heard != want {
				t.Errorf("heard %d messages, want %d", heard, want)
			}
			mu.Unlock()
			time.Sleep(2 * time.Minute)
		}
	})
}
