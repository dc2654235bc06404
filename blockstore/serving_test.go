// SPDX-License-Identifier: MIT

package blockstore

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"

	"github.com/ipfs/boxo/bitswap/message"
	pb "github.com/ipfs/boxo/bitswap/message/pb"
	"github.com/libp2p/go-libp2p/core/peer"

	"meshnode/job"
)

// sent is what a serving has sent to somebody.
type sent struct {
	to  peer.ID
	msg message.BitSwapMessage
	end chan error // ends the sending
}

// newServed returns a serving of blocks, and what it sends. Whoever is called gone
// is not connected.
func newServed(t *testing.T, sizes ...int) (*serving, []job.CID, chan sent) {
	st := NewMemory(nil)
	var cids []job.CID
	for i, size := range sizes {
		data := make([]byte, size)
		data[0] = byte(i)
		cid, err := st.PutBlock(t.Context(), data)
		if err != nil {
			t.Fatal(err)
		}
		cids = append(cids, cid)
	}
	all := make(chan sent, 100)
	send := func(ctx context.Context, to peer.ID, msg message.BitSwapMessage) error {
		one := sent{to, msg, make(chan error, 1)}
		all <- one
		select {
		case err := <-one.end:
			return err
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	s := newServing(ctx, send, func(p peer.ID) bool { return p != "gone" }, served{st.core}, nil)
	t.Cleanup(func() {
		cancel()
		s.close()
		st.Close()
	})
	return s, cids, all
}

func wants(t *testing.T, cids ...job.CID) message.BitSwapMessage {
	m := message.New(false)
	for i, c := range cids {
		key, err := c.Parse()
		if err != nil {
			t.Fatal(err)
		}
		m.AddEntry(key, int32(len(cids)-i), pb.Message_Wantlist_Block, true)
	}
	return m
}

// A peer is sent one message at a time until it has read a large one, then four,
// and one again when it does not read.
func TestServingProvesReading(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sizes := make([]int, 12)
		for i := range sizes {
			sizes[i] = job.MaxBlock - i
		}
		s, cids, out := newServed(t, sizes...)
		want := func(n int) {
			t.Helper()
			synctest.Wait()
			if len(out) != n {
				t.Fatalf("%d messages under way, want %d", len(out), n)
			}
		}
		s.hear("a", wants(t, cids...))
		want(1)
		(<-out).end <- nil
		want(maxSendingTo)
		failed := <-out
		failed.end <- errors.New("not read")
		want(maxSendingTo - 1)
		s.hear("a", wants(t, cids[8:]...)) // the others are still under way
		want(maxSendingTo - 1)
		for len(out) > 0 {
			(<-out).end <- errors.New("not read")
		}
		synctest.Wait()
		s.hear("a", wants(t, cids[8:]...))
		want(1)
		(<-out).end <- nil
		want(3)
	})
}

// Those who read nothing keep nobody waiting, as long as there are fewer of them
// than messages that are sent at a time; then for as long as their streams last.
func TestServingOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, cids, out := newServed(t, job.MaxBlock, job.MaxBlock, 3)
		for i := range maxSending - 1 {
			s.hear(peer.ID(fmt.Sprint("silent", i)), wants(t, cids...))
		}
		synctest.Wait()
		for range maxSending - 1 {
			<-out
		}
		s.hear("honest", wants(t, cids[2]))
		if got := <-out; got.to != "honest" || len(got.msg.Blocks()) != 1 {
			t.Errorf("%d blocks sent to %s", len(got.msg.Blocks()), got.to)
		} else {
			got.end <- nil
		}
		s.hear("silent too", wants(t, cids...))
		<-out
		s.hear("honest", wants(t, cids[2]))
		for got := range out { // after inboundTime
			if got.end <- nil; got.to == "honest" {
				break
			}
		}
	})
}

// In a crowd of those who read each is sent one message at a time, so that others come
// to their turn.
func TestServingCrowd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sizes := make([]int, 12)
		for i := range sizes {
			sizes[i] = job.MaxBlock - i
		}
		s, cids, out := newServed(t, sizes...)
		const readers = maxSending / maxSendingTo
		for i := range readers {
			s.hear(peer.ID(fmt.Sprint("reader", i)), wants(t, cids...))
		}
		synctest.Wait()
		for range readers {
			(<-out).end <- nil // a first one is read, no other
		}
		synctest.Wait()
		s.hear("honest", wants(t, cids[0]))
		synctest.Wait()
		for range len(out) {
			if got := <-out; got.to == "honest" {
				return
			}
		}
		t.Error("not served while others do not read")
	})
}

// What is wanted no more is not sent, what is not here is said to be absent, small
// blocks go together, and nothing is kept of who has gone.
func TestServingReplies(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, cids, out := newServed(t, job.MaxBlock, 4, 3, 2)
		absent := job.CIDOf([]byte("absent"))
		s.hear("a", wants(t, append(cids, absent)...))
		first := <-out
		if len(first.msg.Blocks()) != 1 {
			t.Fatalf("%d blocks in a message of 1 MiB", len(first.msg.Blocks()))
		}
		cancel := message.New(false)
		key, _ := cids[2].Parse()
		cancel.Cancel(key)
		s.hear("a", cancel)
		first.end <- nil
		second := <-out
		if len(second.msg.Blocks()) != 2 || len(second.msg.DontHaves()) != 1 {
			t.Errorf("%d blocks and %d absent", len(second.msg.Blocks()), len(second.msg.DontHaves()))
		}
		second.end <- nil
		synctest.Wait()
		s.gone("a")
		s.hear("gone", wants(t, cids[0], absent)) // it was quicker than the news of it
		(<-out).end <- nil
		synctest.Wait()
		s.hear("nobody", cancel)
		if len(s.askers) > 0 {
			t.Errorf("kept: %v", s.askers)
		}
	})
}

// Of what a peer asks for no more is kept than it may wait for.
func TestServingIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, cids, _ := newServed(t, job.MaxBlock)
		s.hear("a", wants(t, cids...)) // not read
		synctest.Wait()
		for i := range 3 {
			var many []job.CID
			for j := range 1000 {
				many = append(many, job.CIDOf(fmt.Append(nil, i, j)))
			}
			s.hear("a", wants(t, many...))
		}
		if n := len(s.askers["a"].replies); n != maxReplies {
			t.Errorf("%d replies are kept, want %d", n, maxReplies)
		}
	})
}
