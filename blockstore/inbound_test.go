// SPDX-License-Identifier: MIT

package blockstore_test

import (
	"context"
	"encoding/binary"
	"errors"
	"runtime"
	"testing"
	"time"

	"github.com/ipfs/boxo/bitswap/message"
	pb "github.com/ipfs/boxo/bitswap/message/pb"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"

	"meshnode/blockstore"
	"meshnode/blockstore/blockstoretest"
	"meshnode/job"
)

const testProtocol = "/meshnode/1/mesh/ipfs/bitswap/1.2.0"

// stall opens a stream, announces a message of 4 MiB, and never sends it.
func stall(t *testing.T, from, to host.Host) network.Stream {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	s, err := from.NewStream(ctx, to.ID(), testProtocol)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Reset() })
	_, _ = s.Write(binary.AppendUvarint(nil, 4<<20-1)) // one too many is reset already
	return s
}

// A peer that opens streams and announces large messages that do not come holds
// little memory, and keeps nobody else from getting blocks.
func TestBitswapSlowSender(t *testing.T) {
	a, b, evil := newHost(t), newHost(t), newHost(t)
	from := blockstore.NewMemory(blockstore.NewBitswap(a, "mesh", nil))
	defer from.Close()
	to := blockstore.NewMemory(blockstore.NewBitswap(b, "mesh", nil))
	defer to.Close()
	connect(t, b, a)
	connect(t, evil, b)
	connect(t, evil, a)
	before := allocated()
	const streams = 100
	var stalled []network.Stream
	for range streams {
		stalled = append(stalled, stall(t, evil, b), stall(t, evil, a))
	}
	cid, err := from.PutBlock(t.Context(), blockstoretest.Bytes(1, job.MaxBlock))
	if err != nil {
		t.Fatal(err)
	}
	if err := fetchOne(t, to, cid, a, time.Minute); err != nil {
		t.Error(err)
	}
	if grown := int64(allocated()) - int64(before); grown > 2*8*4<<20+32<<20 { // eight messages at either node, and what else is there
		t.Errorf("%d MiB held by a peer that sends nothing", grown>>20)
	}
	reset := 0
	for _, s := range stalled {
		_ = s.SetReadDeadline(time.Now().Add(50 * time.Millisecond))
		if _, err := s.Read(make([]byte, 1)); errors.Is(err, network.ErrReset) {
			reset++
		}
	}
	if reset < 2*(streams-32) {
		t.Errorf("%d streams of %d were reset", reset, len(stalled))
	}
}

// Peers that want blocks and do not read them keep nobody else from being served, and
// the store can be closed.
func TestBitswapSilentReaders(t *testing.T) {
	a, b := newHost(t), newHost(t)
	from := blockstore.NewMemory(blockstore.NewBitswap(a, "mesh", nil))
	defer from.Close()
	to := blockstore.NewMemory(blockstore.NewBitswap(b, "mesh", nil))
	defer to.Close()
	connect(t, b, a)
	want := message.New(false)
	for i := range 16 {
		cid, err := from.PutBlock(t.Context(), blockstoretest.Bytes(uint64(i), job.MaxBlock))
		if err != nil {
			t.Fatal(err)
		}
		key, err := cid.Parse()
		if err != nil {
			t.Fatal(err)
		}
		want.AddEntry(key, 1, pb.Message_Wantlist_Block, true)
	}
	const readers = 10 // each was given 16 of 8 goroutines for 86 s
	held := make(chan struct{}, readers)
	for range readers {
		evil := newHost(t)
		evil.SetStreamHandler(testProtocol, func(s network.Stream) {
			held <- struct{}{}
			<-t.Context().Done()
			_ = s.Reset()
		})
		connect(t, evil, a)
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		s, err := evil.NewStream(ctx, a.ID(), testProtocol)
		if err != nil {
			t.Fatal(err)
		}
		if err := want.ToNetV1(s); err != nil {
			t.Fatal(err)
		}
	}
	for range readers {
		<-held
	}
	for i, size := range []int{16, job.MaxBlock} {
		cid, err := from.PutBlock(t.Context(), blockstoretest.Bytes(uint64(100+i), size))
		if err != nil {
			t.Fatal(err)
		}
		if err := fetchOne(t, to, cid, a, time.Minute); err != nil {
			t.Errorf("%d bytes: %v", size, err)
		}
	}
}

// allocated returns the bytes in use.
func allocated() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}
