// SPDX-License-Identifier: MIT

package blockstore_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/peer"
	libp2ptls "github.com/libp2p/go-libp2p/p2p/security/tls"
	"github.com/libp2p/go-libp2p/p2p/transport/tcp"

	"meshnode/blockstore"
	"meshnode/blockstore/blockstoretest"
	"meshnode/job"
)

func TestMemoryOnLoopback(t *testing.T) { suite(newMemory, newLoopback).Run(t) }
func TestDiskOnLoopback(t *testing.T)   { suite(newDisk, newLoopback).Run(t) }
func TestMemoryOnBitswap(t *testing.T)  { suite(newMemory, newBitswap).Run(t) }
func TestDiskOnBitswap(t *testing.T)    { suite(newDisk, newBitswap).Run(t) }

type (
	newStore = func(testing.TB, blockstore.Exchange) blockstore.Store
	newMesh  = func(testing.TB) func() (job.PeerID, blockstore.Exchange)
)

func suite(store newStore, mesh newMesh) blockstoretest.Suite {
	return blockstoretest.Suite{
		New:  store,
		Mesh: mesh,
		Damage: func(t testing.TB, s blockstore.Store, cid job.CID, data []byte) {
			t.Helper()
			if err := blockstore.Overwrite(s, cid, data); err != nil {
				t.Fatal(err)
			}
		},
	}
}

func newMemory(_ testing.TB, x blockstore.Exchange) blockstore.Store { return blockstore.NewMemory(x) }

func newDisk(t testing.TB, x blockstore.Exchange) blockstore.Store {
	t.Helper()
	st, err := blockstore.NewDisk(t.TempDir(), x)
	if err != nil {
		t.Fatal(err)
	}
	return st
}

func newLoopback(testing.TB) func() (job.PeerID, blockstore.Exchange) {
	net, n := new(blockstore.Loopback), 0
	return func() (job.PeerID, blockstore.Exchange) {
		n++
		id := job.PeerID(fmt.Sprint("node-", n))
		return id, net.Join(id)
	}
}

// newBitswap connects each new host to all before it, over TCP and TLS on the
// loopback interface.
func newBitswap(t testing.TB) func() (job.PeerID, blockstore.Exchange) {
	var hosts []host.Host
	return func() (job.PeerID, blockstore.Exchange) {
		t.Helper()
		h := newHost(t)
		x := blockstore.NewBitswap(h, "test", nil)
		for _, other := range hosts {
			connect(t, h, other)
		}
		hosts = append(hosts, h)
		return job.PeerID(h.ID().String()), x
	}
}

func newHost(t testing.TB) host.Host {
	t.Helper()
	h, err := libp2p.New(
		libp2p.ListenAddrStrings("/ip4/127.0.0.1/tcp/0"),
		libp2p.Transport(tcp.NewTCPTransport),
		libp2p.Security(libp2ptls.ID, libp2ptls.New),
		libp2p.DisableRelay(),
		libp2p.DisableMetrics(),
	)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = h.Close() })
	return h
}

func connect(t testing.TB, a, b host.Host) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if err := a.Connect(ctx, peer.AddrInfo{ID: b.ID(), Addrs: b.Addrs()}); err != nil {
		t.Fatal(err)
	}
}
