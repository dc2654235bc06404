// SPDX-License-Identifier: MIT

package blockstore

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/ipfs/boxo/bitswap"
	"github.com/ipfs/boxo/bitswap/client"
	"github.com/ipfs/boxo/bitswap/network"
	"github.com/ipfs/boxo/bitswap/network/bsnet"
	boxo "github.com/ipfs/boxo/blockstore"
	blocks "github.com/ipfs/go-block-format"
	"github.com/ipfs/go-cid"
	ipld "github.com/ipfs/go-ipld-format"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"
	"github.com/libp2p/go-libp2p/core/routing"
	"golang.org/x/sync/errgroup"

	"meshnode/job"
)

// Bitswap is the [Exchange] between machines: the bitswap protocol on a libp2p
// host that somebody else owns and closes. No other file of the project knows
// of bitswap.
type Bitswap struct {
	host    host.Host
	prefix  protocol.ID // of the mesh
	allow   func(job.PeerID) bool
	sources sources

	ctx    context.Context // ends with Close
	cancel context.CancelFunc
	calls  sync.WaitGroup

	swap *bitswap.Bitswap // set by Serve
	net  network.BitSwapNetwork
}

// A fetch wants at most batch*batches blocks at a time, which bounds the bytes
// that wait for the store: 32 MiB. Twice what a peer keeps in flight is enough
// to keep it busy.
const (
	batch   = 8
	batches = 4
)

// A peer that leaves a want unanswered for twice as long as it usually takes,
// within these bounds, is taken not to have the block, and another is asked.
// The default lower bound, 50 ms, is less than a queue of 1 MiB blocks takes.
const (
	minPatience = 3 * time.Second
	maxPatience = 15 * time.Second
)

// NewBitswap returns an exchange with the peers of the mesh that are connected
// to h, or can be. The mesh name is part of the protocol, so an IPFS node on
// the same network is no peer. allow says to whom blocks are given; nil means
// everybody.
//
// It should start before discovery does, so that it sees every peer come.
func NewBitswap(h host.Host, mesh string, allow func(job.PeerID) bool) *Bitswap {
	b := &Bitswap{
		host:    h,
		prefix:  protocol.ID("/meshnode/1/" + mesh),
		allow:   allow,
		sources: sources{peers: make(map[cid.Cid]map[peer.ID]int)},
	}
	b.ctx, b.cancel = context.WithCancel(context.Background())
	return b
}

// Serve implements [Exchange].
func (b *Bitswap) Serve(local Local) {
	patience := client.DefaultDontHaveTimeoutConfig()
	patience.DontHaveTimeout = minPatience
	patience.MinTimeout = minPatience
	patience.MaxTimeout = maxPatience

	b.net = bsnet.NewFromIpfsHost(b.host, bsnet.Prefix(b.prefix),
		bsnet.SupportedProtocols([]protocol.ID{bsnet.ProtocolBitswap}))
	b.swap = bitswap.New(b.ctx, b.net, &b.sources, boxoStore{local},
		bitswap.MaxOutstandingBytesPerPeer(16<<20), // the default, 1 MiB, is one block per round trip
		bitswap.WithTargetMessageSize(job.MaxBlock),
		bitswap.EngineBlockstoreWorkerCount(8), // each holds a block; the default is 128
		bitswap.ProviderSearchDelay(100*time.Millisecond),
		bitswap.RebroadcastDelay(5*time.Second),
		bitswap.WithPeerBlockRequestFilter(func(p peer.ID, _ cid.Cid) bool {
			return b.allow == nil || b.allow(job.PeerID(p.String()))
		}),
		bitswap.WithoutDuplicatedBlockStats(),
		bitswap.WithClientOption(client.WithDontHaveTimeoutConfig(patience)),
	)
}

// Fetch implements [Exchange]: one session, so that what it learns of the peers
// with one batch is used for the next.
func (b *Bitswap) Fetch(ctx context.Context, cids []job.CID, from []job.PeerID) <-chan Block {
	out := make(chan Block)
	if b.ctx.Err() != nil {
		close(out)
		return out
	}
	b.calls.Go(func() {
		defer close(out)
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		defer context.AfterFunc(b.ctx, cancel)()

		keys := make([]cid.Cid, 0, len(cids))
		for _, c := range cids {
			if key, err := c.Parse(); err == nil {
				keys = append(keys, key)
			}
		}
		defer b.sources.add(keys, from)()
		session := b.swap.NewSession(ctx)
		var wants errgroup.Group
		wants.SetLimit(batches)
		for part := range slices.Chunk(keys, batch) {
			wants.Go(func() error {
				found, err := session.GetBlocks(ctx, part)
				if err != nil {
					return err
				}
				for blk := range found {
					select {
					case out <- Block{job.CID(blk.Cid().String()), blk.RawData()}:
					case <-ctx.Done():
						return ctx.Err()
					}
				}
				return nil
			})
		}
		_ = wants.Wait() // what was not found is missing from out
	})
	return out
}

// Close implements [Exchange]. The host stays open.
func (b *Bitswap) Close() error {
	b.cancel()
	b.calls.Wait()
	if b.swap == nil {
		return nil
	}
	b.host.RemoveStreamHandler(b.prefix + bsnet.ProtocolBitswap)
	return b.swap.Close()
}

// sources tells bitswap which peers are said to have a block: those given to
// the fetches in progress. Bitswap dials them if need be.
type sources struct {
	mu    sync.Mutex
	peers map[cid.Cid]map[peer.ID]int // fetches that named the peer for the block
}

// add notes where a fetch expects its blocks, until done is called.
func (s *sources) add(keys []cid.Cid, from []job.PeerID) (done func()) {
	ids := make([]peer.ID, 0, len(from))
	for _, p := range from {
		if id, err := peer.Decode(string(p)); err == nil {
			ids = append(ids, id)
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, key := range keys {
		if s.peers[key] == nil {
			s.peers[key] = make(map[peer.ID]int)
		}
		for _, id := range ids {
			s.peers[key][id]++
		}
	}
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		for _, key := range keys {
			of := s.peers[key]
			for _, id := range ids {
				if of[id]--; of[id] == 0 {
					delete(of, id)
				}
			}
			if len(of) == 0 {
				delete(s.peers, key)
			}
		}
	}
}

// FindProvidersAsync implements routing.ContentDiscovery.
func (s *sources) FindProvidersAsync(_ context.Context, key cid.Cid, limit int) <-chan peer.AddrInfo {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := make(chan peer.AddrInfo, len(s.peers[key]))
	for id := range s.peers[key] {
		if limit > 0 && len(out) == limit {
			break
		}
		out <- peer.AddrInfo{ID: id} // the host knows the addresses
	}
	close(out)
	return out
}

// boxoStore is a Local as bitswap wants it. Bitswap only reads.
type boxoStore struct{ local Local }

var (
	_ boxo.Blockstore          = boxoStore{}
	_ routing.ContentDiscovery = (*sources)(nil)
	_ Exchange                 = (*Bitswap)(nil)
)

var errReadOnly = errors.New("blockstore: bitswap may only read")

// address returns the CID of a request, or "" for one of a kind not in use.
func address(key cid.Cid) job.CID {
	c := job.CID(key.String())
	if _, err := c.Parse(); err != nil {
		return ""
	}
	return c
}

func (s boxoStore) Has(_ context.Context, key cid.Cid) (bool, error) {
	_, ok := s.local.Size(address(key))
	return ok, nil
}

func (s boxoStore) GetSize(_ context.Context, key cid.Cid) (int, error) {
	size, ok := s.local.Size(address(key))
	if !ok {
		return 0, ipld.ErrNotFound{Cid: key}
	}
	return size, nil
}

func (s boxoStore) Get(ctx context.Context, key cid.Cid) (blocks.Block, error) {
	data, err := s.local.Get(ctx, address(key))
	if err != nil { // bitswap logs every other error
		return nil, ipld.ErrNotFound{Cid: key}
	}
	return blocks.NewBlockWithCid(data, key)
}

func (boxoStore) Put(context.Context, blocks.Block) error             { return errReadOnly }
func (boxoStore) PutMany(context.Context, []blocks.Block) error       { return errReadOnly }
func (boxoStore) DeleteBlock(context.Context, cid.Cid) error          { return errReadOnly }
func (boxoStore) AllKeysChan(context.Context) (<-chan cid.Cid, error) { return nil, errReadOnly }
