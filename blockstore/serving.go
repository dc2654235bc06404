// SPDX-License-Identifier: MIT

package blockstore

import (
	"cmp"
	"context"
	"slices"
	"sync"

	"github.com/ipfs/boxo/bitswap/message"
	pb "github.com/ipfs/boxo/bitswap/message/pb"
	blocks "github.com/ipfs/go-block-format"
	"github.com/ipfs/go-cid"
	libp2p "github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"

	"meshnode/job"
)

// Limits on what is sent to those who ask. A message is in memory twice while it
// is sent, so 32 are 64 MiB.
const (
	maxSending   = 32            // messages sent at a time
	maxSendingTo = 4             // of them, to one peer that reads: enough to fill a gigabit link;
	maxCrowd     = 16            // but one to each as long as more than so many are sent
	maxReplies   = 1024          // blocks that one peer waits for; what it asks for beyond that is not heard
	sentBytes    = job.MaxBlock  // of blocks in a message, if there are several
	readBytes    = sentBytes / 2 // a message that large is not sent unless somebody reads: twice the window of a stream
)

// serving gives blocks to those who ask for them.
//
// Each peer has a queue of its own, and is sent one message at a time until it has
// read a large one. So one that asks and reads nothing holds one message, for as
// long as [outbound] lets it, and keeps nobody else waiting.
type serving struct {
	ctx   context.Context // ends the sending
	send  sendFunc
	there func(peer.ID) bool // is it connected?
	local Local
	allow func(job.PeerID) bool // nil: everybody

	slots chan struct{} // of maxSending
	sends sync.WaitGroup

	mu     sync.Mutex
	askers map[peer.ID]*asker
}

// sendFunc sends a message. It returns when that is written, or soon after ctx ends.
type sendFunc = func(ctx context.Context, to peer.ID, msg message.BitSwapMessage) error

// asker is a peer that asks for blocks.
type asker struct {
	replies []reply // that it waits for, the next one first
	sending int     // goroutines that send
	width   int     // how many there may be, unless there is a crowd
}

// reply is what a peer is to be told of a block.
type reply struct {
	key  cid.Cid
	kind replyKind
	size int  // bytes of the block
	deny bool // it wants to know if the block is not here
}

type replyKind int

const (
	replyBlock  replyKind = iota // the block itself
	replyHave                    // that it is here
	replyAbsent                  // that it is not
)

func newServing(ctx context.Context, send sendFunc, there func(peer.ID) bool, local Local, allow func(job.PeerID) bool) *serving {
	return &serving{
		ctx:    ctx,
		send:   send,
		there:  there,
		local:  local,
		allow:  allow,
		slots:  make(chan struct{}, maxSending),
		askers: make(map[peer.ID]*asker),
	}
}

// hear takes what a peer wants, or wants no more. It does not wait.
func (s *serving) hear(from peer.ID, msg message.BitSwapMessage) {
	entries := msg.Wantlist()
	if len(entries) == 0 && !msg.Full() {
		return
	}
	slices.SortFunc(entries, func(a, b message.Entry) int { return cmp.Compare(b.Priority, a.Priority) })
	allowed := s.allow == nil || s.allow(job.PeerID(from.String()))
	said := make(map[cid.Cid]bool, len(entries))
	var replies []reply
	for _, e := range entries {
		said[e.Cid] = true
		if r, ok := s.answer(e, allowed); ok {
			replies = append(replies, r)
		}
	}

	s.mu.Lock()
	defer s.mu.Unlock()
	a := s.askers[from]
	if a == nil {
		if len(replies) == 0 {
			return
		}
		a = &asker{width: 1}
		s.askers[from] = a
	}
	a.replies = slices.DeleteFunc(a.replies, func(old reply) bool { return msg.Full() || said[old.key] })
	a.replies = append(a.replies, replies[:min(len(replies), maxReplies-len(a.replies))]...)
	s.start(from, a)
}

// answer says what is to be said to a want, if anything.
func (s *serving) answer(e message.Entry, allowed bool) (r reply, ok bool) {
	c := address(e.Cid)
	if c == "" || e.Cancel {
		return r, false
	}
	r = reply{key: e.Cid, deny: e.SendDontHave}
	here := false
	if allowed {
		r.size, here = s.local.Size(c)
	}
	switch {
	case !here:
		r.kind = replyAbsent
	case e.WantType == pb.Message_Wantlist_Have:
		r.kind = replyHave
	}
	return r, here || r.deny
}

// widthOf returns how many goroutines may send to a peer now.
func (s *serving) widthOf(a *asker) int {
	if len(s.slots) > maxCrowd {
		return 1
	}
	return a.width
}

// start has as many goroutines send as there may be. mu is held.
func (s *serving) start(to peer.ID, a *asker) {
	for a.sending < min(s.widthOf(a), len(a.replies)) && s.ctx.Err() == nil {
		a.sending++
		s.sends.Go(func() {
			for s.sendNext(to, a) {
			}
		})
	}
}

// sendNext sends a peer one message. false: there is nothing more to do.
func (s *serving) sendNext(to peer.ID, a *asker) (more bool) {
	select {
	case s.slots <- struct{}{}:
		defer func() { <-s.slots }()
	case <-s.ctx.Done():
	}
	replies := s.take(to, a)
	if len(replies) == 0 {
		return false
	}
	bytes, err := s.deliver(to, replies)
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case err != nil: // it will ask again, if it is there
		a.width, a.replies = 1, nil
	case bytes >= readBytes:
		a.width = maxSendingTo
		s.start(to, a)
	}
	return true
}

// take returns what the next message is to say. Where there is nothing, or too many
// send, it takes the goroutine off the count.
func (s *serving) take(to peer.ID, a *asker) []reply {
	s.mu.Lock()
	defer s.mu.Unlock()
	n, bytes := 0, 0
	for s.ctx.Err() == nil && a.sending <= s.widthOf(a) && n < len(a.replies) {
		if a.replies[n].kind == replyBlock {
			bytes += a.replies[n].size
		}
		if n > 0 && bytes > sentBytes {
			break
		}
		n++
	}
	if n == 0 {
		a.sending--
		if a.sending == 0 && (a.width == 1 || !s.there(to)) && s.askers[to] == a {
			delete(s.askers, to)
		}
		return nil
	}
	replies := slices.Clone(a.replies[:n])
	a.replies = slices.Delete(a.replies, 0, n)
	return replies
}

// deliver sends a message, to a peer that is connected.
func (s *serving) deliver(to peer.ID, replies []reply) (bytes int, err error) {
	ctx, cancel := context.WithTimeout(libp2p.WithNoDial(s.ctx, "who asks is connected"), inboundTime)
	defer cancel()
	msg := message.New(false)
	for _, r := range replies {
		switch block, err := s.block(ctx, r); {
		case err == nil && block != nil:
			msg.AddBlock(block)
			bytes += len(block.RawData())
		case r.kind == replyHave:
			msg.AddHave(r.key)
		case r.deny:
			msg.AddDontHave(r.key)
		}
	}
	if msg.Empty() {
		return 0, nil
	}
	return bytes, s.send(ctx, to, msg)
}

// block returns the block of a reply that is one.
func (s *serving) block(ctx context.Context, r reply) (blocks.Block, error) {
	if r.kind != replyBlock {
		return nil, nil
	}
	data, err := s.local.Get(ctx, address(r.key))
	if err != nil {
		return nil, err
	}
	return blocks.NewBlockWithCid(data, r.key)
}

// gone forgets a peer that is not connected any more.
func (s *serving) gone(p peer.ID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if a := s.askers[p]; a != nil {
		a.replies = nil
		delete(s.askers, p)
	}
}

// close waits for those who send. ctx has ended.
func (s *serving) close() {
	s.mu.Lock() // from here on nothing is started
	clear(s.askers)
	s.mu.Unlock()
	s.sends.Wait()
}
