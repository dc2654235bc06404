// SPDX-License-Identifier: MIT

package blockstore_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/peerstore"

	"meshnode/blockstore"
	"meshnode/blockstore/blockstoretest"
	"meshnode/job"
)

func peerID(h host.Host) job.PeerID { return job.PeerID(h.ID().String()) }

func fetchOne(t *testing.T, st blockstore.Store, cid job.CID, from host.Host, patience time.Duration) error {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	_, err := st.Block(ctx, cid, []job.PeerID{peerID(from)})
	return err
}

// TestBitswapDials fetches from a peer that is known but not connected.
func TestBitswapDials(t *testing.T) {
	a, b := newHost(t), newHost(t)
	from := blockstore.NewMemory(blockstore.NewBitswap(a, "mesh", nil))
	defer from.Close()
	to := blockstore.NewMemory(blockstore.NewBitswap(b, "mesh", nil))
	defer to.Close()
	cid, err := from.PutBlock(t.Context(), blockstoretest.Bytes(1, 5000))
	if err != nil {
		t.Fatal(err)
	}
	b.Peerstore().AddAddrs(a.ID(), a.Addrs(), peerstore.PermanentAddrTTL)
	if err := fetchOne(t, to, cid, a, time.Minute); err != nil {
		t.Error(err)
	}
}

// TestBitswapAllows gives blocks to one peer and not to another.
func TestBitswapAllows(t *testing.T) {
	a, friend, stranger := newHost(t), newHost(t), newHost(t)
	allow := func(p job.PeerID) bool { return p == peerID(friend) }
	from := blockstore.NewMemory(blockstore.NewBitswap(a, "mesh", allow))
	defer from.Close()
	small, err := from.PutBlock(t.Context(), blockstoretest.Bytes(1, 10))
	if err != nil {
		t.Fatal(err)
	}
	large, err := from.PutBlock(t.Context(), blockstoretest.Bytes(1, job.MaxBlock))
	if err != nil {
		t.Fatal(err)
	}
	for _, h := range []host.Host{friend, stranger} {
		connect(t, h, a)
		st := blockstore.NewMemory(blockstore.NewBitswap(h, "mesh", nil))
		defer st.Close()
		for _, cid := range []job.CID{small, large} {
			if h == friend {
				if err := fetchOne(t, st, cid, a, time.Minute); err != nil {
					t.Errorf("friend: %v", err)
				}
			} else if err := fetchOne(t, st, cid, a, time.Second); !errors.Is(err, blockstore.ErrNotFound) {
				t.Errorf("stranger: error %v, want %v", err, blockstore.ErrNotFound)
			}
		}
	}
}

// TestBitswapMeshes has two meshes on one network, and looks at the protocols.
func TestBitswapMeshes(t *testing.T) {
	a, b := newHost(t), newHost(t)
	connect(t, a, b)
	from := blockstore.NewMemory(blockstore.NewBitswap(a, "one", nil))
	defer from.Close()
	to := blockstore.NewMemory(blockstore.NewBitswap(b, "two", nil))
	cid, err := from.PutBlock(t.Context(), blockstoretest.Bytes(1, 10))
	if err != nil {
		t.Fatal(err)
	}
	if err := fetchOne(t, to, cid, a, time.Second); !errors.Is(err, blockstore.ErrNotFound) {
		t.Errorf("from another mesh: error %v, want %v", err, blockstore.ErrNotFound)
	}
	bitswap := func() (found []string) {
		for _, p := range b.Mux().Protocols() {
			if strings.Contains(string(p), "bitswap") {
				found = append(found, string(p))
			}
		}
		return found
	}
	const want = "/meshnode/1/two/ipfs/bitswap/1.2.0"
	if got := bitswap(); len(got) != 1 || got[0] != want {
		t.Errorf("protocols %v, want %v", got, want)
	}
	if err := to.Close(); err != nil {
		t.Error(err)
	}
	if got := bitswap(); len(got) > 0 {
		t.Errorf("protocols after close %v", got)
	}
}

// silent has every block, and gives none.
type silent struct{}

func (silent) Size(job.CID) (int, bool) { return 10, true }
func (silent) Get(ctx context.Context, _ job.CID) ([]byte, error) {
	<-ctx.Done()
	return nil, ctx.Err()
}

// TestBitswapComesLate connects the peer that has the block when the fetch has
// already asked another.
func TestBitswapComesLate(t *testing.T) {
	a, b, c := newHost(t), newHost(t), newHost(t)
	from := blockstore.NewMemory(blockstore.NewBitswap(a, "mesh", nil))
	defer from.Close()
	to := blockstore.NewMemory(blockstore.NewBitswap(b, "mesh", nil))
	defer to.Close()
	x := blockstore.NewBitswap(c, "mesh", nil)
	x.Serve(silent{})
	defer x.Close()
	connect(t, b, c)
	cid, err := from.PutBlock(t.Context(), blockstoretest.Bytes(1, 5000))
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error)
	go func() { done <- fetchOne(t, to, cid, c, time.Minute) }()
	connect(t, b, a)
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// TestBitswapLeavesNothing closes everything after a fetch.
func TestBitswapLeavesNothing(t *testing.T) {
	blockstoretest.CheckGoroutines(t)
	a, b := newHost(t), newHost(t)
	connect(t, a, b)
	from := blockstore.NewMemory(blockstore.NewBitswap(a, "mesh", nil))
	to := blockstore.NewMemory(blockstore.NewBitswap(b, "mesh", nil))
	cid, _ := importFile(t, from, blockstoretest.Bytes(1, 5*job.MaxBlock))
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if _, err := to.Fetch(ctx, cid, []job.PeerID{peerID(a)}, 1<<30); err != nil {
		t.Error(err)
	}
	for _, st := range []blockstore.Store{from, to} {
		if err := st.Close(); err != nil {
			t.Error(err)
		}
	}
}
