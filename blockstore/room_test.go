// SPDX-License-Identifier: MIT

package blockstore

import (
	"context"
	"errors"
	"testing"
	"time"

	"meshnode/job"
)

// small is a medium with little room.
type small struct {
	*memoryMedium
	room uint64
}

func (s small) free() (uint64, error) { return s.room, nil }

// What peers make a node store asks for room, and single blocks do as well.
func TestFetchedBlockNeedsRoom(t *testing.T) {
	var net Loopback
	from := NewMemory(net.Join("from"))
	defer from.Close()
	cid, err := from.PutBlock(t.Context(), []byte("a manifest"))
	if err != nil {
		t.Fatal(err)
	}
	medium := small{&memoryMedium{blocks: make(map[job.CID][]byte)}, MinFree}
	to := newCore(medium, make(map[job.CID]*entry), make(map[string]map[job.CID]bool), net.Join("to"))
	defer to.Close()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	peers := []job.PeerID{"from"}
	if _, err := to.Block(ctx, cid, peers); !errors.Is(err, ErrFull) {
		t.Errorf("block: error %v, want %v", err, ErrFull)
	}
	if _, err := to.Fetch(ctx, cid, peers, 1<<20); !errors.Is(err, ErrFull) {
		t.Errorf("file set: error %v, want %v", err, ErrFull)
	}
	if n, err := to.Usage(ctx); n > 0 || err != nil {
		t.Errorf("%d bytes stored, error %v", n, err)
	}
}

// Of a hundred blocks that have come for nothing all go before one that was of use.
func TestFetchedForNothingGoesFirst(t *testing.T) {
	var net Loopback
	from, to := NewMemory(net.Join("from")), NewMemory(net.Join("to"))
	defer from.Close()
	defer to.Close()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	put := func(st *Memory, b ...byte) job.CID {
		t.Helper()
		cid, err := st.PutBlock(ctx, b)
		if err != nil {
			t.Fatal(err)
		}
		return cid
	}
	own := put(to, 1, 2, 3)
	twice := put(from, 4, 5, 6)
	peers := []job.PeerID{"from"}
	for range 2 {
		if _, err := to.Block(ctx, twice, peers); err != nil {
			t.Fatal(err)
		}
	}
	for i := range 100 {
		if _, err := to.Block(ctx, put(from, byte(i)), peers); err != nil {
			t.Fatal(err)
		}
	}
	if freed, err := to.Collect(ctx, 6); freed != 100 || err != nil {
		t.Errorf("%d bytes collected, error %v", freed, err)
	}
	for _, cid := range []job.CID{own, twice} {
		if _, err := to.Block(ctx, cid, nil); err != nil {
			t.Error(err)
		}
	}
}
