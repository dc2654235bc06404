// SPDX-License-Identifier: MIT

package node

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"io"
	"math"
	"net"
	"strings"
	"sync"
	"time"

	"github.com/ipfs/boxo/bitswap/message"
	pb "github.com/ipfs/boxo/bitswap/message/pb"
	blocks "github.com/ipfs/go-block-format"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/protocol"

	"meshnode/blockstore"
	"meshnode/job"
	"meshnode/p2p"
)

// Protocols of the mesh "test".
const (
	requestProtocol = "/meshnode/1/test/request"
	advertProtocol  = "/meshnode/1/test/advert"
	peersProtocol   = "/meshnode/1/test/peers"
	gossipProtocol  = "/meshnode/1/test/gossip"
	blocksProtocol  = "/meshnode/1/test/ipfs/bitswap/1.2.0"
)

// outcome is what becomes of the attacker, beside that nothing comes of the attack.
type outcome int

const (
	ignored outcome = iota // nothing that he does can be told from bad luck, or has an effect
	muted                  // he is neither heard nor answered
	revoked                // nothing that he rendered counts, and the user is told
	barred                 // beside that the submitter has blocked him, and keeps his word
	exposed                // as barred, where the submitter checks what others render
)

// attack is something that a peer does until ctx ends.
type attack struct {
	name    string
	outcome outcome
	do      func(ctx context.Context, r *rogue)
}

// again repeats something until ctx ends, with a pause between.
func again(ctx context.Context, pause time.Duration, do func(i int)) {
	for i := 0; ctx.Err() == nil; i++ {
		do(i)
		select {
		case <-time.After(pause):
		case <-ctx.Done():
		}
	}
}

func noise(n int) []byte {
	b := make([]byte, n)
	_, _ = rand.Read(b) // never fails
	return b
}

// impostor signs as somebody else, with the rogue's key.
type impostor struct {
	*p2p.Host
	as job.PeerID
}

func (i impostor) Self() job.PeerID { return i.as }

var attacks = []attack{
	{"noise", muted, func(ctx context.Context, r *rogue) {
		again(ctx, 10*time.Millisecond, func(i int) {
			r.shout(p2p.Work, noise(1+i%2000))
			r.shout(p2p.Offers, noise(1+i%2000))
		})
	}},
	{"tampered envelopes", muted, func(ctx context.Context, r *rogue) {
		again(ctx, 10*time.Millisecond, func(i int) {
			for _, raw := range r.overheard() {
				bad := bytes.Clone(raw)
				bad[i%len(bad)] ^= 1
				r.shout(p2p.Offers, bad)
			}
		})
	}},
	{"another's words replayed", muted, func(ctx context.Context, r *rogue) {
		again(ctx, 10*time.Millisecond, func(int) {
			for _, raw := range r.overheard() {
				r.shout(p2p.Work, raw)
			}
		})
	}},
	{"envelopes in another's name", muted, func(ctx context.Context, r *rogue) {
		id := r.job(ctx)
		as := impostor{r.host, r.arena.nodes[0].self}
		again(ctx, 10*time.Millisecond, func(int) {
			for _, m := range []job.Message{
				&job.Cancel{Job: id}, &job.Collected{Job: id, Cells: job.Ranges{{A: 0, B: 27}}, Final: true},
				&job.Revoked{Job: id, Peer: r.arena.nodes[1].self}, &job.Offer{Job: id},
			} {
				if forged, err := job.Seal(as, m); err == nil {
					r.shout(p2p.Offers, forged.Raw)
				}
			}
		})
	}},
	{"words that are the submitter's to say", ignored, func(ctx context.Context, r *rogue) {
		id := r.job(ctx)
		again(ctx, 20*time.Millisecond, func(int) {
			r.say(&job.Cancel{Job: id})
			r.say(&job.Collected{Job: id, Cells: job.Ranges{{A: 0, B: 27}}, Final: true})
			r.say(&job.Revoked{Job: id, Peer: r.arena.nodes[1].self, Reason: "so I say"})
			r.say(&job.Offer{Job: id, Roster: []job.Member{{Peer: r.host.Self(), Slots: 4096, Speed: 1e6}}})
		})
	}},
	{"claims and cells out of range", ignored, func(ctx context.Context, r *rogue) {
		id := r.job(ctx)
		everything := job.Range{A: 0, B: job.MaxCells}
		again(ctx, 20*time.Millisecond, func(i int) {
			r.say(&job.Claim{Job: id, Range: everything, Gen: math.MaxUint32})
			r.say(&job.Claim{Job: id, Range: job.Range{A: 26, B: 28}, Gen: uint32(i)})
			r.say(&job.Progress{Idle: math.MaxUint32, Held: []job.Held{{Job: id, Range: everything, Gen: 1, Left: job.Ranges{everything}, Rate: math.MaxFloat64}}})
			r.say(&job.Done{Job: id, Cell: job.MaxCells - 1, Output: job.CIDOf(nil), Size: job.MaxSetSize})
			r.say(&job.Released{Job: id, Range: everything, Gen: math.MaxUint32, Cause: 255})
		})
	}},
	{"claims of everything, and no work", ignored, func(ctx context.Context, r *rogue) {
		id := r.job(ctx)
		everything := job.Range{A: 0, B: 27}
		again(ctx, 200*time.Millisecond, func(i int) {
			for gen := range uint32(8) {
				r.say(&job.Claim{Job: id, Range: everything, Gen: gen})
			}
			r.say(&job.Progress{Held: []job.Held{{Job: id, Range: everything, Gen: uint32(i % 8), Left: job.Ranges{everything}, Rate: 1e6}}})
		})
	}},
	{"a flood of calls, offers and claims", ignored, func(ctx context.Context, r *rogue) {
		id := r.job(ctx)
		again(ctx, 0, func(i int) {
			r.say(&job.Call{Nonce: job.Nonce(noise(16)), Need: job.Need{Renderer: "synthetic", Version: "1", Fingerprint: "synthetic"}})
			r.say(&job.Offer{Job: job.ID(job.CIDOf(noise(8)))})
			r.say(&job.Claim{Job: id, Range: job.Range{A: uint32(i % 27), B: 27}, Gen: uint32(i)})
			r.say(&job.Progress{Idle: 1})
			if i%64 == 63 {
				time.Sleep(10 * time.Millisecond) // the machine has honest work to do as well
			}
		})
	}},
	{"cells done that nobody has", revoked, func(ctx context.Context, r *rogue) {
		id := r.job(ctx)
		again(ctx, 100*time.Millisecond, func(int) {
			for cell := range uint32(27) {
				r.say(&job.Done{Job: id, Cell: cell, Output: job.CIDOf(fmt.Append(nil, "nobody has this", cell)), Size: 3000})
			}
		})
	}},
	{"junk for cells", barred, func(ctx context.Context, r *rogue) {
		junk := []job.CID{r.keep([]byte("no file set")), r.keep(bytes.Repeat([]byte{0x81}, job.MaxBlock)), r.keep([]byte{0})}
		id := r.job(ctx)
		again(ctx, 100*time.Millisecond, func(int) {
			for cell := range uint32(27) {
				r.say(&job.Done{Job: id, Cell: cell, Output: junk[int(cell)%len(junk)], Size: 3000})
			}
		})
	}},
	{"two outputs for each cell", barred, func(ctx context.Context, r *rogue) {
		one, other := r.keep([]byte("one")), r.keep([]byte("other"))
		id := r.job(ctx)
		again(ctx, 100*time.Millisecond, func(int) {
			for cell := range uint32(27) {
				r.say(&job.Done{Job: id, Cell: cell, Output: one, Size: 3000})
				r.say(&job.Done{Job: id, Cell: cell, Output: other, Size: 3000})
			}
		})
	}},
	{"other pictures than the scene's", exposed, func(ctx context.Context, r *rogue) {
		var cells []job.CID
		for cell := range uint32(27) {
			picture := bytes.Repeat([]byte("wrong"), 600)
			cid, _, err := r.store.Import(ctx, []blockstore.Source{{
				Path: fmt.Sprintf("cells/%d.bin", cell), Size: int64(len(picture)),
				Open: func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(picture)), nil },
			}})
			if err != nil {
				r.t.Error(err)
			}
			cells = append(cells, cid)
		}
		id := r.job(ctx)
		again(ctx, 100*time.Millisecond, func(int) {
			for cell, cid := range cells {
				r.say(&job.Done{Job: id, Cell: uint32(cell), Output: cid, Size: 3000})
			}
		})
	}},
	{"cells of many gigabytes", barred, func(ctx context.Context, r *rogue) {
		id := r.job(ctx)
		again(ctx, 100*time.Millisecond, func(int) {
			for cell := range uint32(27) {
				r.say(&job.Done{Job: id, Cell: cell, Output: job.CIDOf([]byte("huge")), Size: job.MaxSetSize})
			}
		})
	}},
	{"manifests that are bombs", ignored, func(ctx context.Context, r *rogue) {
		bomb := append([]byte{0xa1, 0x0a, 0x9a, 0, 0x0f, 0xff, 0}, bytes.Repeat([]byte{0xa0}, 0x0fff00)...)
		large := &job.Manifest{
			V: job.Version, Submitter: r.host.Self(), Name: "Large", Need: job.Need{Renderer: "synthetic", Version: "1", Fingerprint: "synthetic", SelfTest: "synthetic"},
			Spec: []byte("{}"), Assets: job.CIDOf([]byte("nowhere")), Width: 1 << 15, Height: 1 << 15, FPS: 1000, Plays: []job.Play{{Frames: job.MaxCells}}, CellFrames: 1,
		}
		set := &job.FileSet{V: job.Version}
		for i := range 16 {
			f := job.File{Path: fmt.Sprintf("%02d", i), Size: 1 << 30}
			for range 1 << 10 {
				f.Blocks = append(f.Blocks, job.CIDOf([]byte("the same again")))
			}
			set.Files = append(set.Files, f)
		}
		if block, _, err := set.Block(); err == nil {
			large.Assets = r.keep(block)
		}
		again(ctx, 300*time.Millisecond, func(i int) {
			r.say(&job.Offer{Job: job.ID(r.keep(append(bomb, byte(i))))})
			large.Nonce[0] = byte(i)
			if block, id, err := large.Block(); err == nil {
				r.keep(block)
				r.say(&job.Offer{Job: id, Nonce: large.Nonce, Roster: []job.Member{{Peer: r.arena.nodes[1].self, Slots: 1}, {Peer: r.arena.nodes[0].self, Slots: 1}}})
			}
		})
	}},
	{"a flood of requests", ignored, func(ctx context.Context, r *rogue) {
		id := r.job(ctx)
		again(ctx, 0, func(i int) {
			to := r.arena.nodes[i%2].self
			for _, m := range []job.Message{
				&job.Pull{}, &job.Split{Job: id, Slots: 4096, Speed: 1e6}, &job.Missing{Job: id, Path: "key"},
				&job.Missing{Job: id, Path: "scene.json"}, &job.Ready{Slots: 4096, Speed: 1e6},
			} {
				if answer := r.ask(to, m); bytes.Contains(answer, []byte("Film")) {
					r.t.Error("a file was lent to who holds no cell")
				}
			}
		})
	}},
	{"requests and adverts of noise", ignored, func(ctx context.Context, r *rogue) {
		again(ctx, 20*time.Millisecond, func(i int) {
			short, cancel := context.WithTimeout(ctx, time.Second)
			defer cancel()
			_, _ = r.host.Request(short, r.arena.nodes[i%2].self, noise(100))
			_ = r.host.Advertise(noise(i % 1000))
		})
	}},
	{"lengths of four gigabytes", ignored, func(ctx context.Context, r *rogue) {
		again(ctx, 200*time.Millisecond, func(int) {
			for _, proto := range []string{requestProtocol, advertProtocol} {
				r.streams(ctx, protocol.ID(proto), 4, func(s network.Stream) {
					_, _ = s.Write(binary.BigEndian.AppendUint32(nil, math.MaxUint32))
					_, _ = io.Copy(io.Discard, s)
				})
			}
			for _, proto := range []string{gossipProtocol, blocksProtocol} {
				r.streams(ctx, protocol.ID(proto), 4, func(s network.Stream) {
					_, _ = s.Write(binary.AppendUvarint(nil, math.MaxUint32))
					_ = s.SetReadDeadline(time.Now().Add(time.Second))
					_, _ = io.Copy(io.Discard, s)
				})
			}
		})
	}},
	{"streams that say nothing", ignored, func(ctx context.Context, r *rogue) {
		var all sync.WaitGroup
		for _, proto := range []string{requestProtocol, advertProtocol, peersProtocol, blocksProtocol} {
			all.Go(func() {
				r.streams(ctx, protocol.ID(proto), 100, func(s network.Stream) {
					_, _ = s.Write([]byte{0})
					<-ctx.Done()
				})
			})
		}
		all.Wait()
	}},
	{"connections that say nothing", ignored, func(ctx context.Context, r *rogue) {
		for _, h := range r.arena.hosts {
			parts := strings.Split(h.Addrs()[0], "/")
			for range 100 {
				if conn, err := net.Dial("tcp", net.JoinHostPort(parts[2], parts[4])); err == nil {
					defer conn.Close()
				}
			}
		}
		<-ctx.Done()
	}},
	{"blocks without end, that nobody wants", ignored, func(ctx context.Context, r *rogue) {
		msg := message.New(false)
		for range 3 {
			msg.AddBlock(blocks.NewBlock(noise(job.MaxBlock)))
		}
		var raw bytes.Buffer
		if err := msg.ToNetV1(&raw); err != nil {
			r.t.Error(err)
		}
		r.streams(ctx, blocksProtocol, 4, func(s network.Stream) {
			for ctx.Err() == nil {
				if _, err := s.Write(raw.Bytes()); err != nil {
					return
				}
				time.Sleep(20 * time.Millisecond) // the machine has honest work to do as well
			}
		})
	}},
	{"messages of blocks that are bombs", ignored, func(ctx context.Context, r *rogue) {
		bomb := bytes.Repeat([]byte{0x1a, 0x00}, 2<<20-8) // empty blocks: 222 MiB, once decoded
		bomb = append(binary.AppendUvarint(nil, uint64(len(bomb))), bomb...)
		again(ctx, 50*time.Millisecond, func(int) {
			r.streams(ctx, blocksProtocol, 4, func(s network.Stream) {
				_, _ = s.Write(bomb)
				_ = s.SetReadDeadline(time.Now().Add(time.Second))
				_, _ = io.Copy(io.Discard, s)
			})
		})
	}},
	{"wants without end, of what nobody has", ignored, func(ctx context.Context, r *rogue) {
		again(ctx, 50*time.Millisecond, func(int) {
			msg := message.New(true)
			for range 2000 { // more than 2,048 would not be read
				msg.AddEntry(blocks.NewBlock(noise(8)).Cid(), 1, pb.Message_Wantlist_Block, true)
			}
			r.streams(ctx, blocksProtocol, 1, func(s network.Stream) { _ = msg.ToNetV1(s) })
		})
	}},
}
