// SPDX-License-Identifier: MIT

package blockstore

import (
	"bytes"
	"context"
	"testing"

	"github.com/ipfs/boxo/bitswap/message"
	pb "github.com/ipfs/boxo/bitswap/message/pb"
	blocks "github.com/ipfs/go-block-format"
	"github.com/ipfs/go-cid"
	"github.com/libp2p/go-libp2p"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/multiformats/go-multihash"

	"meshnode/job"
)

// FuzzReceive: whatever a message of blocks says, a fetch is told of blocks that are
// what their CIDs say, and of CIDs of the one kind.
func FuzzReceive(f *testing.F) {
	data := []byte("a block")
	raw, err := blocks.NewBlockWithCid(data, cid.NewCidV1(cid.Raw, sum(f, data)))
	if err != nil {
		f.Fatal(err)
	}
	msg := message.New(true)
	msg.AddBlock(raw)
	msg.AddBlock(blocks.NewBlock([]byte("of another kind")))
	msg.AddDontHave(raw.Cid())
	msg.AddHave(raw.Cid())
	msg.AddEntry(raw.Cid(), 1, pb.Message_Wantlist_Block, true)
	msg.Cancel(cid.NewCidV1(cid.Raw, sum(f, []byte("another"))))
	var whole bytes.Buffer
	if err := msg.ToNetV1(&whole); err != nil {
		f.Fatal(err)
	}
	f.Add(whole.Bytes())
	f.Add([]byte{0xff, 0xff, 0xff, 0xff, 0x0f})
	f.Fuzz(func(t *testing.T, said []byte) {
		m, _, err := message.FromNet(bytes.NewReader(said))
		if err != nil {
			return
		}
		ctx, cancel := context.WithCancel(t.Context())
		one := &fetch{ctx: ctx, events: make(chan event, 1)}
		send := func(_ context.Context, _ peer.ID, msg message.BitSwapMessage) error {
			if len(msg.Blocks())+len(msg.Haves()) > 0 {
				t.Errorf("answered with %d blocks and %d promises, where there is nothing", len(msg.Blocks()), len(msg.Haves()))
			}
			return nil
		}
		there := func(peer.ID) bool { return true }
		b := &Bitswap{fetches: map[*fetch]bool{one: true}, serving: newServing(ctx, send, there, nothing{}, nil)}
		defer func() { cancel(); b.serving.close() }()
		receiver{b}.ReceiveMessage(ctx, "peer", m)
		select {
		case ev := <-one.events:
			for _, block := range ev.blocks {
				if block.CID != "" && job.CIDOf(block.Data) != block.CID {
					t.Errorf("%q is not %s", block.Data, block.CID)
				}
			}
			for _, c := range ev.absent {
				if _, err := c.Parse(); c != "" && err != nil {
					t.Errorf("%q: %v", c, err)
				}
			}
		default:
		}
	})
}

// Who was late and has gone while he was asked is not remembered.
func TestLateAndGone(t *testing.T) {
	h, err := libp2p.New(libp2p.NoListenAddrs)
	if err != nil {
		t.Fatal(err)
	}
	defer h.Close()
	b := NewBitswap(h, "mesh", nil)
	defer b.Close()
	f := &fetch{swap: b, asking: newAsking(nil)}
	f.joined(job.PeerID(h.ID().String()), true, true)
	f.joined("nobody", true, true)
	f.end()
	if len(b.late) > 0 {
		t.Errorf("remembered: %v", b.late)
	}
}

// nothing is a Local without blocks.
type nothing struct{}

func (nothing) Size(job.CID) (int, bool)                     { return 0, false }
func (nothing) Get(context.Context, job.CID) ([]byte, error) { return nil, ErrNotFound }

func sum(f *testing.F, data []byte) multihash.Multihash {
	s, err := multihash.Sum(data, multihash.SHA2_256, -1)
	if err != nil {
		f.Fatal(err)
	}
	return s
}
