// SPDX-License-Identifier: MIT

package blockstore

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/ipfs/boxo/bitswap/message"
	pb "github.com/ipfs/boxo/bitswap/message/pb"
	"github.com/ipfs/boxo/bitswap/network"
	"github.com/ipfs/boxo/bitswap/network/bsnet"
	"github.com/ipfs/go-cid"
	"github.com/libp2p/go-libp2p/core/host"
	libp2p "github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"

	"meshnode/job"
)

// Bitswap is the [Exchange] between machines: the bitswap protocol on a libp2p
// host that somebody else owns and closes. What peers send goes through an inbound
// and a scanner, what is sent to them through an outbound; serving answers them.
//
// The messages, and the network that they go over, are boxo's. Asking and serving
// are not: boxo's session may leave a block with a peer that promised it and went
// silent for as long as 45 s, and cannot say that nobody has it; its server lets a
// peer that asks and does not read keep all others waiting. See docs/storage.md.
type Bitswap struct {
	host  host.Host
	proto protocol.ID
	allow func(job.PeerID) bool

	ctx    context.Context // ends with Close
	cancel context.CancelFunc
	calls  sync.WaitGroup

	net     network.BitSwapNetwork
	serving *serving // set by Serve

	mu      sync.Mutex
	fetches map[*fetch]bool     // in progress
	late    map[job.PeerID]bool // peers that were late in the last fetch
}

var _ Exchange = (*Bitswap)(nil)

// NewBitswap returns an exchange with the peers of the mesh that are connected
// to h, or can be. The mesh name is part of the protocol, so neither an IPFS
// node nor another mesh on the same network is a peer. allow says to whom blocks
// are given; nil means everybody.
func NewBitswap(h host.Host, mesh string, allow func(job.PeerID) bool) *Bitswap {
	b := &Bitswap{
		host:    h,
		proto:   protocol.ID("/meshnode/1/" + mesh),
		allow:   allow,
		fetches: make(map[*fetch]bool),
		late:    make(map[job.PeerID]bool),
	}
	b.ctx, b.cancel = context.WithCancel(context.Background())
	b.net = bsnet.NewFromIpfsHost(outbound{newInbound(b.ctx, h), b.ctx}, bsnet.Prefix(b.proto), bsnet.SupportedProtocols([]protocol.ID{bsnet.ProtocolBitswap}))
	b.proto += bsnet.ProtocolBitswap
	return b
}

// Serve implements [Exchange].
func (b *Bitswap) Serve(local Local) {
	b.serving = newServing(b.ctx, b.net.SendMessage, b.connected, local, b.allow)
	b.net.Start(receiver{b})
}

// Close implements [Exchange]. The host stays open.
func (b *Bitswap) Close() error {
	b.cancel()
	b.calls.Wait()
	if b.serving != nil {
		b.host.RemoveStreamHandler(b.proto)
		b.net.Stop()
		b.serving.close()
	}
	return nil
}

// maxWaiting is how many blocks of one fetch are asked for or wait to be read:
// the 32 MiB of memory that a fetch may take, however large.
const maxWaiting = 32

// fetch is one Fetch in progress.
type fetch struct {
	*asking
	swap   *Bitswap
	ctx    context.Context
	events chan event
	sends  sync.WaitGroup
	ready  []Block // got, and not yet read
}

// event is what a fetch is told of a peer.
type event struct {
	from   job.PeerID
	joined bool
	lost   bool
	blocks []Block
	absent []job.CID // what the peer says it does not have
}

// Fetch implements [Exchange].
func (b *Bitswap) Fetch(ctx context.Context, cids []job.CID, from []job.PeerID) <-chan Block {
	out := make(chan Block)
	ctx, cancel := context.WithCancel(ctx)
	stop := context.AfterFunc(b.ctx, cancel)
	f := &fetch{swap: b, asking: newAsking(cids), ctx: ctx, events: make(chan event)}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.ctx.Err() != nil {
		cancel()
		close(out)
		return out
	}
	b.fetches[f] = true // before it looks who is connected, so that it misses nobody
	b.calls.Go(func() {
		f.run(out, from)
		stop()
		cancel() // ends the sends, and those that have events for this fetch
		f.end()
		close(out)
		f.sends.Wait()
		f.withdraw()
	})
	return out
}

// end takes the fetch off the list, and remembers who was late. Who is not connected
// has been forgotten, or will not be.
func (f *fetch) end() {
	f.swap.mu.Lock()
	defer f.swap.mu.Unlock()
	delete(f.swap.fetches, f)
	for _, s := range f.sources {
		if id, err := peer.Decode(string(s.id)); err == nil && s.late && f.swap.connected(id) {
			f.swap.late[s.id] = true
		} else {
			delete(f.swap.late, s.id)
		}
	}
}

// join adds a peer to the fetch.
func (f *fetch) join(p job.PeerID, named bool) {
	f.swap.mu.Lock()
	late := f.swap.late[p]
	f.swap.mu.Unlock()
	f.joined(p, named, late)
}

// run returns when every block is delivered or given up, or when ctx ends.
func (f *fetch) run(out chan<- Block, from []job.PeerID) {
	self := f.swap.host.ID()
	for _, p := range from {
		if p != job.PeerID(self.String()) {
			f.join(p, true)
		}
	}
	for _, id := range f.swap.host.Network().Peers() {
		if ok, err := f.swap.host.Peerstore().SupportsProtocols(id, f.swap.proto); err == nil && len(ok) > 0 {
			f.join(job.PeerID(id.String()), false)
		}
	}

	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		for to, cids := range f.next(time.Now(), f.room()) {
			f.send(to, cids)
		}
		if len(f.wants) == 0 && len(f.ready) == 0 {
			return
		}
		if at, ok := f.wake(); ok {
			timer.Reset(time.Until(at))
		}
		var sink chan<- Block
		var first Block
		if len(f.ready) > 0 {
			sink, first = out, f.ready[0]
		}
		select {
		case sink <- first:
			f.ready = slices.Delete(f.ready, 0, 1)
		case ev := <-f.events:
			f.hear(ev)
		case <-timer.C:
			f.overdue(time.Now())
		case <-f.ctx.Done():
			return
		}
	}
}

// room returns how many more blocks may be asked for.
func (f *fetch) room() int { return maxWaiting - f.underWay() - len(f.ready) }

// hear takes an event in.
func (f *fetch) hear(ev event) {
	if ev.joined {
		f.join(ev.from, false)
	}
	if ev.lost {
		f.lost(ev.from)
	}
	now := time.Now()
	for _, b := range ev.blocks {
		if others, keep := f.got(b.CID, ev.from, now, f.room()); keep {
			f.ready = append(f.ready, b)
			for _, p := range others {
				f.swap.calls.Go(func() { _ = f.swap.tell(f.swap.ctx, p, nil, []job.CID{b.CID}) })
			}
		}
	}
	for _, c := range ev.absent {
		f.refused(c, ev.from, now)
	}
}

// send asks a peer, and reports it lost if that fails.
func (f *fetch) send(to job.PeerID, cids []job.CID) {
	f.sends.Go(func() {
		if err := f.swap.tell(f.ctx, to, cids, nil); err != nil {
			f.report(event{from: to, lost: true})
		}
	})
}

// report gives an event to the fetch, unless the fetch is over.
func (f *fetch) report(ev event) {
	select {
	case f.events <- ev:
	case <-f.ctx.Done():
	}
}

// withdraw tells the peers that what did not come need not come any more.
func (f *fetch) withdraw() {
	asked := make(map[job.PeerID][]job.CID)
	for c, w := range f.wants {
		for p := range w.asked {
			asked[p] = append(asked[p], c)
		}
	}
	for p, cids := range asked {
		f.swap.calls.Go(func() {
			for some := range slices.Chunk(cids, maxEntries/2) {
				_ = f.swap.tell(f.swap.ctx, p, nil, some)
			}
		})
	}
}

func (b *Bitswap) connected(p peer.ID) bool {
	return b.host.Network().Connectedness(p) == libp2p.Connected
}

// tell sends a peer a message of blocks to want and wants to cancel. It dials a
// peer that is not connected.
func (b *Bitswap) tell(ctx context.Context, to job.PeerID, want, cancel []job.CID) error {
	id, err := peer.Decode(string(to))
	if err != nil {
		return err
	}
	ctx, stop := context.WithTimeout(ctx, maxPatience)
	defer stop()
	msg := message.New(false)
	for i, c := range want {
		key, err := c.Parse()
		if err != nil {
			return err
		}
		msg.AddEntry(key, int32(len(want)-i), pb.Message_Wantlist_Block, true)
	}
	for _, c := range cancel {
		if key, err := c.Parse(); err == nil {
			msg.Cancel(key)
		}
	}
	return b.net.SendMessage(ctx, id, msg)
}

// each tells every fetch in progress.
func (b *Bitswap) each(ev event) {
	b.mu.Lock()
	fetches := make([]*fetch, 0, len(b.fetches))
	for f := range b.fetches {
		fetches = append(fetches, f)
	}
	b.mu.Unlock()
	for _, f := range fetches {
		f.report(ev)
	}
}

// receiver is a Bitswap as its network sees it.
type receiver struct{ *Bitswap }

// ReceiveMessage implements network.Receiver. The network has computed the CIDs
// of the blocks from their bytes, so a wrong block is one that nobody wants.
func (r receiver) ReceiveMessage(_ context.Context, from peer.ID, msg message.BitSwapMessage) {
	r.serving.hear(from, msg)
	ev := event{from: job.PeerID(from.String())}
	for _, blk := range msg.Blocks() {
		ev.blocks = append(ev.blocks, Block{address(blk.Cid()), blk.RawData()})
	}
	for _, c := range msg.DontHaves() {
		ev.absent = append(ev.absent, address(c))
	}
	if len(ev.blocks)+len(ev.absent) > 0 {
		r.each(ev)
	}
}

func (r receiver) PeerConnected(p peer.ID) { r.each(event{from: job.PeerID(p.String()), joined: true}) }
func (r receiver) PeerDisconnected(p peer.ID) {
	r.mu.Lock()
	delete(r.late, job.PeerID(p.String())) // else peers that come and go are remembered for ever
	r.mu.Unlock()
	r.serving.gone(p)
	r.each(event{from: job.PeerID(p.String()), lost: true})
}

// ReceiveError is about a message that could not be read; who sent it is not
// said. Its blocks will be overdue.
func (r receiver) ReceiveError(error) {}

var _ network.Receiver = receiver{}

// maxCID is more bytes than a CID in use has. Others may have as many as a message,
// and twice that as text.
const maxCID = 64

// address returns the text form of a CID, or "" for a kind that is not in use.
func address(key cid.Cid) job.CID {
	if key.ByteLen() > maxCID {
		return ""
	}
	c := job.CID(key.String())
	if _, err := c.Parse(); err != nil {
		return ""
	}
	return c
}
